"""The strategies of later work: what one sees by hand, and what other ways of computing say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from activeft.acquisition_functions.vtl import VTL
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.selection.rivals import alike as likeness
from tests.selection.rivals import scale
from tests.selection.worlds import distances, world

from polymux.selection import select_encoded
from polymux.selection.transport import Spread


def chosen(
    source: list[list[float]],
    target: list[list[float]],
    strategy: str,
    budget: int,
    unsure: list[float] | None = None,
) -> list[int]:
    x, t = (np.array(vectors, dtype=np.float32) for vectors in (source, target))
    u = np.zeros(len(x)) if unsure is None else np.array(unsure)
    return select_encoded(x, u, t, budget=budget, strategy=strategy).tolist()


# Two groups of targets; the pool has three near the first, one near the second, one far away.
TARGETS = [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [10.0, 0.0]]
POOL = [[0.0, 1.0], [-0.1, 1.0], [0.0, 1.2], [10.0, 0.5], [50.0, 50.0]]


@pytest.mark.parametrize("strategy", ["transductive", "coverage"])
def test_the_second_pick_serves_the_targets_that_the_first_left_alone(strategy: str) -> None:
    assert chosen(POOL, TARGETS, strategy, 2) == [0, 3]
    assert chosen(POOL, TARGETS, "average-dist", 2) == [0, 1]


def test_coverage_starts_anew_without_the_chosen_when_no_gain_is_left() -> None:
    # Each of three pairs of equal vectors lies on one of three targets.
    spots = [[0.0], [4.0], [10.0]]
    pool = [*spots, *spots]
    order = chosen(pool, spots, "coverage", 6)
    assert order == [1, 2, 0, 4, 5, 3]


def test_uncertainty_weighs_the_gain_and_the_surest_comes_last() -> None:
    pool = [[0.0], [1.0], [1.1]]
    assert chosen(pool, [[0.0]], "transductive", 3)[0] == 0
    assert chosen(pool, [[0.0]], "transductive-uncertainty", 3, [-1.0, -0.9, 0.0]) == [2, 1, 0]
    # Only what lies above the surest counts: a measure may start anywhere.
    assert chosen(pool, [[0.0]], "transductive-uncertainty", 3, [6.0, 6.1, 7.0]) == [2, 1, 0]
    same = chosen(pool, [[0.0]], "transductive-uncertainty", 3, [0.3, 0.3, 0.3])
    assert same == chosen(pool, [[0.0]], "transductive", 3)


def test_transport_pays_near_duplicates_once() -> None:
    # Four equal examples are nearest to the target, two others are not much farther.
    pool = [[1.0, 0.0]] * 4 + [[0.0, 1.2], [-1.3, 0.0], [9.0, 9.0]]
    assert chosen(pool, [[0.0, 0.0]], "transport", 3) == [0, 4, 5]
    assert chosen(pool, [[0.0, 0.0]], "round-robin", 3) == [0, 1, 2]


def test_transport_prefers_what_several_targets_are_near_to() -> None:
    # The last is nearest to none of the targets, but each of them turns to it next.
    pool = [[0.0, 10.0], [0.0, -10.0], [10.0, 0.0], [0.0, 0.0]]
    target = [[0.0, 12.0], [0.0, -12.0], [12.0, 0.0]]
    assert chosen(pool, target, "transport", 1) == [3]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_the_plan_of_transport_costs_what_the_linear_program_does(seed: int, ties: bool) -> None:
    w = world(14, targets=3, seed=seed, ties=ties)
    table, share, unit = distances(w), 1 / likeness(w).sum(axis=1), scale(w)
    count, targets = table.shape
    spread = Spread(table, share, unit)
    level = spread.level()
    given_to = np.zeros((targets, count))
    np.put_along_axis(given_to, spread.order, spread.given(level), axis=1)
    masses = given_to / (targets * level)
    assert masses.sum(axis=1) == pytest.approx(1 / targets)

    def price(masses: np.ndarray) -> float:
        return float((masses * table.T).sum() / unit + targets * (masses / share).max())

    # Masses, and last the largest of them over its share.
    cost = np.append(table.T.ravel() / unit, targets)
    most = np.hstack([np.diag(np.tile(1 / share, targets)), -np.ones((targets * count, 1))])
    rows = np.hstack([np.kron(np.eye(targets), np.ones(count)), np.zeros((targets, 1))])
    best = linprog(
        cost,
        A_ub=most,
        b_ub=np.zeros(len(most)),
        A_eq=rows,
        b_eq=np.full(targets, 1 / targets),
    )
    assert best.status == 0
    assert price(masses) == pytest.approx(best.fun, rel=1e-7)


class Rbf(torch.nn.Module):
    """The kernel, as activeft asks for it."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = torch.nn.Parameter(torch.tensor(width, dtype=torch.float64))

    def kernel(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(torch.cdist(x, other) ** 2) / (2 * self.width.detach() ** 2))


@pytest.mark.parametrize("seed", range(6))
def test_transductive_picks_what_activeft_does(seed: int) -> None:
    w = world(50, targets=6, dim=4, seed=seed)
    source, target = (torch.from_numpy(v.astype(np.float64)) for v in (w.embeddings, w.target))
    rule = VTL(target=target, noise_std=np.sqrt(0.1))
    state = rule.initialize(Rbf(scale(w)), source, torch.device("cpu"))
    picks: list[int] = []
    for _ in range(15):
        # activeft may take an example again: a second label of it tells something too.
        scores = rule.compute(state).numpy().copy()
        scores[picks] = -np.inf
        picks.append(int(scores.argmax()))
        state = rule.step(state, picks[-1])
    ours = select_encoded(w.embeddings, w.uncertainty, w.target, budget=15, strategy="transductive")
    assert ours.tolist() == picks
