"""What every answer stands on: the two encoded pools, and a sample of the source for the card."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.reasons import near
from polymux.records import Encodings, Example
from polymux.selection import Target


@dataclass(slots=True)
class Clock:
    """Seconds by stage, and the peak of memory."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    @property
    def peak_memory_mb(self) -> float:
        """The most memory this process has held so far, in MiB."""
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 2**20 if sys.platform == "darwin" else most / 2**10


@dataclass(frozen=True, eq=False)
class Ground:
    """The pools behind the model, as every strategy and the card see them."""

    source: EncodedPool
    target: EncodedPool
    aim: Encodings
    """The target sample."""
    aim_examples: tuple[Example, ...]
    measured: Target
    """The target sample ready for L2 distances, which the reasons are told in."""
    sample_rows: Int[np.ndarray, "sample"]
    """An even sample of what may be chosen, in the order drawn."""
    nearest_in_pool: Float[np.ndarray, "targets"]


@dataclass(frozen=True, eq=False)
class Sample:
    """The even sample of the source, in memory: what the card shows of the pool."""

    encodings: Encodings
    examples: tuple[Example, ...]
    distances: Float[np.ndarray, "sample"]
    """Mean distance to the target."""
    measured: Target

    @classmethod
    def of(cls, ground: Ground, examples: Mapping[int, Example]) -> Sample:
        """Fetch the sample's rows; `examples` holds their texts."""
        encodings = ground.source.fetch(ground.sample_rows)
        return cls(
            encodings,
            tuple(examples[int(row)] for row in ground.sample_rows),
            near(ground.measured, encodings.embeddings, 1)[0],
            ground.measured,
        )

    def nearest_to_each_target(self, count: int) -> Float[np.ndarray, "targets"]:
        """Each target's distance to the nearest of the first `count`, a random choice."""
        return near(self.measured, self.encodings.embeddings[:count], 1)[3]
