"""Learning curves: areas and costs of curves whose answer one sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.experiments.tables.worlds import write

from polymux.experiments.tables.curves import area, cost, curves
from polymux.experiments.tables.grid import Grid, grid
from polymux.experiments.tables.results import read


def test_a_curve_that_rises_with_the_logarithm_has_the_height_of_its_middle() -> None:
    assert area([(10, 0.2), (100, 0.4), (1000, 0.6)]) == pytest.approx(0.4)
    assert area([(10, 0.2), (1000, 0.6)]) == pytest.approx(0.4)


def test_each_decade_weighs_the_same() -> None:
    assert area([(1, 0.0), (10, 0.0), (1000, 0.6)]) == pytest.approx((0 + 2 * 0.3) / 3)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0.001, 0.1))
def test_an_area_lies_between_the_scores_and_shifts_with_them(
    scores: list[float], more: float
) -> None:
    points = [(5 * 3**n, score) for n, score in enumerate(scores)]
    found = area(points)
    assert min(scores) - 1e-9 <= found <= max(scores) + 1e-9
    assert area([(x, y + more) for x, y in points]) == pytest.approx(found + more)


def test_a_cost_is_read_between_budgets_by_their_logarithm() -> None:
    points = [(10, 0.2), (1000, 0.4)]
    assert cost(points, 0.3) == pytest.approx(100)
    assert cost(points, 0.4) == pytest.approx(1000)
    assert cost(points, 0.1) == 10
    assert cost(points, 0.5) is None


def test_a_cost_is_that_of_the_first_time() -> None:
    assert cost([(10, 0.2), (100, 0.5), (1000, 0.3)], 0.4) == pytest.approx(10 ** (1 + 2 / 3))


def made(folder: Path) -> Grid:
    return grid(read([folder]).rows)


def test_a_strategy_that_is_as_good_with_a_tenth_needs_a_tenth(tmp_path: Path) -> None:
    truths = {"random": 0.3, "ahead": 0.4, "behind": 0.2}
    folder = write(
        tmp_path,
        truths=truths,
        configs={"LP": ["ur"]},
        budgets=(10, 100, 1000, 10000),
        per_label=0.1,
        luck=0.0,
        examples=4000,
        untouched=0.2,
    )
    found = {one.strategy: one for one in curves(made(folder))}
    assert found["random"].cost == pytest.approx(10_000, rel=0.1)
    assert found["ahead"].cost == pytest.approx(1000, rel=0.1)
    assert found["behind"].cost is None
    assert found["untouched"].cost is None
    assert found["ahead"].over_random is not None
    assert found["ahead"].over_random[0] == pytest.approx(0.1, abs=0.005)


def test_the_interval_of_an_area_is_scipys_over_seeds(tmp_path: Path) -> None:
    folder = write(tmp_path, configs={"LP": ["ur"]}, choices=range(5), counts=False)
    ordered = made(folder)
    cells = list(ordered.cells)
    areas = {
        name: [area([(c.budget, c.scores[name][seed, seed]) for c in cells]) for seed in range(5)]
        for name in ("knn-uncertainty", "random")
    }
    wanted = stats.ttest_rel(areas["knn-uncertainty"], areas["random"]).confidence_interval()
    (found,) = (one for one in curves(ordered) if one.strategy == "knn-uncertainty")
    value = np.mean(areas["knn-uncertainty"]) - np.mean(areas["random"])
    assert found.over_random == pytest.approx((value, wanted.low, wanted.high))


def test_the_area_of_one_choice_has_an_interval_over_its_trainings(tmp_path: Path) -> None:
    shape = {"configs": {"LP": ["ur"]}, "counts": False}
    chosen = {"knn-uncertainty": 0.5}
    write(tmp_path / "ours", truths=chosen, choices=(2,), trainings=(1, 2, 3), **shape)
    write(tmp_path / "theirs", truths={"random": 0.4}, choices=range(4), **shape)
    ordered = grid(read([tmp_path / "ours", tmp_path / "theirs"]).rows)
    areas = [
        [area([(c.budget, c.scores[name][seed]) for c in ordered.cells]) for seed in seeds]
        for name, seeds in (
            ("knn-uncertainty", [(2, 1), (2, 2), (2, 3)]),
            ("random", [(seed, seed) for seed in range(4)]),
        )
    ]
    wanted = stats.ttest_ind(*areas, equal_var=False).confidence_interval()
    (found,) = (one for one in curves(ordered) if one.strategy == "knn-uncertainty")
    value = np.mean(areas[0]) - np.mean(areas[1])
    assert found.over_random == pytest.approx((value, wanted.low, wanted.high))


def test_the_untouched_model_may_be_at_the_goal_for_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, configs={"LP": ["ur"]}, untouched=0.9)
    found = {one.strategy: one for one in curves(made(folder))}
    assert found["untouched"].cost == 0
    assert not found["untouched"].at_most


def test_one_seed_tells_no_interval_and_one_budget_no_curve(tmp_path: Path) -> None:
    one = write(tmp_path / "one", choices=(2,))
    intervals = [c.over_random for c in curves(made(one)) if c.strategy != "random"]
    assert intervals
    assert all(told is not None and told[1:] == (None, None) for told in intervals)
    assert curves(made(write(tmp_path / "two", budgets=(10,)))) == []
