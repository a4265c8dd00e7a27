"""What the checks look at: both pools taken through the model once, and even samples of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.diagnosis.correlation import MOST
from polymux.diagnosis.keyed import Rows, shared
from polymux.diagnosis.likeness import NEAR_DUPLICATE, alike, shingles
from polymux.diagnosis.scripts import script_of
from polymux.diagnosis.spread import distances, neighbours
from polymux.encoders import Model
from polymux.engines import Engine
from polymux.prescribe.ground import Aim, product_for
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.pools import Counts, EncodedPool
from polymux.prescribe.reasons import near
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool
from polymux.selection import Nearest, Smallest, Target, drawn
from polymux.selection.draws import draws
from polymux.store import Store

# Examples that are looked at: of the target, of the pool, and of the pool with what lies around.
TARGETS, SAMPLE, REFERENCE = 2000, 2048, 512
# Neighbours of each that are compared with it.
AROUND = 10


@dataclass(frozen=True, eq=False)
class Sight:
    """Some examples as the model sees them and as a person reads them."""

    encodings: Encodings
    examples: tuple[Example, ...]

    @cached_property
    def shingles(self) -> list[frozenset[str]]:
        """Of each text."""
        return [shingles(example.text) for example in self.examples]

    @cached_property
    def scripts(self) -> list[str | None]:
        """Of each text."""
        return [script_of(example.text) for example in self.examples]

    @cached_property
    def predictions(self) -> list[dict[str, Any]]:
        """What the model says now."""
        return [json.loads(text) for text in self.encodings.predictions]

    def first(self, count: int) -> Sight:
        """The first of them, in the order drawn."""
        places = np.arange(min(count, len(self.examples)))
        return Sight(self.encodings.take(places), self.examples[: len(places)])


@dataclass(frozen=True, eq=False)
class Around:
    """What lies around some examples of the pool, in the whole pool."""

    apart: Float[np.ndarray, "reference around"]
    """L2 distances, nearest first, infinite where there is no such neighbour."""
    likeness: Float[np.ndarray, "reference around"]
    """Jaccard index of the texts' trigrams."""
    is_other_language: Bool[np.ndarray, "reference around"] | None
    """None where no example has a language."""

    @property
    def spacings(self) -> Float[np.ndarray, "some"]:
        """Of each the distance to its nearest that is no near-duplicate, where there is one."""
        nearest = np.where(self.likeness < NEAR_DUPLICATE, self.apart, np.inf).min(axis=1)
        spacings: Float[np.ndarray, "some"] = nearest[np.isfinite(nearest)]
        return spacings


@dataclass(frozen=True, eq=False)
class Seen:
    """Everything that the checks are made from."""

    model: Model
    measure: str
    budget: int | None
    seed: int
    target: Sight
    target_counts: Counts
    source: Sight
    source_counts: Counts
    nearest: Nearest
    """Of each target that is looked at, in the whole pool."""
    around: Around
    keyed: dict[str, tuple[Encodings, list[str], list[str]]]
    """By kind of key: encodings, languages and keys of examples that share one."""

    @cached_property
    def apart(self) -> Float[np.ndarray, "targets targets"]:
        """Distances among the targets."""
        return distances(self.target.encodings.embeddings)

    @cached_property
    def spacing(self) -> float:
        """How far a pool example lies from its nearest other one: the median."""
        return float(np.median(self.around.spacings)) if len(self.around.spacings) else 0.0

    @cached_property
    def target_likeness(self) -> list[list[float]]:
        """Of each target: how alike are the earlier ones among its ten nearest."""
        texts = self.target.shingles
        near_by = neighbours(self.apart, AROUND).tolist()
        return [
            [alike(texts[place], texts[other]) for other in others if other < place]
            for place, others in enumerate(near_by)
        ]

    @property
    def random_size(self) -> int:
        """How many random examples a budget is compared with."""
        return min(self.budget or 0, len(self.source.examples))

    @cached_property
    def to_random(self) -> Float[np.ndarray, "targets"]:
        """Of each target, the distance to the nearest of as many random examples."""
        some = self.source.encodings.embeddings[: self.random_size]
        return near(self.nearest.target, some, 1).covered


