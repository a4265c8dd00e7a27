"""`polymux tiers | litmus`: what results say of whole languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymux.cli import options
from polymux.cli.output import pairs, print_json, printable, progress, refuse_leftovers, tell

if TYPE_CHECKING:
    from polymux.experiments.tiers import Tiers


def tiers_command(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    test: Annotated[
        list[str],
        typer.Option("--test", metavar="PATH", help="Labelled examples. Repeats."),
    ],
    without: Annotated[
        list[str],
        typer.Option(
            "--without",
            metavar="LANG",
            help="No candidate, such as the language the model learned from. Repeats.",
        ),
    ] = [],  # noqa: B006  (typer copies it)
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="CSV language,tier,score,examples to write."),
    ] = None,
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    device: options.Device = "auto",
    batch_tokens: options.BatchTokens = None,
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Split languages into thirds by a model's zero-shot score: high, mid and low performing.

    [dim]polymux tiers start/ --task token-classification
    --test 'ud/*/test.conllu' --language folder --without en --out tiers.csv[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools, tell_rejected
    from polymux.experiments.tiers import tiers
    from polymux.folders import check_new, write_text

    if out is not None:
        check_new(out, force=force)
    read = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    pool = read("test", test)
    scored = loaded(
        model,
        task=task,
        device=device,
        max_length=max_length,
        stride=stride,
        batch_tokens=batch_tokens,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    with progress() as show:
        told = tiers(scored, pool, without=without, progress=show)
    if out is not None:
        write_text(out, told.csv, force=force)
    tell_rejected(pool)
    if told.nameless:
        tell(f"{told.nameless:,} examples without a language were left out")
    if told.tied:
        tied = printable(", ".join(told.tied))
        tell(f"equal scores in two thirds, by their names: {tied}")
    if json:
        print_json(told.record)
        return
    _print_tiers(told)
    if out is not None:
        print(out)


def _print_tiers(told: Tiers) -> None:
    """A line a language, the best first."""
    rows = [("tier", "language", told.main, "examples")]
    rows += [(r.tier, r.language, f"{100 * r.score:.1f}", f"{r.examples:,}") for r in told.rows]
    _print_columns(rows, left=2)


def litmus_command(
    context: typer.Context,
    results: Annotated[
        list[str],
        typer.Argument(metavar="RESULTS...", help="results.jsonl of experiments, or folders."),
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="Whose sub-words languages share.")
    ],
    task: options.Task,
    source: options.Sources,
    target: options.Targets,
    budget: Annotated[int, typer.Option("--budget", metavar="N", help="How many labels to buy.")],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="CSV language,count for `select --plan`."),
    ],
    language: options.Language = None,
    only: Annotated[
        list[str],
        typer.Option(
            "--only",
            metavar="NAME=VALUE",
            help="Learn from results with this model, metric, ... only. Repeats.",
        ),
    ] = [],  # noqa: B006  (typer copies it)
    sizes: Annotated[
        Path | None,
        typer.Option(
            "--sizes", metavar="FILE", help="CSV language,bytes: text the model was pre-trained on."
        ),
    ] = None,
    distances: Annotated[
        Path | None,
        typer.Option(
            "--distances",
            metavar="FILE",
            help="CSV language,language,distance: how far languages are, from 0 to 1.",
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="N", help="Labels given out at a time (a twentieth)."),
    ] = None,
    seed: options.Seed = 0,
    field: options.Fields = [],  # noqa: B006
    source_field: options.SourceFields = [],  # noqa: B006
    target_field: options.TargetFields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Plan how many labels of each language to buy, from what earlier results teach (LITMUS).

    [dim]polymux litmus results/ --model start/ --task token-classification
    --source 'ud/*/train.conllu' --target 'ud/ur/dev.conllu' --language folder
    --budget 500 --out plan.csv[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools
    from polymux.experiments.litmus import check_plan, litmus

    check_plan(out, force=force)

    pool = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    # No forward pass: nothing to try which backend is fastest for.
    start = loaded(
        model,
        task=task,
        backend="torch",
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    with progress() as show:
        plan = litmus(
            results,
            start,
            pool("source", source, source_field),
            pool("target", target, target_field),
            budget=budget,
            step=step,
            only=pairs(only, "--only"),
            sizes=sizes,
            distances=distances,
            seed=seed,
            progress=show,
        )
    plan.write(out, force=force)
    for warning in plan.record["warnings"]:
        tell(f"warning: {printable(warning)}")
    if json:
        print_json(plan.record)
        return
    _print_plan(plan.record)
    print(out)


def _print_plan(record: Mapping[str, Any]) -> None:
    """What is bought and what it is predicted to add, then what the predictor is worth."""
    rows = [("language", "labels", "of", "adds")]
    rows += [
        (name, f"{told['count']:,}", f"{told['examples']:,}", f"{100 * told['adds']:+.1f}")
        for name, told in sorted(
            record["languages"].items(), key=lambda item: (-item[1]["count"], item[0])
        )
        if told["count"]
    ]
    _print_columns(rows, left=1)
    plan, even, nothing = (
        f"{100 * record['predicted'][name]['mean']:.1f}" for name in ("plan", "even", "nothing")
    )
    print(
        f"predicted mean score of {printable(', '.join(record['targets']))}: {plan} "
        f"(the same count in every language: {even}, no labels: {nothing})"
    )
    for what, missed in record["left_out"].items():
        print(
            f"off by {100 * missed['off']:.1f} points on {what} that were left out "
            f"(the mean: {100 * missed['mean_off']:.1f})"
        )


def _print_columns(rows: Sequence[tuple[str, ...]], *, left: int) -> None:
    """Rows below each other: `left` columns to the left, the others to the right."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells))


COMMANDS: dict[str, Callable[..., None]] = {"tiers": tiers_command, "litmus": litmus_command}
