"""Screen, then decide: the choice of an exact model at the price of a low-precision one.

The low-precision model reads the whole pool. Then the examples that its numbers put first are read
again by the exact model, and so is every other example that may still be among them: whose key,
taken as favourably as the error bound allows, does not lie beyond the cut. Bound and cut are
renewed from what was read again, until nothing is left that may enter. What was read again is
decided by exact numbers alone, so the choice is the exact model's as far as the bound holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.encoders import Model, encode, readable
from polymux.encoders.backends import first_with
from polymux.errors import UsageError
from polymux.prescribe.pools import HELD_EXAMPLES, EncodedPool, gathered
from polymux.progress import Progress
from polymux.records import SHARD_SIZE, Encodings, Example, Pool, content_hashes
from polymux.selection import (
    Nearest,
    OwnStrategy,
    Question,
    Strategy,
    Summary,
)
from polymux.selection.draws import draws

# What the pool may be read in; `auto` is the faster of bfloat16 and int8 here.
SCREENS = ("bfloat16", "float16", "int8")
# Examples of the pool that an int8 model is made from.
CALIBRATION = 256
# Neighbour lists grow by doublings from the first k: all that stands in them is read again.
CAUTIOUS = {"first_size": 1, "growth": 2}
# The bound is what this share of the errors does not exceed, with this confidence: an order
# statistic, whatever their distribution (Wilks 1941). Of fewer than 2,995 errors it is the largest.
QUANTILE, CONFIDENCE = 0.999, 0.95
# An even sample of the pool is read by both models, so that the bound does not stand on examples at
# the cut alone. The largest of 59 errors bounds 0.95 of them with that confidence, of 299 0.99.
LEAST_SAMPLE, MOST_SAMPLE = 59, 299
SAMPLE_SHARE = 1 / 32
# Where more than this share is read twice, reading all of it once is about as fast.
DOES_NOT_PAY = 0.5


def screening(
    model: Model, name: str, rules: Mapping[str, Strategy | OwnStrategy], *, only: bool
) -> Model | None:
    """The model in the low precision of this name, by the backend that is fastest; None for `off`.

    Raises:
        UsageError: there is no such precision here, or nothing to screen for.
    """
    if name == "off":
        if only:
            raise UsageError("--screen-only without a screen", "name one: --screen auto")
        return None
    for rule_name, rule in rules.items():
        if not isinstance(rule, Strategy):
            raise UsageError(
                f"{rule_name} sees all encodings at once: nothing says which of them matter",
                "leave --screen out for a strategy of your own",
            )
    if name not in (*SCREENS, "auto"):
        known = ", ".join(("off", "auto", *SCREENS))
        raise UsageError(f"there is no screen {name!r}", f"choose one of: {known}")
    found = model.fastest("low")
    if name == "auto":
        exact = max(
            (fast for (_, dtype), fast in found.speed.items() if dtype == "float32"), default=0
        )
        fast = found.speed.get((found.backend, found.dtype), np.inf)
        if found.dtype != "float32" and fast > exact:
            return model.reading_as(found.backend, found.dtype)
        raise UsageError(
            "nothing is faster than float32 on this processor",
            "pip install 'polymux[openvino]' for int8, or leave --screen out",
        )
    speed = {backend: fast for (backend, dtype), fast in found.speed.items() if dtype == name}
    return model.reading_as(max(speed, key=speed.__getitem__, default=first_with(name)), name)


def calibrate(low: Model, pool: Pool, seed: int) -> None:
    """Make an int8 model from an even sample of the pool; others need none.

    The pool is read once for it.
    """
    if not low.is_calibrated:
        return
    drawn: dict[float, Example] = {}
    for shard in pool.shards():
        keys = draws(seed, "calibration", content_hashes(shard.examples))
        drawn |= dict(zip(keys.tolist(), shard.examples, strict=True))
        drawn = {key: drawn[key] for key in sorted(drawn)[:CALIBRATION]}
    sample = Pool.of(drawn.values(), pool.task, name=pool.name)
    sample.skip_bad = pool.skip_bad
    low.calibrate(list(readable(sample, low)))


@dataclass(slots=True)
class Told:
    """What a screen has to say for the manifest."""

    sampled: int = 0
    decided: int = 0
    """Examples that both models read, the sample among them."""
    rounds: int = 0
    bounds: dict[str, float] = field(default_factory=dict)
    """By strategy: how far a key (a distance, an uncertainty) was taken to be off at most."""


class Decided:
    """Rows of a screened pool, read again by the exact model and kept in the store."""

    def __init__(self, pool: EncodedPool, model: Model, progress: Progress | None) -> None:
        self.pool = pool
        self.model = model
        self.progress = progress
        self.told = Told()
        self._parts: list[tuple[str, Sequence[str | None]]] = []
        # By row of the pool: the part that holds it, or -1, and its place there.
        self._part = np.full(pool.counts.read, -1, dtype=np.int64)
        self._place = np.zeros(pool.counts.read, dtype=np.int64)

    def add(self, rows: Int[np.ndarray, "n"]) -> Int[np.ndarray, "new"]:
        """Read those of these rows that the exact model has not read yet; they come back."""
        new: Int[np.ndarray, "new"] = np.unique(rows[self._part[rows] < 0])
        for start in range(0, len(new), HELD_EXAMPLES):
            some = new[start : start + HELD_EXAMPLES]
            texts = self.pool.examples(some)
            task = self.pool.pool.task
            again = Pool.of([texts[int(row)] for row in some], task, name="what is near the cut")
            read = encode(again, self.model, self.pool.store, self.progress, self.pool.engine)
            for shard, encodings in read:
                here = some[shard.rows]
                self._part[here], self._place[here] = len(self._parts), np.arange(len(here))
                languages = encodings.languages or [None] * len(here)
                self._parts.append((shard.fingerprint, languages))
        self.told.decided += len(new)
        return new

    def fetch(self, rows: Int[np.ndarray, "n"]) -> Encodings:
        """The exact encodings of these rows, in the order given."""
        self.add(rows)

        def part(number: int, places: Int[np.ndarray, "m"]) -> Encodings:
            fingerprint, languages = self._parts[number]
            wanted = rows[places]
            at = self._place[wanted]
            held = self.pool.load(self.model, fingerprint).take(at)
            return replace(held, rows=wanted, languages=[languages[i] for i in at.tolist()])

        return gathered(self._part[rows], part)


@dataclass(frozen=True, eq=False)
class Screen:
    """A look at a screened pool: its summaries have seen, exactly, all that may matter."""

    decided: Decided
    target: Float[np.ndarray, "targets dim"]
    """The target sample as the low-precision model sees it: errors that both share cancel."""
    sample: Int[np.ndarray, "sample"]
    """Rows of an even sample of the pool, in the order drawn."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says: what read the pool, how many were decided, by which bounds."""
        model = self.decided.pool.model
        return {"model": model.fingerprint, **model.settings, **asdict(self.decided.told)}

    @property
    def warnings(self) -> list[str]:
        """What a person should know."""
        told, count = self.decided.told, self.decided.pool.counts.eligible
        if told.decided <= DOES_NOT_PAY * count:
            return []
        what = f"{told.decided:,} of {count:,} examples were read twice"
        return [f"the screen did not pay: {what} (--screen off reads each of them once)"]

    def __call__(self, questions: Mapping[str, Question]) -> Mapping[str, Summary]:
        """A summary for each question, as if the exact model had read the whole pool."""
        low = {name: question.about(self.target).begin() for name, question in questions.items()}
        for encodings in self.decided.pool.shards():
            for seen in low.values():
                seen.see(encodings)
        contests = [
            _Contest(name, low[name], question.begin())
            for name, question in questions.items()
            if not question.rule.is_drawn
        ]
        if contests:
            self._decide(contests)
        return low | {contest.name: contest.exact for contest in contests}

    def _decide(self, contests: Sequence[_Contest]) -> None:
        told = self.decided.told
        share = int(self.decided.pool.counts.eligible * SAMPLE_SHARE)
        sample = self.sample[: min(max(share, LEAST_SAMPLE), MOST_SAMPLE)]
        told.sampled = len(sample)
        known = np.zeros(self.decided.pool.counts.read, dtype=np.bool_)
        wanted = np.concatenate([sample, *(contest.leading for contest in contests)])
        while len(wanted):
            told.rounds += 1
            wanted = np.unique(wanted)
            self.decided.add(wanted)
            known[wanted] = True
            for start in range(0, len(wanted), SHARD_SIZE):
                rows = wanted[start : start + SHARD_SIZE]
                screened, exact = self.decided.pool.fetch(rows), self.decided.fetch(rows)
                for contest in contests:
                    contest.see(screened, exact)
            for contest in contests:
                contest.bound = told.bounds[contest.name] = upper_quantile(contest.errors)
            wanted = np.concatenate(
                [
                    shard.rows[~known[shard.rows] & self._may_matter(contests, shard)]
                    for shard in self.decided.pool.shards()
                ]
            )
        for contest in contests:
            contest.close()

    def _may_matter(self, contests: Sequence[_Contest], shard: Encodings) -> Bool[np.ndarray, "n"]:
        may = np.zeros(len(shard), dtype=np.bool_)
        for contest in contests:
            may |= contest.low.may_enter(contest.exact, shard, contest.bound)
        return may


