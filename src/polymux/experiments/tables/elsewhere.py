"""Results made elsewhere, as CSV: what is not told is left open, and said to be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from polymux.errors import InputError
from polymux.experiments.results import text_of
from polymux.experiments.tables.grid import BASELINES, REFERENCES
from polymux.experiments.tables.paper import BEST_OF
from polymux.experiments.tables.rows import NO_SEED, RANDOM, UNTOLD, UNTOUCHED, Row

_NEEDED = ("strategy", "score")
_NAMES = ("model", "task", "config", "setting", "language")
_NUMBERS = ("budget", "seed", "round")
COLUMNS = (*_NAMES, *_NUMBERS, *_NEEDED)
_POINTS = 100
# No number of labels is longer, and Python reads none of thousands of digits.
_DIGITS = 18
# Names that mean something here in whatever case, and other names of what every table holds.
_MEANT = {name: name for name in (*BASELINES, *REFERENCES, *BEST_OF)}
_MEANT |= {"en-ft": UNTOUCHED, "start": UNTOUCHED, "rand": RANDOM}


def meant(strategy: str) -> str:
    """The name that a strategy has in the tables: its own, unless it is another one's here."""
    return _MEANT.get(strategy.lower(), strategy)


def read_csv(file: Path, notes: list[str]) -> Iterator[Row]:
    """Read the rows of a CSV or TSV with a header.

    Args:
        file: Its columns may be `COLUMNS`, of which strategy and score must be there.
        notes: What is not told and what was guessed is added to it.

    Raises:
        InputError: a column is missing, or a cell is not what its column holds.
    """
    text = text_of(file)
    comma = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        _check_columns(columns, file)
        lines = [(reader.line_num, _stripped(told, file, reader.line_num)) for told in reader]
    except csv.Error as error:
        raise InputError(
            f"not a table: {error}",
            "quote cells that hold commas, quotes or line ends",
            file=str(file),
            # The line that could not be read is not counted yet.
            line=min(reader.line_num, text.count("\n")) + 1,
        ) from error
    scores = [_score(told["score"], file, line) for line, told in lines]
    points = any(score > 1 for score in scores)
    notes.extend(_notes(file, columns, points=points))
    notes.extend(_renamed(file, [told["strategy"] for _, told in lines]))
    for (line, row), score in zip(lines, scores, strict=True):
        yield _row(row, score / _POINTS if points else score, file, line)


def _check_columns(columns: Sequence[str], file: Path) -> None:
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        others = any(";" in name for name in columns)
        raise InputError(
            f"no column {' and no column '.join(missing)} among {', '.join(columns)[:200]}",
            f"{'commas or tabs stand between columns, not ;. ' if others else ''}its "
            f"first line names the columns: {', '.join(COLUMNS)}; all but strategy and score "
            "may be missing",
            file=str(file),
            line=1,
        )
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise InputError(
            f"two columns {doubled[0]}", "name each column once", file=str(file), line=1
        )


def _stripped(told: Mapping[str | None, str | None], file: Path, line: int) -> dict[str, str]:
    if None in told or None in told.values():
        raise InputError(
            "more or fewer cells than the first line has",
            "give every row a cell for each column; quote cells that hold the delimiter",
            file=str(file),
            line=line,
        )
    return {name: cell.strip() for name, cell in told.items() if name and cell is not None}


def _score(cell: str, file: Path, line: int) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = float("nan")
    if not 0 <= score <= _POINTS:
        raise InputError(
            f"score is {cell[:40]!r}",
            "a score is a number from 0 to 1, or from 0 to 100, with a point",
            file=str(file),
            line=line,
        )
    return score


def _number(told: Mapping[str, str], name: str, untold: int, file: Path, line: int) -> int:
    cell = told.get(name, "")
    if not cell:
        return untold
    if cell.isascii() and cell.isdecimal() and len(cell) <= _DIGITS:
        return int(cell)
    raise InputError(
        f"{name} is {cell[:40]!r}",
        f"{name} is a whole number, 0 or more, of at most {_DIGITS} digits, or empty",
        file=str(file),
        line=line,
    )


def _row(told: Mapping[str, str], score: float, file: Path, line: int) -> Row:
    if not told["strategy"]:
        raise InputError("strategy is empty", "name one in each row", file=str(file), line=line)
    seed = _number(told, "seed", NO_SEED, file, line)
    return Row(
        model=told.get("model") or UNTOLD,
        task=told.get("task") or UNTOLD,
        config=told.get("config") or UNTOLD,
        setting=told.get("setting") or UNTOLD,
        language=told.get("language") or UNTOLD,
        strategy=meant(told["strategy"]),
        # One number tells of both: the luck of choosing and that of training stay together.
        choice_seed=seed,
        train_seed=seed,
        budget=_number(told, "budget", 0, file, line),
        round=_number(told, "round", 0, file, line),
        metric="score",
        score=score,
        file=str(file),
        line=line,
    )


def _notes(file: Path, columns: Sequence[str], *, points: bool) -> Iterator[str]:
    yield f"{file.name}: scores were taken as {'points of 100' if points else 'shares of 1'}."
    yield (
        f"{file.name} keeps no test examples apart: intervals over them cannot be given, those of "
        "its rows tell of seeds only."
    )
    untold = [name for name in (*_NAMES, *_NUMBERS) if name not in columns]
    if untold:
        yield f"{file.name} does not tell {', '.join(untold)}: its rows count as equal in that."
    unread = [name for name in columns if name not in COLUMNS]
    if unread:
        yield f"{file.name}: columns not read: {', '.join(unread)[:200]}."


def _renamed(file: Path, strategies: Sequence[str]) -> Iterator[str]:
    said = [
        f"{name[:40]} as {meant(name)}" for name in dict.fromkeys(strategies) if meant(name) != name
    ]
    if said:
        yield f"{file.name}: strategies were read under other names: {', '.join(said)}."