def look(
    model: Model,
    source: Pool,
    target: Pool,
    *,
    measure: str,
    budget: int | None,
    seed: int,
    store: Store,
    engine: Engine,
    progress: Progress | None,
) -> Seen:
    """Take both pools through the model once, and what is needed besides from the store."""
    aim = Aim.of(target, model, store, engine, progress)
    aimed = _drawn_target(aim, seed)
    measured = Target.of(aimed.encodings.embeddings, product=product_for(model))
    nearest, drawing = Nearest(MOST, measured, measure), Smallest(SAMPLE, drawn(seed, "diagnose"))
    pool = EncodedPool(source, model, store, engine)
    pool.encode(HashSet(), overlap=aim.hashes, see=(nearest.see, drawing.see), progress=progress)
    sampled = pool.fetch(drawing.rows)
    reference = sampled.take(np.arange(min(REFERENCE, len(sampled))))
    # Itself is among its nearest.
    others = Nearest(AROUND + 1, Target.of(reference.embeddings), measure)
    for shard in pool.shards():
        others.see(shard)
    rows, apart = _without_itself(others, reference.rows)
    examples = pool.examples(np.concatenate([sampled.rows, rows[rows >= 0]]))
    keyed = shared(pool.pool.shards(), seed) if any(pool.languages) else {}
    return Seen(
        model=model,
        measure=measure,
        budget=budget,
        seed=seed,
        target=aimed,
        target_counts=aim.pool.counts,
        source=Sight(sampled, tuple(examples[row] for row in sampled.rows.tolist())),
        source_counts=pool.counts,
        nearest=nearest,
        around=_around(reference.rows, rows, apart, examples.__getitem__),
        keyed={kind: _fetched(pool, by_key) for kind, by_key in keyed.items()},
    )


def _drawn_target(aim: Aim, seed: int) -> Sight:
    """The target sample, or an even sample of it, in the order drawn."""
    keys = draws(seed, "diagnose", aim.encodings.hashes)
    order = np.argsort(keys, kind="stable")[:TARGETS]
    return Sight(aim.encodings.take(order), tuple(aim.examples[i] for i in order.tolist()))


def _without_itself(
    others: Nearest, own: Int[np.ndarray, "reference"]
) -> tuple[Int[np.ndarray, "reference around"], Float[np.ndarray, "reference around"]]:
    """Rows and distances of the nearest others; row -1, infinitely far, where there is none."""
    apart = np.where(others.rows == own[:, None], np.inf, others.distances)
    apart[others.rows < 0] = np.inf
    order = np.argsort(apart, axis=1, kind="stable")[:, :AROUND]
    lies = np.take_along_axis(apart, order, axis=1)
    rows = np.take_along_axis(others.rows, order, axis=1)
    return np.where(np.isfinite(lies), rows, -1), lies


def _around(
    own: Int[np.ndarray, "reference"],
    rows: Int[np.ndarray, "reference around"],
    apart: Float[np.ndarray, "reference around"],
    example: Callable[[int], Example],
) -> Around:
    known = {
        row: example(row) for row in np.unique(np.concatenate([own, rows[rows >= 0]])).tolist()
    }
    cut = {row: shingles(one.text) for row, one in known.items()}
    likeness = np.zeros(rows.shape)
    is_other = np.zeros(rows.shape, dtype=np.bool_)
    for place, row in enumerate(own.tolist()):
        for column, other in enumerate(rows[place].tolist()):
            if other >= 0:
                likeness[place, column] = alike(cut[row], cut[other])
                is_other[place, column] = known[row].language != known[other].language
    has_languages = any(one.language is not None for one in known.values())
    return Around(apart, likeness, is_other if has_languages else None)


def _fetched(pool: EncodedPool, by_key: Rows) -> tuple[Encodings, list[str], list[str]]:
    flat = [(row, name, key) for key, named in by_key.items() for name, row in named.items()]
    encodings = pool.fetch(np.array([row for row, _, _ in flat], dtype=np.int64))
    slim = replace(encodings, predictions=[""] * len(encodings))
    return slim, [name for _, name, _ in flat], [key for _, _, key in flat]
