"""What answers stand on: the encoded target, the pool to choose from, a sample of it to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.encoders import Model
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.pools import EncodedPool, place_of
from polymux.prescribe.reasons import near
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool, content_hashes
from polymux.selection import Nearest, Smallest, Target, drawn
from polymux.store import Store
from polymux.tasks import TASKS


@dataclass(frozen=True, eq=False)
class Aim:
    """The target sample: encoded, without duplicates, its examples in memory."""

    pool: EncodedPool
    encodings: Encodings
    examples: tuple[Example, ...]
    measured: Target
    """Ready for L2 distances, which the reasons are told in."""

    @classmethod
    def of(cls, target: Pool, model: Model, store: Store, progress: Progress | None) -> Aim:
        """Encode the target sample."""
        pool = EncodedPool(target, model, store)
        pool.encode(HashSet(), progress=progress)
        encodings = pool.all()
        examples = pool.examples(encodings.rows)
        ordered = tuple(examples[int(row)] for row in encodings.rows)
        return cls(pool, encodings, ordered, Target.of(encodings.embeddings))

    @property
    def hashes(self) -> HashSet:
        """What stands in it."""
        known = HashSet()
        known.add(self.encodings.hashes)
        return known


@dataclass(frozen=True, eq=False)
class Ground:
    """A pool to choose from, and what the card wants to know of it."""

    pool: EncodedPool
    aim: Aim
    sample_rows: Int[np.ndarray, "sample"]
    """An even sample of what may be chosen, in the order drawn."""
    nearest_in_pool: Float[np.ndarray, "targets"]
    """Each target's distance to the nearest example that may be chosen."""

    @classmethod
    def of(
        cls,
        pool: Pool,
        aim: Aim,
        barred: HashSet,
        *,
        sample: int,
        seed: int,
        progress: Progress | None,
    ) -> Ground:
        """Encode the pool; what the card wants is seen on the way."""
        model = aim.pool.model
        drawing = Smallest(sample, drawn(seed, "card"))
        nearest = Nearest(1, aim.measured, TASKS[model.task].DEFAULT_MEASURE)
        encoded = EncodedPool(pool, model, aim.pool.store)
        encoded.encode(
            barred, overlap=aim.hashes, see=(drawing.see, nearest.see), progress=progress
        )
        return cls(encoded, aim, drawing.rows, nearest.distances[:, 0])


@dataclass(frozen=True, eq=False)
class Sample:
    """The even sample of a ground, in memory: what the card shows of the pool."""

    encodings: Encodings
    examples: tuple[Example, ...]
    distances: Float[np.ndarray, "sample"]
    """Mean distance to the target."""
    measured: Target

    @classmethod
    def of(cls, ground: Ground, examples: Mapping[int, Example]) -> Sample:
        """Fetch the sample's rows; `examples` holds their texts."""
        encodings = ground.pool.fetch(ground.sample_rows)
        measured = ground.aim.measured
        return cls(
            encodings,
            tuple(examples[int(row)] for row in ground.sample_rows),
            near(measured, encodings.embeddings, 1).means,
            measured,
        )

    def nearest_to_each_target(self, count: int) -> Float[np.ndarray, "targets"]:
        """Each target's distance to the nearest of the first `count`, a random choice."""
        return near(self.measured, self.encodings.embeddings[:count], 1).covered


@dataclass(frozen=True, eq=False)
class Barred:
    """Content hashes of examples that may not be chosen."""

    hashes: HashSet
    facts: tuple[Mapping[str, Any], ...]
    """Of each pool, for the manifest."""
    rejected: int
    """Lines that could not be used."""

    @classmethod
    def by(cls, pools: Sequence[Pool]) -> Barred:
        """What these pools hold; reading them takes no model."""
        barred, facts, rejected = HashSet(), [], 0
        for pool in pools:
            digest = blake2b(digest_size=16)
            for shard in pool.shards():
                hashes = content_hashes(shard.examples)
                digest.update(hashes.tobytes())
                barred.add(hashes)
            facts.append({**place_of(pool), "fingerprint": digest.hexdigest()})
            rejected += len(pool.rejected)
        return cls(barred, tuple(facts), rejected)
