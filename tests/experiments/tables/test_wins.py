"""Win rates: METHOD's definition on a grid whose answer one sees, and on truths that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.experiments.tables.worlds import write

from polymux.experiments.tables.gains import BEST
from polymux.experiments.tables.grid import Grid, grid
from polymux.experiments.tables.results import read
from polymux.experiments.tables.wins import AFTERWARDS, ALL, LAST, Wins, wins


def table(tmp_path: Path, *rows: str) -> Grid:
    file = tmp_path / "results.csv"
    head = "task,model,config,language,budget,round,seed,strategy,score"
    file.write_text("\n".join([head, *rows]), encoding="utf-8")
    return grid(read([file]).rows)


def one(found: list[Wins], strategy: str, against: str = BEST, budget: str = ALL) -> Wins:
    (wanted,) = (
        w for w in found if (w.strategy, w.against, w.budget) == (strategy, against, budget)
    )
    return wanted


# Of two targets LP is scored with two models; a wins there, b at HP, where untouched is the best.
SCORES = {
    "t,m,LP,ur": {"untouched": 30, "random": 40, "egalitarian": 45, "a": 50, "b": 42},
    "t,n,LP,ur": {"untouched": 30, "random": 40, "egalitarian": 45, "a": 47, "b": 45},
    "t,m,HP,fr": {"untouched": 60, "random": 40, "egalitarian": 50, "a": 55, "b": 70},
}
CELLS = [f"{cell},10,,1,{name},{n}" for cell, told in SCORES.items() for name, n in told.items()]


def test_a_cell_is_won_by_a_higher_mean_than_the_best_baseline(tmp_path: Path) -> None:
    found = wins(table(tmp_path, *CELLS))
    a = one(found, "a")
    assert (a.won, a.rate.cells, a.rate.clusters) == (2, 3, 2)
    assert a.gain.value == pytest.approx((0.05 + 0.02 - 0.05) / 3)
    # Equal to the best baseline is no win.
    assert one(found, "b").won == 1
    assert one(found, "a", "egalitarian").won == 3
    assert one(found, "b", "random").won == 3


def test_other_baselines_stand_among_them_and_the_maximum_is_of_whatever_is_there(
    tmp_path: Path,
) -> None:
    lines = ["config,budget,strategy,score"]
    lines += ["LP,100,random,40", "LP,100,egalitarian,42", "LP,100,a,45", "LP,100,b,50"]
    lines += ["HP,100,random,60", "HP,100,egalitarian,58", "HP,100,a,61"]
    file = tmp_path / "theirs.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = wins(grid(read([file]).rows))
    assert one(found, "egalitarian").won == 0
    assert one(found, AFTERWARDS).rate.cells == 2
    assert one(found, AFTERWARDS).gain.value == pytest.approx((0.08 + 0.01) / 2)


def test_the_maximum_picked_afterwards_wins_where_any_strategy_does(tmp_path: Path) -> None:
    found = one(wins(table(tmp_path, *CELLS)), AFTERWARDS)
    assert (found.won, found.rate.value) == (3, 1.0)
    assert found.gain.value == pytest.approx((0.05 + 0.02 + 0.10) / 3)


def test_clusters_are_targets_so_that_two_models_count_once(tmp_path: Path) -> None:
    """LP won by both models, HP lost: a resample holds both of LP or none."""
    found = one(wins(table(tmp_path, *CELLS)), "a")
    assert (found.rate.low, found.rate.high) == (0.0, 1.0)
    assert found.told


def test_one_cluster_tells_no_interval(tmp_path: Path) -> None:
    assert not one(wins(table(tmp_path, *CELLS[:10])), "a").told


def test_where_all_cells_agree_the_interval_is_of_the_clusters(tmp_path: Path) -> None:
    found = one(wins(table(tmp_path, *CELLS)), "a", "random").rate
    # Two clusters of two: Clopper and Pearson's lower bound is the square root of 0.025.
    assert (found.low, found.high) == (pytest.approx(0.025**0.5), 1.0)


def test_budgets_stand_alone_together_and_by_their_last(tmp_path: Path) -> None:
    found = wins(
        table(
            tmp_path,
            "t,m,LP,ur,10,1,1,random,50",
            "t,m,LP,ur,10,1,1,a,40",
            "t,m,LP,ur,20,2,1,random,50",
            "t,m,LP,ur,20,2,1,a,60",
            "t,m,HP,fr,10,1,1,random,50",
            "t,m,HP,fr,10,1,1,a,60",
        )
    )
    told = {budget: one(found, "a", BEST, budget) for budget in ("10", "20", LAST, ALL)}
    assert {b: (w.won, w.rate.cells) for b, w in told.items()} == {
        "10": (1, 2),
        "20": (1, 1),
        LAST: (2, 2),
        ALL: (2, 3),
    }


def test_rounds_are_judged_by_their_last_and_single_rounds_by_all(tmp_path: Path) -> None:
    rows = [
        *("t,m,LP,ur,10,1,1,random,50", "t,m,LP,ur,20,{},1,random,50"),
        *("t,m,LP,ur,10,1,1,a,50", "t,m,LP,ur,20,{},1,a,50"),
    ]
    for number, judging in ((2, LAST), (1, ALL)):
        found = wins(table(tmp_path, *(row.format(number) for row in rows)))
        assert {one.budget for one in found if one.judges} == {judging}


def test_a_strategy_that_is_better_everywhere_wins_and_its_gain_is_the_truth(
    tmp_path: Path,
) -> None:
    configs = {f"c{n}": [f"l{n}"] for n in range(12)}
    truths = {"random": 0.4, "egalitarian": 0.4, "better": 0.46}
    folder = write(tmp_path, truths=truths, configs=configs, budgets=(10,), examples=400, luck=0.01)
    found = one(wins(grid(read([folder]).rows)), "better", "random")
    assert found.won == 12
    assert found.gain.low <= 0.06 <= found.gain.high
    assert found.gain.high - found.gain.low < 0.03
