"""What answers stand on: the encoded target, the pool to choose from, a sample of it to show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.encoders import Model
from polymux.engines import Engine
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.pools import EncodedPool, place_of
from polymux.prescribe.reasons import near
from polymux.prescribe.screen import Decided, Screen
from polymux.prescribe.screen_only import JUDGED, ScreenOnly
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool, content_hashes
from polymux.selection import (
    PRODUCT,
    Nearest,
    Product,
    Smallest,
    Target,
    drawn,
)
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
    def of(
        cls, target: Pool, model: Model, store: Store, engine: Engine, progress: Progress | None
    ) -> Aim:
        """Encode the target sample."""
        pool = EncodedPool(target, model, store, engine)
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
class Aims:
    """The target sample as three see it; without a screen they are one."""

    chooser: Aim
    """The model whose choice it is."""
    reader: Aim
    """The one that reads the whole pool."""
    exact: Aim
    """The one that decides, or judges what was not decided."""

    @classmethod
    def of(
        cls,
        target: Pool,
        model: Model,
        low: Model | None,
        store: Store,
        engine: Engine,
        *,
        decide: bool,
        progress: Progress | None,
    ) -> Aims:
        """Encode the target sample, with a screen by both models."""
        exact = Aim.of(target, model, store, engine, progress)
        reader = exact if low is None else Aim.of(target, low, store, engine, progress)
        return cls(exact if decide else reader, reader, exact)


@dataclass(frozen=True, eq=False)
class Ground:
    """A pool to choose from, and what the card wants to know of it."""

    pool: EncodedPool
    """As the model, or the screen, has read it."""
    aim: Aim
    model: Model
    """Whose choice it is."""
    screen: Screen | None
    """How what may matter is decided; None where every example is read by the model itself."""
    alone: ScreenOnly | None
    """With a screen that decides nothing: what it keeps of the choice, on a sample."""
    read_as: Aim
    """The target sample as the model that read the pool sees it."""
    sample_rows: Int[np.ndarray, "sample"]
    """An even sample of what may be chosen, in the order drawn."""
    nearest_in_pool: Float[np.ndarray, "targets"]
    """Each target's distance to the nearest example that may be chosen."""

    @classmethod
    def of(
        cls,
        pool: Pool,
        aims: Aims,
        barred: HashSet,
        *,
        without: Collection[str] = (),
        sample: int,
        seed: int,
        progress: Progress | None,
    ) -> Ground:
        """Encode the pool; what the card wants is seen on the way."""
        aim, read_as, judge = aims.chooser, aims.reader, aims.exact
        model, reader, exact = (each.pool.model for each in (aim, read_as, judge))
        drawing = Smallest(max(sample, JUDGED), drawn(seed, "card"))
        nearest = Nearest(1, read_as.measured, TASKS[model.task].DEFAULT_MEASURE)
        encoded = EncodedPool(pool, reader, aim.pool.store, aim.pool.engine)
        encoded.encode(
            barred,
            without=without,
            overlap=aim.hashes,
            see=(drawing.see, nearest.see),
            progress=progress,
        )
        decided = Decided(encoded, exact, progress)
        target = read_as.encodings.embeddings
        screen = Screen(decided, target, drawing.rows) if reader is not model else None
        alone = None
        if reader is model and exact is not model:
            alone = ScreenOnly(decided, judge.encodings.embeddings, drawing.rows[:JUDGED])
        lies = nearest.distances[:, 0]
        return cls(encoded, aim, model, screen, alone, read_as, drawing.rows[:sample], lies)

    @property
    def screened(self) -> dict[str, Any] | None:
        """What the manifest says of the screen."""
        how = self.screen or self.alone
        return None if how is None else how.facts

    def fetch(self, rows: Int[np.ndarray, "m"]) -> Encodings:
        """The encodings of these rows by the model whose choice it is, in the order given."""
        return self.pool.fetch(rows) if self.screen is None else self.screen.decided.fetch(rows)


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
        measured = ground.read_as.measured
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
