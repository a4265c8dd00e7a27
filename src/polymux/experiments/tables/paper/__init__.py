"""The paper's figures, as printed, and what stands beside them here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from polymux.experiments.tables.grid import ALWAYS, Cell, Grid, Place
from polymux.experiments.tables.rows import UNTOUCHED

LOW_BUDGET = "low-budget"
# The paper's low-budget runs had one model and one target.
_ITS_MODEL, _ITS_TARGET = "XLM-R", "LP"
# What the paper compares with.
_BASE = "egalitarian"
# What the paper calls its own: the best of the three, picked by test scores.
BEST_OF = ("average-dist", "uncertainty", "knn-uncertainty")
_METHODS = {"en-ft": UNTOUCHED, "demux": "the best of average-dist, uncertainty, knn-uncertainty"}
# By the name without its owner.
_MODELS = {
    "xlm-roberta-large": "XLM-R",
    "infoxlm-large": "InfoXLM",
    "rembert": "RemBERT",
}
_TASKS = {"panx": "ner", "pan-x": "ner", "nli": "xnli", "qa": "tydiqa"}


@dataclass(frozen=True, slots=True)
class Beside:
    """A score of ours and the paper's of the same name, in [0, 1]; None where there is none."""

    place: Place
    budget: int
    strategy: str
    ours: float | None
    theirs: float | None
    their_model: str
    our_gain: float | None
    """Over egalitarian choice: what two models may be compared by."""
    their_gain: float | None

    @property
    def same_model(self) -> bool:
        """Whether the model is the paper's too."""
        return _model(self.place.model) == self.their_model


def beside(grid: Grid) -> Iterator[Beside]:
    """Our scores for which the paper prints one of the same task, target and strategy.

    Low budgets stand beside the paper's of the same number of labels; in every other setting the
    last budget of a target stands beside the paper's main results. Where our model is none of the
    paper's, XLM-R is taken. The untouched model and random choice are there in any case.
    """
    for place, cells in grid.places.items():
        for cell in cells:
            if place.setting == LOW_BUDGET:
                yield from _of_cell(cell, _low(cell), _ITS_MODEL)
            elif cell is cells[-1]:
                yield from _of_cell(cell, _main(place), _model(place.model) or _ITS_MODEL)


def _low(cell: Cell) -> Mapping[str, float]:
    if cell.place.config != _ITS_TARGET:
        return {}
    return {
        method: score
        for (task, budget, method), score in _figures("demux_low_budget").items()
        if (task, budget) == (_task(cell.place), f"{cell.budget}")
    }


def _main(place: Place) -> Mapping[str, float]:
    asked = _task(place), _model(place.model) or _ITS_MODEL, place.config
    figures = _figures("demux_main").items()
    return {method: score for (*at, method), score in figures if tuple(at) == asked}


def _of_cell(cell: Cell, printed: Mapping[str, float], their_model: str) -> Iterator[Beside]:
    theirs = {_METHODS.get(method, method): score for method, score in printed.items()}
    shared = [name for name in theirs if _ours(cell, name) is not None]
    for strategy in dict.fromkeys([*ALWAYS, *shared]) if shared else ():
        ours, score = _ours(cell, strategy), theirs.get(strategy)
        yield Beside(
            place=cell.place,
            budget=cell.budget,
            strategy=strategy,
            ours=ours,
            theirs=score,
            their_model=their_model,
            our_gain=_apart(strategy, ours, _ours(cell, _BASE)),
            their_gain=_apart(strategy, score, theirs.get(_BASE)),
        )


def _apart(strategy: str, score: float | None, base: float | None) -> float | None:
    return None if score is None or base is None or strategy == _BASE else score - base


def _ours(cell: Cell, strategy: str) -> float | None:
    if strategy == _METHODS["demux"]:
        mean: Callable[[str], float] = cell.mean
        there = [name for name in BEST_OF if name in cell.runs]
        return max(map(mean, there)) if len(there) == len(BEST_OF) else None
    return cell.mean(strategy) if strategy in cell.runs else None


def _task(place: Place) -> str:
    name = place.task.lower()
    return _TASKS.get(name, name)


def _model(name: str) -> str | None:
    own = name.rpartition("/")[2].lower()
    return _MODELS.get(own) or next((m for m in _MODELS.values() if m.lower() == own), None)


@cache
def _figures(name: str) -> Mapping[tuple[str, ...], float]:
    """One file of the paper's figures; all columns but the last are its key."""
    text = (files("polymux.experiments.tables.paper") / f"{name}.csv").read_text(encoding="utf-8")
    _, *rows = csv.reader(text.splitlines())
    return {tuple(key): float(score) / 100 for *key, score in rows}
