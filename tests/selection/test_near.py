"""Candidates near the target: layers that neither budget nor file order decides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.selection.worlds import World, distances, world

from polymux.selection import STRATEGIES, Nearest, Strategy, Target, near
from polymux.selection.near import begin_near, layers, sampled

NEAR = ("transductive", "transductive-uncertainty", "transport", "coverage")


def lists(w: World, k: int) -> Nearest:
    seen = Nearest(k, Target.of(w.target), "u")
    seen.see(w.encodings())
    return seen


def test_a_layer_is_the_largest_union_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "CANDIDATES", 12)
    w = world(60, targets=3, seed=1)
    order = distances(w).argsort(axis=0)
    unions = [set(order[:k].ravel().tolist()) for k in range(61)]
    before, k = set[int](), 0
    for layer in layers(lists(w, 60)):
        assert layer is not None
        rows, end = layer
        assert set(rows.tolist()) == unions[end] - before
        assert len(unions[end] - before) <= 12 or end == k + 1
        if len(unions[end]) < 60 and end > k + 1:
            # It is as large as it may be: by the number of candidates, or by the lists' length.
            assert len(unions[end + 1] - before) > 12 or end in (12, 48)
        before, k = unions[end], end
    assert before == set(range(60))


def test_lists_that_are_too_short_to_tell_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "CANDIDATES", 12)
    w = world(60, targets=3, seed=1)
    whole = list(layers(lists(w, 60)))
    for k in (1, 4, 12, 20, 40):
        told = list(layers(lists(w, k)))
        assert told[-1] is None
        for (rows, end), (other, there) in zip(told[:-1], whole, strict=False):
            assert end == there
            assert rows.tolist() == other.tolist()


@pytest.mark.parametrize("name", NEAR)
def test_a_choice_through_several_layers_begins_alike_for_any_budget(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "CANDIDATES", 15)
    w, rule = world(60, targets=4, seed=5), STRATEGIES[name]
    assert isinstance(rule, Strategy)
    encodings, rankings = w.encodings(), []
    for budget in (3, 14, 40, 60):
        size, choice = None, None
        while choice is None:
            seen = rule.begin(w.ask(budget), size)
            seen.see(encodings)
            choice = rule.decide(seen, w.ask(budget), encodings.take)
            size = 2 * seen.k  # type: ignore[union-attr]
        rankings.append(choice.rows.tolist())
        assert choice.facts["candidates"] <= 15
    for shorter, longer in itertools.pairwise(rankings):
        assert longer[: len(shorter)] == shorter
    assert sorted(rankings[-1]) == list(range(60))


def test_targets_are_drawn_by_content_and_the_answer_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near, "TARGETS", 5)
    w = world(30, targets=20, seed=2)
    ask, order = w.ask(4), np.random.default_rng(0).permutation(20)
    mixed = w.ask(4, target=w.target[order], target_hashes=ask.target_hashes[order])
    assert sampled(ask).tolist() == order[sampled(mixed)].tolist()
    assert len(set(sampled(ask).tolist())) == 5
    assert sampled(ask).tolist() != sampled(w.ask(4, seed=8)).tolist()
    rule = STRATEGIES["coverage"]
    assert isinstance(rule, Strategy)
    seen = begin_near(ask, None)
    seen.see(w.encodings())
    choice = rule.decide(seen, ask, w.encodings().take)
    assert choice is not None
    assert choice.facts == {"targets": 5, "candidates": 30}


def test_a_pool_whose_vectors_all_are_the_targets_is_chosen_by_content_hash() -> None:
    w = world(9, targets=1, seed=3)
    w.embeddings[:] = w.target
    by_hash = np.lexsort((w.hashes[:, 1], w.hashes[:, 0])).tolist()
    encodings = w.encodings()
    for name in ("transductive", "transport", "coverage"):
        rule = STRATEGIES[name]
        assert isinstance(rule, Strategy)
        seen = rule.begin(w.ask(9), None)
        seen.see(encodings)
        choice = rule.decide(seen, w.ask(9), encodings.take)
        assert choice is not None
        assert choice.rows.tolist() == by_hash
