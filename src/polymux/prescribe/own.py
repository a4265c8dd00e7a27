"""Strategies of the user's own: their arrays are mapped from disk, so any pool fits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from polymux.prescribe.pools import EncodedPool
from polymux.records import Encodings
from polymux.selection import Arrays, Ask, Choice, Limits, OwnStrategy, choose_own
from polymux.selection.limits import within


def ask_own(
    rules: Mapping[str, OwnStrategy],
    sizes: Sequence[int],
    ask: Ask,
    pool: EncodedPool,
    aim: Encodings,
    limits: Limits | None = None,
) -> dict[tuple[str, int], Choice]:
    """The answers of functions `f(source, target, budget, seed)`, checked, as rows of the pool."""
    with tempfile.TemporaryDirectory(prefix="polymux-arrays-", dir=pool.store.folder) as place:
        source, rows = _mapped(pool, ask.measure, Path(place) / "embeddings.f32")
        target = _arrays(aim, aim.embeddings, ask.measure)

        def ranked(name: str, size: int) -> Choice:
            return Choice(rows[choose_own(rules[name], name, size, ask.seed, source, target)])

        return {
            (name, size): ranked(name, size)
            if limits is None
            else _limited(partial(ranked, name), size, len(rows), limits)
            for name in rules
            for size in sizes
        }


def _limited(ranked: Callable[[int], Choice], size: int, whole: int, limits: Limits) -> Choice:
    """What the limits allow of a ranking that is asked for again, twice as long, if need be."""
    depth = size
    while True:
        choice, is_full = within(ranked(depth), size, limits)
        if is_full or depth == whole:
            return choice
        depth = min(2 * depth, whole)


def _mapped(pool: EncodedPool, measure: str, path: Path) -> tuple[Arrays, np.ndarray]:
    """Embeddings written to one file shard by shard and mapped; the rest is small."""
    slim = []
    with path.open("wb") as out:
        for shard in pool.shards():
            np.ascontiguousarray(shard.embeddings, dtype=np.float32).tofile(out)
            none = np.empty((len(shard), 0), dtype=np.float32)
            slim.append(replace(shard, embeddings=none, predictions=[""] * len(shard)))
            dim = shard.embeddings.shape[1]
    together = Encodings.concatenate(slim)
    embeddings = np.memmap(path, dtype=np.float32, mode="r", shape=(len(together), dim))
    return _arrays(together, embeddings, measure), together.rows


def _arrays(encodings: Encodings, embeddings: np.ndarray, measure: str) -> Arrays:
    languages = encodings.languages or [None] * len(encodings)
    return Arrays(embeddings, encodings.of_measure(measure), tuple(languages), encodings.hashes)
