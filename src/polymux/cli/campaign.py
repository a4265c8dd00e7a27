"""`polymux init | next | status | report | replay`: a campaign with people."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from polymux.cli import limits, options
from polymux.cli.output import pairs, print_json, progress, refuse_leftovers, say, tell


def init(
    context: typer.Context,
    run: options.Run,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="The start model.")],
    task: options.Task,
    source: options.Sources,
    target: options.Targets,
    budget: Annotated[
        int,
        typer.Option(
            "--budget", metavar="N", min=1, help="In all, labels or what --budget-in says."
        ),
    ],
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, help="In how many parts.")
    ] = 5,
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAME", help="The rule that chooses, or auto.")
    ] = "knn-uncertainty",
    test: Annotated[
        list[str],
        typer.Option("--test", metavar="PATH", help="Labelled, to score each round on. Repeats."),
    ] = [],  # noqa: B006  (typer copies it)
    seed: options.Seed = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the labels.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate at its highest.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Rows a batch.")] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="The paper's settings, such as xlm-r/udpos."),
    ] = None,
    continue_training: Annotated[
        bool,
        typer.Option(
            "--continue-training", help="From the last round's model, not from the start model."
        ),
    ] = False,
    budget_in: limits.BudgetIn = "examples",
    rate: limits.Rates = [],  # noqa: B006
    per: limits.Per = "token",
    at_least: limits.AtLeast = [],  # noqa: B006
    at_most: limits.AtMost = [],  # noqa: B006
    without: limits.Without = [],  # noqa: B006
    one_of: limits.OneOf = None,
    near_duplicates: Annotated[
        float | None,
        typer.Option(
            "--near-duplicates",
            metavar="X",
            help="In a batch, pass over what is nearer than X.",
            rich_help_panel=limits.LIMITS,
        ),
    ] = None,
    control: Annotated[
        float,
        typer.Option(
            "--control", metavar="SHARE", help="Of each round, drawn at random, to judge by; or 0."
        ),
    ] = 0.1,
    control_from: Annotated[
        Literal["pool", "target"],
        typer.Option(
            "--control-from", help="target: half of that are target examples, never trained on."
        ),
    ] = "pool",
    settle: Annotated[
        Literal["majority", "unanimous"],
        typer.Option("--settle", help="Which label counts where several people answered."),
    ] = "majority",
    canaries: Annotated[
        bool,
        typer.Option("--canaries/--no-canaries", help="Known records that show what a tool does."),
    ] = True,
    device: options.Device = "auto",
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="DIR|off",
            help="Where encodings are kept for next time (RUN/store).",
            rich_help_panel=options.RUNNING,
        ),
    ] = None,
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    on_error: options.OnError = "stop",
) -> None:
    """Begin a campaign: look at model, pools and labels, and write RUN/run.toml.

    [dim]polymux init health --model start/ --task token-classification --source 'pool/*.conll'
    --target mine.txt --budget 500 --rounds 5[/dim]
    """
    refuse_leftovers(context.args)
    from polymux import toml
    from polymux.campaign import Settings, hardly_trained, too_few
    from polymux.campaign import init as begin
    from polymux.readers import anchored

    def whole(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(anchored(path, Path.cwd()) for path in paths)

    bought = limits.budgeting(budget_in, rate, per, at_least, at_most, without, one_of)
    kept = store if store in (None, "off") else anchored(store, Path.cwd())
    told = {
        "model": str(Path(model).resolve()) if Path(model).is_dir() else model,
        "task": task,
        "source": whole(source),
        "target": whole(target),
        "test": whole(test),
        "budget": budget,
        "rounds": rounds,
        "strategy": strategy,
        "seed": seed,
        "language": language,
        "fields": pairs(field, "--field"),
        "on_error": on_error,
        "device": device,
        "store": kept,
        "training": {
            "preset": preset,
            "epochs": epochs,
            "lr": lr,
            "batch_size": batch_size,
            "continued": continue_training,
        },
        "control": {"share": control, "target": control_from == "target"},
        "costs": {"unit": budget_in, "rates": bought["rates"], "per": per},
        "limits": {
            "at_least": bought["at_least"],
            "at_most": bought["at_most"],
            "without": tuple(without),
            "one_of": one_of,
            "near_duplicates": near_duplicates,
        },
        "canaries": canaries,
        "settle": settle,
    }
    state = begin(run, toml.checked(told, Settings, reference="polymux init --help tells more"))
    if state.labels:
        shown = ", ".join(state.labels[:6]) + ", ..." * (len(state.labels) > 6)
        tell(f"{len(state.labels)} classes ({shown})")
    for warning in filter(None, (too_few(state.settings), hardly_trained(state.settings))):
        tell(f"warning: {warning}")
    tell(f"next: polymux next {shlex.quote(str(run))}")
    print(run / "run.toml")


def next_(
    context: typer.Context,
    run: options.Run,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on with the labels there are.")
    ] = False,
    ahead: Annotated[
        bool,
        typer.Option("--ahead", help="Choose the next round while this one is being labelled."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Do what is due: choose, or with the round's labels in train, score and choose again.

    [dim]polymux next health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import advance

    with progress() as show:
        due = advance(run, partial=partial, ahead=ahead, said=tell, progress=show)
    if json:
        print_json(
            {
                "done": list(due.done),
                "waiting": due.waiting,
                "finished": due.finished,
                "say": due.say,
            }
        )
        return
    print(due.say)


def status(context: typer.Context, run: options.Run, json: options.Json = False) -> None:
    """Tell what is spent and left, what is due and the command for it, and the scores so far.

    [dim]polymux status health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import status as ask

    told = ask(run)
    if json:
        print_json(told)
        return
    unit = "labels" if told["unit"] == "examples" else told["unit"]
    spent = f"{told['spent']:,.10g} of {told['budget']:,} {unit} spent, {told['left']:,.10g} left"
    print(spent if unit == "labels" else f"{told['labelled']} labels, {spent}")
    if told["overrun"]:
        print(told["overrun"])
    if told["rates"]:
        rates = ", ".join(f"{name or '?'} {rate:.3g}" for name, rate in told["rates"].items())
        say(f"{unit} a{'n' * (told['per'] == 'example')} {told['per']} by language: {rates}")
    if told["control"]:
        print("\n".join(_judged(told["control"][-1], f"{told['left']:,.10g} {unit}")))
    elif told["drawn"] and told["drawn"]["labels"] < told["drawn"]["least"]:
        print(
            f"{told['drawn']['labels']} of the {told['drawn']['least']} labels drawn at random so "
            "far that it takes to say what choosing is worth"
        )
    scores = {one["round"]: one for one in told["scores"]}
    for one in [{"round": 0}, *told["rounds"]]:
        print(_line(one, scores.get(one["round"], {})))
    for language, one in told["agreement"].items():
        say(_agreed(language, one))
    print(told["due"])


