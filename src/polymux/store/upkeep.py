"""What stands in a store: listed, checked, thrown away. Runs may use the store meanwhile."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import UsageError
from polymux.progress import Progress
from polymux.store import ABOUT, set_aside
from polymux.store.shards import unpack

# Only what bears such names is looked at: a wrong --store DIR costs nobody their files.
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
# A draft is written in moments and an array file in minutes: one that nobody wrote to for so long
# is of a run that was killed.
_ABANDONED_SECONDS = 3600.0
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store holds of one model."""

    fingerprint: str
    about: Mapping[str, Any]
    """What `Store.put` was told of the model; empty if that is not there."""
    shards: int
    examples: int
    size: int
    """Bytes."""
    used: float
    """When a shard was last written or read, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    whole: int
    """Shards that are as they were written."""
    damaged: tuple[str, ...]
    """Shards that were set aside, each with what is wrong."""
    leftovers: tuple[Path, ...]
    """Drafts of runs that were killed or still write, and what was set aside earlier."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was thrown away."""

    shards: int
    leftovers: int
    freed: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    written: float


def models(folder: Path) -> list[Kept]:
    """Every model of which the store holds encodings, the one used last first."""
    found = []
    for place in _places(folder):
        shards = _shards(place)
        if shards:
            found.append(
                Kept(
                    place.name,
                    _about(place),
                    len(shards),
                    sum(_rows(shard.path) for shard in shards),
                    sum(shard.size for shard in shards),
                    max(shard.written for shard in shards),
                )
            )
    return sorted(found, key=lambda kept: -kept.used)


def verify(folder: Path, progress: Progress | None = None) -> Checked:
    """Read every shard and set aside what is damaged; it is encoded again when it is needed.

    Raises OSError for a file that cannot be read; it stays as it is.
    """
    leftovers = tuple(file.path for file in _leftovers(folder))
    whole, damaged = 0, []
    paths = [shard.path for place in _places(folder) for shard in _shards(place)]
    for done, path in enumerate(paths, 1):
        try:
            unpack(path.read_bytes())
            whole += 1
        except FileNotFoundError:  # another process set it aside or threw it away
            continue
        except ValueError as error:
            set_aside(path)
            damaged.append(f"{path}: {error}")
        if progress is not None:
            progress("verify", done, len(paths))
    return Checked(whole, tuple(damaged), leftovers)


def prune(
    folder: Path,
    *,
    older_than: float | None = None,
    keep: int | None = None,
    models: Sequence[str] = (),
) -> Pruned:
    """Throw away what killed runs left and what was set aside; and shards, where that is asked.

    `older_than` takes the shards that were not used for so many days, `keep` the longest unused
    ones until those that stay have at most so many bytes. `models` (fingerprints, or how they
    begin) limits both to these models; alone it takes all of theirs.

    Raises UsageError for a model that the store does not hold.
    """
    now = time.time()
    places = _named(folder, models)
    leftovers = [
        file
        for file in _leftovers(folder)
        if file.path.suffix == ".damaged" or now - file.written > _ABANDONED_SECONDS
    ]
    shards = sorted((s for p in places for s in _shards(p)), key=lambda shard: shard.written)
    going = []
    if older_than is not None:
        going = [s for s in shards if now - s.written > older_than * _DAY_SECONDS]
    elif models and keep is None:
        going = shards
    if keep is not None:
        staying = shards[len(going) :]
        size = sum(shard.size for shard in staying)
        for shard in staying:
            if size <= keep:
                break
            going.append(shard)
            size -= shard.size
    gone = [file for file in (*leftovers, *going) if _delete(file.path)]
    _clear(places)
    return Pruned(
        shards=sum(file.path.suffix == ".parquet" for file in gone),
        leftovers=sum(file.path.suffix != ".parquet" for file in gone),
        freed=sum(file.size for file in gone),
    )


def _named(folder: Path, models: Sequence[str]) -> list[Path]:
    """The folders of these models; of all without any."""
    places = _places(folder)
    if not models:
        return places
    found = []
    for name in models:
        fitting = [place for place in places if place.name.startswith(name)]
        if len(fitting) != 1:
            raise UsageError(
                f"--model {name}: "
                + (f"{len(fitting)} models begin so" if fitting else "no such model is kept here"),
                f"polymux store ls --store {folder} shows them; give enough of its first column",
            )
        found += fitting
    return found


def _places(folder: Path) -> list[Path]:
    """The folders of models."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _FINGERPRINT.fullmatch(p.name) and p.is_dir())


def _shards(place: Path) -> list[_File]:
    return list(
        _files(p for p in place.glob("*.parquet") if _FINGERPRINT.fullmatch(p.name.split(".")[0]))
    )


def _leftovers(folder: Path) -> list[_File]:
    """Drafts, damaged shards, and the arrays of strategies of the user's own."""
    inside = (p for place in _places(folder) for p in place.iterdir())
    return [
        *_files(p for p in inside if p.suffix in (".part", ".damaged")),
        *_files(folder.glob("polymux-arrays-*")),
    ]


def _files(paths: Iterator[Path]) -> Iterator[_File]:
    for path in paths:
        with suppress(FileNotFoundError):  # a run renamed it, or cleared up
            told = path.stat()
            within = [inner.stat() for inner in path.iterdir()] if path.is_dir() else [told]
            written = max([told.st_mtime, *(inner.st_mtime for inner in within)])
            yield _File(path, sum(inner.st_size for inner in within), written)


def _delete(path: Path) -> bool:
    """Whether it was still there."""
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    return True


def _clear(places: Sequence[Path]) -> None:
    """Take away the folders in which nothing stands but what the model is called."""
    for place in places:
        if {path.name for path in place.iterdir()} <= {ABOUT}:
            (place / ABOUT).unlink(missing_ok=True)
            with suppress(OSError):  # a run has just begun to write there
                place.rmdir()


def _about(place: Path) -> Mapping[str, Any]:
    """What the model is called; nothing if nobody told or the file is damaged."""
    try:
        told = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _rows(path: Path) -> int:
    """How many examples a shard holds; 0 if it is damaged, which `verify` tells."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0
