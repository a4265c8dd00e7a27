"""Hand-sized cases and memory of the two summaries."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from tests.selection.worlds import World, world

from polymux.selection import Bounded, Nearest, Smallest, Target, drawn
from polymux.selection.average_dist import mean_distance
from polymux.selection.uncertainty import least_sure


def on_a_line(*places: float) -> World:
    count = len(places)
    return World(
        np.array(places, dtype=np.float32)[:, None],
        np.arange(count, dtype=np.float64),
        ("aa",) * count,
        np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.uint64),
        np.array([[0.0], [10.0]], dtype=np.float32),
    )


def test_nearest_holds_each_targets_neighbours_nearest_first() -> None:
    w = on_a_line(1.0, -2.0, 9.0, 20.0)
    seen = Nearest(2, Target.of(w.target), "u")
    seen.see(w.encodings())
    assert seen.rows.tolist() == [[0, 1], [2, 0]]
    assert seen.distances.tolist() == [[1.0, 2.0], [1.0, 9.0]]
    assert seen.uncertainty.tolist() == [[0.0, 1.0], [2.0, 0.0]]


def test_equal_distances_go_to_the_smaller_content_hash() -> None:
    w = on_a_line(1.0, -1.0, 1.0)
    w.hashes[:, 0] = [5, 1, 3]
    seen = Nearest(2, Target.of(w.target[:1]), "u")
    seen.see(w.encodings())
    assert seen.rows.tolist() == [[1, 2]]


def test_lists_longer_than_the_pool_say_what_is_missing() -> None:
    w = on_a_line(1.0, 2.0)
    seen = Nearest(3, Target.of(w.target), "u")
    seen.see(w.encodings())
    assert seen.is_everything
    assert seen.rows.tolist() == [[0, 1, -1], [1, 0, -1]]


def test_smallest_keeps_the_smallest_keys_in_order() -> None:
    w = on_a_line(0.0, 0.0, 0.0, 0.0)
    seen = Smallest(2, least_sure("u"))
    seen.see(w.encodings())
    assert seen.rows.tolist() == [3, 2]
    assert seen.cut == -2.0


def test_per_language_keeps_as_many_of_each() -> None:
    w = world(100, seed=1)
    seen = Smallest(4, drawn(0, "test"), per_language=True)
    for rows in np.array_split(np.arange(100), 9):
        seen.see(w.encodings().take(rows))
    assert {name: list(seen.languages).count(name) for name in set(w.languages)} == {
        "aa": 4,
        "bb": 4,
        "cc": 4,
    }


@pytest.mark.parametrize("pool", [500, 5000])
def test_what_is_held_is_bounded_by_k_and_targets_not_by_the_pool(pool: int) -> None:
    w = world(pool, targets=6)
    nearest, smallest = Nearest(8, Target.of(w.target), "u"), Smallest(20, least_sure("u"))
    for rows in np.array_split(np.arange(pool), 10):
        nearest.see(w.encodings().take(rows))
        smallest.see(w.encodings().take(rows))
    assert nearest.rows.shape == (6, 8)
    assert smallest.rows.shape == (20,)


def peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_neighbour_lists_take_little_beside_themselves() -> None:
    # The lists take 2 MB; gathering all pairs that may enter would take 200 MB.
    w = world(2048, targets=100, dim=128)
    seen = Nearest(512, Target.of(w.target), "u")
    encodings = w.encodings()
    assert peak_mb(lambda: seen.see(encodings)) < 40


def test_a_shard_against_a_large_target_takes_a_tile_at_a_time() -> None:
    # Shard x targets is 96 MB in float64, a tile 8 MB.
    w = world(3072, targets=4096, dim=4)
    encodings, target = w.encodings(), Target.of(w.target)
    nearest = Nearest(1, target, "u")
    mean = Bounded(3, mean_distance(target, target.equal_weights()))
    assert peak_mb(lambda: nearest.see(encodings)) < 70
    assert peak_mb(lambda: mean.see(encodings)) < 70


def test_lists_are_made_no_longer_than_the_pool_is() -> None:
    w = world(5000, targets=2, dim=2)
    seen = Nearest(10**10, Target.of(w.target), "u")
    for rows in np.array_split(np.arange(5000), 3):
        seen.see(w.encodings().take(rows))
    assert seen.rows.shape == (2, 5000)
    assert seen.is_everything
    table = np.linalg.norm(w.embeddings[:, None].astype(float) - w.target[None], axis=2)
    assert (seen.rows == np.argsort(table, axis=0, kind="stable").T).all()


def test_long_lists_grow_by_merging_too() -> None:
    w = world(6000, targets=2, dim=2)
    whole, left, right = (Nearest(5500, Target.of(w.target), "u") for _ in range(3))
    whole.see(w.encodings())
    left.see(w.encodings().take(np.arange(2000)))
    right.see(w.encodings().take(np.arange(2000, 6000)))
    left.merge(right)
    assert (left.rows == whole.rows).all()
    assert left.rows.shape == (2, 5500)


def test_per_language_equals_sorting_each_language_alone() -> None:
    w = world(300, seed=5, ties=True)
    seen = Smallest(7, least_sure("u"), per_language=True)
    for rows in np.array_split(np.random.default_rng(0).permutation(300), 8):
        seen.see(w.encodings().take(rows))
    for name in set(w.languages):
        among = [i for i in range(300) if w.languages[i] == name]
        among.sort(key=lambda i: (-w.uncertainty[i], *w.hashes[i].tolist()))
        got = [row for row, of in zip(seen.rows, seen.languages, strict=True) if of == name]
        assert got == among[:7]
