"""Small worlds and slow, obvious references for every strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polymux.records import Encodings
from polymux.selection import Ask
from polymux.selection.draws import draw_of_name, draws


@dataclass(frozen=True)
class World:
    """Embeddings, uncertainty, languages and content hashes of a pool, and a target."""

    embeddings: np.ndarray
    uncertainty: np.ndarray
    languages: tuple[str, ...]
    hashes: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.embeddings)

    def encodings(self) -> Encodings:
        count = len(self)
        return Encodings(
            rows=np.arange(count),
            hashes=self.hashes,
            embeddings=self.embeddings,
            uncertainty={"u": self.uncertainty},
            lengths=np.ones(count, dtype=np.int64),
            lost=np.zeros(count, dtype=np.int64),
            predictions=["null"] * count,
            languages=self.languages,
        )

    def ask(self, budget: int, **options: object) -> Ask:
        fields = {
            "target": self.target,
            "target_hashes": target_hashes(len(self.target)),
            "target_languages": (None,) * len(self.target),
            "budget": budget,
            "depth": budget,
            "seed": 7,
            "measure": "u",
            "quotas": {"aa": 3, "bb": 1},
        }
        return Ask(**{**fields, **options})  # type: ignore[arg-type]

    def permuted(self, order: np.ndarray) -> World:
        return World(
            self.embeddings[order],
            self.uncertainty[order],
            tuple(self.languages[i] for i in order),
            self.hashes[order],
            self.target,
        )


def target_hashes(count: int) -> np.ndarray:
    return np.random.default_rng(99).integers(0, 2**64, (count, 2), dtype=np.uint64)


def world(size: int, targets: int = 7, dim: int = 5, seed: int = 0, *, ties: bool = False) -> World:
    """A random world; with ties, few distinct vectors and uncertainties."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(size, dim)).astype(np.float32)
    uncertainty = rng.normal(size=size)
    target = rng.normal(size=(targets, dim)).astype(np.float32) + np.float32(0.5)
    if ties:
        embeddings = embeddings[rng.integers(0, max(1, size // 4), size)]
        uncertainty = np.round(uncertainty, 0)
    return World(
        embeddings,
        uncertainty,
        tuple(["aa", "bb", "cc"][i] for i in rng.integers(0, 3, size)),
        rng.integers(0, 2**64, (size, 2), dtype=np.uint64),
        target,
    )


def distances(w: World) -> np.ndarray:
    """Pool x targets, in float64, one pair at a time."""
    table = np.empty((len(w), len(w.target)))
    for i, x in enumerate(w.embeddings.astype(np.float64)):
        for j, t in enumerate(w.target.astype(np.float64)):
            table[i, j] = np.sqrt(np.square(x - t).sum())
    return table


def _by(w: World, keys: np.ndarray, rows: list[int] | None = None) -> list[int]:
    """Rows by key, ties by content hash."""
    among = range(len(w)) if rows is None else rows
    return sorted(among, key=lambda i: (keys[i], int(w.hashes[i, 0]), int(w.hashes[i, 1])))


def average_dist(w: World, ask: Ask) -> list[int]:
    weights = np.full(len(w.target), 1 / len(w.target))
    return _by(w, (distances(w) * weights).sum(axis=-1))[: ask.budget]


def uncertainty(w: World, ask: Ask) -> list[int]:
    return _by(w, -w.uncertainty)[: ask.budget]


def neighbours(w: World, k: int) -> list[list[int]]:
    table = distances(w)
    return [_by(w, table[:, j])[:k] for j in range(len(w.target))]


def knn_uncertainty(w: World, ask: Ask) -> list[int]:
    k = ask.k
    while True:
        union = {row for near in neighbours(w, k) for row in near}
        if len(union) >= ask.budget or k >= len(w):
            return _by(w, -w.uncertainty, sorted(union))[: ask.budget]
        k *= 2


def uncertainty_knn(w: World, ask: Ask) -> list[int]:
    wide = _by(w, -w.uncertainty)[: int(np.ceil(ask.ratio * ask.budget))]
    return _by(w, distances(w).min(axis=1), wide)[: ask.budget]


def round_robin(w: World, ask: Ask) -> list[int]:
    lists = neighbours(w, len(w))
    turn = draws(ask.seed, "round-robin", ask.target_hashes)
    order = sorted(
        range(len(w.target)), key=lambda t: (turn[t], *(int(x) for x in ask.target_hashes[t]))
    )
    taken: list[int] = []
    while len(taken) < min(ask.budget, len(w)):
        for target in order:
            free = [row for row in lists[target] if row not in taken]
            if free and len(taken) < ask.budget:
                taken.append(free[0])
    return taken


def random(w: World, ask: Ask) -> list[int]:
    return _by(w, draws(ask.seed, "random", w.hashes))[: ask.budget]


def gold(w: World, ask: Ask) -> list[int]:
    return _by(w, draws(ask.seed, "gold", w.hashes))[: ask.budget]


def egalitarian(w: World, ask: Ask) -> list[int]:
    drawn = draws(ask.seed, "egalitarian", w.hashes)
    lists = {
        name: _by(w, drawn, [i for i, of in enumerate(w.languages) if of == name])
        for name in set(w.languages)
    }
    turns = sorted(lists, key=lambda name: draw_of_name(ask.seed, "egalitarian", name))
    taken: list[int] = []
    while len(taken) < min(ask.budget, len(w)):
        for name in turns:
            if lists[name] and len(taken) < ask.budget:
                taken.append(lists[name].pop(0))
    return taken


REFERENCES = {
    "average-dist": average_dist,
    "uncertainty": uncertainty,
    "knn-uncertainty": knn_uncertainty,
    "uncertainty-knn": uncertainty_knn,
    "round-robin": round_robin,
    "random": random,
    "gold": gold,
    "egalitarian": egalitarian,
}
