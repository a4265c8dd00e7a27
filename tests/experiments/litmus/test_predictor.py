"""The predictor against a slow loop over results, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from tests.experiments.litmus.formulas import only_one_helps, outcomes
from threadpoolctl import threadpool_limits

from polymux.errors import UsageError
from polymux.experiments.litmus.outcomes import Outcome
from polymux.experiments.litmus.predictor import (
    FOLDS,
    TREES,
    Columns,
    Known,
    check_enough,
    learn,
    mixture,
)
from polymux.experiments.litmus.relations import by_distance
from polymux.selection.draws import draw_of_name

TESTED, BOUGHT = ("fa", "fi", "hi", "ur"), ("de", "fa", "hi")
# Nobody knows how far German is from Urdu.
DISTANCES = {("hi", "ur"): 0.1, ("fa", "ur"): 0.5, ("hi", "fa"): 0.6, ("de", "fa"): 0.7}
KNOWN = Known({"distance": by_distance(DISTANCES)}, {"ur": 1e9, "hi": 1e10})
COLUMNS = Columns.of(BOUGHT, TESTED, KNOWN)


def slowly(outcome: Outcome) -> list[float]:
    """The columns of an outcome, one after the other."""
    near = KNOWN.nearness["distance"]
    total = sum(outcome.chosen.values())
    weighted = sum(n * near(name, outcome.language) for name, n in outcome.chosen.items())
    return [
        math.log(1 + total),
        math.log(1 + outcome.chosen.get(outcome.language, 0)),
        math.log10(KNOWN.sizes.get(outcome.language, math.nan)),
        math.log(1 + weighted),
        weighted / total if total else math.nan,
        *(math.log(1 + outcome.chosen.get(name, 0)) for name in BOUGHT),
        *(float(outcome.language == name) for name in TESTED),
    ]


def matrix(made: Sequence[Outcome]) -> np.ndarray:
    tested = np.array([TESTED.index(o.language) for o in made], dtype=np.int64)
    return COLUMNS.matrix(COLUMNS.counts([o.chosen for o in made]), tested)


def test_the_columns_of_a_plan_by_hand() -> None:
    bought = {"hi": 30, "fa": 10}
    (row,) = matrix([Outcome("ur", 0.5, bought)])
    told = dict(zip(COLUMNS.names, row.tolist(), strict=True))
    assert told == {
        "labels": math.log1p(40),
        "labels of the tested language": 0.0,
        "pre-training size": 9.0,
        "labels by distance": math.log1p(30 * 0.9 + 10 * 0.5),
        "mean distance": 0.8,
        "labels of de": 0.0,
        "labels of fa": math.log1p(10),
        "labels of hi": math.log1p(30),
        "tested in fa": 0.0,
        "tested in fi": 0.0,
        "tested in hi": 0.0,
        "tested in ur": 1.0,
    }


def test_the_columns_of_many_plans_are_those_of_each() -> None:
    made = outcomes(only_one_helps("hi"), TESTED, BOUGHT, plans=30)
    np.testing.assert_allclose(matrix(made), [slowly(o) for o in made], rtol=1e-12)


def test_a_bought_language_whose_nearness_nobody_knows_makes_it_unknown() -> None:
    known, unknown = matrix([Outcome("ur", 0.5, {"hi": 9}), Outcome("ur", 0.5, {"hi": 9, "de": 1})])
    at = COLUMNS.names.index("labels by distance")
    assert known[at] == math.log1p(9 * 0.9)
    assert math.isnan(unknown[at])


def missed_slowly(
    made: Sequence[Outcome], fold: Callable[[Outcome], object], alike: Callable[[Outcome], object]
) -> tuple[float, float]:
    """Errors of the trees and of the mean, each result told by what was learned from the others."""
    off, mean_off = [], []
    for left_out in {fold(o) for o in made}:
        rest = [o for o in made if fold(o) != left_out]
        seen = np.array([slowly(o) for o in rest])
        # The trees cannot cut a column of which nothing is known.
        known = [i for i in range(seen.shape[1]) if not np.isnan(seen[:, i]).all()]
        trees = HistGradientBoostingRegressor(**TREES)
        with threadpool_limits(1):
            trees.fit(seen[:, known], [o.score for o in rest])
        for outcome in (o for o in made if fold(o) == left_out):
            with threadpool_limits(1):
                told = trees.predict(np.array([slowly(outcome)])[:, known])[0]
            off.append(abs(told - outcome.score))
            same = [o.score for o in rest if alike(o) == alike(outcome)]
            mean_off.append(abs(np.mean(same or [o.score for o in rest]) - outcome.score))
    return float(np.mean(off)), float(np.mean(mean_off))


def test_leaving_out_languages_and_plans_equals_a_slow_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TREES, "max_iter", 5)
    made = outcomes(only_one_helps("hi"), TESTED, BOUGHT, plans=13)
    made.sort(key=lambda o: (o.language, mixture(o), o.score))
    learned = learn(made, COLUMNS)
    assert learned.languages.folds == 4
    assert (learned.languages.off, learned.languages.mean_off) == pytest.approx(
        missed_slowly(made, lambda o: o.language, lambda o: "all"), rel=1e-9
    )
    plans = sorted({mixture(o) for o in made}, key=lambda m: draw_of_name(0, "fold", m))
    assert learned.plans.folds == FOLDS
    assert (learned.plans.off, learned.plans.mean_off) == pytest.approx(
        missed_slowly(made, lambda o: plans.index(mixture(o)) % FOLDS, lambda o: o.language),
        rel=1e-9,
    )


def test_it_predicts_the_formula_that_made_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 100)
    score = only_one_helps("hi")
    learned = learn(outcomes(score, TESTED, BOUGHT, plans=60), COLUMNS)
    fresh = outcomes(score, TESTED, BOUGHT, plans=20, seed=1)
    tested = np.array([TESTED.index(o.language) for o in fresh], dtype=np.int64)
    told = learned.predictor(COLUMNS.counts([o.chosen for o in fresh]), tested)
    assert np.abs(told - [o.score for o in fresh]).max() < 0.1
    assert np.abs(told - [o.score for o in fresh]).mean() < 0.02
    assert learned.plans.off < 0.2 * learned.plans.mean_off


def test_the_order_of_results_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 8)
    made = outcomes(only_one_helps("hi"), TESTED, BOUGHT, plans=15)
    one, other = learn(made, COLUMNS), learn(made[::-1], COLUMNS)
    counts, tested = np.array([[1, 20, 300]] * 4, dtype=np.int64), np.arange(4, dtype=np.int64)
    assert one.predictor(counts, tested).tolist() == other.predictor(counts, tested).tolist()
    assert (one.languages, one.plans) == (other.languages, other.plans)


@pytest.mark.parametrize(
    ("plans", "tested", "told"),
    [
        (12, TESTED, "48 results (50 needed), 12 different counts by language (10 needed), 4"),
        (9, TESTED * 2, "72 results (50 needed), 9 different counts by language (10 needed), 4"),
        (30, TESTED[:2], "60 results (50 needed), 30 different counts by language (10 needed), 2"),
    ],
)
def test_too_few_results_are_refused_and_counted(
    plans: int, tested: Sequence[str], told: str
) -> None:
    made = outcomes(only_one_helps("hi"), tested, BOUGHT, plans=plans)
    with pytest.raises(UsageError) as refused:
        check_enough(made)
    assert f"{told} tested languages (3 needed)" in refused.value.what


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(UsageError, match="scikit-learn is not installed") as refused:
        learn(outcomes(only_one_helps("hi"), TESTED, BOUGHT, plans=15), COLUMNS)
    assert "polymux[experiments]" in refused.value.hint
