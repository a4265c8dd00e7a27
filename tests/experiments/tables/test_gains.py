"""Differences in a cell: scipy's where scipy has them, and what counts must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.experiments.tables.worlds import write

from polymux.errors import InputError
from polymux.experiments.tables.gains import gain, gains, seed_interval
from polymux.experiments.tables.grid import Cell, Grid, grid
from polymux.experiments.tables.results import read


def made(folder: Path) -> Grid:
    return grid(read([folder]).rows)


def one_cell(folder: Path) -> Cell:
    return made(folder).cells[0]


def drawn(
    generator: np.random.Generator, middle: float, n: int = 6
) -> dict[tuple[int, int], float]:
    return {(seed, seed): float(x) for seed, x in enumerate(generator.normal(middle, 0.02, n))}


def sides(*all_scores: Mapping[tuple[int, int], float]) -> list[np.ndarray]:
    return [np.array(list(scores.values())) for scores in all_scores]


def test_paired_seeds_are_scipys_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    ours, theirs = drawn(generator, 0.5), drawn(generator, 0.48)
    wanted = stats.ttest_rel(*sides(ours, theirs)).confidence_interval()
    shuffled = dict(reversed(theirs.items()))
    assert seed_interval(ours, shuffled) == pytest.approx((wanted.low, wanted.high))


def test_other_seeds_are_scipys_welch_test() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = drawn(generator, 0.5), drawn(generator, 0.48, 4)
    wanted = stats.ttest_ind(*sides(ours, theirs), equal_var=False).confidence_interval()
    assert seed_interval(ours, theirs) == pytest.approx((wanted.low, wanted.high))


def test_seeds_that_all_came_out_the_same_give_no_interval() -> None:
    same = dict.fromkeys([(1, 1), (2, 2), (3, 3)], 0.5)
    assert seed_interval(same, dict.fromkeys(same, 0.4)) is None
    assert seed_interval(same, 0.4) is None


def test_against_a_fixed_model_only_our_seeds_have_luck() -> None:
    ours = drawn(np.random.default_rng(2), 0.5)
    wanted = stats.ttest_1samp(*sides(ours), 0.4).confidence_interval()
    found = seed_interval(ours, 0.4)
    assert found == pytest.approx((wanted.low - 0.4, wanted.high - 0.4))


def test_trainings_of_one_choice_count_as_one() -> None:
    ours = drawn(np.random.default_rng(3), 0.5, 4)
    doubled = {(c, t): score + (t - 0.5) * 0.1 for (c, _), score in ours.items() for t in (0, 1)}
    assert seed_interval(doubled, 0.4) == pytest.approx(seed_interval(ours, 0.4))


def trained(
    generator: np.random.Generator, choice: int, middle: float, n: int = 4
) -> dict[tuple[int, int], float]:
    scores = drawn(generator, middle, n)
    return {(choice, training): score for (_, training), score in scores.items()}


def test_of_one_choice_the_trainings_are_the_luck() -> None:
    generator = np.random.default_rng(4)
    ours, theirs = trained(generator, 7, 0.5), drawn(generator, 0.48, 5)
    start = stats.ttest_1samp(*sides(ours), 0.4).confidence_interval()
    assert seed_interval(ours, 0.4) == pytest.approx((start.low - 0.4, start.high - 0.4))
    wanted = stats.ttest_ind(*sides(ours, theirs), equal_var=False).confidence_interval()
    assert seed_interval(ours, theirs) == pytest.approx((wanted.low, wanted.high))
    assert seed_interval(theirs, ours) == pytest.approx((-wanted.high, -wanted.low))


def test_two_choices_of_which_each_is_the_only_one_are_compared_over_trainings() -> None:
    generator = np.random.default_rng(5)
    ours, theirs = trained(generator, 1, 0.5), trained(generator, 1, 0.48)
    paired = stats.ttest_rel(*sides(ours, theirs)).confidence_interval()
    assert seed_interval(ours, theirs) == pytest.approx((paired.low, paired.high))
    other = {(2, training): score for (_, training), score in theirs.items()}
    apart = stats.ttest_ind(*sides(ours, other), equal_var=False).confidence_interval()
    assert seed_interval(ours, other) == pytest.approx((apart.low, apart.high))


def test_one_unit_tells_no_interval() -> None:
    several = drawn(np.random.default_rng(6), 0.5)
    assert seed_interval({(1, 1): 0.5}, 0.4) is None
    assert seed_interval({(1, 1): 0.5}, {(1, 1): 0.4}) is None
    assert seed_interval(several, {(1, 1): 0.4}) is None
    assert seed_interval(0.5, 0.4) is None


@pytest.mark.parametrize("counts", [True, False])
def test_a_strategy_of_one_choice_has_an_interval_over_its_trainings(
    tmp_path: Path, counts: bool
) -> None:
    shape = {"configs": {"LP": ["ur"]}, "budgets": (10,), "luck": 0.05, "counts": counts}
    chosen = {"knn-uncertainty": 0.5}
    write(tmp_path / "ours", truths=chosen, choices=(2,), trainings=(1, 2, 3), **shape)
    write(tmp_path / "theirs", truths={"random": 0.4}, **shape)
    (cell,) = grid(read([tmp_path / "ours", tmp_path / "theirs"]).rows).cells
    for other in ("untouched", "random"):
        found = gain(cell, "knn-uncertainty", other)
        assert found.over == ("examples and seeds" if counts else "seeds")
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low > 0.02


def test_a_row_without_a_seed_has_luck_unless_it_is_the_untouched_model(tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    rows = ["untouched,,30", "mine,,45", *(f"random,{seed},{40 + seed}" for seed in range(1, 4))]
    file.write_text("\n".join(["strategy,seed,score", *rows]), encoding="utf-8")
    (cell,) = grid(read([file]).rows).cells
    found = {other: gain(cell, "mine", other) for other in ("random", "untouched")}
    assert {one.over for one in found.values()} == {"nothing"}
    assert {one.low for one in found.values()} == {None}
    assert gain(cell, "random", "untouched").over == "seeds"


def test_with_one_training_each_the_interval_is_scipys_paired_bootstrap(tmp_path: Path) -> None:
    folder = write(tmp_path, configs={"LP": ["ur"]}, budgets=(10,), choices=(2,), examples=300)
    cell = one_cell(folder)
    found = gain(cell, "knn-uncertainty", "random", resamples=5000)
    kept = [
        np.load(row.counts)["ur"][:, 0] / 10
        for name in ("knn-uncertainty", "random")
        for row in cell.runs[name][2, 2].values()
        if row.counts
    ]
    wanted = stats.bootstrap(
        kept,
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=5000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found.value == pytest.approx(kept[0].mean() - kept[1].mean())
    assert found.low == pytest.approx(wanted.low, abs=0.002)
    assert found.high == pytest.approx(wanted.high, abs=0.002)
    assert found.over == "examples"


@pytest.mark.parametrize(
    ("counts", "choices", "over"),
    [
        (True, (2, 22), "examples and seeds"),
        (True, (2,), "examples"),
        (False, (2, 22), "seeds"),
        (False, (2,), "nothing"),
    ],
)
def test_an_interval_says_what_was_drawn(
    tmp_path: Path, counts: bool, choices: tuple[int, ...], over: str
) -> None:
    folder = write(tmp_path, budgets=(10,), choices=choices, counts=counts)
    found = gains(made(folder))
    assert {one.over for one in found if "untouched" not in (one.strategy, one.other)} == {over}
    assert all((one.low is None) == (over == "nothing") for one in found)


def test_strategies_meet_the_best_baseline_and_random_all_others_random(tmp_path: Path) -> None:
    folder = write(tmp_path, configs={"LP": ["ur"]}, budgets=(10,), luck=0.0)
    found = {(one.strategy, one.other) for one in gains(made(folder))}
    assert found == {
        ("untouched", "random"),
        ("egalitarian", "random"),
        ("knn-uncertainty", "egalitarian"),
        ("knn-uncertainty", "random"),
        ("average-dist", "egalitarian"),
        ("average-dist", "random"),
    }


def test_a_large_gain_is_sure_and_a_small_one_lies_within_the_spread(tmp_path: Path) -> None:
    truths = {"random": 0.4, "large": 0.6, "small": 0.401}
    folder = write(tmp_path, truths=truths, budgets=(10,), luck=0.02, choices=range(5))
    found = {one.strategy: one for one in gains(made(folder)) if one.other == "random"}
    assert found["large"].is_sure
    assert not found["large"].is_within_spread
    assert not found["small"].is_sure
    assert found["small"].is_within_spread


def test_counts_of_another_run_are_refused_with_the_line(tmp_path: Path) -> None:
    folder = write(tmp_path, budgets=(10,))
    file = folder / "results.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    rows[3]["score"] -= 0.05
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(InputError, match="but its counts") as error:
        gains(made(folder))
    assert error.value.line == 4


def test_counts_that_are_gone_are_told_with_the_line(tmp_path: Path) -> None:
    folder = write(tmp_path, budgets=(10,))
    (folder / "counts/3.npz").unlink()
    with pytest.raises(InputError, match=r"hold no array of two columns") as error:
        gains(made(folder))
    assert error.value.line == 4
