"""`polymux tiers`: what is known of whole languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polymux.cli import options
from polymux.cli.output import pairs, print_json, progress, refuse_leftovers, tell

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
    from polymux.encoders import Model
    from polymux.experiments.tiers import tiers
    from polymux.folders import check_new, write_text
    from polymux.readers import read

    if out is not None:
        check_new(out, force=force)
    pool = read(
        *test,
        task=task,
        language=language,
        fields=pairs(field, "--field"),
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
        name="test",
    )
    loaded = Model(
        model,
        task=task,
        device=device,
        max_length=max_length,
        stride=128 if stride is None else stride,
        batch_tokens=batch_tokens,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    with progress() as show:
        told = tiers(loaded, pool, without=without, progress=show)
    if out is not None:
        write_text(out, told.csv, force=force)
    if pool.rejected:
        tell(f"{len(pool.rejected):,} bad examples were left out; the first: {pool.rejected[0]}")
    if told.nameless:
        tell(f"{told.nameless:,} examples without a language were left out")
    if told.tied:
        tell(f"equal scores in two thirds, by their names: {', '.join(told.tied)}")
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
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for tier, name, score, count in rows:
        line = f"{tier:<{widths[0]}}  {name:<{widths[1]}}  {score:>{widths[2]}}"
        print(f"{line}  {count:>{widths[3]}}")


COMMANDS: dict[str, Callable[..., None]] = {"tiers": tiers_command}
