"""Labels allotted to languages: evenly, or where a predictor says that they help most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polymux.progress import Progress
from polymux.selection.draws import draw_of_name

# Of plans, a row each: what is to be as large as can be.
Worth = Callable[[Int[np.ndarray, "plans languages"]], Float[np.ndarray, "plans"]]
# Two plans whose worth is this near are predicted the same; what differs is rounding.
SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Allotment:
    """Labels by language."""

    counts: Mapping[str, int]
    undecided: int
    """Labels of steps from which no gain was predicted in any language."""


def even(room: Mapping[str, int], budget: int) -> dict[str, int]:
    """The same of every language, up to what it has; what is left over goes to the first names."""
    counts = dict.fromkeys(room, 0)
    left = min(budget, sum(room.values()))
    while left:
        open_ = [name for name in sorted(room) if counts[name] < room[name]]
        each, over = divmod(left, len(open_))
        for place, name in enumerate(open_):
            more = min(each + (place < over), room[name] - counts[name])
            counts[name] += more
            left -= more
    return counts


def best(
    worth: Worth,
    room: Mapping[str, int],
    budget: int,
    *,
    step: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> Allotment:
    """Spend a budget greedily: each time on the language and the amount of most gain a label.

    Amounts are `step` and its doublings, up to all that is left, so that a gain which begins beyond
    one step is seen. Where the predicted gains are equal, the language with the fewest labels so
    far goes first, then the one of the smaller hash(seed, language). `room` is what each has.
    """
    names = sorted(room)
    space = np.array([room[name] for name in names], dtype=np.int64)
    turn = np.array([draw_of_name(seed, "litmus", name) for name in names], dtype=np.float64)
    counts = np.zeros(len(names), dtype=np.int64)
    total = left = int(min(budget, space.sum()))
    undecided = 0
    while left:
        which, amounts = _offers(space - counts, left, step)
        plans = np.repeat(counts[None, :], len(which), axis=0)
        plans[np.arange(len(which)), which] += amounts
        values = worth(np.concatenate([counts[None, :], plans]))
        gains = (values[1:] - values[0]) / amounts
        gains[np.abs(values[1:] - values[0]) < SAME] = 0.0
        top = np.flatnonzero(gains >= gains.max() - SAME / budget)
        pick = top[np.lexsort((turn[which[top]], amounts[top], counts[which[top]]))[0]]
        undecided += int(amounts[pick]) if gains[pick] <= 0 else 0
        counts = plans[pick]
        left -= int(amounts[pick])
        if progress is not None:
            progress("planning", total - left, total)
    return Allotment(dict(zip(names, counts.tolist(), strict=True)), undecided)


def _offers(
    room: Int[np.ndarray, "languages"], left: int, step: int
) -> tuple[Int[np.ndarray, "offers"], Int[np.ndarray, "offers"]]:
    """Every language that has room, with every amount that can be bought of it."""
    sizes = [left]
    while (size := step << (len(sizes) - 1)) < left:
        sizes.append(size)
    pairs = sorted(
        {(i, int(min(size, space))) for i, space in enumerate(room) if space for size in sizes}
    )
    which, amounts = zip(*pairs, strict=True)
    return np.array(which, dtype=np.int64), np.array(amounts, dtype=np.int64)
