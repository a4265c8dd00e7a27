"""`polymux demo`: the whole of polymux on a small example, offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from polymux.cli import options
from polymux.cli.output import progress, refuse_leftovers


def demo_command(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where everything is written.")
    ] = Path("demo"),
    seed: options.Seed = 0,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the card in a browser at the end.")
    ] = False,
) -> None:
    """Teach a health assistant two languages: utterances, models, choices and scores, offline.

    [dim]polymux demo --out demo/ --open[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.demo import demo

    with progress() as show:
        made = demo(out, seed, show)
    print(made.parts)
    print(made.table)
    print("the same by hand:")
    for command in made.commands:
        print(f"  {command}")
    print(f"\ndata and models: {made.out}\ncard: {made.card}")
    if open_:
        typer.launch(made.card.absolute().as_uri())


COMMANDS: dict[str, Callable[..., None]] = {"demo": demo_command}