@dataclass(slots=True)
class _Contest:
    """One strategy's summary by each model, and how far their keys are apart."""

    name: str
    low: Any
    """A summary of the whole pool."""
    exact: Any
    """The same kind of summary, of what was decided."""
    bound: float = 0.0
    """How far a key is off at most, as far as is known."""
    errors: Float[np.ndarray, "pairs"] = field(default_factory=lambda: np.empty(0))

    @property
    def leading(self) -> Int[np.ndarray, "m"]:
        """The rows that the low-precision model puts first."""
        rows: Int[np.ndarray, "m"] = np.unique(self.low.rows)
        return rows[rows >= 0]

    def see(self, screened: Encodings, exact: Encodings) -> None:
        """Take over what was decided."""
        found = self.low.differences(screened, self.exact, exact)
        self.errors = np.concatenate([self.errors, found])
        self.exact.see(exact)

    def close(self) -> None:
        """Nothing else may enter: what was decided stands for all that the pool holds."""
        if isinstance(self.exact, Nearest):
            self.exact.seen = self.low.seen


def upper_quantile(errors: Float[np.ndarray, "n"]) -> float:
    """What `QUANTILE` of such errors do not exceed, with `CONFIDENCE`; of few, the largest."""
    from scipy.stats import binom  # a second to import, and few runs screen

    rank = min(int(binom.ppf(CONFIDENCE, len(errors), QUANTILE)), len(errors) - 1)
    return float(np.partition(errors, rank)[rank])
