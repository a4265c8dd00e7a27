"""The smallest keys by bounds: the key itself is asked seldom, and memory stays small."""

from __future__ import annotations

import numpy as np
from tests.selection.test_summaries import peak_mb
from tests.selection.worlds import world

from polymux.selection import Bounded, Target
from polymux.selection.average_dist import mean_distance


def first_number(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A key whose answer one sees."""
    return vectors[:, 0].astype(np.float64), vectors[:, 0].astype(np.float64)


def rounded(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """It lies between the whole numbers beside it."""
    return np.floor(vectors[:, 0]).astype(np.float64), np.ceil(vectors[:, 0]).astype(np.float64)


def nothing(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """It may be anything."""
    return np.full(len(vectors), -np.inf), np.full(len(vectors), np.inf)


def test_only_what_bounds_cannot_tell_apart_is_looked_at_closely() -> None:
    asked: list[float] = []

    def key(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.extend(vectors[:, 0].tolist())
        return first_number(vectors)

    w = world(7, dim=1)
    w.embeddings[:, 0] = [3.5, 0.5, 9.5, 3.25, 6.5, 8.5, 8.75]
    seen = Bounded(4, (rounded, key))
    for row in range(7):
        seen.see(w.encodings().take(np.array([row])))
    assert seen.rows.tolist() == [1, 3, 0, 4]
    assert sorted(asked) == [3.25, 3.5]


def test_equal_keys_go_to_the_smaller_content_hash() -> None:
    w = world(5, dim=1)
    w.embeddings[:, 0] = [2.5, 1.5, 1.5, 1.5, 0.5]
    w.hashes[:, 0] = [0, 9, 3, 6, 7]
    seen = Bounded(3, (rounded, first_number))
    seen.see(w.encodings())
    assert seen.rows.tolist() == [4, 2, 3]


def test_bounds_that_tell_nothing_cost_time_but_no_memory() -> None:
    w = world(48_000, targets=1, dim=64)
    seen = Bounded(10, (nothing, first_number))
    parts = [w.encodings().take(rows) for rows in np.array_split(np.arange(48_000), 24)]

    def see_all() -> None:
        for part in parts:
            seen.see(part)

    # The pool takes 12 MB, what may be held 1.6, and as much again while it is looked at.
    assert peak_mb(see_all) < 7
    assert seen.rows.tolist() == np.argsort(w.embeddings[:, 0])[:10].tolist()


def test_a_mean_distance_is_computed_directly_for_hardly_any_example() -> None:
    w = world(6000, targets=40, dim=32)
    target = Target.of(w.target)
    screen, closer, directly = mean_distance(target, target.equal_weights())
    looked = {"closer": 0, "directly": 0}

    def counted(name: str, level):
        def count(vectors: np.ndarray):
            looked[name] += len(vectors)
            return level(vectors)

        return count

    seen = Bounded(100, (screen, counted("closer", closer), counted("directly", directly)))
    for rows in np.array_split(np.arange(6000), 3):
        seen.see(w.encodings().take(rows))
    assert seen.rows.tolist() == np.argsort(target.mean(w.embeddings))[:100].tolist()
    assert looked["closer"] < 100
    assert looked["directly"] == 0


def test_vectors_of_another_precision_are_kept_as_they_are() -> None:
    w = world(30, targets=3, dim=4)
    target = Target.of(w.target)
    levels = mean_distance(target, target.equal_weights())
    wide = world(30, targets=3, dim=4, seed=9)
    exact = wide.embeddings.astype(np.float64) * (1 + 1e-12)
    seen, half = Bounded(20, levels), np.arange(15)
    seen.see(w.encodings().take(half))
    object.__setattr__(wide, "embeddings", exact)
    object.__setattr__(wide, "hashes", w.hashes)
    seen.see(wide.encodings().take(half + 15))
    keys = np.concatenate([target.mean(w.embeddings[:15]), target.mean(exact[15:])])
    assert seen.rows.tolist() == np.argsort(keys)[:20].tolist()
