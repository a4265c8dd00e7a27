"""The maps that `polymux simulate` left beside its results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymux.errors import InputError
from polymux.experiments.maps import maps_of
from polymux.experiments.tables.grid import is_rival
from polymux.experiments.tables.rows import RANDOM, Row, title

if TYPE_CHECKING:
    from polymux.report.results.record import Plane

# No embedding lies so far out; a drawing cannot hold what does.
_FAR = 1e6

Places = Sequence[Sequence[float]]


def planes_of(rows: Sequence[Row]) -> Iterator[Plane]:
    """Random choice and every strategy of each configuration; nothing of results from elsewhere.

    Other baselines look as random choice does, and gold lies where the target is.

    Raises:
        InputError: a map cannot be read.
    """
    places = dict.fromkeys((row.file, row.setting, row.task, row.model, row.config) for row in rows)
    there = {file: maps_of(Path(file).parent) for file in {row.file for row in rows}}
    number = 0
    for file, setting, task, model, config in places:
        map_file = there[file].get((model, config))
        if map_file is None:
            continue
        pool, target, chosen, explained = _read(map_file)
        for strategy, found in chosen.items():
            if strategy != RANDOM and not is_rival(strategy):
                continue
            yield {
                "key": f"map{number}",
                "title": title(strategy, config, task, model, setting, f"{explained:.0%}"),
                "strategy": strategy,
                "pool": pool,
                "target": target,
                "chosen": found,
            }
            number += 1


def _read(file: Path) -> tuple[Places, Places, Mapping[str, Places], float]:
    """Places of the pool, of the target, of the choice by strategy; the variance they show."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        pool, target = (_pairs(told[group]) for group in ("pool", "target"))
        chosen = {name: _pairs(found) for name, found in told["chosen"].items()}
        return pool, target, chosen, min(1.0, sum(map(float, told["explained"])))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        hint = "delete it: polymux simulate draws it again, and trains nothing for that"
        raise InputError("not a map of choices", hint, file=str(file)) from error


def _pairs(places: Any) -> Places:
    pairs = [(float(x), float(y)) for x, y in places]
    if not all(abs(value) < _FAR for pair in pairs for value in pair):
        raise ValueError("not a place")
    return pairs
