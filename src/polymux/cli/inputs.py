"""What commands read: pools and models, by the options that many of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from polymux.cli.output import pairs, tell
from polymux.encoders import Model
from polymux.readers import read
from polymux.records import Pool


def pools(fields: Sequence[str], **reading: Any) -> Callable[..., Pool]:
    """What makes a pool of a name, its paths and the columns that are this pool's alone."""
    shared = pairs(fields, "--field")

    def pool(name: str, paths: Sequence[str], own: Sequence[str] = ()) -> Pool:
        columns = {**shared, **pairs(own, f"--{name}-field")}
        return read(*paths, fields=columns, name=name, **reading)

    return pool


def loaded(path: str | Path, **settings: Any) -> Model:
    """A model; what nobody gave is as the library has it."""
    return Model(path, **{name: given for name, given in settings.items() if given is not None})


def tell_notes(pool: Pool) -> None:
    """Say how the files of a pool were read."""
    for note in pool.notes:
        tell(f"{pool.name}: {note}")


def tell_rejected(pool: Pool) -> None:
    """Say how many examples were left out, and why the first was."""
    if pool.rejected:
        tell(f"{len(pool.rejected):,} bad examples were left out; the first: {pool.rejected[0]}")
