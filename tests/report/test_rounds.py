"""The card of a campaign says what its facts say, whatever users call things."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.report.pages import HOSTILE, assert_closed, words

from polymux.report.rounds import RunFacts, learning, rounds


def estimate(value: float, half: float) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": 40}


def turn(number: int, **but: Any) -> Any:
    told = {
        "round": number,
        "trained": 100 * number,
        "issued": 103 if number else 0,
        "labelled": 100 if number else 0,
        "unusable": 3 if number else 0,
        "waiting": 0,
        "conflicts": 0,
        "languages": {"hi": 60, "fa": 40} if number else {},
        "score": 0.4 + 0.1 * number,
        "seconds": 3600.0 * number,
    }
    return told | but


def facts(**but: Any) -> RunFacts:
    judged = {
        "round": 1,
        "labels": 20,
        "trained": 100,
        "metric": "f1",
        "pool": estimate(0.5, 0.1),
        "target": estimate(0.45, 0.05),
        "gain": estimate(0.03, 0.02) | {"at": 16},
        "last": estimate(0.1, 0.05),
        "verdict": "go on",
    }
    told: Any = {
        "title": "health",
        "model": "start",
        "task": "token-classification",
        "strategy": "knn-uncertainty",
        "budget": 300.0,
        "spent": 200.0,
        "left": 100.0,
        "overrun": None,
        "unit": "labels",
        "metric": "f1",
        "turns": [turn(0), turn(1), turn(2)],
        "judged": [judged],
        "drawn": {"labels": 20, "least": 10},
        "agreement": {
            "hi": {"items": 30, "annotators": 2, "alpha": 0.8, "span_f1": None, "least": 10}
        },
        "changes": ["2026-11-26: budget is 300, it was 200"],
    }
    return told | but


def test_the_numbers_of_the_facts_stand_there() -> None:
    page = words(rounds(facts()))
    for said in (
        "200 of 300", "60.0", "go on", "100 labels left",
        "50.0 (40.0 to 60.0)", "+3.0 (+1.0 to +5.0) at 16", "hi 60", "0.80", "1.0",
        "budget is 300, it was 200",
    ):  # fmt: skip
        assert said in page


def test_what_was_spent_beyond_the_budget_is_told_with_its_reason() -> None:
    assert "1 label more than the budget: late." in words(
        rounds(facts(overrun="1 label more than the budget: late"))
    )


def test_a_worse_result_has_its_minus() -> None:
    told = facts()
    one: Any = {**told["judged"][0], "gain": estimate(-0.03, 0.01) | {"at": 16}}
    assert "−3.0 (−4.0 to −2.0)" in words(rounds(facts(judged=[one])))


def test_curves_go_through_their_points_and_whiskers_hold_them() -> None:
    drawn = learning(facts())
    assert drawn is not None
    test, pool = drawn["lines"]
    assert [x for x, _ in test["dots"]] == sorted(x for x, _ in test["dots"])
    heights = [y for _, y in test["dots"]]
    # Up is less in SVG.
    assert heights == sorted(heights, reverse=True)
    assert test["path"].count("L") == 2
    assert test["whiskers"] == ""
    ((x, y),) = pool["dots"]
    assert x == test["dots"][1][0]
    found = re.fullmatch(r"M(\S+) (\S+)V([^M]+)M\S+ \2h6M\S+ \3h6", pool["whiskers"])
    assert found is not None
    assert float(found[1]) == x
    assert float(found[2]) > y > float(found[3])


def test_an_interval_is_drawn_only_where_one_is_known() -> None:
    assert "whisker" in words(rounds(facts()))
    assert "whisker" not in words(rounds(facts(judged=[])))


def test_the_verdict_names_its_round_and_hours_stand_only_where_they_are_told() -> None:
    page = words(rounds(facts()))
    assert "Of round 1 chance says: go on" in page
    assert "hours told" in page
    silent = [turn(number, seconds=0.0) for number in range(3)]
    assert "hours told" not in words(rounds(facts(turns=silent)))


def test_of_few_examples_no_agreement_is_told() -> None:
    few: Any = {"items": 9, "annotators": 2, "alpha": 0.83, "span_f1": None, "least": 10}
    page = words(rounds(facts(agreement={"hi": few})))
    assert "too few to tell" in page
    assert "0.83" not in page


@pytest.mark.parametrize(
    "but",
    [
        {"judged": []},
        {"metric": None, "turns": [turn(0, score=None), turn(1, score=None)]},
        {"metric": None, "turns": [turn(0, score=None)], "judged": [], "agreement": {}},
        {"turns": [turn(0, score=0.0), turn(1, score=1.0)], "changes": []},
    ],
    ids=["no slice", "no test", "nothing yet", "extremes"],
)
def test_what_is_not_there_is_left_out(but: Any) -> None:
    page = rounds(facts(**but))
    assert "None" not in words(page)
    assert "nan" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_users_stay_texts(text: str) -> None:
    page = rounds(facts(title=text, model=text, strategy=text, changes=[text]))
    assert "<script" not in page
    assert "<img" not in page
    assert "49" not in words(page).replace("0.49", "")


def test_the_page_asks_no_host_and_lets_its_own_style_only() -> None:
    page = rounds(facts())
    assert_closed(page)
