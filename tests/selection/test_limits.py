"""A ranking under limits: what one sees by hand, and what no walk may do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.selection.ask import Choice
from polymux.selection.limits import Limits, Terms, within


def walked(
    costs: Sequence[float],
    languages: Sequence[str] | None = None,
    groups: Sequence[int | None] | None = None,
    *,
    budget: float,
    **limits: object,
) -> tuple[list[int], dict[str, object], bool]:
    count = len(costs)
    named, grouped = languages or [""] * count, groups or [None] * count

    def terms(rows: np.ndarray) -> Terms:
        at = rows.tolist()
        return Terms(
            np.array([costs[i] for i in at], dtype=float),
            [named[i] for i in at],
            [grouped[i] for i in at],
        )

    made = Limits(terms, budget, min(costs), **limits)  # type: ignore[arg-type]
    choice, is_full = within(Choice(np.arange(count)), 1, made)
    return choice.rows.tolist(), dict(choice.facts), is_full


def test_what_no_longer_fits_is_skipped_and_the_walk_goes_on() -> None:
    rows, facts, is_full = walked([5.0, 4.0, 1.0, 3.0, 1.0], budget=7.0)
    assert rows == [0, 2, 4]
    assert facts == {"spent": 7.0, "passed_over": {"cost": 2}}
    assert is_full


def test_what_is_left_may_buy_something_further_down() -> None:
    rows, _, is_full = walked([5.0, 4.0], budget=8.0)
    assert rows == [0]
    # Something of cost 3 may follow, but nothing costs less than 4 here.
    assert is_full
    assert not walked([5.0, 2.0], budget=9.5)[2]


def test_minimums_come_first_and_the_ranking_stays() -> None:
    rows, facts, _ = walked(
        [1.0] * 6, ["a", "a", "a", "b", "a", "b"], budget=3.0, at_least={"b": 2}
    )
    assert rows == [0, 3, 5]
    assert "at_least_short" not in facts


def test_a_minimum_that_the_ranking_cannot_give_asks_for_a_longer_one() -> None:
    rows, facts, is_full = walked([1.0] * 3, ["a", "a", "b"], budget=2.0, at_least={"b": 2})
    assert rows == [0, 2]
    assert facts["at_least_short"] == {"b": 1}
    assert not is_full


def test_maximums_and_groups_pass_over() -> None:
    rows, facts, _ = walked([1.0] * 5, list("aabab"), [1, 2, 1, 3, 4], budget=4.0, at_most={"a": 2})
    assert rows == [0, 1, 4]
    assert facts["passed_over"] == {"one_of": 1, "at_most": 1}
    rows, _, _ = walked([1.0] * 3, None, [1, 2, None], budget=3.0, taken=frozenset([1]))
    assert rows == [1, 2]


worlds = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from("abc"), st.sampled_from([None, 1, 2, 3])),
    min_size=1,
    max_size=25,
)


@given(
    worlds,
    st.integers(1, 60),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 4)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 4)),
)
def test_nothing_affordable_and_allowed_is_left_out(
    world: list[tuple[int, str, int | None]],
    budget: int,
    least: dict[str, int],
    most: dict[str, int],
) -> None:
    least = {name: min(n, most.get(name, n)) for name, n in least.items()}
    costs = [float(cost) for cost, _, _ in world]
    languages = [name for _, name, _ in world]
    groups = [group for _, _, group in world]
    rows, facts, _ = walked(
        costs, languages, groups, budget=float(budget), at_least=least, at_most=most
    )
    spent = sum(costs[row] for row in rows)
    held = Counter(languages[row] for row in rows)
    taken = Counter(groups[row] for row in rows if groups[row] is not None)
    assert rows == sorted(set(rows))
    assert facts["spent"] == pytest.approx(spent)
    assert spent <= budget
    assert all(held[name] <= count for name, count in most.items())
    assert not taken or max(taken.values()) == 1
    for row in set(range(len(world))) - set(rows):
        assert (
            spent + costs[row] > budget
            or held[languages[row]] >= most.get(languages[row], np.inf)
            or groups[row] in taken
        )
    if not least and not most and len(set(costs)) == 1 and set(groups) == {None}:
        assert rows == list(range(len(rows)))
