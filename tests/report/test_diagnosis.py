"""The page of a diagnosis says what its facts say, whatever stands in the texts."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.pages import HOSTILE, assert_closed, words

from polymux.report.diagnosis import DiagnosisFacts, correlation, diagnosis, reliability


def facts(**but: Any) -> DiagnosisFacts:
    told: Any = {
        "model": "start",
        "task": "token-classification",
        "budget": 100,
        "target": 98,
        "pool": 15000,
        "checks": [
            {
                "name": "reach",
                "asks": "Which parts of the target have nothing near in the pool?",
                "findings": [{"level": "warning", "says": "97 % lie far", "do": "collect"}],
                "examples": [{"id": "mine.txt#1", "text": "कहाँ है", "why": "4.1 away"}],
            },
            {
                "name": "correlation",
                "asks": "Is it unsure where its neighbours are?",
                "findings": [{"level": "good", "says": "r = 0.55", "do": ""}],
                "examples": [],
            },
            {"name": "calibration", "asks": "Believed?", "findings": [], "examples": []},
        ],
        "correlation": [(k, 0.3 + k / 200, 0.2, 0.7) for k in range(1, 65)],
        "claimed": 0.7,
        "reliability": {
            "target": [(0.2, 0.9, 19), (0.4, 0.2, 20), (0.9, 0.95, 300)],
            "pool": [(0.5, 0.5, 90)],
        },
        "strategy": "knn-uncertainty",
        "reason": "on parts of speech it gained",
        "evidence": ["results/choosing-udpos.md"],
    }
    return told | but


def test_the_findings_and_numbers_stand_there() -> None:
    page = words(diagnosis(facts()))
    for said in (
        "1 warning", "98 target examples", "15,000 in the pool", "100 labels to buy",
        "97 % lie far", "collect", "कहाँ है", "4.1 away", "r = 0.55",
        "choose by knn-uncertainty : on parts of speech it gained", "results/choosing-udpos.md",
    ):  # fmt: skip
        number, _, noun = said.partition(" ")
        assert said in page or f"{noun} {number}" in page


def test_r_is_drawn_with_its_intervals_beside_the_claim() -> None:
    drawn = correlation(facts()["correlation"], 0.7)
    assert drawn is not None
    level, curve = drawn["lines"]
    assert len({y for _, y in level["dots"]}) == 1
    # Every k up to the one that is judged.
    assert len(curve["dots"]) == 15
    assert curve["whiskers"].count("V") == 15
    # Up is less in SVG: r rises with k here.
    assert curve["dots"][0][1] > curve["dots"][-1][1]
    assert correlation([], 0.7) is None


def test_what_is_surer_than_right_lies_below_the_diagonal() -> None:
    drawn = reliability(facts()["reliability"])
    assert drawn is not None
    _, target, pool = drawn["lines"]
    assert (target["name"], pool["name"]) == ("target", "pool")
    (x0, y0), (x1, y1) = drawn["lines"][0]["dots"]

    def under(at: tuple[float, float]) -> float:
        return at[1] - (y0 + (at[0] - x0) * (y1 - y0) / (x1 - x0))

    assert under(target["dots"][0]) > 1 > -1 > under(target["dots"][1])
    assert under(pool["dots"][0]) == pytest.approx(0, abs=0.2)
    assert len(target["dots"]) == 2
    assert reliability({}) is None
    assert reliability({"target": [(0.5, 0.5, 19)]}) is None


def test_what_was_not_measured_is_left_out() -> None:
    page = diagnosis(facts(correlation=[], reliability={}, budget=None))
    assert "<svg" not in page
    assert "None" not in words(page)
    assert "labels to buy" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_users_stay_texts(text: str) -> None:
    one = {"id": text, "text": text, "why": text}
    said = {"level": "note", "says": text, "do": text}
    check = {"name": "noise", "asks": "?", "findings": [said], "examples": [one]}
    page = diagnosis(facts(model=text, checks=[check]))
    assert "<script" not in page
    assert "<img" not in page
    assert "49" not in words(page)


def test_the_page_asks_no_host_and_lets_its_own_style_only() -> None:
    page = diagnosis(facts())
    assert_closed(page)
    assert page.lstrip().startswith("<!doctype html>")
