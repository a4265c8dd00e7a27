"""`polymux init | next | status | export | import`: a campaign with people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polymux.cli import options
from polymux.cli.output import pairs, print_json, progress, refuse_leftovers, tell
from polymux.errors import UsageError

if TYPE_CHECKING:
    from polymux.errors import InputError

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The campaign's folder.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The tool's server; its token is in LABEL_STUDIO_TOKEN, in the environment.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="NAME", help="The project there: its name or number."),
]
# Refused lines that are shown; the count tells of the others.
SHOWN = 20


def init(
    context: typer.Context,
    run: Run,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="The start model.")],
    task: options.Task,
    source: options.Sources,
    target: options.Targets,
    budget: Annotated[int, typer.Option("--budget", metavar="N", min=1, help="Labels in all.")],
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, help="In how many parts.")
    ] = 5,
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAME", help="The rule that chooses.")
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
    device: options.Device = "auto",
    store: options.Store = None,
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    on_error: options.OnError = "stop",
) -> None:
    """Begin a campaign: look at model, pools and labels, and write RUN/run.toml.

    [dim]polymux init health --model start/ --task token-classification --source 'pool/*.conll'
    --target mine.txt --budget 500 --rounds 5[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import Settings, Training
    from polymux.campaign import init as begin
    from polymux.readers import anchored

    def whole(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(anchored(path, Path.cwd()) for path in paths)

    state = begin(
        run,
        Settings(
            model=str(Path(model).resolve()) if Path(model).is_dir() else model,
            task=task,
            source=whole(source),
            target=whole(target),
            test=whole(test),
            budget=budget,
            rounds=rounds,
            strategy=strategy,
            seed=seed,
            language=language,
            fields=pairs(field, "--field"),
            on_error=on_error,
            device=device,
            store=None
            if store is None
            else store
            if store == "off"
            else anchored(store, Path.cwd()),
            training=Training(
                preset=preset,
                epochs=epochs,
                lr=lr,
                batch_size=batch_size,
                continued=continue_training,
            ),
        ),
    )
    tell(f"{len(state.labels)} labels; next: polymux next {run}")
    print(run / "run.toml")


def next_(
    context: typer.Context,
    run: Run,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on with the labels there are.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Do what is due: choose, or with the round's labels in train, score and choose again.

    [dim]polymux next health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import advance

    with progress() as show:
        due = advance(run, partial=partial, progress=show)
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
    for line in due.done:
        tell(line)
    print(due.say)


def status(context: typer.Context, run: Run, json: options.Json = False) -> None:
    """Tell what is spent, left and waited for, and the scores so far.

    [dim]polymux status health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import status as ask

    told = ask(run)
    if json:
        print_json(told)
        return
    print(f"{told['labelled']} of {told['budget']} labels bought, {told['left']} left")
    scores = {one["round"]: one for one in told["scores"]}
    for one in [{"round": 0}, *told["rounds"]]:
        print(_line(one, scores.get(one["round"], {})))


def _line(one: dict[str, Any], scores: dict[str, Any]) -> str:
    shown = ", ".join(f"{k} {100 * v:.1f}" for k, v in scores.items() if k != "round")
    if one["round"] == 0:
        return f"start model: {shown or 'not scored'}"
    what = f"round {one['round']}: {one['issued']} issued, {one['labelled']} labelled"
    more = [f"{one[name]} {name}" for name in ("unusable", "waiting") if one[name]]
    return ", ".join([what, *more, *([shown] if shown else [])])


def export(
    context: typer.Context,
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="jsonl, csv, label-studio, ...")
    ] = "jsonl",
    url: Url = None,
    project: Project = None,
) -> None:
    """Write the examples that wait for labels as a file of a tool, or send them to its server.

    [dim]polymux export health --to label-studio --out round.json
    polymux export health --to label-studio --url http://localhost:8080 --project health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import export as write
    from polymux.campaign import send

    if url is not None:
        with progress() as show:
            sent = send(run, to, url, _there(project, out, "--out"), progress=show)
        tell(f"{sent.sent} examples sent, {sent.there} were there")
        print(sent.page)
        return
    file = _here(out, project, "--out")
    count = write(run, file, to)
    tell(f"{count} examples")
    print(file)


def _there(project: str | None, file: Path | None, name: str) -> str:
    """The project of a server, where no file has a place."""
    if file is not None:
        raise UsageError(f"{name} and --url are two goals", "give one of them")
    if project is None:
        raise UsageError("--url needs the project there", "give --project NAME, or its number")
    return project


def _here(file: Path | None, project: str | None, name: str) -> Path:
    """The file, where there is no server."""
    if project is not None:
        raise UsageError("--project is one of a server", "give the server's address with --url")
    if file is None:
        raise UsageError(f"{name} is missing", f"give {name}, or --url and --project of a server")
    return file


def import_(
    context: typer.Context,
    run: Run,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What the tool gave back.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help="jsonl, csv, label-studio, ...")
    ] = "jsonl",
    url: Url = None,
    project: Project = None,
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option("--on-error", help="End with an error if any answer was refused, or not."),
    ] = "stop",
    json: options.Json = False,
) -> None:
    """Take labels back from a tool's file or its server; the good part is kept, as often as wanted.

    [dim]polymux import health round.json --from label-studio
    polymux import health --from label-studio --url http://localhost:8080 --project health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import fetch, take

    if url is not None:
        taken = fetch(run, format_, url, _there(project, file, "FILE"))
    else:
        taken = take(run, _here(file, project, "FILE"), format_)
    if json:
        print_json(
            {
                "taken": len(taken.answers),
                "known": taken.known,
                "refused": [_refused(error) for error in taken.refused],
            }
        )
    else:
        tell("\n".join(str(error) for error in taken.refused[:SHOWN]) or "nothing was refused")
        print(
            f"{len(taken.answers)} answers taken, {taken.known} known before, "
            f"{len(taken.refused)} refused"
        )
    if taken.refused and on_error == "stop":
        raise typer.Exit(2)


def _refused(error: InputError) -> dict[str, Any]:
    return {"what": error.what, "hint": error.hint, "file": error.file, "line": error.line}


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "next": next_,
    "status": status,
    "export": export,
    "import": import_,
}
