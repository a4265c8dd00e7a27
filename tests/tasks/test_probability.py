"""Probability maths over segments, against worlds small enough to see and loops slow enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from polymux.tasks import probability as pr

SEGMENTS = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def starts_of(counts: list[int]) -> np.ndarray:
    return np.cumsum([0, *counts[:-1]])


@given(SEGMENTS, st.integers(0, 2**32))
def test_segments_equal_a_loop_over_them(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(sum(counts), 2)).round(1).astype(np.float32)
    starts = starts_of(counts)
    log_p = pr.segment_log_softmax(x, starts)
    first, second = pr.segment_top_two(log_p[:, 0], starts)
    entropy = pr.segment_entropy(log_p, starts)
    mean = pr.segment_mean(log_p[:, 1], starts)
    for i, (start, count) in enumerate(zip(starts, counts, strict=True)):
        part = log_softmax(x[start : start + count].astype(np.float64), axis=0)
        np.testing.assert_allclose(log_p[start : start + count], part, atol=1e-12)
        ranked = np.append(np.sort(part[:, 0]), []).tolist()
        assert first[i] == pytest.approx(ranked[-1])
        assert second[i] == (pytest.approx(ranked[-2]) if count > 1 else -np.inf)
        np.testing.assert_allclose(entropy[i], -(np.exp(part) * part).sum(axis=0), atol=1e-12)
        assert mean[i] == pytest.approx(part[:, 1].mean())


def test_hand_sized_distribution() -> None:
    log_p = pr.log_softmax(np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 1e-30]], dtype=np.float32)))
    np.testing.assert_allclose(pr.margin(log_p), [-0.5, 0], atol=1e-7)
    np.testing.assert_allclose(pr.log_margin(log_p), [-np.log(3.5), 0], atol=1e-6)
    np.testing.assert_allclose(pr.entropy(log_p), [0.801818552, np.log(2)], atol=1e-6)
    np.testing.assert_allclose(pr.least_confidence(log_p), [0.3, 0.5], atol=1e-7)


def test_d7_an_exact_tie_has_margin_zero() -> None:
    log_p = pr.log_softmax(np.array([[3.25, 3.25, -1.0], [2.0, 1.0, 0.0]], dtype=np.float32))
    assert pr.margin(log_p)[0] == 0.0
    assert pr.log_margin(log_p)[0] == 0.0
    assert pr.margin(log_p).argmax() == 0


def test_margin_and_log_margin_order_three_classes_differently() -> None:
    # Gaps .22 and .24, ratios 2.1 and 1.6.
    low, high = np.log([[0.42, 0.18, 0.20, 0.20]]), np.log([[0.62, 0.38, 1e-9, 1e-9]])
    assert pr.margin(low)[0] > pr.margin(high)[0]
    assert pr.log_margin(low)[0] < pr.log_margin(high)[0]


@pytest.mark.parametrize("block", [1, 7, 1 << 15])
@given(rows=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_best_spans_equal_every_pair_tried(block: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 2))
    window = np.sort(rng.integers(0, 3, rows))
    inside = rng.random(rows) < 0.7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pr, "_BLOCK", block)
        best, end = pr.best_spans(values, window, inside)
    for i in range(rows):
        tried = {
            j: values[i, 0] + values[j, 1]
            for j in range(i, min(i + pr.LONGEST_SPAN, rows))
            if inside[i] and inside[j] and window[i] == window[j]
        }
        if not tried:
            assert best[i] == -np.inf
            continue
        assert best[i] == max(tried.values())
        assert tried[int(end[i])] == best[i]


def test_a_span_has_thirty_subwords_at_most() -> None:
    values = np.zeros((40, 2))
    values[0, 0], values[29, 1], values[30, 1] = 5, 1, 9
    best, end = pr.best_spans(values, np.zeros(40, dtype=int), np.ones(40, dtype=bool))
    assert (best[0], end[0]) == (6, 29)
    assert (best[1], end[1]) == (9, 30)
