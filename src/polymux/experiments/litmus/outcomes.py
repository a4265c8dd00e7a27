"""What experiments showed, as far as whole languages go: labels by language in, a score out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import InputError, UsageError

RESULTS = "results.jsonl"
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
        file = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
        for number, line in _lines(file):
            read += 1
            record = _record(line, str(file), number)
            kind = record.get("kind", record.get("task"))
            if kind != task or any(str(record.get(of)) != value for of, value in wanted.items()):
                other += 1
                continue
            outcome = _outcome(record, str(file), number)
            if not outcome.chosen and record["labels"]:
                nameless += 1
                continue
            for name, values in seen.items():
                values[str(record.get(name))] = None
            rows.append(outcome)
    for name, values in seen.items():
        if len(values) > 1:
            raise UsageError(
                f"the results are of several: {name} {', '.join(values)}",
                f"keep one of them: --only {name}={next(iter(values))}",
            )
    alike = {name: next(iter(values)) for name, values in seen.items() if values}
    return Outcomes(tuple(rows), alike, read, other, nameless)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, with their numbers."""
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise InputError(
            "there are no results here",
            f"give a file of JSON lines, or a folder with a {RESULTS}",
            file=str(file),
        ) from None
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not UTF-8"
        raise InputError(where, "save the results as UTF-8", file=str(file)) from None


def _record(line: str, file: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise InputError(
            f"not a result: {line.strip()[:80]}",
            "give results as JSON lines, an object a line; a pattern after --source or --target "
            "must be quoted, else its files are taken for results",
            file=file,
            line=number,
        )
    return record


def _outcome(record: Mapping[str, Any], file: str, number: int) -> Outcome:
    """The record as an outcome, if it is one."""
    language, score = record.get("language"), record.get("score")
    # Of an experiment without languages it may be null.
    chosen = record.get("chosen") or {}
    faults = {
        "language": not (isinstance(language, str) and language),
        "score": not _is_number(score) or not 0 <= float(score) <= 1,  # type: ignore[arg-type]
        "labels": not _is_count(record.get("labels")),
        "chosen": not isinstance(chosen, dict) or not all(map(_is_count, chosen.values())),
    }
    wrong = [name for name, is_wrong in faults.items() if is_wrong]
    if wrong:
        raise InputError(
            f"a result with no usable {' and no usable '.join(wrong)}",
            "a result has the tested language, a score in [0, 1], labels (a whole number), and "
            "chosen (an object of whole numbers by language)",
            file=file,
            line=number,
        )
    bought = {name: count for name, count in chosen.items() if count}
    if "" in bought:
        # Labels of which nobody noted the language.
        bought = {}
    return Outcome(str(language), float(score), bought)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
