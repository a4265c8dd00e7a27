"""Two answers to one question: does rounding explain where they differ?

Two runs of a model differ in the last digits, so each key that a strategy compares is known to a
tolerance. An answer is the same *up to a tie* if keys within their tolerances give it: whatever it
ranked or left out against the keys of this run is nearer to equal than two tolerances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from polymux.selection.ask import Ask
from polymux.selection.average_dist import weighted_target
from polymux.selection.distance import Target
from polymux.selection.knn_uncertainty import begin_nearest, reach
from polymux.selection.round_robin import turns_of
from polymux.selection.summaries import Nearest, Smallest
from polymux.selection.transductive import alike, unsure
from polymux.selection.twice import Gap, Twice, gaps, ranked, slack
from polymux.selection.uncertainty import least_sure, looked_at, nearest_target
from polymux.selection.ways import follow_coverage, follow_transductive, follow_transport

Weigh = Callable[[Twice], list[Gap]]


def _average_dist(twice: Twice) -> list[Gap]:
    """The mean distance to the target decides."""
    target, weights = weighted_target(twice.ask)
    outside = twice.outside(twice.now)
    embeddings = twice.fetch(np.concatenate([twice.then, outside])).embeddings
    keys = target.mean(embeddings, weights)
    cut = len(twice.then)
    near = slack(target, embeddings)
    return ranked(twice, keys[:cut], outside, keys[cut:], "mean distance", near)


def _unsure(twice: Twice, rows: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """-u, the smaller the less sure."""
    if len(rows) == 0:
        return np.empty(0)
    return -twice.fetch(rows).of_measure(twice.ask.measure).astype(np.float64)


def _uncertainty(twice: Twice) -> list[Gap]:
    """The uncertainty decides."""
    outside = twice.outside(twice.now)
    keys, others = _unsure(twice, twice.then), _unsure(twice, outside)
    return ranked(twice, keys, outside, others, "-uncertainty", 2 * twice.tolerance)


def _uncertainty_knn(twice: Twice) -> list[Gap]:
    """The distance to the nearest target decides, among the least sure."""
    ask, wide = twice.ask, looked_at(twice.ask)
    seen = Smallest(wide + 1, least_sure(ask.measure))
    twice.look(seen)
    inside, apart = seen.rows[:wide], 2 * twice.tolerance
    outside = twice.outside(inside)
    keys = nearest_target(twice.then, ask, twice.fetch)
    others = nearest_target(outside, ask, twice.fetch) if len(outside) else np.empty(0)
    distances = slack(Target.of(ask.target, ask.distance), twice.fetch(twice.then).embeddings)
    comparison = "distance to the nearest target"
    if len(seen.rows) <= wide:
        return ranked(twice, keys, outside, others, comparison, distances)
    leaving = seen.keys[wide] - _unsure(twice, outside)
    entered = twice.then[~np.isin(twice.then, inside)]
    unsure = _unsure(twice, entered)
    among = f"-uncertainty among the {wide:,} least sure"
    is_out = (keys.max() - others > distances) & (leaving <= apart)
    return [
        *gaps(entered, among, unsure, unsure - seen.keys[wide - 1], apart),
        *gaps(outside[is_out], among, others[is_out], leaving[is_out], apart),
        *ranked(twice, keys, outside[~is_out], others[~is_out], comparison, distances),
    ]


def _knn_uncertainty(twice: Twice) -> list[Gap]:
    """The uncertainty decides, among the candidates C: the union of every target's k nearest."""
    k_now, measure = int(twice.facts_now["k"]), twice.ask.measure
    k = int(twice.facts.get("k", k_now))
    seen = Nearest(2 * max(k, k_now) + 1, Target.of(twice.ask.target, twice.ask.distance), measure)
    twice.look(seen)
    vectors = twice.fetch(twice.then).embeddings
    near, apart = slack(seen.target, vectors), 2 * twice.tolerance
    inside, leaving = _leaving(seen, k)
    outside = twice.outside(inside)
    leaving = leaving[np.isin(inside, outside)]
    keys, others = _unsure(twice, twice.then), _unsure(twice, outside)
    is_new = ~np.isin(twice.then, inside)
    entering = _to_enter(seen, k, vectors[is_new])
    is_out = (keys.max() - others > apart) & (leaving <= near)
    among = f"distance among the {k:,} nearest of a target"
    return [
        *_count(twice, seen, k, k_now, near),
        *gaps(twice.then[is_new], among, keys[is_new], entering, near),
        *gaps(outside[is_out], among, others[is_out], leaving[is_out], near),
        *ranked(twice, keys, outside[~is_out], others[~is_out], "-uncertainty", apart),
    ]


def _count(twice: Twice, seen: Nearest, k: int, k_now: int, near: float) -> list[Gap]:
    """|C| against the budget: as many candidates as it takes must be nearly in, or nearly out."""
    if k == k_now:
        return []
    enough = reach(twice.ask)
    if k > k_now:
        at = _before(twice.ask, k)
        _, margins = _leaving(seen, at)
        size = len(margins)
        missing = size - (enough - 1)
        there = twice.facts.get("candidates_at_half_k", "fewer") if at == k // 2 else "fewer"
    else:
        at = k
        size, margins = len(_leaving(seen, at)[0]), _entering(seen, at)
        missing = enough - size
        there = twice.facts.get("candidates", "more")
    decides = np.sort(margins)[missing - 1] if 1 <= missing <= len(margins) else np.inf
    what = f"|C| = {size:,} at k = {at:,} here, {there} there"
    return [Gap(None, what, float(size), float(decides), near)]


