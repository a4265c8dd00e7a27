"""What experiments showed, as far as whole languages go: labels by language in, a score out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polymux.errors import UsageError
from polymux.experiments.results import Result, read_results, results_file

# Scores of different ones of these are not to be learned from together.
ALIKE = ("task", "model", "metric")
ONLY = (*ALIKE, "experiment", "config", "setting", "strategy")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One training: what was bought in which languages, and how good the model was in one."""

    language: str
    """The one that was tested."""
    score: float
    """In [0, 1]."""
    chosen: Mapping[str, int]
    """Labels by language, of all rounds so far; none of the untouched start model."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of one task, model and metric."""

    rows: tuple[Outcome, ...]
    alike: Mapping[str, str]
    """The task, model and metric that all of them have."""
    read: int
    """Lines that there were."""
    other: int
    """Lines of another kind of task, or of what was not asked for."""
    nameless: int
    """Lines whose labels have no languages."""


def read_outcomes(
    paths: Sequence[str | Path], task: str, only: Mapping[str, str] | None = None
) -> Outcomes:
    """Read the lines of results of one kind of task, and `only` those with these values.

    A path is a file of JSON lines, or a folder with a `results.jsonl`. The kind of a line is its
    `kind`, as `polymux simulate` writes it beside the name of the corpus; where it has none, its
    `task`.

    Raises:
        InputError: no such file, or a line that is no result.
        UsageError: `only` names no field of `ONLY`, or what is left has several corpora, models or
            metrics.
    """
    wanted = only or {}
    unknown = sorted(set(wanted) - set(ONLY))
    if unknown:
        raise UsageError(
            f"results cannot be told apart by {', '.join(unknown)}",
            f"write --only NAME=VALUE with one of: {', '.join(ONLY)}",
        )
    rows: list[Outcome] = []
    seen: dict[str, dict[str, None]] = {name: {} for name in ALIKE}
    read = other = nameless = 0
    for path in paths:
        for result in read_results(results_file(path)):
            read += 1
            told = result.fields
            kind = told.get("kind", told.get("task"))
            if kind != task or any(str(told.get(of)) != value for of, value in wanted.items()):
                other += 1
                continue
            outcome = _outcome(result)
            if result.count("labels") and not outcome.chosen:
                nameless += 1
                continue
            for name, values in seen.items():
                values[str(told.get(name))] = None
            rows.append(outcome)
    for name, values in seen.items():
        if len(values) > 1:
            raise UsageError(
                f"the results are of several: {name} {', '.join(values)}",
                f"keep one of them: --only {name}={next(iter(values))}",
            )
    alike = {name: next(iter(values)) for name, values in seen.items() if values}
    return Outcomes(tuple(rows), alike, read, other, nameless)


def _outcome(result: Result) -> Outcome:
    """The line as an outcome, if it is one."""
    bought = {name: count for name, count in result.chosen.items() if count}
    if "" in bought:
        # Labels of which nobody noted the language.
        bought = {}
    return Outcome(result.text("language"), result.score, bought)
