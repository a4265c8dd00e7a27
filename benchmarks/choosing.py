"""The choosing step beside the bare matrix product, and beside other libraries.

Shards of 4,096 rows x 1,000 targets x 768 dimensions, float32, drawn from a seed as they are
needed, so that memory stays flat; only the step itself is timed. All libraries get the same number
of threads. Neighbours are compared with those of scikit-learn and faiss.

python benchmarks/choosing.py [--sizes 10000,100000,1000000] [--threads 2] [--repeat 3]
    [--clock wall|cpu]
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from polymux.records import SHARD_SIZE, Encodings
from polymux.selection import Ask, Nearest, Strategy, Target
from polymux.selection.average_dist import AVERAGE_DIST
from polymux.selection.knn_uncertainty import KNN_UNCERTAINTY

SIZES = (10_000, 100_000, 1_000_000)
TARGETS, DIM, BUDGET = 1000, 768, 1000
NEIGHBOURS = (1, 32)
RULES: dict[str, Strategy] = {"average-dist": AVERAGE_DIST, "knn-uncertainty": KNN_UNCERTAINTY}
# Above this many rows the others, which want the whole pool in memory, and repeats are left out.
IN_MEMORY = 200_000
# small-text clusters the pool itself: hours at 100,000 rows.
SMALL = 10_000


class Shard(NamedTuple):
    """Rows from `first` on."""

    first: int
    vectors: np.ndarray

    def encodings(self) -> Encodings:
        """With an uncertainty and a content hash for each."""
        count = len(self.vectors)
        rng = np.random.default_rng((1, self.first))
        return Encodings(
            rows=np.arange(self.first, self.first + count),
            hashes=rng.integers(0, 2**64, (count, 2), dtype=np.uint64),
            embeddings=self.vectors,
            uncertainty={"u": rng.normal(size=count)},
            lengths=np.ones(count, dtype=np.int64),
            lost=np.zeros(count, dtype=np.int64),
            predictions=["null"] * count,
        )


# Processor seconds (of all threads) tell more than the wall's where others use the machine.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Stopwatch:
    """Seconds of what runs inside it, all together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._began = self.clock()

    def __exit__(self, *_: object) -> None:
        self.seconds += self.clock() - self._began


def shards(size: int) -> Iterator[Shard]:
    """A pool in small clouds, as embeddings lie, a shard at a time."""
    for first in range(0, size, SHARD_SIZE):
        count = min(SHARD_SIZE, size - first)
        yield Shard(first, cloud(count, (2, first)))


def cloud(count: int, seed: object) -> np.ndarray:
    """Vectors around 50 places, away from the origin."""
    places = np.random.default_rng(0).standard_normal((50, DIM), dtype=np.float32)
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    return places[rng.integers(0, 50, count)] + rng.standard_normal((count, DIM), np.float32) + 1


@cache
def targets() -> np.ndarray:
    """The target sample."""
    return cloud(TARGETS, (3,))


class Step(Protocol):
    """Something that is timed: it sees a pool's shards and answers."""

    def __call__(self, size: int, watch: Stopwatch) -> Any:
        """Look at every shard, inside the watch; the answer."""
        ...


def bare(size: int, watch: Stopwatch) -> None:
    """The matrix product of each shard with the targets, and nothing else."""
    transposed, out = targets().T, np.empty((SHARD_SIZE, TARGETS), dtype=np.float32)
    for shard in shards(size):
        with watch:
            np.matmul(shard.vectors, transposed, out=out[: len(shard.vectors)])


def neighbours(k: int) -> Step:
    """Every target's k nearest rows, as knn-uncertainty and round-robin want them."""

    def step(size: int, watch: Stopwatch) -> np.ndarray:
        with watch:
            seen = Nearest(k, Target.of(targets()), "u")
        for shard in shards(size):
            encodings = shard.encodings()
            with watch:
                seen.see(encodings)
        return seen.rows

    return step


def choosing(name: str) -> Step:
    """A whole strategy: its summary sees every shard, and decides."""

    def step(size: int, watch: Stopwatch) -> np.ndarray:
        rule, ask = RULES[name], question()
        with watch:
            seen = rule.begin(ask, None)
        for shard in shards(size):
            encodings = shard.encodings()
            with watch:
                seen.see(encodings)
        with watch:
            choice = rule.decide(seen, ask, no_fetch)
        if choice is None:
            sys.exit(f"{name}: the first look did not reach the budget; this times one look")
        return choice.rows

    return step


