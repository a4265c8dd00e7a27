"""`polymux distill`: teachers, one student, and the models it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell


def distill(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What is made of what.")],
    stage: Annotated[
        list[str],
        typer.Option(
            "--stage",
            metavar="NAME",
            help="Only this: corpus, tokenizer, teachers, a system, evaluate, report. Repeats.",
        ),
    ] = [],  # noqa: B006  (typer copies it)
    device: options.Device = "auto",
    force: Annotated[
        bool,
        typer.Option("--force", help="Make anew what was made with other settings or data."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Train a balanced multilingual encoder: a teacher a language, one student, its baselines.

    [dim]polymux distill balanced.toml --stage corpus --stage tokenizer[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.distill import distill as run

    with progress() as show:
        made = run(config, stages=stage, device=device, force=force, progress=show)
    if json:
        print_json({"out": str(made.out), "stages": list(made.stages)})
        return
    tell(f"done: {', '.join(made.stages)}")
    print(made.report if made.report.is_file() and "report" in made.stages else made.out)


COMMANDS: dict[str, Callable[..., None]] = {"distill": distill}
