"""How much of each language is kept, and how much of it is drawn when (METHOD.md 2.1, 2.3).

A sampling is a function from the languages' sizes to a `Mix`, by name in `SAMPLINGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from polymux.distill.text.blocks import Block, Rows
from polymux.errors import UsageError

Sizes = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Mix:
    """What of each language is kept, and its share of what is drawn."""

    kept: Mapping[str, float]
    """By language, in the unit that sizes were given in."""
    phases: Sequence[tuple[float, Mapping[str, float]]]
    """Until which part of the run (the last: 1) languages are drawn by which shares, of sum 1."""


def all_data(sizes: Sizes, budget: float, options: Mapping[str, float]) -> Mix:
    """Everything is kept and drawn by its size: c_L = |C_L| (alpha = 1)."""
    return Mix(dict(sizes), [(1.0, _normal(sizes))])


def balanced(sizes: Sizes, budget: float, options: Mapping[str, float]) -> Mix:
    """Each language is cut to c_L = c_min (|C_L| / c_min)^alpha; alpha 0 makes all equal."""
    smallest = min(sizes.values())
    alpha = options.get("alpha", 0.0)
    kept = {language: smallest * (size / smallest) ** alpha for language, size in sizes.items()}
    return Mix(kept, [(1.0, _normal(kept))])


def temperature(sizes: Sizes, budget: float, options: Mapping[str, float]) -> Mix:
    """Everything is kept and drawn by size^tau: small languages are repeated."""
    return Mix(dict(sizes), [(1.0, _tempered(sizes, options.get("tau", 0.5)))])


def unimax(sizes: Sizes, budget: float, options: Mapping[str, float]) -> Mix:
    """An equal part of the budget for each, smallest first, at most N epochs of it (2304.09151)."""
    epochs = options.get("epochs", 4.0)
    left, drawn = budget, {}
    order = sorted(sizes, key=lambda language: (sizes[language], language))
    for place, language in enumerate(order):
        drawn[language] = min(left / (len(order) - place), epochs * sizes[language])
        left -= drawn[language]
    return Mix(dict(sizes), [(1.0, _normal({language: drawn[language] for language in sizes}))])


def annealed(sizes: Sizes, budget: float, options: Mapping[str, float]) -> Mix:
    """By size^0.7, from 60 % of the run size^0.5, in the cool-down size^0.3 (2509.06888)."""
    steps = ((0.6, 0.7), (0.8, 0.5), (1.0, 0.3))
    return Mix(dict(sizes), [(until, _tempered(sizes, tau)) for until, tau in steps])


SAMPLINGS: dict[str, Callable[[Sizes, float, Mapping[str, float]], Mix]] = {
    "all": all_data,
    "balanced": balanced,
    "temperature": temperature,
    "unimax": unimax,
    "annealed": annealed,
}


# What of `options` each looks at.
OPTIONS: dict[str, tuple[str, ...]] = {
    "balanced": ("alpha",),
    "temperature": ("tau",),
    "unimax": ("epochs",),
}


def check_options(name: str, options: Mapping[str, float]) -> None:
    """Refuse an option that a sampling does not look at."""
    known = OPTIONS.get(name, ())
    for option in options:
        if option not in known:
            raise UsageError(
                f"the sampling {name} has no option {option!r}",
                f"known here: {', '.join(known) or 'none'}",
            )


def sampling_named(name: str) -> Callable[[Sizes, float, Mapping[str, float]], Mix]:
    """A sampling by its name."""
    if name not in SAMPLINGS:
        raise UsageError(f"no sampling {name!r}", f"choose one of: {', '.join(SAMPLINGS)}")
    return SAMPLINGS[name]


def _normal(sizes: Sizes) -> dict[str, float]:
    total = sum(sizes.values())
    return {language: size / total for language, size in sizes.items()}


def _tempered(sizes: Sizes, tau: float) -> dict[str, float]:
    return _normal({language: size**tau for language, size in sizes.items()})


@dataclass(frozen=True, slots=True)
class Draw:
    """Which rows each update reads: languages in even turns, each in an order of its own a pass."""

    rows: Sequence[Rows]
    """By language."""
    counts: Int[np.ndarray, "_ languages"]
    """How many rows of each language were drawn before an update."""
    seed: int

    @classmethod
    def planned(
        cls,
        rows: Mapping[str, Rows],
        phases: Sequence[tuple[float, Mapping[str, float]]],
        *,
        updates: int,
        rows_an_update: int,
        seed: int,
    ) -> Draw:
        """A draw whose counts follow the phases' shares of *rows* as closely as whole rows can."""
        ends = np.array([until for until, _ in phases])
        table = np.array([[shares[language] for language in rows] for _, shares in phases])
        middle = (np.arange(updates) + 0.5) / updates
        wanted = np.cumsum(table[np.searchsorted(ends, middle)], axis=0) * rows_an_update
        counts = np.zeros((updates + 1, len(rows)), np.int64)
        for update in range(updates):
            counts[update + 1] = _whole(wanted[update], counts[update], rows_an_update)
        return cls(list(rows.values()), counts, seed)

    def __call__(self, update: int) -> list[list[Block]]:
        """The rows of an update, languages mixed, as one batch."""
        drawn = []
        for language, rows in enumerate(self.rows):
            first, last = (int(self.counts[update + i, language]) for i in (0, 1))
            for place in range(first, last):
                passes, position = divmod(place, len(rows))
                index = int(self._order(language, passes)[position])
                drawn.append(Block(language, index, passes, rows[index]))
        order = np.random.default_rng([self.seed, 1, update]).permutation(len(drawn))
        return [[drawn[i] for i in order]]

    def _order(self, language: int, passes: int) -> Int[np.ndarray, "_"]:
        # A permutation of some thousand rows takes less than a row takes to train on.
        draw = np.random.default_rng([self.seed, 0, language, passes])
        return draw.permutation(len(self.rows[language]))

    @property
    def epochs(self) -> list[float]:
        """By language: how often its kept rows are read."""
        drawn = self.counts[-1]
        return [float(n) / len(rows) for n, rows in zip(drawn, self.rows, strict=True)]


def _whole(
    wanted: Float[np.ndarray, "_"], before: Int[np.ndarray, "_"], more: int
) -> Int[np.ndarray, "_"]:
    """Counts that exceed `before` by `more` in all, each as near to what is wanted as can be."""
    lacking = np.maximum(wanted - before, 0.0)
    lacking *= more / max(lacking.sum(), 1e-12)
    added = np.floor(lacking + 1e-9).astype(np.int64)
    rest = more - int(added.sum())
    # Ties go to the earlier language.
    added[np.argsort(-(lacking - added), kind="stable")[:rest]] += 1
    counts: Int[np.ndarray, "_"] = before + added
    return counts
