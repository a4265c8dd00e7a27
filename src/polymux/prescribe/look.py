"""A pool counted, and an even sample of it drawn, in one reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from jaxtyping import Float, Int

from polymux.encoders import Model, readable
from polymux.progress import Progress
from polymux.records import Example, Pool, content_hashes
from polymux.selection.draws import draws
from polymux.store import Store

# Examples that are cut into sub-words.
SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class Counted:
    """A pool, counted; duplicates are not known and not taken off."""

    examples: int
    characters: int
    tokens: int
    """Sub-words that the model will read, special tokens included; about."""
    shards: int
    stored: int
    """Examples whose encodings are in the store already."""


@dataclass(frozen=True, eq=False)
class Look:
    """A pool counted, and an even sample of it in memory."""

    counted: Counted
    sample: tuple[Example, ...]
    lengths: Int[np.ndarray, "rows"]
    """Of the sample's rows."""

    def examples_for(self, budget: int, cost: Callable[[Example], float]) -> int:
        """About how many examples a budget buys, one at least and all at most."""
        each = fmean(map(cost, self.sample))
        return max(1, min(round(budget / each) if each else budget, self.counted.examples))


def look_at(
    pool: Pool, model: Model, store: Store | None, seed: int, progress: Progress | None
) -> Look:
    """Read a pool once: count, ask the store (None: there is none), draw the sample.

    Raises:
        InputError: a bad line.
    """
    drawn: dict[bytes, tuple[float, Example]] = {}
    cut = 1.0
    examples = characters = shards = stored = 0
    for shard in pool.shards():
        examples += len(shard.examples)
        shards += 1
        characters += sum(example.characters for example in shard.examples)
        if store and store.path(model.fingerprint, shard.fingerprint).exists():
            stored += len(shard.examples)
        hashes = content_hashes(shard.examples)
        keys = draws(seed, "dry-run", hashes)
        for at in np.flatnonzero(keys <= cut).tolist():
            drawn.setdefault(hashes[at].tobytes(), (float(keys[at]), shard.examples[at]))
        if len(drawn) > SAMPLE:
            smallest = sorted(drawn.items(), key=lambda item: item[1][0])[:SAMPLE]
            drawn, cut = dict(smallest), smallest[-1][1][0]
        if progress is not None:
            progress(f"read {pool.name}", examples, None)
    sample = _readable([example for _, example in drawn.values()], pool, model)
    features = model.prepare(sample)
    lengths = np.array([len(feature.input_ids) for feature in features])
    owners = [feature.example for feature in features]
    each = np.bincount(owners, weights=lengths, minlength=len(sample))
    tokens = examples * _mean(each, [e.characters for e in sample], characters / examples)
    counted = Counted(examples, characters, round(tokens), shards, stored)
    return Look(counted, sample, lengths)


def _mean(
    tokens: Float[np.ndarray, "sample"], characters: Sequence[int], mean_characters: float
) -> float:
    """Mean sub-words of a pool from those of a sample and the mean characters of both.

    The regression estimator (Cochran 1977, chapter 7): the mean of the sample, moved by as much as
    longer examples are longer in sub-words.
    """
    spread = float(np.var(characters))
    slope = 0.0
    if spread > 0:
        slope = float(np.cov(tokens, characters, bias=True)[0, 1]) / spread
    return float(tokens.mean()) + slope * (mean_characters - float(np.mean(characters)))


def _readable(drawn: Sequence[Example], pool: Pool, model: Model) -> tuple[Example, ...]:
    """Those in which the model sees something, where the others are to be skipped."""
    sample = Pool.of(drawn, pool.task, name=pool.name)
    sample.skip_bad = pool.skip_bad
    return tuple(readable(sample, model))
