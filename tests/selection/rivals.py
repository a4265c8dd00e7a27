"""Slow, obvious references for the strategies of later work, all in float64."""

from __future__ import annotations

import numpy as np
from tests.selection.worlds import World, distances

from polymux.selection import Ask

NOISE, SAME = 0.1, 1e-9


def in_order(w: World) -> list[int]:
    """Rows by content hash."""
    return sorted(range(len(w)), key=lambda i: (int(w.hashes[i, 0]), int(w.hashes[i, 1])))


def scale(w: World) -> float:
    return float(np.median(distances(w))) or float(distances(w).mean()) or 1.0


def highest(free: list[int], score: dict[int, float]) -> int:
    """The first, by content hash, of the largest up to rounding."""
    most = max(score[i] for i in free)
    return next(i for i in free if score[i] >= most - SAME * abs(most))


def kernel(w: World) -> np.ndarray:
    """Covariances of pool and targets together before any label, one pair at a time."""
    points = np.concatenate([w.embeddings, w.target]).astype(np.float64)
    squares = np.array([[np.square(a - b).sum() for b in points] for a in points])
    return np.exp(-squares / (2 * scale(w) ** 2))


def unknown(prior: np.ndarray, labelled: list[int], targets: int) -> float:
    """The variance at all targets once these are labelled, by inverting what is known."""
    at_targets = prior[-targets:, -targets:].trace()
    if not labelled:
        return float(at_targets)
    known = prior[np.ix_(labelled, labelled)] + NOISE * np.eye(len(labelled))
    across = prior[np.ix_(labelled, range(len(prior) - targets, len(prior)))]
    return float(at_targets - np.trace(across.T @ np.linalg.solve(known, across)))


def transductive(w: World, ask: Ask, weights: np.ndarray | None = None) -> list[int]:
    weights = np.ones(len(w)) if weights is None else weights
    prior, taken, targets = kernel(w), list[int](), len(w.target)
    while len(taken) < min(ask.budget, len(w)):
        free = [i for i in in_order(w) if i not in taken]
        before = unknown(prior, taken, targets)
        score = {i: weights[i] * (before - unknown(prior, [*taken, i], targets)) for i in free}
        taken.append(highest(free, score))
    return taken


def transductive_uncertainty(w: World, ask: Ask) -> list[int]:
    above = w.uncertainty - w.uncertainty.min()
    return transductive(w, ask, above if above.any() else None)


def coverage(w: World, ask: Ask) -> list[int]:
    table = distances(w)
    taken: list[int] = []
    now: list[int] = []
    none = 0.0
    while len(taken) < min(ask.budget, len(w)):
        free = [i for i in in_order(w) if i not in taken]
        if now:
            left = table[now].min(axis=0)
            score = {i: float(np.maximum(left - table[i], 0).sum()) for i in free}
        if not now or max(score.values()) <= none:
            score = {i: -float(table[i].sum()) for i in free}
            now = []
        pick = highest(free, score)
        none = none if now else 1e-6 * table[pick].sum()
        now.append(pick)
        taken.append(pick)
    return taken


def alike(w: World) -> np.ndarray:
    """How alike two of the pool are, by the kernel of Epanechnikov."""
    x = w.embeddings.astype(np.float64)
    squares = np.array([[np.square(a - b).sum() for b in x] for a in x])
    return np.maximum(1 - squares / (0.15 * scale(w)) ** 2, 0)


def plan(table: np.ndarray, share: np.ndarray, unit: float) -> np.ndarray:
    """Candidates x targets masses: every event in turn, every target filled anew."""
    targets = table.shape[1]
    lines = [sorted(range(len(table)), key=lambda i: table[i, t]) for t in range(targets)]

    def cost(t: int, level: float) -> float:
        """What another bit of level adds to the distance of this target's mass."""
        full = [i for n, i in enumerate(lines[t]) if share[lines[t][: n + 1]].sum() <= level + SAME]
        if len(full) == len(table):
            return np.inf
        turn = table[lines[t][len(full)], t]
        return float(sum((turn - table[i, t]) * share[i] for i in full))

    events = sorted(share[line[: n + 1]].sum() for line in lines for n in range(len(line)))
    level = next(s for s in events if sum(cost(t, s) for t in range(targets)) >= unit * targets)
    masses = np.zeros(table.shape)
    for t in range(targets):
        left = level
        for i in lines[t]:
            masses[i, t] = min(share[i], left)
            left = max(left - share[i], 0.0) if left > share[i] + SAME else 0.0
    return masses / (targets * level)


def transport(w: World, ask: Ask) -> list[int]:
    near = alike(w)
    table, share = distances(w), 1 / near.sum(axis=1)
    taken: list[int] = []
    held: dict[int, float] = {}
    kept: dict[int, float] = {}
    while len(taken) < min(ask.budget, len(w)):
        free = [i for i in in_order(w) if i not in taken]
        score = {i: h * kept[i] for i, h in held.items() if i in free and kept[i] > 1e-3}
        if not score:
            mass = dict(
                zip(free, plan(table[free], share[free], scale(w)).sum(axis=1), strict=True)
            )
            score = held = {i: sum(near[i, j] * mass[j] for j in free) for i in free if mass[i] > 0}
            kept = dict.fromkeys(free, 1.0)
        most = max(score.values())
        equal = [i for i in free if score.get(i, -1) >= most * (1 - SAME)]
        pick = min(equal, key=lambda i: table[i].min())
        taken.append(pick)
        kept = {i: k * (1 - near[i, pick]) for i, k in kept.items()}
    return taken


RIVALS = {
    "transductive": transductive,
    "transductive-uncertainty": transductive_uncertainty,
    "transport": transport,
    "coverage": coverage,
}
