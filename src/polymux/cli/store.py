"""`polymux store ls|verify|prune`: the encodings that were kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell
from polymux.errors import UsageError, WorkError

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGT]?)B?", re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T")
# Of a fingerprint, as it is shown; the odds of two models beginning alike are nil.
_SHOWN = 12


def store(
    context: typer.Context,
    what: Annotated[
        Literal["ls", "verify", "prune"],
        typer.Argument(metavar="ls|verify|prune", help="List, check, or throw away."),
    ],
    folder: Annotated[
        str | None,
        typer.Option("--store", metavar="DIR", help="The store (the user's cache)."),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than", metavar="DAYS", min=0, help="prune: what was not used for so long."
        ),
    ] = None,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="FINGERPRINT",
            help="prune: only this model's, as ls shows it; alone: all of it. Repeats.",
        ),
    ] = [],  # noqa: B006  (typer copies it)
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="SIZE", help="prune: the longest unused, until SIZE (20GB) is left."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List, check or throw away the encodings that select kept.

    Prune without a criterion takes only what killed runs left and what was damaged.

    [dim]polymux store prune --older-than 30 --keep 20GB[/dim]
    """
    refuse_leftovers(context.args)
    place = store_folder(folder)
    if place is None:
        raise UsageError("--store off keeps nothing to look at", "give --store a folder")
    if place.exists() and not place.is_dir():
        raise UsageError(
            "this is a file, not a folder of encodings", "give --store a folder", file=str(place)
        )
    if what != "prune" and (older_than is not None or model or keep is not None):
        raise UsageError(
            "--older-than, --model and --keep say what prune throws away",
            f"leave them out, or write polymux store prune instead of {what}",
        )
    if what == "ls":
        _list(place, json=json)
    elif what == "verify":
        _verify(place, json=json)
    else:
        _prune(place, older_than, model, keep, json=json)


def store_folder(given: str | None) -> Path | None:
    """The folder for encodings; None spools them beside the results for this run only."""
    if given == "off":
        return None
    if given is not None:
        return Path(given)
    if named := os.environ.get("POLYMUX_STORE"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("polymux") / "store"


def _list(folder: Path, *, json: bool) -> None:
    from polymux.store.upkeep import models

    found = models(folder)
    if json:
        print_json([asdict(kept) for kept in found])
        return
    for kept in found:
        used = datetime.fromtimestamp(kept.used, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        print(
            f"{kept.fingerprint[:_SHOWN]}  {kept.shards:,} shards, {kept.examples:,} examples, "
            f"{_size(kept.size)}, used {used}  {_called(kept.about)}"
        )
    tell(f"{folder}: {len(found)} models, {_size(sum(kept.size for kept in found))}")


def _called(about: Any) -> str:
    names = ("path", "task", "backend", "dtype", "max_length", "store_dtype")
    told = [str(about[name]) for name in names if name in about]
    return "  ".join(told) if told else "(what model it was is not told)"


def _verify(folder: Path, *, json: bool) -> None:
    from polymux.store.upkeep import verify

    with progress() as show:
        checked = verify(folder, show)
    leftovers = [str(path) for path in checked.leftovers]
    if json:
        print_json(asdict(checked) | {"leftovers": leftovers})
    else:
        print(f"{folder}: {checked.whole:,} shards are whole, {len(checked.damaged):,} damaged")
        for note in checked.damaged:
            print(f"  damaged: {note}")
        for name in leftovers:
            print(f"  left over: {name}")
    if checked.damaged:
        raise WorkError(
            f"{len(checked.damaged):,} damaged shards were set aside",
            "they are encoded again when they are needed; polymux store prune deletes them",
            file=str(folder),
        )


def _prune(
    folder: Path, older_than: float | None, models: list[str], keep: str | None, *, json: bool
) -> None:
    from polymux.store.upkeep import prune

    gone = prune(
        folder,
        older_than=older_than,
        keep=None if keep is None else _bytes(keep),
        models=models,
    )
    if json:
        print_json(asdict(gone))
        return
    print(
        f"{folder}: deleted {gone.shards:,} shards and {gone.leftovers:,} leftovers, "
        f"{_size(gone.freed)} freed"
    )


def _bytes(given: str) -> int:
    match = _SIZE.fullmatch(given.strip())
    if match is None:
        raise UsageError(f"--keep {given}: not a size", "write it like 500MB, 20GB or 0")
    return int(float(match[1]) * 1000 ** _UNITS.index(match[2].upper()))


def _size(count: int) -> str:
    """Bytes as a person reads them, in thousands."""
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}B" if unit else f"{count} B"


COMMANDS: dict[str, Callable[..., None]] = {"store": store}
