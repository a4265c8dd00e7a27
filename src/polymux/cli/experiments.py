"""`polymux simulate`: campaigns in which gold labels answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell


def simulate(
    context: typer.Context,
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT.toml", help="What is tried, or a preset's name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where results go.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, metavar="N", help="Trainings side by side; by default one a core."
        ),
    ] = None,
    device: options.Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and count the data, run no model.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Run an experiment: strategies, budgets and seeds, answered by gold labels.

    [dim]polymux simulate local/udpos-low-budget --out results/udpos[/dim]
    """
    refuse_leftovers(context.args)
    from polymux import experiments
    from polymux.errors import UsageError

    if dry_run:
        plan = experiments.planned(experiment)
        if json:
            print_json(plan)
            return
        for name, told in plan["configurations"].items():
            tests = ", ".join(f"{count:,} {language}" for language, count in told["test"].items())
            print(
                f"{name}: {told['source']:,} examples of {told['source_languages']} languages for "
                f"{told['target']:,}, tested on {tests}: {told['trainings']:,} trainings"
            )
            if told["short"]:
                few = ", ".join(map(str, told["short"]))
                size = f"{told['source']:,}"
                tell(f"warning: {name}: a budget of {few} is more than the pool of {size}")
        print(f"{plan['trainings']:,} trainings in all")
        return
    if out is None:
        raise UsageError("there is no place for results", "give --out DIR")
    with progress() as show:
        made = experiments.simulate(experiment, out, workers=workers, device=device, progress=show)
    if json:
        print_json({"results": str(made.results), "rows": len(made.rows), "made": made.made})
        return
    tell(f"{len(made.rows):,} rows, {made.made:,} cells made now")
    if made.others:
        tell(f"not in the rows, since nothing named them now: cells of {', '.join(made.others)}")
    print(made.results)


COMMANDS: dict[str, Callable[..., None]] = {"simulate": simulate}