def report(
    context: typer.Context,
    run: options.Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The page; else RUN/report.html.")
    ] = None,
) -> None:
    """Write the campaign's card: learning curves, rounds, and what chance says of the choice.

    [dim]polymux report health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import report as write

    print(write(run, out))


def replay(
    context: typer.Context,
    run: options.Run,
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAMES", help="Rules, with commas between.")
    ],
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Trainings of each order.")
    ] = 3,
    json: options.Json = False,
) -> None:
    """Put the labels that were bought in other orders, and score what the first of each make.

    [dim]polymux replay health --strategy knn-uncertainty,average-dist[/dim]
    """
    refuse_leftovers(context.args)
    from dataclasses import asdict

    from polymux.campaign import replay as again

    names = [name.strip() for name in strategy.split(",") if name.strip()]
    with progress() as show:
        made = again(run, names, seeds=seeds, progress=show)
    if json:
        print_json(asdict(made) | {"caution": made.caution})
        return
    print(f"{made.metric} on {made.scored_on}, mean of {seeds} trainings (least to most)")
    for row in made.rows:
        low, high = 100 * min(row["scores"]), 100 * max(row["scores"])
        against = row.get("against_random")
        more = f"  against random {_interval(against, signed=True)}" if against else ""
        mean = 100 * row["mean"]
        say(f"{row['order']:<20} {row['n']:>6,}  {mean:5.1f} ({low:.1f} to {high:.1f}){more}")
    tell(made.caution)


def _agreed(language: str, one: dict[str, Any]) -> str:
    from polymux.report.words import count

    figures = {"Krippendorff's alpha": one["alpha"], "span F1": one["span_f1"]}
    shown = [f"{name} {value:.2f}" for name, value in figures.items() if value is not None]
    where = f" in {language}" if language else ""
    what = f"agreement of {one['annotators']} annotators{where} on {count(one['items'], 'example')}"
    if one["items"] < one["least"]:
        return f"{what}: too few to tell (from {one['least']} on)"
    return f"{what}: " + (", ".join(shown) or "nothing differs that could be compared")


def _judged(one: dict[str, Any], left: str) -> list[str]:
    """What the control slice says of the last round that was judged."""
    lines = [f"round {one['round']}, judged by {one['labels']} labels drawn at random:"]
    for name, what in (
        ("pool", f"{one['metric']} on the pool, out of fold"),
        ("target", f"{one['metric']} on the target"),
        ("gain", f"gain of {one.get('gain', {}).get('at')} chosen labels over as many random ones"),
        ("last", "gain of this round over the one before"),
    ):
        if name in one:
            lines.append(f"  {what}: {_interval(one[name], signed=name in ('gain', 'last'))}")
    return [*lines, f"  {one['verdict']}; {left} left"]


def _interval(told: dict[str, Any], *, signed: bool) -> str:
    plus = "+" if signed else ""
    value, low, high = (f"{100 * told[key]:{plus}.1f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _line(one: dict[str, Any], scores: dict[str, Any]) -> str:
    shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in scores.items() if k != "round")
    if one["round"] == 0:
        return f"start model: {shown or 'not scored'}"
    what = f"round {one['round']}: {one['issued']} issued, {one['labelled']} labelled"
    names = {"unusable": "unusable", "waiting": "waiting", "conflicts": "in conflict"}
    more = [f"{one[name]} {shown_as}" for name, shown_as in names.items() if one[name]]
    return ", ".join([what, *more, *([shown] if shown else [])])


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "next": next_,
    "status": status,
    "report": report,
    "replay": replay,
}
