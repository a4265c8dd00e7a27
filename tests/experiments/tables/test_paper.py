"""The paper's figures stand beside ours where their names match, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.experiments.tables.grid import grid
from polymux.experiments.tables.paper import Beside, beside
from polymux.experiments.tables.results import read

HEAD = "model,task,config,setting,budget,language,strategy,score"


def found(tmp_path: Path, *rows: str) -> dict[str, Beside]:
    file = tmp_path / "results.csv"
    file.write_text("\n".join([HEAD, *rows]), encoding="utf-8")
    return {one.strategy: one for one in beside(grid(read([file]).rows))}


def test_low_budgets_stand_beside_the_same_number_of_labels(tmp_path: Path) -> None:
    told = found(
        tmp_path,
        "small,udpos,LP,low-budget,5,ur,egalitarian,60",
        "small,udpos,LP,low-budget,5,ur,knn-uncertainty,64",
        "small,udpos,LP,low-budget,5,ur,random,61",
        "small,udpos,LP,low-budget,7,ur,knn-uncertainty,64",
    )
    knn = told["knn-uncertainty"]
    assert knn.theirs == pytest.approx(0.798)
    assert (knn.their_model, knn.same_model) == ("XLM-R", False)
    assert knn.our_gain == pytest.approx(0.04)
    assert knn.their_gain == pytest.approx(0.798 - 0.709)
    assert told["egalitarian"].theirs == pytest.approx(0.709)
    assert told["egalitarian"].our_gain is None
    # The paper has no random choice; it is there all the same, and so is what we lack.
    assert (told["random"].ours, told["random"].theirs) == (0.61, None)
    assert told["untouched"].ours is None
    assert {one.budget for one in told.values()} == {5}


def test_the_last_budget_of_rounds_stands_beside_the_main_results_of_that_model(
    tmp_path: Path,
) -> None:
    rows = [
        f"org/xlm-roberta-large,ner,LP,rounds,{budget},ur,{name},{score}"
        for budget in (2000, 10000)
        for name, score in (
            ("average-dist", 70), ("uncertainty", 80), ("knn-uncertainty", 75), ("gold", 90)
        )
    ]  # fmt: skip
    told = found(tmp_path, *rows, "org/xlm-roberta-large,ner,LP,rounds,0,ur,EN-FT,65")
    assert told["untouched"].theirs == pytest.approx(0.656)
    assert told["untouched"].same_model
    (best,) = (one for name, one in told.items() if name.startswith("the best of"))
    assert (best.ours, best.budget) == (0.8, 10000)
    assert best.theirs is not None


@pytest.mark.parametrize(
    "row",
    [
        "small,topics,LP,low-budget,5,ur,knn-uncertainty,64",
        "small,udpos,HP,low-budget,5,ur,knn-uncertainty,64",
        "small,udpos,LP,low-budget,5,ur,transport,64",
        "small,udpos,XX,rounds,5,ur,gold,64",
    ],
)
def test_where_no_name_matches_there_is_nothing(tmp_path: Path, row: str) -> None:
    assert found(tmp_path, row) == {}