def question() -> Ask:
    """Which 1,000 rows for these targets?"""
    hashes = np.random.default_rng(4).integers(0, 2**64, (TARGETS, 2), dtype=np.uint64)
    nobody = (None,) * TARGETS
    return Ask(targets(), hashes, nobody, BUDGET, BUDGET, seed=0, measure="u")


def no_fetch(rows: np.ndarray) -> Encodings:
    """None of the strategies here reads a row again."""
    raise NotImplementedError


def whole(size: int) -> np.ndarray:
    """The pool at once, for libraries that want it so."""
    return np.concatenate([shard.vectors for shard in shards(size)])


def of_sklearn(k: int) -> Step:
    """scikit-learn's exhaustive search."""

    def step(size: int, watch: Stopwatch) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors

        pool = whole(size)
        with watch:
            index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(pool)
            found: np.ndarray = index.kneighbors(targets(), return_distance=False)
        return found

    return step


def of_faiss(k: int) -> Step:
    """Faiss' exhaustive index; its rows are added before the clock starts."""

    def step(size: int, watch: Stopwatch) -> np.ndarray:
        import faiss

        index = faiss.IndexFlatL2(DIM)
        for shard in shards(size):
            index.add(shard.vectors)
        with watch:
            found: np.ndarray = index.search(targets(), k)[1]
        return found

    return step


def of_small_text(size: int, watch: Stopwatch) -> np.ndarray:
    """small-text's lightweight coreset: each row's distance to ONE mean, then a weighted draw.

    The nearest that it has to a step on embeddings alone: it knows no target sample.
    """
    from small_text.query_strategies.coresets import lightweight_coreset

    pool = whole(size)
    with watch:
        found: np.ndarray = lightweight_coreset(pool, pool.mean(axis=0), BUDGET, size)
    return found


def of_small_text_greedy(size: int, watch: Stopwatch) -> np.ndarray:
    """small-text's greedy coreset: distances of every row to every row chosen, or labelled.

    With the first 1,000 rows as labelled ones its first step is as large as a choosing step.
    """
    from small_text.query_strategies.coresets import greedy_coreset

    pool = whole(size)
    with watch:
        found: np.ndarray = greedy_coreset(
            pool,
            np.arange(TARGETS, size),
            np.arange(TARGETS),
            1,
            distance_metric="euclidean",
            batch_size=SHARD_SIZE,
        )
    return found


@dataclass(frozen=True, slots=True)
class Timed:
    """A step's median seconds, and what it answered."""

    seconds: float
    answer: Any


def timed(step: Step, size: int, repeat: int, clock: Callable[[], float]) -> Timed:
    """The median of several runs after one to warm up; a pool beyond memory is run once."""
    runs = 1 if size > IN_MEMORY else repeat
    if runs > 1:
        step(min(size, 3 * SHARD_SIZE), Stopwatch(clock))
    seconds = []
    answer = None
    for _ in range(runs):
        watch = Stopwatch(clock)
        answer = step(size, watch)
        seconds.append(watch.seconds)
    return Timed(statistics.median(seconds), answer)


# Where the step's time goes: functions of polymux, each with those that it calls.
WHERE = {
    "product": ("multiplied",),
    "framing": ("framed",),
    "comparing, roots, sums": ("below", "sums"),
    "direct distances": ("pairs", "mean"),
    "lists": ("_keep", "_add", "_settle"),
}


