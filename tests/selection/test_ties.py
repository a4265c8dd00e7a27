"""Whether rounding explains two answers: noise within the tolerances does, other keys do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.selection.worlds import World, world

from polymux.selection import STRATEGIES, Choice, Strategy, choose, look_at, near
from polymux.selection.ties import TIES, weigh
from polymux.selection.twice import Gap, Twice

U = 1e-5


def on_a_line(places: list[float], unsure: list[float], targets: list[float]) -> World:
    count = len(places)
    return World(
        np.array(places, dtype=np.float32)[:, None],
        np.array(unsure),
        ("aa",) * count,
        np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.uint64),
        np.array(targets, dtype=np.float32)[:, None],
    )


def answer(name: str, w: World, budget: int, least: float | None = None, **options) -> Choice:
    rule, encodings = STRATEGIES[name], w.encodings()
    assert isinstance(rule, Strategy)
    asked = {name: (rule, w.ask(budget, **options))}
    found = choose(
        asked, [budget], look_at(lambda: [encodings]), encodings.take, near_duplicates=least
    )
    return found[name, budget]


def weighed(
    name: str, then: Choice, w: World, budget: int, least: float | None = None, **options
) -> list[Gap]:
    """What an answer of then has against this world."""
    encodings, now = w.encodings(), answer(name, w, budget, least, **options)
    twice = Twice(
        w.ask(budget, **options),
        then.rows,
        now.rows,
        then.facts,
        now.facts,
        U,
        lambda: [encodings],
        encodings.take,
    )
    return weigh(name, twice, least)


def shaken(w: World, seed: int) -> World:
    """As a run would give it: two of them are no farther apart than is promised."""
    rng = np.random.default_rng(seed)

    def off(vectors: np.ndarray) -> np.ndarray:
        noise = rng.normal(size=vectors.shape)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        noise *= 0.45e-5 * np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors + noise).astype(np.float32)

    noise = rng.uniform(-0.45 * U, 0.45 * U, len(w))
    return replace(
        w,
        embeddings=off(w.embeddings),
        uncertainty=w.uncertainty + noise,
        target=off(w.target),
    )


@pytest.mark.parametrize("distance", ["l2", "cosine"])
@pytest.mark.parametrize("name", TIES)
@settings(max_examples=12)
@given(data=st.data())
def test_noise_within_the_tolerances_is_always_a_tie(name, distance, data) -> None:
    size = data.draw(st.integers(4, 60))
    budget = data.draw(st.integers(1, size - 1))
    seed = data.draw(st.integers(0, 10**6))
    options = {
        "distance": distance,
        "candidates": data.draw(st.sampled_from([None, 1.5])),
        "ratio": data.draw(st.sampled_from([1.0, 2.0])),
    }
    # Few distinct vectors and uncertainties: the noise alone decides between most of them.
    w = world(size, targets=data.draw(st.integers(1, 6)), seed=seed, ties=True)
    then = answer(name, shaken(w, seed), budget, **options)
    now = answer(name, shaken(w, seed + 1), budget, **options)
    assume(then.rows.tolist() != now.rows.tolist())
    found = weighed(name, then, shaken(w, seed + 1), budget, **options)
    assert found
    assert [gap for gap in found if not gap.is_tie] == []


@pytest.mark.parametrize("name", TIES)
@settings(max_examples=12)
@given(data=st.data())
def test_an_example_put_in_by_hand_is_never_a_tie(name, data) -> None:
    size = data.draw(st.integers(30, 60))
    w = world(size, seed=data.draw(st.integers(0, 10**6)))
    now = answer(name, w, 10, ratio=2.0)
    rows = now.rows.copy()
    left_out = np.setdiff1d(np.arange(size), rows)
    rows[data.draw(st.integers(0, 9))] = data.draw(st.sampled_from(left_out.tolist()))
    found = weighed(name, Choice(rows, now.facts), w, 10, ratio=2.0)
    assert any(not gap.is_tie for gap in found)


@pytest.mark.parametrize("name", TIES)
@settings(max_examples=12)
@given(data=st.data())
def test_two_swapped_ranks_are_no_tie(name, data) -> None:
    w = world(40, seed=data.draw(st.integers(0, 10**6)))
    now = answer(name, w, 10, ratio=2.0)
    rows = now.rows.copy()
    one, other = data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True))
    rows[[one, other]] = rows[[other, one]]
    assert any(not gap.is_tie for gap in weighed(name, Choice(rows, now.facts), w, 10, ratio=2.0))


def test_every_strategy_that_compares_keys_of_the_model_has_its_comparison() -> None:
    draws = {"random", "egalitarian", "gold", "same-distribution", "plan"}
    assert TIES.keys() == STRATEGIES.keys() - draws


def test_one_candidate_fewer_than_the_budget_is_a_tie_only_if_its_distance_is() -> None:
    # Both targets have 0.5 between them; 1.5 is as near to the second. Then it was a hair farther,
    # so |C| was 1 at k = 1, k doubled, and the least sure of what came in was taken.
    unsure, targets = [0.1, 0.2, 0.9], [0.0, 1.0]
    then = answer("knn-uncertainty", on_a_line([0.5, 1.50001, -1.0], unsure, targets), 2)
    assert then.facts["k"] == 2
    w = on_a_line([0.5, 1.49999, -1.0], unsure, targets)
    assert answer("knn-uncertainty", w, 2).facts["k"] == 1
    (gap,) = weighed("knn-uncertainty", then, w, 2)
    assert gap.comparison == "|C| = 2 at k = 1 here, 1 there"
    assert gap.is_tie
    assert gap.gap == pytest.approx(1e-5, rel=0.05)
    farther = on_a_line([0.5, 1.4, -1.0], unsure, targets)
    (gap,) = weighed("knn-uncertainty", then, farther, 2)
    assert not gap.is_tie
    assert gap.gap == pytest.approx(0.1, rel=1e-4)


def test_one_candidate_more_than_then_is_a_tie_the_other_way_round() -> None:
    unsure, targets = [0.1, 0.2, 0.9], [0.0, 1.0]
    then = answer("knn-uncertainty", on_a_line([0.5, 1.49999, -1.0], unsure, targets), 2)
    (gap, *others) = weighed(
        "knn-uncertainty", then, on_a_line([0.5, 1.50001, -1.0], unsure, targets), 2
    )
    assert gap.comparison == "|C| = 1 at k = 1 here, 2 there"
    assert gap.is_tie
    assert all(other.is_tie for other in others)
    strange = weighed("knn-uncertainty", then, on_a_line([0.5, 1.6, -1.0], unsure, targets), 2)
    assert not strange[0].is_tie


def test_the_gap_is_that_of_the_keys_and_names_both_examples() -> None:
    w = on_a_line([0.0] * 4, [0.5, 0.3, 0.3 - 1e-5, 0.1], [0.0])
    then = Choice(np.array([0, 2]))
    gaps = weighed("uncertainty", then, w, 2)
    assert {gap.row for gap in gaps} == {1, 2}
    assert [gap.gap for gap in gaps] == pytest.approx([1e-5, 1e-5])
    assert all(gap.is_tie and gap.comparison == "-uncertainty" for gap in gaps)
    then = Choice(np.array([0, 3]))
    assert [g.gap for g in weighed("uncertainty", then, w, 2) if g.row == 3] == pytest.approx([0.2])


def test_a_swap_in_an_early_turn_moves_later_turns_and_stays_a_tie() -> None:
    # Two targets share their nearest two, which are as far from each.
    w = on_a_line([1.0, -1.0, 3.0, -4.0], [0.0] * 4, [0.0, 0.0])
    turned = replace(w, embeddings=np.array([[1.00001], [-1.0], [3.0], [-4.0]], dtype=np.float32))
    then, now = answer("round-robin", turned, 4), answer("round-robin", w, 4)
    assert then.rows.tolist() == [1, 0, 2, 3]
    assert now.rows.tolist() == [0, 1, 2, 3]
    gaps = weighed("round-robin", then, w, 4)
    assert [gap.row for gap in gaps] == [1]
    assert gaps[0].is_tie
    assert not weighed("round-robin", Choice(np.array([2, 0, 1, 3])), w, 4)[0].is_tie


def test_passing_over_a_near_duplicate_is_a_tie_where_its_distance_is() -> None:
    # 1.0 is nearest; 1.5 is 0.5 away, what counts as near; then 3.0.
    w = on_a_line([1.0, 1.5, 3.0, 9.0], [0.0] * 4, [0.0])
    nearer = on_a_line([1.0, 1.499995, 3.0, 9.0], [0.0] * 4, [0.0])
    then = answer("average-dist", nearer, 2, least=0.5)
    assert then.rows.tolist() == [0, 2]
    assert answer("average-dist", w, 2, least=0.5).rows.tolist() == [0, 1]
    gaps = weighed("average-dist", then, w, 2, least=0.5)
    assert [gap.is_tie for gap in gaps] == [True]
    assert gaps[0].row == 1
    farther = on_a_line([1.0, 1.6, 3.0, 9.0], [0.0] * 4, [0.0])
    assert not any(gap.is_tie for gap in weighed("average-dist", then, farther, 2, least=0.5))


GREEDY = ["coverage", "transductive", "transductive-uncertainty", "transport"]


@pytest.mark.parametrize("name", GREEDY)
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6))
def test_a_pick_among_passed_over_near_duplicates_is_a_tie_where_its_key_is(name, seed) -> None:
    w = world(40, targets=3, seed=seed, ties=True)
    then = answer(name, shaken(w, seed), 8, 0.3)
    now = answer(name, shaken(w, seed + 1), 8, 0.3)
    assume(then.rows.tolist() != now.rows.tolist())
    found = weighed(name, then, shaken(w, seed + 1), 8, 0.3)
    assert found
    assert [gap for gap in found if not gap.is_tie] == []


@pytest.mark.parametrize("name", GREEDY)
def test_a_pick_from_the_end_of_a_ranking_without_near_duplicates_is_no_tie(name) -> None:
    w = world(40, targets=3, seed=1)
    now, last = answer(name, w, 8, 0.3), answer(name, w, 40).rows[-1]
    (gap,) = weighed(name, Choice(np.append(now.rows[:3], [last])), w, 4, 0.3)
    assert gap.row == last
    assert not gap.is_tie


def test_a_pick_that_is_no_candidate_is_held_against_the_lists(monkeypatch) -> None:
    # At k = 1 the two targets have the first two, and only those, as candidates.
    monkeypatch.setattr(near, "CANDIDATES", 2)
    w = on_a_line([0.0, 9.0, 9.00001, 4.0], [0.0] * 4, [0.0, 9.0])
    now = answer("coverage", w, 2)
    assert sorted(now.rows.tolist()) == [0, 1]
    other = np.where(now.rows == 1, 2, now.rows)
    (gap,) = weighed("coverage", Choice(other), w, 2)
    assert gap.comparison == "distance among the 1 nearest of a target"
    assert gap.is_tie
    far = np.where(now.rows == 1, 3, now.rows)
    (gap,) = weighed("coverage", Choice(far), w, 2)
    assert gap.gap == pytest.approx(4)
    assert not gap.is_tie


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "gold"])
@pytest.mark.parametrize("least", [None, 0.4])
def test_budgets_and_strategies_asked_together_answer_as_alone(name, least) -> None:
    w = world(200, targets=5, dim=2, seed=4)
    encodings = w.encodings()
    budgets = [3, 11, 30]
    asked = {
        other: (rule, w.ask(3, ratio=1.0))
        for other, rule in STRATEGIES.items()
        if isinstance(rule, Strategy)
    }
    found = choose(
        asked, budgets, look_at(lambda: [encodings]), encodings.take, near_duplicates=least
    )
    for budget in budgets:
        alone = answer(name, w, budget, least, ratio=1.0)
        assert found[name, budget].rows.tolist() == alone.rows.tolist()
        assert found[name, budget].facts == alone.facts
