"""`polymux strategies | formats | uncertainties`: the tables, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from polymux.cli import options
from polymux.cli.output import print_json, refuse_leftovers


def _show(rows: Mapping[str, str], *, json: bool) -> None:
    if json:
        print_json(rows)
        return
    width = max(len(name) for name in rows)
    for name, line in rows.items():
        print(f"{name:<{width}}  {line}")


def strategies(context: typer.Context, json: options.Json = False) -> None:
    """The strategies by name.

    [dim]polymux strategies[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.selection import lines

    _show(lines(), json=json)


def formats(context: typer.Context, json: options.Json = False) -> None:
    """The formats that are read.

    [dim]polymux formats[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.readers import READERS

    _show({name: reader.about for name, reader in READERS.items()}, json=json)


def uncertainties(context: typer.Context, json: options.Json = False) -> None:
    """The uncertainty measures of each task.

    [dim]polymux uncertainties[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.tasks import TASKS

    if json:
        print_json(
            {t: {n: m.about for n, m in module.MEASURES.items()} for t, module in TASKS.items()}
        )
        return
    for task, module in TASKS.items():
        print(f"{task} (default: {module.DEFAULT_MEASURE})")
        for name, measure in module.MEASURES.items():
            print(f"  {name:<22} {measure.about}")


COMMANDS: dict[str, Callable[..., None]] = {
    "strategies": strategies,
    "formats": formats,
    "uncertainties": uncertainties,
}
