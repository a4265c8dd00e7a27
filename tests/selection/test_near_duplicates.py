"""Passing over near-duplicates: the same as looking at one example after the other."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tests.selection.worlds import World, world

from polymux.records import SHARD_SIZE
from polymux.selection import METRICS, Choice, Limits, select_encoded
from polymux.selection.limits import Terms, trimmed
from polymux.selection.near_duplicates import RANKS_AT_ONCE, apart


def one_after_the_other(w: World, ranking: list[int], budget: int, least: float, distance: str):
    """Keep what is at least that far from everything kept before."""
    metric = METRICS[distance]
    vectors = metric.prepare(w.embeddings)
    kept: list[int] = []
    for row in ranking:
        gaps = metric.finish(np.square(vectors[kept] - vectors[row]).sum(axis=-1))
        if len(kept) < budget and not (gaps < least).any():
            kept.append(row)
    return kept


@pytest.mark.parametrize("distance", METRICS)
@pytest.mark.parametrize(("budget", "least"), [(5, 0.6), (60, 0.2), (1000, 0.1), (1500, 0.05)])
def test_equals_one_example_after_the_other(budget: int, least: float, distance: str) -> None:
    w = world(3 * RANKS_AT_ONCE, dim=2, seed=budget, ties=budget < 100)
    options = {"strategy": "uncertainty", "distance": distance, "keys": w.hashes}
    arrays = w.embeddings, w.uncertainty, w.target
    ranking = select_encoded(*arrays, budget=len(w), **options).tolist()
    got = select_encoded(*arrays, budget=budget, near_duplicates=least, **options)
    expected = one_after_the_other(w, ranking, budget, least, distance)
    assert got.tolist() == expected
    assert 1 < len(expected) <= budget


def test_a_distance_at_which_all_are_the_same_leaves_the_first() -> None:
    w = world(700)
    for strategy in ("uncertainty", "knn-uncertainty", "round-robin", "average-dist"):
        arrays = w.embeddings, w.uncertainty, w.target
        first = select_encoded(*arrays, budget=700, strategy=strategy)[0]
        got = select_encoded(*arrays, budget=30, strategy=strategy, near_duplicates=1e6)
        assert strategy == "knn-uncertainty" or got.tolist() == [first]
        assert len(got) == 1


def test_a_large_distance_holds_a_part_of_the_pool_and_never_all_of_it() -> None:
    w = world(5 * SHARD_SIZE, dim=256)
    encodings = w.encodings()
    ask = w.ask(10, depth=2 * len(w))
    tracemalloc.start()
    chosen = apart(np.arange(len(w)), 1e6, 10, ask, encodings.take)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert chosen.tolist() == [0]
    # A shard of them takes 4 MB, all of them 20 MB and 40 MB as float64.
    assert peak < 25


def test_nothing_asked_for_is_answered_by_nothing() -> None:
    w = world(3)
    none = np.empty(0, dtype=np.int64)
    assert apart(none, 0.5, 0, w.ask(0), w.encodings().take).tolist() == []


@pytest.mark.parametrize(
    ("where", "budget", "limited", "kept", "passed_over"),
    [
        ([0] * 10, 5, False, [0], 9),
        ([0, 0, 1, 1, 2, 2], 2, False, [0, 2], 1),
        ([0, 0, 1, 1, 2, 2], 2, True, [0, 2], 1),
        ([0, 0, 1, 1, 2, 2], 6, True, [0, 2, 4], 3),
    ],
)
def test_as_many_are_told_as_were_passed_over(
    where: list[int], budget: int, limited: bool, kept: list[int], passed_over: int
) -> None:
    """Up to the last that was chosen; where the ranking ends first, all of them."""
    w = world(len(where), dim=1)
    w.embeddings[:] = np.array(where)[:, None]
    free = Limits(lambda rows: Terms(np.ones(len(rows)), [""] * len(rows), [None] * len(rows)))
    ranking, limits = Choice(np.arange(len(w))), free if limited else None
    found = trimmed(ranking, 0.5, limits, w.ask(budget, depth=len(w) + 1), w.encodings().take)
    assert found is not None
    assert (found.rows.tolist(), found.facts["near_duplicates"]) == (kept, passed_over)
