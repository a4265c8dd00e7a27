"""Results of experiments, read from JSON lines or from tables made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import InputError
from polymux.experiments.tables.elsewhere import read_csv
from polymux.experiments.tables.rows import NO_SEED, Row

RESULTS = "results.jsonl"


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
    files = [path / RESULTS if path.is_dir() else path for path in paths]
    for file in files:
        if not file.is_file():
            raise InputError(
                "there is no such file of results",
                f"give a {RESULTS} of polymux simulate, its folder, or a CSV with columns "
                "strategy and score",
                file=str(file),
            )
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
    try:
        lines = file.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} is not UTF-8", "save it as UTF-8", file=str(file)
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(_parsed(line, file, number), file, number)


def _parsed(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"not JSON: {line[:60]}",
            f"each line of {RESULTS} is a JSON object; the last one may have been cut off",
            file=str(file),
            line=number,
        ) from error
    if isinstance(told, dict):
        return told
    raise InputError(
        f"not an object: {line[:60]}",
        f"each line of {RESULTS} is a JSON object",
        file=str(file),
        line=number,
    )


def _row(told: Mapping[str, Any], file: Path, line: int) -> Row:
    def bad(name: str, wanted: str) -> InputError:
        there = f"is {json.dumps(told[name])[:40]}" if name in told else "is missing"
        hint = f"{name} is {wanted}"
        return InputError(f"{name} {there}", hint, file=str(file), line=line)

    def text(name: str) -> str:
        value = told.get(name)
        if isinstance(value, str) and value:
            return value
        raise bad(name, "a text that is not empty")

    def number(name: str, *, none: int | None = None) -> int:
        value = told.get(name, none)
        if value is None and none is not None:
            return none
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise bad(name, "a whole number, 0 or more")

    score = told.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
        raise bad("score", "a number between 0 and 1")
    chosen = told.get("chosen") or {}
    if not isinstance(chosen, dict) or not all(isinstance(n, int) for n in chosen.values()):
        raise bad("chosen", "an object of languages and numbers")
    counts = told.get("counts")
    if counts is not None and not isinstance(counts, str):
        raise bad("counts", "the path of a file beside this one, or null")
    return Row(
        model=text("model"),
        task=text("task"),
        config=text("config"),
        setting=text("setting"),
        strategy=text("strategy"),
        choice_seed=number("choice_seed", none=NO_SEED),
        train_seed=number("train_seed", none=NO_SEED),
        budget=number("budget"),
        round=number("round", none=0),
        language=text("language"),
        metric=text("metric"),
        score=float(score),
        file=str(file),
        line=line,
        counts=file.parent / counts if counts else None,
        chosen=chosen,
        experiment=f"{told.get('experiment') or ''}",
    )
