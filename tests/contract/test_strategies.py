"""What every strategy of the table must keep, whatever its rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.selection.rivals import RIVALS
from tests.selection.worlds import REFERENCES, World, world

from polymux.records import Encodings
from polymux.selection import STRATEGIES, Strategy, choose, look_at
from polymux.selection.knn_uncertainty import begin_nearest

STREAMING = {name: rule for name, rule in STRATEGIES.items() if isinstance(rule, Strategy)}


def answer(
    name: str, w: World, budget: int, cuts: list[int] | None = None, **options: object
) -> list[int]:
    """The choice as content, when the pool comes in shards cut at these places."""
    encodings = w.encodings()
    edges = [0, *sorted(cuts or []), len(w)]

    def shards() -> list[Encodings]:
        rows = np.arange(len(w))
        return [encodings.take(rows[a:b]) for a, b in itertools.pairwise(edges)]

    found = choose(
        {name: (STREAMING[name], w.ask(budget, **options))},
        [budget],
        look_at(shards),
        encodings.take,
    )
    return [int(row) for row in found[name, budget].rows]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", REFERENCES | RIVALS)
@pytest.mark.parametrize(("size", "budget"), [(1, 1), (3, 5), (40, 7), (60, 59), (90, 30)])
def test_equals_the_slow_obvious_reference(name: str, size: int, budget: int, ties: bool) -> None:
    w = world(size, seed=size + budget, ties=ties)
    assert answer(name, w, budget) == (REFERENCES | RIVALS)[name](w, w.ask(budget))


@pytest.mark.parametrize("first", [1, 3, 50, 10**10])
@pytest.mark.parametrize("targets", [1, 2])
def test_k_follows_its_doublings_up_to_the_pool(first: int, targets: int) -> None:
    w = world(90, targets=targets, seed=targets)
    for budget in (1, 17, 33, 70):
        expected = REFERENCES["knn-uncertainty"](w, w.ask(budget, k=first))
        assert answer("knn-uncertainty", w, budget, k=first) == expected


@pytest.mark.parametrize("budget", [1025, 1500])
def test_lists_are_never_longer_than_the_doubling_that_one_target_needs(budget: int) -> None:
    w = world(3000, targets=1)
    for size in (None, 10**6):
        assert begin_nearest(w.ask(budget), size).k == 2048
        assert begin_nearest(w.ask(2048, more_than_budget=True), size).k == 4096
        assert begin_nearest(w.ask(budget, candidates=2.0), size).k == 4096
        assert begin_nearest(w.ask(budget, k=3), size).k == {1025: 1536, 1500: 1536}[budget]


@pytest.mark.parametrize("name", STREAMING)
def test_a_longer_ranking_begins_with_the_shorter_one(name: str) -> None:
    w = world(300, targets=2, seed=3)
    encodings = w.encodings()
    rankings = []
    for depth in (20, 33, 80, 200, 300):
        ask, size, choice = w.ask(20, depth=depth, quotas={"aa": 1}), 1, None
        while choice is None:
            seen = STREAMING[name].begin(ask, size)
            seen.see(encodings)
            choice = STREAMING[name].decide(seen, ask, encodings.take)
            size *= 4
        rankings.append(choice.rows.tolist())
    if name not in ("uncertainty-knn", "plan", "same-distribution"):
        assert all(rankings[-1][: len(shorter)] == shorter for shorter in rankings)
    assert all(len(set(ranking)) == len(ranking) for ranking in rankings)


@pytest.mark.parametrize("name", STREAMING)
def test_a_choice_is_exactly_the_budget_without_repeats(name: str) -> None:
    for size, budget in [(1, 1), (5, 9), (50, 12), (300, 299)]:
        chosen = answer(name, world(size, seed=size), budget, quotas={"aa": 1, "bb": 1, "cc": 1})
        assert len(chosen) == min(budget, size)
        assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("name", STREAMING)
@given(data=st.data())
def test_any_split_into_shards_gives_the_same_choice(name: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    w = world(size, seed=size, ties=data.draw(st.booleans()))
    cuts = data.draw(st.lists(st.integers(0, size), max_size=6))
    budget = data.draw(st.integers(1, size))
    assert answer(name, w, budget, cuts) == answer(name, w, budget)


@pytest.mark.parametrize("name", STREAMING)
@given(seed=st.integers(0, 1000), size=st.integers(2, 60))
def test_permuting_the_pool_permutes_the_choice_and_nothing_else(
    name: str, seed: int, size: int
) -> None:
    w = world(size, seed=seed, ties=seed % 2 == 0)
    order = np.random.default_rng(seed).permutation(size)
    budget = max(1, size // 3)
    there = [int(order[row]) for row in answer(name, w.permuted(order), budget)]
    assert there == answer(name, w, budget)


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_summaries_merge_in_any_order_to_the_same_choice(name: str, order: tuple[int, ...]) -> None:
    w = world(80, seed=4, ties=True)
    encodings, ask, rule = w.encodings(), w.ask(15), STREAMING[name]
    whole = rule.begin(ask, None)
    whole.see(encodings)
    parts = []
    for rows in np.array_split(np.arange(80), 4):
        part = rule.begin(ask, None)
        part.see(encodings.take(rows))
        parts.append(part)
    merged = rule.begin(ask, None)
    for index in order:
        merged.merge(parts[index])  # type: ignore[arg-type]
    one, other = (rule.decide(s, ask, encodings.take) for s in (whole, merged))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.rows.tolist() == other.rows.tolist()


@pytest.mark.parametrize("name", [n for n, r in STREAMING.items() if r.is_prefix_consistent])
def test_a_prefix_consistent_choice_for_less_is_the_beginning_of_the_choice_for_more(
    name: str,
) -> None:
    w = world(120, seed=8, ties=True)
    longest = answer(name, w, 100)
    for budget in (1, 2, 10, 57):
        assert answer(name, w, budget) == longest[:budget]


@pytest.mark.parametrize("name", ["knn-uncertainty", "uncertainty-knn"])
def test_the_others_are_not_prefix_consistent(name: str) -> None:
    w = world(120, seed=8)
    assert any(answer(name, w, budget) != answer(name, w, 60)[:budget] for budget in range(1, 60))


@pytest.mark.parametrize("name", [name for name, rule in STREAMING.items() if not rule.is_drawn])
def test_no_language_is_used_by_strategies_that_do_not_draw(name: str) -> None:
    w = world(60, seed=2)
    other = World(w.embeddings, w.uncertainty, ("xx",) * 60, w.hashes, w.target)
    assert answer(name, w, 20) == answer(name, other, 20)


@pytest.mark.parametrize("name", ["random", "egalitarian", "gold", "plan", "same-distribution"])
def test_another_seed_draws_another_choice(name: str) -> None:
    w = world(200, seed=2)
    assert answer(name, w, 40) != answer(name, w, 40, seed=8)


def test_different_purposes_draw_different_examples() -> None:
    w = world(500, seed=3)
    chosen = {name: set(answer(name, w, 50)) for name in ("random", "gold", "egalitarian")}
    assert len(chosen["random"] & chosen["gold"]) < 25
    assert len(chosen["random"] & chosen["egalitarian"]) < 25


@pytest.mark.parametrize("name", STREAMING)
def test_with_near_duplicates_the_choice_keeps_apart_and_still_meets_the_budget(name: str) -> None:
    w = world(200, seed=6, ties=True)
    encodings = w.encodings()
    ask = w.ask(12, quotas={"aa": 1, "bb": 1, "cc": 1})
    found = choose(
        {name: (STREAMING[name], ask)},
        [12],
        look_at(lambda: [encodings]),
        encodings.take,
        near_duplicates=0.5,
    )
    vectors = w.embeddings[found[name, 12].rows].astype(np.float64)
    gaps = np.sqrt(np.square(vectors[:, None] - vectors[None]).sum(axis=-1))
    assert len(vectors) == 12
    assert gaps[~np.eye(12, dtype=bool)].min() >= 0.5


@pytest.mark.parametrize("name", STREAMING)
def test_several_budgets_from_one_look_are_the_choices_made_alone(name: str) -> None:
    w = world(150, seed=11)
    encodings = w.encodings()
    found = choose(
        {name: (STREAMING[name], w.ask(1))},
        [3, 40, 90],
        look_at(lambda: [encodings]),
        encodings.take,
    )
    for budget in (3, 40, 90):
        assert found[name, budget].rows.tolist() == answer(name, w, budget)
