"""The two lucks: scipy's F, known truths, and what cannot be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.experiments.tables.worlds import write

from polymux.experiments.tables.grid import grid
from polymux.experiments.tables.luck import components, luck
from polymux.experiments.tables.results import read


def nest(
    generator: np.random.Generator,
    choosing: float,
    training: float,
    sizes: list[int],
    middle: float,
) -> list[list[float]]:
    return [
        [float(x) for x in generator.normal(generator.normal(middle, choosing), training, size)]
        for size in sizes
    ]


@pytest.mark.parametrize("sizes", [[3, 3, 3], [2, 5, 1, 4]])
def test_f_and_p_are_scipys(sizes: list[int]) -> None:
    groups = nest(np.random.default_rng(0), 0.02, 0.01, sizes, 0.5)
    wanted = stats.f_oneway(*groups)
    found = components([groups])
    assert found is not None
    assert (found.f, found.p) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert (found.choices, found.trainings) == (len(sizes), sum(sizes))


@pytest.mark.parametrize("sizes", [[2] * 300, [1, 2, 3, 4] * 80])
def test_both_lucks_are_those_that_made_the_scores(sizes: list[int]) -> None:
    found = components([nest(np.random.default_rng(1), 0.03, 0.01, sizes, 0.5)])
    assert found is not None
    assert found.choosing == pytest.approx(0.03, rel=0.12)
    assert found.training == pytest.approx(0.01, rel=0.12)
    assert found.p < 1e-6


def test_the_estimate_is_right_on_average() -> None:
    """Of three choices trained twice the variance of choosing is unbiased before it is cut at 0."""
    generator = np.random.default_rng(2)
    cells = [nest(generator, 0.02, 0.02, [2, 2, 2], m) for m in generator.uniform(0, 1, 400)]
    found = components(cells)
    assert found is not None
    assert found.choosing == pytest.approx(0.02, rel=0.1)
    assert found.training == pytest.approx(0.02, rel=0.1)


def test_a_cell_with_one_choice_adds_nothing_and_is_not_counted() -> None:
    groups = nest(np.random.default_rng(3), 0.02, 0.01, [3, 2], 0.5)
    assert components([groups, [[0.1, 0.9]]]) == components([groups])


def test_choices_that_do_not_differ_have_no_luck() -> None:
    found = components([[[0.1, 0.3], [0.3, 0.1]]])
    assert found is not None
    assert (found.choosing, found.f) == (0.0, pytest.approx(0.0))
    assert found.training == pytest.approx(np.std([0.1, 0.3], ddof=1))


def test_targets_with_other_scores_are_no_luck() -> None:
    groups = [[0.10, 0.12], [0.13, 0.11]]
    higher = [[x + 0.5 for x in group] for group in groups]
    one, both = components([groups]), components([groups, higher])
    assert one is not None
    assert both is not None
    assert (both.choosing, both.training) == pytest.approx((one.choosing, one.training))


@pytest.mark.parametrize("groups", [[[0.1], [0.2]], [[0.1, 0.2]], []])
def test_one_choice_or_one_training_each_tells_nothing_apart(groups: list[list[float]]) -> None:
    assert components([groups]) is None


@pytest.mark.parametrize("score", [0.5, 0.1])
def test_of_equal_scores_nothing_is_told(score: float) -> None:
    """The mean of three times 0.1 is not 0.1."""
    assert components([[[score] * 3, [score] * 3]]) is None


def test_trainings_that_do_not_differ_leave_all_luck_to_the_choice() -> None:
    found = components([[[0.1] * 3, [0.3] * 3]])
    assert found is not None
    assert (found.f, found.p, found.training) == (None, 0.0, 0.0)
    assert found.choosing == pytest.approx(np.std([0.1, 0.3], ddof=1))


def test_every_strategy_that_was_trained_twice_is_told_by_budget(tmp_path: Path) -> None:
    found = luck(grid(read([write(tmp_path, trainings=(1, 2), budgets=(10, 100))]).rows))
    told = {(one.strategy, one.budget): one.cells for one in found}
    names = ("random", "egalitarian", "knn-uncertainty", "average-dist")
    assert told == {(name, budget): 2 for name in names for budget in (10, 100)}
    assert luck(grid(read([write(tmp_path / "once")]).rows)) == []
