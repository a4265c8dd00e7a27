"""Readers of shards without a model: what workers do can be seen, and they start at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from polymux.errors import InputError
from polymux.records import Encodings, Example, Shard, content_hashes


def encodings_of(examples: Sequence[Example], embeddings: list[list[float]]) -> Encodings:
    """Encodings that hold these embeddings and nothing else of interest."""
    count = len(examples)
    zeros = np.zeros(count, dtype=np.int64)
    return Encodings(
        rows=np.arange(count, dtype=np.int64),
        hashes=content_hashes(examples),
        embeddings=np.array(embeddings, dtype=np.float32),
        uncertainty={"none": np.zeros(count)},
        lengths=zeros,
        lost=zeros,
        predictions=["{}"] * count,
    )


class Slow:
    """Says of each example its line and the process; the earlier the shard, the slower."""

    device = "cpu"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.fingerprint = f"{type(self).__name__} {seconds}"
        self.notes: list[str] = []

    def prepare(self, examples: Sequence[Example]) -> list[int]:
        return [example.line for example in examples]

    def encode_features(
        self,
        examples: Sequence[Example],
        features: list[int],
        tick: Callable[[int], None] | None = None,
    ) -> Encodings:
        time.sleep(self.seconds / features[0])
        self.notes.append("slow")
        return encodings_of(examples, [[line, os.getpid()] for line in features])


class Deadly(Slow):
    """Ends its process at each shard, and leaves a mark of each end."""

    def __init__(self, marks: Path) -> None:
        super().__init__()
        self.marks = marks

    def prepare(self, examples: Sequence[Example]) -> list[int]:
        (self.marks / str(os.getpid())).touch()
        os.kill(os.getpid(), 9)
        return []


class Choosy(Slow):
    """Refuses the second example of a shard."""

    def prepare(self, examples: Sequence[Example]) -> list[int]:
        raise InputError("not this one", "take another", file="deep/w.txt", line=examples[1].line)


class Another(Slow):
    """Is another one in every process."""

    def __init__(self) -> None:
        super().__init__()
        self.fingerprint = str(os.getpid())

    def __reduce__(self) -> tuple[type[Another], tuple[()]]:
        return Another, ()


def shards(count: int, size: int = 3) -> list[Shard]:
    """`count` shards of different examples, lines counted from 1."""
    return [
        Shard(
            first,
            tuple(
                Example(f"w#{row + 1}", "w.txt", row + 1, {"tokens": (f"word{row}",)})
                for row in range(first, first + size)
            ),
        )
        for first in range(0, count * size, size)
    ]
