"""Cells: what stands in them, what they leave out, which baseline is best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polymux.experiments.tables.grid import grid
from polymux.experiments.tables.rows import NO_SEED, Row

ROW = Row(
    model="m",
    task="t",
    config="LP",
    setting="s",
    strategy="random",  # type: ignore[arg-type]
    choice_seed=1,
    train_seed=1,
    budget=10,
    round=1,
    language="ur",  # type: ignore[arg-type]
    metric="f1",
    score=0.5,
    file="f",
    line=1,  # type: ignore[arg-type]
)


def row(strategy: str, score: float, **told: object) -> Row:
    return replace(ROW, strategy=strategy, score=score, **told)  # type: ignore[arg-type]


def untouched(score: float, **told: object) -> Row:
    seeds = {"choice_seed": NO_SEED, "train_seed": NO_SEED, "budget": 0, "round": 0}
    return row("untouched", score, **{**seeds, **told})


def test_a_score_is_the_mean_over_languages_then_trainings_then_choices() -> None:
    (cell,) = grid(
        [
            row("random", 0.2, language="ur"),
            row("random", 0.4, language="te"),
            row("random", 0.6, language="ur", train_seed=2),
            row("random", 0.8, language="te", train_seed=2),
            row("random", 1.0, language="ur", choice_seed=2),
            row("random", 0.8, language="te", choice_seed=2),
        ]
    ).cells
    assert cell.scores["random"] == pytest.approx({(1, 1): 0.3, (1, 2): 0.7, (2, 1): 0.9})
    assert cell.mean("random") == pytest.approx((0.5 + 0.9) / 2)
    assert cell.spread("random") == pytest.approx(0.30550505)


def test_the_untouched_model_is_in_every_cell_of_its_target_whatever_the_setting() -> None:
    ordered = grid(
        [
            untouched(0.3, setting="low"),
            row("random", 0.4, setting="low"),
            row("random", 0.5, setting="low", budget=20),
            row("random", 0.6, setting="rounds"),
            row("random", 0.6, config="HP"),
        ]
    )
    there = {(c.place.setting, c.place.config, c.budget): c.runs.keys() for c in ordered.cells}
    assert [place for place, runs in there.items() if "untouched" not in runs] == [("s", "HP", 10)]
    assert len(ordered.cells) == 4


def test_a_training_that_lacks_a_language_is_left_out_and_told() -> None:
    ordered = grid(
        [
            row("random", 0.2),
            row("random", 0.2, language="te"),
            row("gold", 0.9),
            row("gold", 0.9, language="te"),
            row("gold", 0.1, choice_seed=2),
        ]
    )
    (cell,) = ordered.cells
    assert list(cell.runs["gold"]) == [(1, 1)]
    assert any("gold: 1 of 2 trainings are not scored in all of ur, te" in n for n in ordered.notes)


def test_the_best_baseline_is_none_of_the_references_or_strategies() -> None:
    scores = {"gold": 0.9, "knn": 0.8, "same-distribution": 0.7, "egalitarian": 0.6, "random": 0.5}
    ordered = grid([*(row(name, score) for name, score in scores.items()), untouched(0.65)])
    (cell,) = ordered.cells
    assert cell.best_baseline == "untouched"
    assert cell.strategies == ["knn"] == ordered.rivals
    assert list(ordered.strategies) == [
        *("untouched", "random", "egalitarian", "knn", "same-distribution", "gold"),
    ]


def test_a_missing_baseline_that_every_table_wants_is_told() -> None:
    notes = grid([row("knn", 0.5)]).notes
    assert [n.split(":")[0] for n in notes] == [
        "There is no row of untouched",
        "There is no row of random",
    ]


def test_cells_share_a_target_by_task_and_languages(tmp_path: Path) -> None:
    one, other, third = grid(
        [
            row("random", 0.5),
            row("random", 0.5, model="other"),
            row("random", 0.5, language="hi", config="HP"),
        ]
    ).cells
    assert one.target == other.target != third.target