def _before(ask: Ask, k: int) -> int:
    """The k that was found too small before this one."""
    if ask.candidates is not None:
        return k - 1
    before = ask.k
    while 2 * before < k:
        before *= 2
    return before


def _leaving(seen: Nearest, k: int) -> tuple[Int[np.ndarray, "c"], Float[np.ndarray, "c"]]:
    """The candidates at k, and by how much each would have to move to be none."""
    width = seen.rows.shape[1]
    room = seen.distances[:, k] if k < width else np.full(len(seen.rows), np.inf)
    return _extreme(seen.rows[:, :k], room[:, None] - seen.distances[:, :k], np.maximum)


def _entering(seen: Nearest, k: int) -> Float[np.ndarray, "m"]:
    """By how much each of those just behind the candidates at k would have to move to be one."""
    behind, margins = _extreme(
        seen.rows[:, k:], seen.distances[:, k:] - seen.distances[:, k - 1 : k], np.minimum
    )
    return margins[~np.isin(behind, seen.rows[:, :k])]


def _extreme(
    rows: Int[np.ndarray, "targets n"], margins: Float[np.ndarray, "targets n"], of: np.ufunc
) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Each row once, with the largest or the smallest of its margins."""
    held = rows >= 0
    unique, place = np.unique(rows[held], return_inverse=True)
    best = np.full(len(unique), -np.inf if of is np.maximum else np.inf)
    of.at(best, place, margins[held])
    return unique, best


def _to_enter(
    seen: Nearest, k: int, embeddings: Float[np.ndarray, "n dim"]
) -> Float[np.ndarray, "n"]:
    """By how much each of these would have to move to be a candidate at k."""
    last = seen.distances[:, min(k, seen.rows.shape[1]) - 1]
    return np.array([(seen.target.all(row[None])[0] - last).min() for row in embeddings])


def _round_robin(twice: Twice) -> list[Gap]:
    """The distances to the target whose turn it is decide, of what is not used yet.

    The other run is followed turn by turn: a swap early moves later turns, which differ no more
    once what was used is taken from its own answer.
    """
    ask = replace(twice.ask, k=1, candidates=None)
    size: int | None = None
    while True:
        seen = begin_nearest(ask, size)
        twice.look(seen)
        turns = np.resize(turns_of(ask), len(twice.then))
        place = np.zeros(len(seen.rows), dtype=np.int64)
        used: set[int] = set()
        nearest: list[tuple[int, float]] = []
        for row, target in zip(twice.then.tolist(), turns.tolist(), strict=True):
            held = seen.rows[target].tolist()
            while place[target] < len(held) and held[place[target]] in used:
                place[target] += 1
            if place[target] == len(held):
                break
            nearest.append((held[place[target]], seen.distances[target, place[target]]))
            used.add(row)
        if len(nearest) == len(twice.then):
            break
        size = 4 * seen.k
    embeddings = twice.fetch(twice.then).embeddings
    taken = seen.target.pairs(embeddings, turns)
    rows, distances = (np.array(column) for column in zip(*nearest, strict=True))
    other = rows != twice.then
    return gaps(
        twice.then[other],
        "distance to the target whose turn it is",
        taken[other],
        (taken - distances)[other],
        slack(seen.target, embeddings),
    )


# Which comparisons decide between in and out; a strategy that is not here draws or is the user's
# own: its answer is the same or it is not.
TIES: dict[str, Weigh] = {
    "average-dist": _average_dist,
    "uncertainty": _uncertainty,
    "knn-uncertainty": _knn_uncertainty,
    "uncertainty-knn": _uncertainty_knn,
    "round-robin": _round_robin,
    "transductive": follow_transductive(alike),
    "transductive-uncertainty": follow_transductive(unsure),
    "transport": follow_transport,
    "coverage": follow_coverage,
}


def weigh(name: str, twice: Twice, near_duplicates: float | None) -> list[Gap]:
    """What the answer of then has against the keys of now; nothing if no comparison explains it.

    With `near_duplicates` each choice depends on those before it: the first difference is weighed.
    """
    if near_duplicates is None:
        return TIES[name](twice)
    first = int(np.flatnonzero(twice.then != twice.now)[0])
    ends = twice.then[: first + 1], twice.now[: first + 1]
    short = replace(twice, then=ends[0], now=ends[1], first_only=True)
    passed_over = _near_duplicates(short, near_duplicates)
    if any(gap.is_tie for gap in passed_over):
        return [gap for gap in passed_over if gap.is_tie]
    return TIES[name](short)


def _near_duplicates(twice: Twice, least: float) -> list[Gap]:
    """The distance of each of the two that differ to the nearest ranked before it."""
    if len(twice.then) == 1:
        return []
    before = Target.of(twice.fetch(twice.then[:-1]).embeddings, twice.ask.distance)
    rows = np.array([twice.then[-1], twice.now[-1]])
    embeddings = twice.fetch(rows).embeddings
    keys = before.nearest_distance(embeddings)
    comparison = f"distance to an earlier choice, against {least:g}"
    return gaps(rows, comparison, keys, np.abs(keys - least), slack(before, embeddings))
