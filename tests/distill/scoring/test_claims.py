"""Verdicts say no more than the intervals do."""

from __future__ import annotations

import pytest

from polymux.distill.scoring.claims import CLAIMS, FAILS, HOLDS, OPEN, verdicts

PRESERVED = next(claim for claim in CLAIMS if "preserved" in claim)
BALANCING = next(claim for claim in CLAIMS if "Naive" in claim)
MOST = next(claim for claim in CLAIMS if "zero-shot transfer of names" in claim)


def comparison(group: str, low: float, high: float, **more: str) -> dict:
    told = {"task": "pos", "transfer": "in-language", "ours": "student", "theirs": "hl"} | more
    return told | {"group": group, "low": low, "high": high, "difference": (low + high) / 2}


def said(claim: str, comparisons: list[dict], seeds: int = 3) -> str:
    return next(v["verdict"] for v in verdicts(comparisons, seeds) if v["claim"] == claim)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((0.01, 0.03), (-0.005, 0.01), HOLDS),
        ((0.01, 0.03), (-0.02, 0.01), OPEN),
        ((0.01, 0.03), (-0.30, 0.20), OPEN),
        ((0.01, 0.03), (-0.03, -0.001), FAILS),
        ((-0.01, 0.03), (0.0, 0.01), OPEN),
        ((-0.03, -0.01), (0.0, 0.01), FAILS),
    ],
)
def test_low_must_be_better_and_high_must_not_lose_a_point(low, high, verdict) -> None:
    assert said(PRESERVED, [comparison("low", *low), comparison("high", *high)]) == verdict


def test_balancing_must_help_one_and_hurt_the_other() -> None:
    def told(low: tuple[float, float], high: tuple[float, float]) -> str:
        names = {"ours": "hl-balanced", "theirs": "hl"}
        both = [comparison("low", *low, **names), comparison("high", *high, **names)]
        return said(BALANCING, both)

    assert told((0.01, 0.02), (-0.02, -0.01)) == HOLDS
    assert told((0.01, 0.02), (-0.02, 0.01)) == OPEN
    assert told((0.01, 0.02), (0.01, 0.02)) == FAILS
    assert told((-0.02, -0.01), (-0.02, -0.01)) == FAILS


def test_most_is_more_than_half() -> None:
    def told(*sides: int) -> str:
        spans = {1: (0.01, 0.02), 0: (-0.01, 0.01), -1: (-0.02, -0.01)}
        where = {"task": "ner", "transfer": "zero-shot"}
        return said(MOST, [comparison(str(i), *spans[s], **where) for i, s in enumerate(sides)])

    assert told(1, 1, 0) == HOLDS
    assert told(1, 1, 0, 0) == OPEN
    assert told(1, 0, -1, -1) == FAILS
    assert told(1, 1, 1, -1) == HOLDS


def test_without_comparisons_nothing_is_told_and_one_seed_is_said() -> None:
    assert {v["verdict"] for v in verdicts([], 3)} == {OPEN}
    assert all("nothing to compare" in v["evidence"] for v in verdicts([], 3))
    assert all("one seed" in v["evidence"] for v in verdicts([comparison("low", 0, 1)], 1))
