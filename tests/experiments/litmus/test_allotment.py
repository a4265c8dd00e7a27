"""Labels allotted: evenly by hand, greedily where the best is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.experiments.litmus.allotment import best, even

ROOM = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 60), min_size=1)


def nothing(plans: np.ndarray) -> np.ndarray:
    return np.zeros(len(plans))


def test_even_gives_the_same_to_all_and_what_is_left_over_to_the_first_names() -> None:
    assert even({"b": 9, "a": 9, "c": 9}, 8) == {"b": 3, "a": 3, "c": 2}
    assert even({"b": 1, "a": 9, "c": 9}, 8) == {"b": 1, "a": 4, "c": 3}
    assert even({"b": 1, "a": 2}, 8) == {"b": 1, "a": 2}


@given(ROOM, st.integers(1, 200), st.integers(1, 50), st.integers(0, 9))
def test_every_plan_sums_to_the_budget_and_buys_no_more_than_there_is(
    room: dict[str, int], budget: int, step: int, seed: int
) -> None:
    def worth(plans: np.ndarray) -> np.ndarray:
        weights = np.arange(1, plans.shape[1] + 1) - 3.0
        return np.sqrt(plans) @ weights

    for counts in (
        even(room, budget),
        best(worth, room, budget, step=step, seed=seed).counts,
        best(nothing, room, budget, step=step, seed=seed).counts,
    ):
        assert sum(counts.values()) == min(budget, sum(room.values()))
        assert all(0 <= counts[name] <= space for name, space in room.items())


def test_the_best_of_all_plans_is_found_where_gains_only_shrink() -> None:
    weights = np.array([1.0, 3.0, 2.0])

    def worth(plans: np.ndarray) -> np.ndarray:
        return np.log1p(plans) @ weights

    room = {"a": 8, "b": 5, "c": 8}
    plans = [p for p in product(range(9), range(6), range(9)) if sum(p) == 10]
    top = max(plans, key=lambda p: worth(np.array([p]))[0])
    found = best(worth, room, 10, step=1)
    assert tuple(found.counts.values()) == top
    assert found.undecided == 0


def test_a_gain_that_begins_beyond_one_step_is_seen() -> None:
    def worth(plans: np.ndarray) -> np.ndarray:
        return np.where(plans[:, 1] >= 40, 1.0, 0.0)

    found = best(worth, {"a": 100, "b": 100}, 50, step=10)
    assert found.counts == {"a": 10, "b": 40}
    assert found.undecided == 10


def test_where_no_gain_is_predicted_labels_are_given_out_evenly_and_counted() -> None:
    found = best(nothing, {"a": 100, "b": 100, "c": 5}, 45, step=10, seed=3)
    assert found.counts["c"] == 5
    assert sorted(found.counts.values()) == [5, 20, 20]
    assert found.undecided == 45


def test_a_loss_in_every_language_is_spent_where_it_is_least() -> None:
    def worth(plans: np.ndarray) -> np.ndarray:
        return plans @ np.array([-2.0, -1.0])

    found = best(worth, {"a": 100, "b": 30}, 50, step=10)
    assert found.counts == {"a": 20, "b": 30}
    assert found.undecided == 50


def test_the_seed_decides_between_equals_and_nothing_else() -> None:
    room = dict.fromkeys("abcdef", 10)
    found = {
        tuple(best(nothing, room, 10, step=10, seed=seed).counts.values()) for seed in range(40)
    }
    assert len(found) == 6
    one, other = (
        best(lambda plans: plans @ np.arange(6.0), room, 30, step=5, seed=seed) for seed in (0, 1)
    )
    assert one == other


def test_progress_tells_how_many_labels_are_given_out() -> None:
    told: list[tuple[str, int, int | None]] = []
    best(nothing, {"a": 9}, 6, step=2, progress=lambda *args: told.append(args))
    assert told == [("planning", 2, 6), ("planning", 4, 6), ("planning", 6, 6)]


@pytest.mark.parametrize("budget", [1, 7])
def test_a_step_larger_than_the_budget_is_the_budget(budget: int) -> None:
    assert best(nothing, {"a": 9}, budget, step=100).counts == {"a": budget}
