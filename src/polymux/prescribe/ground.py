"""What every answer stands on: the two encoded pools, and a sample of the source for the card."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
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

    def sample(self) -> tuple[Encodings, Sequence[Example], Float[np.ndarray, "sample"]]:
        """The sample's encodings, its examples and their mean distance to the target."""
        encodings = self.source.fetch(self.sample_rows)
        examples = self.source.examples(self.sample_rows)
        means, _, _, _ = near(self.measured, encodings.embeddings, 1)
        return encodings, [examples[int(row)] for row in self.sample_rows], means

    def nearest_at_random(self, count: int) -> Float[np.ndarray, "targets"]:
        """Each target's distance to the nearest of as many random examples, or of the sample."""
        drawn = self.source.fetch(self.sample_rows[:count])
        return near(self.measured, drawn.embeddings, 1)[3]
