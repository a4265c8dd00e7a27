"""Intervals hold the truth as often as they say, of few examples too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from polymux.intervals import Interval, difference, gain, score_interval

RUNS = 2000
# What 2000 coverages of exactly 95 % may fall to, once in ten thousand.
LEAST = 0.931


def share_of(intervals: Sequence[Interval], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


def ones(right: np.ndarray) -> np.ndarray:
    return np.stack([right.astype(float), np.ones(len(right))], axis=1)


def sentences(drawn: np.random.Generator, size: int, skill: float) -> np.ndarray:
    """Right words and words of sentences: long ones are harder, and words of one hang together."""
    words = drawn.integers(3, 30, size)
    p = drawn.beta(8 * skill, 8 * (1 - skill), size) * (1 - 0.005 * words)
    return np.stack([drawn.binomial(words, p), words], axis=1).astype(float)


@pytest.mark.parametrize("truth", [0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
@pytest.mark.parametrize("size", [10, 30, 100])
def test_the_interval_of_a_score_holds_the_truth_as_often_as_it_says(
    truth: float, size: int
) -> None:
    drawn = np.random.default_rng(1)
    made = [score_interval(ones(drawn.random(size) < truth)) for _ in range(RUNS)]
    assert share_of(made, truth) >= LEAST


@pytest.mark.parametrize(("size", "skill"), [(15, 0.6), (40, 0.6), (40, 0.9)])
def test_words_are_counted_by_their_sentences(size: int, skill: float) -> None:
    drawn = np.random.default_rng(2)
    right, total = sentences(drawn, 400_000, skill).sum(axis=0)
    made = [score_interval(sentences(drawn, size, skill)) for _ in range(RUNS)]
    assert share_of(made, right / total) >= LEAST


def test_an_interval_of_a_share_is_near_that_of_agresti_and_coull() -> None:
    right = np.array([True] * 30 + [False] * 10)
    made = score_interval(ones(right))
    exact = binomtest(30, 40).proportion_ci(method="wilson")
    assert made.value == 0.75
    assert (made.low, made.high) == pytest.approx((exact.low, exact.high), abs=0.015)


def test_all_right_is_no_proof_of_perfection() -> None:
    made = score_interval(ones(np.array([True] * 10)))
    assert (made.value, made.high) == (1.0, 1.0)
    assert 0.6 < made.low < 0.75


def test_nothing_to_score_says_nothing() -> None:
    made = score_interval(np.zeros((12, 2)))
    assert made.value == 0
    assert made.high - made.low > 0.4


def test_a_difference_is_a_paired_one() -> None:
    drawn = np.random.default_rng(3)
    one, other = (drawn.random(60) < 0.8, drawn.random(60) < 0.6)
    made = difference([ones(one)], [ones(other)])
    known = ttest_rel(one.astype(float), other.astype(float)).confidence_interval(0.95)
    assert (made.low, made.high) == pytest.approx((known.low, known.high))
    assert difference([ones(one)], [ones(one)]).value == 0


@pytest.mark.parametrize("better", [0.0, 0.1])
@pytest.mark.parametrize(("of_draw", "of_training"), [(0.0, 0.03), (0.3, 0.0), (0.3, 0.03)])
def test_the_interval_of_a_gain_holds_the_truth_as_often_as_it_says(
    better: float, of_draw: float, of_training: float
) -> None:
    """A label teaches more or less by luck, a training has luck, and so have the test examples."""
    drawn = np.random.default_rng(4)
    labels, blocks, tests = 40, 5, 150
    made = []
    for _ in range(RUNS // 2):
        hard = drawn.random(tests)

        def scored(skill: float, hard: np.ndarray = hard) -> np.ndarray:
            moved = hard + drawn.normal(0, 0.05, tests)
            return ones(moved < skill + drawn.normal(0, of_training))

        taught = drawn.normal(0, of_draw, labels)
        parts = [np.delete(taught, np.arange(b, labels, blocks)).mean() for b in range(blocks)]
        made.append(
            gain(
                [scored(0.5 + better) for _ in range(blocks)],
                [scored(0.5 + part) for part in parts],
            )
        )
    assert share_of(made, better) >= LEAST
    if better and not of_draw:
        # It is not so wide that it never says anything.
        assert np.mean([one.low > 0 for one in made]) > 0.3


def test_trainings_with_luck_make_a_difference_less_sure() -> None:
    drawn = np.random.default_rng(6)
    hard = drawn.random(200)

    def side(skill: float, luck: float) -> list[np.ndarray]:
        return [ones(hard < skill + shift) for shift in np.linspace(-luck, luck, 3)]

    calm, lucky = (difference(side(0.7, luck), side(0.6, luck)) for luck in (0.0, 0.1))
    assert calm.value == pytest.approx(lucky.value, abs=0.03)
    assert lucky.high - lucky.low > 2 * (calm.high - calm.low)


def test_equal_models_gain_nothing_for_sure() -> None:
    same = [ones(np.array([True, False, True]))] * 5
    assert gain(same, same) == Interval(0.0, 0.0, 0.0, 3)
