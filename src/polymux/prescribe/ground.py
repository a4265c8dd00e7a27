"""What answers stand on: the encoded target, the pool to choose from, a sample of it to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polymux.encoders import Model
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.reasons import near
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool, content_hashes
from polymux.selection import PRODUCT, Nearest, Product, Smallest, Target, drawn
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
        measured = Target.of(encodings.embeddings, product=product_for(model))
        return cls(pool, encodings, ordered, measured)

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


def product_for(model: Model) -> Product:
    """Where distances are screened: on the GPU if the model runs there."""
    if model.device != "cuda":
        return PRODUCT
    from polymux.encoders.distances import InTorch

    return InTorch(model.device)


def barred_by(pools: Sequence[Pool]) -> tuple[HashSet, int]:
    """Content hashes of examples that may not be chosen, and how many lines were rejected.

    Reading them takes no model.
    """
    barred, rejected = HashSet(), 0
    for pool in pools:
        for shard in pool.shards():
            barred.add(content_hashes(shard.examples))
        rejected += len(pool.rejected)
    return barred, rejected
