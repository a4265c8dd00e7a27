"""Distances: screened by product, decided directly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from polymux.selection import METRICS, Target


@pytest.mark.parametrize(("distance", "of_scipy"), [("l2", "euclidean"), ("cosine", "cosine")])
def test_all_pairs_and_means_equal_scipy(distance: str, of_scipy: str) -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(30, 9)).astype(np.float32), rng.normal(size=(8, 9)).astype(np.float32)
    table = cdist(x.astype(np.float64), t.astype(np.float64), of_scipy)
    target = Target.of(t, distance)
    np.testing.assert_allclose(target.all(x), table, rtol=1e-12)
    np.testing.assert_allclose(target.mean(x), table.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(target.nearest_distance(x), table.min(axis=1), rtol=1e-12)
    at, to = np.divmod(np.arange(30 * 8), 8)
    np.testing.assert_allclose(target.pairs(x[at], to), table.ravel(), rtol=1e-12)
    assert (target.pairs(x, to, at) == target.all(x).ravel()).all()


@pytest.mark.parametrize("distance", METRICS)
def test_the_screen_is_never_further_off_than_it_says(distance: str) -> None:
    rng = np.random.default_rng(1)
    far = rng.normal(size=64) * 300
    x = (far + rng.normal(size=(50, 64)) * 1e-3).astype(np.float32)
    t = (far + rng.normal(size=(20, 64)) * 1e-3).astype(np.float32)
    target = Target.of(t, distance)
    squares, slack = target.screen(x)
    exact = target.all(x)
    low, high = (
        METRICS[distance].finish(np.maximum(squares + sign * slack, 0)) for sign in (-1, 1)
    )
    assert (low <= exact).all()
    assert (exact <= high).all()


def test_a_row_gives_the_same_bits_whatever_surrounds_it() -> None:
    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(400, 33)).astype(np.float32), rng.normal(size=(90, 33))
    target = Target.of(t.astype(np.float32))
    alone = np.concatenate([target.mean(x[i : i + 1]) for i in range(400)])
    assert (alone == target.mean(x)).all()
    assert (np.concatenate([target.mean(x[:7]), target.mean(x[7:])]) == alone).all()


def test_d11_near_duplicates_far_from_the_origin_keep_their_order() -> None:
    # |x| about 320, true distances 3e-4 ... 0.14: the product alone in float32 gives 0.0 or 0.18.
    rng = np.random.default_rng(3)
    centre = rng.normal(size=1024) * 10
    direction = rng.normal(size=1024)
    direction /= np.linalg.norm(direction)
    steps = np.linspace(3e-4, 0.14, 40)
    x = (centre + steps[:, None] * direction).astype(np.float32)
    target = Target.of(centre[None].astype(np.float32))
    true = np.linalg.norm(x.astype(np.float64) - centre.astype(np.float32), axis=1)
    assert (np.argsort(target.mean(x), kind="stable") == np.argsort(true, kind="stable")).all()


@pytest.mark.parametrize("distance", METRICS)
def test_more_rows_and_targets_than_a_tile_are_bounded_and_measured_alike(distance: str) -> None:
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=(1100, 3)), rng.normal(size=(1050, 3))
    target = Target.of(t.astype(np.float32), distance)
    exact = target.all(x.astype(np.float32))
    seen = np.zeros(exact.shape, dtype=int)
    for rows, targets, lowest, highest in target.bounds(x.astype(np.float32)):
        seen[rows, targets] += 1
        assert (lowest <= exact[rows, targets]).all()
        assert (exact[rows, targets] <= highest).all()
    assert (seen == 1).all()
    assert (target.mean(x.astype(np.float32)) == (exact * (1 / 1050)).sum(axis=1)).all()


@pytest.mark.parametrize("distance", METRICS)
def test_nearer_agrees_with_the_direct_distance_at_the_very_edge(distance: str) -> None:
    rng = np.random.default_rng(6)
    x, t = rng.normal(size=(60, 8)).astype(np.float32), rng.normal(size=(40, 8))
    target = Target.of(t.astype(np.float32), distance)
    exact = target.all(x)
    for least in np.quantile(exact, [0.0, 0.3, 0.9], method="nearest"):
        assert (target.nearer(x, least) == (exact < least)).all()
        assert (target.nearer(x, np.nextafter(least, 9)) == (exact <= least)).all()
