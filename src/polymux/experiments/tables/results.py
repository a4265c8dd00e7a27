"""Results of experiments, read from JSON lines or from tables made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import InputError
from polymux.experiments.results import Result, read_results, results_file
from polymux.experiments.tables.elsewhere import read_csv
from polymux.experiments.tables.rows import NO_SEED, Row


@dataclass(frozen=True, slots=True)
class Results:
    """All rows of some files, and what a reader of them should know."""

    rows: Sequence[Row]
    notes: Sequence[str]
    files: Sequence[str]


def read(paths: Sequence[Path]) -> Results:
    """Read results of `polymux simulate` and tables made elsewhere.

    Args:
        paths: JSON lines, CSV files with a header, or folders that hold a `results.jsonl`.

    Raises:
        InputError: a file or a line of it cannot be used, or two rows tell of the same training.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    notes: list[str] = []
    files = [results_file(path) for path in paths]
    for file in files:
        read_rows = read_csv if file.suffix.lower() in {".csv", ".tsv"} else _read_lines
        its_rows = list(read_rows(file, notes))
        for row in its_rows:
            _add(rows, row)
        if not its_rows:
            raise InputError("no results in it", "give a file with at least one", file=str(file))
    return Results(list(rows.values()), notes, [str(file) for file in files])


def _add(rows: dict[tuple[Any, ...], Row], row: Row) -> None:
    there = rows.setdefault(row.key, row)
    if there is row or there.score == row.score:
        return
    raise InputError(
        f"{row.strategy} at {row.budget} labels in {row.language} has two scores: "
        f"{row.score:g} here, {there.score:g} at {there.file}:{there.line}",
        "tell them apart by a seed, or by setting, task, model or config, or give one of them",
        file=row.file,
        line=row.line,
    )


def _read_lines(file: Path, notes: list[str]) -> Iterator[Row]:
    return map(_row, read_results(file))


def _row(line: Result) -> Row:
    counts = line.fields.get("counts")
    if counts is not None and not isinstance(counts, str):
        raise line.wrong("counts", "the path of a file beside this one, or null")
    return Row(
        model=line.text("model"),
        task=line.text("task"),
        config=line.text("config"),
        setting=line.text("setting"),
        strategy=line.text("strategy"),
        choice_seed=line.count("choice_seed", none=NO_SEED),
        train_seed=line.count("train_seed", none=NO_SEED),
        budget=line.count("budget"),
        round=line.count("round", none=0),
        language=line.text("language"),
        metric=line.text("metric"),
        score=line.score,
        file=str(line.file),
        line=line.line,
        counts=line.file.parent / counts if counts else None,
        chosen=line.chosen,
        experiment=f"{line.fields.get('experiment') or ''}",
    )
