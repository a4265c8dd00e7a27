"""The nouns that travel: Example, Pool, Encodings, Prescription, Label."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from polymux.errors import InputError, UsageError
from polymux.folders import Texts, write_texts

# The fields that make an example of each task; a field ending in "?" may be missing.
FIELDS: dict[str, tuple[str, ...]] = {
    "token-classification": ("tokens",),
    "text-classification": ("text", "text_pair?"),
    "question-answering": ("question", "context"),
}
# Where the answer of a person stands: in files that are read and in files that are written.
LABEL_FIELD: dict[str, str] = {
    "token-classification": "labels",
    "text-classification": "label",
    "question-answering": "answers",
}
SHARD_SIZE = 4096

# One label a word; one for the text; or SQuAD's {"text": [...], "answer_start": [...]}.
Label = tuple[str, ...] | str | dict[str, list[Any]]
Hashes = UInt64[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True)
class Example:
    """One thing a person labels, and where it was read."""

    id: str
    """Path below the PATH given, `#`, and the number of the example in that file from 1."""
    file: str
    line: int
    fields: Mapping[str, str | tuple[str, ...]]
    """Exactly the task's fields (`FIELDS`), as read."""
    label: Label | None = None
    language: str | None = None
    source_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the file said of it: intent, sent_id, the surface text of its tokens."""

    @property
    def text(self) -> str:
        """The example as a person reads it, on one line."""
        surface = self.extra.get("text")
        if isinstance(surface, str) and "tokens" in self.fields:
            return surface
        return " | ".join(v if isinstance(v, str) else " ".join(v) for v in self.fields.values())

    @property
    def characters(self) -> int:
        """Code points of all fields."""
        return sum(map(len, map("".join, self.fields.values())))


def _field_bytes(fields: Mapping[str, str | tuple[str, ...]], form: Literal["NFC"] | None) -> bytes:
    """Field names, values and their lengths, so that no two different examples give the same."""
    out = bytearray()
    for name in sorted(fields):
        value = fields[name]
        items = (value,) if isinstance(value, str) else value
        out += f"{name}:{len(items)};".encode()
        for item in items:
            data = (unicodedata.normalize(form, item) if form else item).encode()
            out += f"{len(data)};".encode() + data
    return bytes(out)


def content_hashes(examples: Sequence[Example]) -> Hashes:
    """128 bits an example from its task fields after Unicode NFC: what makes two the same."""
    data = b"".join(
        blake2b(_field_bytes(e.fields, "NFC"), digest_size=16).digest() for e in examples
    )
    return np.frombuffer(data, dtype="<u8").reshape(len(examples), 2).astype(np.uint64)


def shard_fingerprint(examples: Sequence[Example]) -> str:
    """A name for these examples in this order, from their task fields exactly as read."""
    digest = blake2b(digest_size=16)
    for example in examples:
        digest.update(_field_bytes(example.fields, None))
    return digest.hexdigest()


@dataclass(frozen=True)
class Shard:
    """Up to `SHARD_SIZE` consecutive examples of one file: the unit of encoding and storing."""

    first: int
    """The row of its first example in the pool, counted from 0."""
    examples: tuple[Example, ...]
    file: int = 0
    """The place of its file among the pool's files."""

    @property
    def rows(self) -> Int[np.ndarray, "n"]:
        """The rows of its examples in the pool."""
        return np.arange(self.first, self.first + len(self.examples), dtype=np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """The name of its examples in the store, worked out once."""
        return shard_fingerprint(self.examples)


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A file of a pool and the way to read it again from its beginning."""

    path: str
    read: Callable[[], Iterator[Example | InputError]]


class Pool:
    """Examples of one task, read lazily and as often as asked; memory holds one shard at a time."""

    def __init__(
        self, task: str, files: Sequence[PoolFile], *, skip_bad: bool = False, name: str = "pool"
    ) -> None:
        self.task = task
        self.files = tuple(files)
        self.skip_bad = skip_bad
        self.name = name
        self.rejected: list[InputError] = []
        """What the latest full reading left out; always empty unless `skip_bad`."""
        self.notes: list[str] = []
        """What a person should know of how the files were read."""
        self.how: Mapping[str, Any] = {}
        """What `read` was asked, so that it can be asked again."""

    @classmethod
    def of(cls, examples: Iterable[Example], task: str, *, name: str = "pool") -> Pool:
        """A pool of examples that are in memory already."""
        kept = tuple(examples)
        return cls(task, [PoolFile(name, lambda: iter(kept))], name=name)

    def shards(self) -> Iterator[Shard]:
        """Read the pool from its beginning, a shard at a time; a bad line stops or is counted."""
        self.rejected = []
        first = 0
        for place, file in enumerate(self.files):
            batch: list[Example] = []
            for item in file.read():
                if isinstance(item, InputError):
                    if not self.skip_bad:
                        raise item
                    self.rejected.append(item)
                    continue
                batch.append(item)
                if len(batch) == SHARD_SIZE:
                    yield Shard(first, tuple(batch), place)
                    first += len(batch)
                    batch = []
            if batch:
                yield Shard(first, tuple(batch), place)
                first += len(batch)
        if first == 0:
            raise InputError(
                f"no example is left of {self.name}"
                + (f" ({len(self.rejected)} were rejected)" if self.rejected else ""),
                str(self.rejected[0]) if self.rejected else "look into the files that were named",
                file=self.files[0].path if self.files else None,
            )

    def __iter__(self) -> Iterator[Example]:
        for shard in self.shards():
            yield from shard.examples


@dataclass(frozen=True, eq=False)
class Encodings:
    """What one forward pass says of some examples, aligned row by row."""

    rows: Int[np.ndarray, "n"]
    """Rows in the pool."""
    hashes: Hashes
    embeddings: Float[np.ndarray, "n dim"]
    """float32."""
    uncertainty: Mapping[str, Float[np.ndarray, "n"]]
    """By measure; higher = less sure for every one of them (DeMuX 3.2)."""
    lengths: Int[np.ndarray, "n"]
    """Sub-words that the model read, all windows together."""
    lost: Int[np.ndarray, "n"]
    """Words (token task) or sub-words that truncation cut off."""
    predictions: Sequence[str]
    """The model's labels now with their scores, as JSON."""
    languages: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> Encodings:
        """The examples at these positions, or where the mask is true."""
        positions = np.flatnonzero(index) if index.dtype == bool else index
        at = positions.tolist()
        return replace(
            self,
            rows=self.rows[positions],
            hashes=self.hashes[positions],
            embeddings=self.embeddings[positions],
            uncertainty={name: values[positions] for name, values in self.uncertainty.items()},
            lengths=self.lengths[positions],
            lost=self.lost[positions],
            predictions=[self.predictions[i] for i in at],
            languages=None if self.languages is None else [self.languages[i] for i in at],
        )

    def of_measure(self, name: str) -> Float[np.ndarray, "n"]:
        """The uncertainty by one measure."""
        if name not in self.uncertainty:
            raise UsageError(
                f"there is no uncertainty measure {name!r} for this task",
                f"choose one of: {', '.join(sorted(self.uncertainty))}",
            )
        return self.uncertainty[name]

    @classmethod
    def concatenate(cls, parts: Sequence[Encodings]) -> Encodings:
        """The same examples as one, in the order given."""
        languages: list[str | None] = []
        for part in parts:
            languages.extend(part.languages if part.languages is not None else [None] * len(part))
        return cls(
            rows=np.concatenate([p.rows for p in parts]),
            hashes=np.concatenate([p.hashes for p in parts]),
            embeddings=np.concatenate([p.embeddings for p in parts]),
            uncertainty={
                name: np.concatenate([p.uncertainty[name] for p in parts])
                for name in parts[0].uncertainty
            },
            lengths=np.concatenate([p.lengths for p in parts]),
            lost=np.concatenate([p.lost for p in parts]),
            predictions=[text for p in parts for text in p.predictions],
            languages=None if all(p.languages is None for p in parts) else languages,
        )


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A target example near a chosen one."""

    id: str
    distance: float


@dataclass(frozen=True, slots=True)
class Pick:
    """One chosen example with its reasons."""

    rank: int
    row: int
    example: Example
    uncertainty: float
    distance: float
    """Mean L2 distance to the target sample."""
    nearest: tuple[Neighbour, ...]
    prediction: Any


@dataclass(frozen=True, eq=False, repr=False)
class Prescription:
    """The chosen examples, best first, and how they were chosen."""

    task: str
    picks: tuple[Pick, ...]
    manifest: Mapping[str, Any]
    """What `selection.json` says; with it the choice can be made again to the letter."""
    files: Texts
    """What `write` puts into a folder: the name of each file and the maker of its text."""

    def __len__(self) -> int:
        return len(self.picks)

    def __repr__(self) -> str:
        return f"Prescription({len(self)} examples by {self.manifest['strategy']})"

    @property
    def rows(self) -> list[int]:
        """Rows in the source pool, best first."""
        return [pick.row for pick in self.picks]

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write `files` into a folder: all or none, the manifest last.

        Raises UsageError for a folder that is not empty, unless `force` replaces what is there.
        """
        write_texts(Path(folder), self.files, force=force)

    @property
    def ids(self) -> list[str]:
        """Ids, best first."""
        return [pick.example.id for pick in self.picks]
