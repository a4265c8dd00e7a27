"""`polymux tables`: what the results of experiments say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from polymux.cli import options
from polymux.cli.output import print_json, printable, progress, refuse_leftovers


def tables(
    context: typer.Context,
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="A results.jsonl of polymux simulate, its folder, or a CSV made elsewhere.",
        ),
    ],
    out: options.Out,
    best: Annotated[
        str | None,
        typer.Option("--best", metavar="NAME", help="The strategy that was named before the run."),
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
) -> None:
    """Who wins by how much, and how sure it is: tables, figures and a page from results.

    [dim]polymux tables runs/udpos runs/ner --best knn-uncertainty --out tables/[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.experiments.tables import tables as make

    with progress() as show:
        made = make(results, out, named=best, force=force, progress=show)
    if json:
        print_json({"out": str(made.out), "lead": list(made.lead), "files": list(made.files)})
        return
    print("\n".join(map(printable, made.lead)))
    print(f"\n{printable(made.main.caption)}" if made.main.caption else "")
    print(_aligned([[*map(printable, row)] for row in (made.main.header, *made.main.rows)]))
    print(f"\n{made.page}")
    for folder in dict.fromkeys(name.partition("/")[0] for name in made.files if "/" in name):
        print(made.out / folder)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


COMMANDS: dict[str, Callable[..., None]] = {"tables": tables}
