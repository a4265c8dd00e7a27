"""A cell of an experiment: one training and its scores, kept as two files.

`cells/MODEL/CONFIGURATION/STRATEGY/cC-tT-bB.json` holds its rows, the `.npz` beside it the parts of
the score of every test example. A file says what it was made of, so that results of other settings
are never taken for these.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.evaluate import label
from polymux.experiments.settings import UNTOUCHED
from polymux.folders import write_text
from polymux.intervals import Parts
from polymux.records import Example
from polymux.tasks import TASKS

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Which training of an experiment it is."""

    model: str
    configuration: str
    strategy: str
    choice_seed: int | None
    train_seed: int | None
    """None: the untouched start model, of which there is one."""
    budget: int
    """Labels so far."""
    round: int

    @property
    def name(self) -> str:
        """Its place below `cells`, without a suffix."""
        place = f"{self.model}/{self.configuration}/{self.strategy}"
        if self.strategy == UNTOUCHED:
            return place
        return f"{place}/c{self.choice_seed}-t{self.train_seed}-b{self.budget}"


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model scores in one language."""

    scores: Mapping[str, float]
    """The task's main one first, in [0, 1]."""
    parts: Parts
    """Each test example's parts of the main score."""


def scored(model: Model, tests: Mapping[str, Sequence[Example]]) -> dict[str, Scored]:
    """Predict and score the test examples of each language."""
    task = TASKS[model.task]
    found = {}
    for language, examples in tests.items():
        gold = [one.label for one in examples if one.label is not None]
        told = label(model, examples)
        found[language] = Scored(task.score(gold, told), task.counts(gold, told))
    return found


def kept(out: Path, cell: Cell, made_of: str) -> list[Row] | None:
    """The rows of a cell that was made before of the same; None: it was not.

    Raises:
        UsageError: it was made of something else.
    """
    file = out / "cells" / f"{cell.name}.json"
    if not file.is_file():
        return None
    told = json.loads(file.read_text(encoding="utf-8"))
    if told["of"] != made_of:
        raise UsageError(
            f"{file} was made with other settings, data or start model",
            "give --out another folder, or delete what no longer holds",
        )
    rows: list[Row] = told["rows"]
    return rows


def keep(
    out: Path,
    cell: Cell,
    made_of: str,
    told: Mapping[str, Any],
    chosen: Sequence[Example],
    found: Mapping[str, Scored],
    seconds: Mapping[str, float],
) -> list[Row]:
    """Write a cell, the counts first; gives its rows, a language each.

    Args:
        out: The experiment's folder.
        cell: Which it is.
        made_of: A name for all that decides it.
        told: What the rows say of the experiment: its name, corpus, setting.
        chosen: The labelled examples, best first.
        found: The scores by language.
        seconds: What choosing, training and scoring took.
    """
    file = out / "cells" / f"{cell.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    counts = file.with_suffix(".npz")
    draft = file.with_name(f".{file.stem}.part.npz")
    parts: dict[str, Any] = {name: one.parts for name, one in found.items()}
    np.savez_compressed(draft, **parts)
    draft.replace(counts)
    languages = Counter(one.language or "" for one in chosen)
    rows = [
        {
            **told,
            "model": cell.model,
            "config": cell.configuration,
            "strategy": cell.strategy,
            "choice_seed": cell.choice_seed,
            "train_seed": cell.train_seed,
            "budget": cell.budget,
            "round": cell.round,
            "language": language,
            "metric": next(iter(one.scores)),
            "score": next(iter(one.scores.values())),
            "scores": dict(one.scores),
            "examples": len(one.parts),
            "labels": len(chosen),
            "chosen": dict(languages.most_common()),
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "counts": counts.relative_to(out).as_posix(),
        }
        for language, one in found.items()
    ]
    content = {"of": made_of, "chosen": [one.id for one in chosen], "rows": rows}
    write_text(file, json.dumps(content, ensure_ascii=False) + "\n", force=True)
    return rows


def chosen_ids(out: Path, cell: Cell) -> list[str]:
    """What a cell that is there was trained on."""
    file = out / "cells" / f"{cell.name}.json"
    ids: list[str] = json.loads(file.read_text(encoding="utf-8"))["chosen"]
    return ids