def shares(step: Step, size: int, clock: Callable[[], float]) -> dict[str, float]:
    """Shares of a step's seconds, by a profile of the whole step less the drawing of its pool."""
    profile = cProfile.Profile(clock)
    watch = _Profiled(profile, clock)
    step(size, watch)
    spent: dict[str, float] = {}
    for (file, _, name), (_, _, _, seconds, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if "polymux" in file:
            spent[name] = spent.get(name, 0.0) + seconds
    whole = {what: sum(spent.get(n, 0.0) for n in names) for what, names in WHERE.items()}
    whole["comparing, roots, sums"] -= whole["product"]
    return {what: seconds / watch.seconds for what, seconds in whole.items()}


class _Profiled(Stopwatch):
    """A stopwatch that profiles what it times."""

    def __init__(self, profile: cProfile.Profile, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.profile = profile

    def __enter__(self) -> None:
        super().__enter__()
        self.profile.enable()

    def __exit__(self, *_: object) -> None:
        self.profile.disable()
        super().__exit__()


def differing(size: int, k: int, ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of neighbours on which two answers differ by more than a tie of floats.

    Ties: directly computed distances at the same place that agree within 1e-5.
    """
    pool, aim = whole(size), Target.of(targets())
    at = np.repeat(np.arange(TARGETS), k)
    one, other = (aim.pairs(pool, at, found.ravel()) for found in (ours, theirs))
    return float((np.abs(one - other) > 1e-5 * one).mean())


def steps(size: int) -> dict[str, Step]:
    """Everything that is timed at a size, by name; the first is what others are held against."""
    table: dict[str, Step] = {"bare product": bare}
    for k in NEIGHBOURS:
        table[f"polymux, {k} nearest"] = neighbours(k)
        if size <= IN_MEMORY:
            table[f"scikit-learn brute force, {k} nearest"] = of_sklearn(k)
            table[f"faiss IndexFlatL2, {k} nearest"] = of_faiss(k)
    for name in RULES:
        table[f"polymux, {name}"] = choosing(name)
    if size <= SMALL:
        table["small-text lightweight coreset"] = of_small_text
        table["small-text greedy coreset, its first step"] = of_small_text_greedy
    return table


def rows(
    *,
    quick: bool = False,
    sizes: Sequence[int] = SIZES[:2],
    threads: int | None = None,
    repeat: int = 3,
    clock: str = "wall",
) -> list[dict[str, Any]]:
    """What was timed: what, size, seconds, ratio to the bare product, and what is to be said of it.

    `quick` is one small size, to see that everything runs.
    """
    import faiss

    limit = threads or len(os.sched_getaffinity(0))
    faiss.omp_set_num_threads(limit)
    os.environ["OMP_NUM_THREADS"] = str(limit)
    made = []
    with threadpool_limits(limit):
        for size in (5000,) if quick else sizes:
            table = steps(size)
            runs, tick = 1 if quick else repeat, CLOCKS[clock]
            done = {name: timed(step, size, runs, tick) for name, step in table.items()}
            least = done["bare product"].seconds
            for name, found in done.items():
                made.append(
                    {
                        "what": name,
                        "size": size,
                        "seconds": found.seconds,
                        "ratio": found.seconds / least,
                        "note": _note(name, size, done, table, tick),
                    }
                )
    return made


def _note(
    name: str,
    size: int,
    done: Mapping[str, Timed],
    table: Mapping[str, Step],
    clock: Callable[[], float],
) -> str:
    """Where polymux's time goes; how another's neighbours differ and how its time compares."""
    if name.startswith("polymux"):
        told = shares(table[name], size, clock)
        parts = ", ".join(f"{what} {share:.0%}" for what, share in told.items())
        return f"{1 - told['product']:.0%} besides the product: {parts}"
    for k in NEIGHBOURS:
        ours = done[f"polymux, {k} nearest"]
        if name.endswith(f", {k} nearest"):
            apart = differing(size, k, ours.answer, done[name].answer)
            times = done[name].seconds / ours.seconds
            return f"polymux is {times:.2f} x as fast; {apart:.2%} of neighbours differ beyond ties"
    return ""


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    print("| size | what | seconds | over the bare product | |\n|--:|---|--:|--:|---|")
    for size in sizes:
        how = {"threads": given.threads, "repeat": given.repeat, "clock": given.clock}
        for row in rows(sizes=[size], **how):
            seconds = f"{row['seconds']:.3g} | {row['ratio']:.2f}"
            print(f"| {size:,} | {row['what']} | {seconds} | {row['note']} |", flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        unit = 2**20 if sys.platform == "darwin" else 2**10
        print(f"| {size:,} | peak memory of all this, MiB | {peak / unit:.0f} | | |", flush=True)


if __name__ == "__main__":
    main()
