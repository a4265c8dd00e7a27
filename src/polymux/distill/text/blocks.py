"""Rows of one language and one length, cut from its text as numbers of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer

# By what a language's text is measured; the keys of `Stream.sizes`.
UNITS = ("bytes", "characters", "tokens")
_AT_ONCE = 1000


class Block(NamedTuple):
    """A row as it is drawn."""

    language: int
    """Its place in the list of languages."""
    place: int
    """Which row of its language."""
    passes: int
    """How often the language's text was read through before."""
    ids: Int[np.ndarray, "_"]
    """Special tokens included."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The text of a language as one row of token numbers, a separator after each line."""

    ids: Integer[np.ndarray, "tokens"]
    ends: Int[np.ndarray, "lines"]
    """Where each line ends in `ids`, its separator included."""
    sizes: Mapping[str, Float[np.ndarray, "lines"]]
    """By unit: how large the text is up to each line's end."""

    def size(self, unit: str) -> float:
        """How large the text is."""
        return float(self.sizes[unit][-1])

    def prefix(self, unit: str, size: float) -> int:
        """How many lines hold about so much; one at least."""
        return max(1, int(np.searchsorted(self.sizes[unit], size * (1 + 1e-9), side="right")))

    def save(self, path: Path) -> None:
        """Write it as one file of arrays."""
        named = {f"size_{unit}": values for unit, values in self.sizes.items()}
        with path.open("wb") as file:
            np.savez(file, ids=self.ids, ends=self.ends, **named)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Stream:
        """Read what `save` wrote."""
        with np.load(path) as saved:
            sizes = {unit: saved[f"size_{unit}"] for unit in UNITS}
            return cls(saved["ids"], saved["ends"], sizes)


def stream_of(lines: Iterable[str], tokenizer: Any, premium: float) -> Stream:
    """Cut lines into tokens; a `<mask>` that a text has is text, and not the special token.

    Args:
        lines: In the order in which a cut keeps them.
        tokenizer: A fast tokenizer with a separator.
        premium: Bytes of the language for a byte of English; sizes in bytes are divided by it.
    """
    held = list(lines)
    small = len(tokenizer) <= 2**16
    parts, counts = [], []
    for start in range(0, len(held), _AT_ONCE):
        some = held[start : start + _AT_ONCE]
        cut = tokenizer(some, add_special_tokens=False, verbose=False, split_special_tokens=True)
        for ids in cut["input_ids"]:
            parts.append(np.array([*ids, tokenizer.sep_token_id], np.uint16 if small else np.int32))
            counts.append(len(ids) + 1)
    ends = np.cumsum(counts)
    return Stream(
        ids=np.concatenate(parts),
        ends=ends,
        sizes={
            "bytes": np.cumsum([(len(line.encode()) + 1) / premium for line in held]),
            "characters": np.cumsum([len(line) + 1.0 for line in held]),
            "tokens": ends.astype(np.float64),
        },
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that the first lines of a language make."""

    stream: Stream
    lines: int
    """How many lines are kept, from the first."""
    length: int
    """Of a row, special tokens included."""
    packed: bool
    """Lines run on, and every row is full; otherwise a row is a line, its end cut off."""
    begin: int
    end: int
    """The tokens put before and after each row."""

    @property
    def tokens(self) -> int:
        """Kept tokens of text."""
        return int(self.stream.ends[self.lines - 1])

    def __len__(self) -> int:
        if self.packed:
            return max(1, self.tokens // (self.length - 2))
        return self.lines

    def __getitem__(self, index: int) -> Int[np.ndarray, "_"]:
        room = self.length - 2
        if self.packed:
            cut = self.stream.ids[: self.tokens][index * room : (index + 1) * room]
        else:
            start = int(self.stream.ends[index - 1]) if index else 0
            cut = self.stream.ids[start : min(start + room, int(self.stream.ends[index]) - 1)]
        return np.array([self.begin, *cut.tolist(), self.end], dtype=np.int64)

    @property
    def mean_tokens(self) -> float:
        """Tokens a row, special tokens left out."""
        if self.packed:
            return float(min(self.tokens, self.length - 2))
        starts = np.concatenate([[0], self.stream.ends[: self.lines - 1]])
        sizes = self.stream.ends[: self.lines] - 1 - starts
        return float(np.minimum(sizes, self.length - 2).mean())


def as_rows(
    lines: Sequence[str], tokenizer: Any, length: int, most: int | None = None
) -> list[list[int]]:
    """A row a line, as it is scored: special tokens around, cut at `length`."""
    taken = lines if most is None else lines[:most]
    cut = tokenizer(list(taken), truncation=True, max_length=length, split_special_tokens=True)
    return [list(ids) for ids in cut["input_ids"]]
