"""Hand-sized cases and memory of the two summaries."""

from __future__ import annotations

import numpy as np
import pytest
from tests.selection.worlds import World, world

from polymux.selection import Nearest, Smallest, Target, drawn
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
