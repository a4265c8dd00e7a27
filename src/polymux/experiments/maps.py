"""Where choices lie: the pool, the target and what each strategy chose, in one plane."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from polymux.encoders import Model
from polymux.experiments.cells import Cell, chosen_ids
from polymux.experiments.pools import Setting
from polymux.experiments.settings import UNTOUCHED
from polymux.folders import write_text
from polymux.prescribe.card import plane
from polymux.progress import Progress
from polymux.records import Example
from polymux.report.map import evenly

# Examples of each that are drawn; all are read in parts of so many.
POOL, TARGET, CHOSEN, PART = 300, 100, 300, 500


def maps_of(out: Path) -> dict[tuple[str, str], Path]:
    """The maps of an experiment by model and configuration."""
    return {(file.parent.name, file.stem): file for file in sorted(out.glob("maps/*/*.json"))}


def keep_maps(
    out: Path,
    made: Iterable[tuple[Cell, Setting, str]],
    load: Callable[[str], Model],
    progress: Progress | None = None,
) -> None:
    """Write the map of each model and configuration that has none of these cells.

    A map shows the choice of every strategy at its last budget, with the first seed asked for, as
    the model that `load` gives for a name sees it; `made` are cells with a name for all that
    decides each.
    """
    last: dict[tuple[str, str], dict[str, tuple[Cell, Setting, str]]] = {}
    for cell, setting, made_of in made:
        here = last.setdefault((cell.model, cell.configuration), {})
        best = here.get(cell.strategy)
        if cell.strategy != UNTOUCHED and (best is None or cell.budget > best[0].budget):
            here[cell.strategy] = cell, setting, made_of
    for (model, configuration), cells in last.items():
        file = out / "maps" / model / f"{configuration}.json"
        of = {name: [cell.name, made_of] for name, (cell, _, made_of) in cells.items()}
        if cells and _made_of(file) != of:
            if progress is not None:
                progress(f"map of {configuration}", 0, None)
            setting = next(iter(cells.values()))[1]
            chosen = {name: chosen_ids(out, cell) for name, (cell, _, _) in cells.items()}
            told = {"of": of, **_map(setting, load(model), chosen)}
            write_text(file, json.dumps(told) + "\n", force=True)


def _made_of(file: Path) -> object:
    """What a map was drawn of; None where there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))["of"]
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _map(setting: Setting, model: Model, chosen: dict[str, list[str]]) -> dict[str, object]:
    """The places of a sample of the pool, of the target, and of what each strategy chose."""
    shown = {name: evenly(of, CHOSEN) for name, of in chosen.items()}
    ids = list(dict.fromkeys(one for of in shown.values() for one in of))
    groups = {
        "pool": evenly(list(setting.source), POOL),
        "target": evenly(list(setting.target), TARGET),
        "chosen": [setting.by_id[one] for one in ids],
    }
    places, explained = plane({name: _seen(model, some) for name, some in groups.items()})
    at = dict(zip(ids, _rounded(places["chosen"]), strict=True))
    return {
        "explained": explained,
        "pool": _rounded(places["pool"]),
        "target": _rounded(places["target"]),
        "chosen": {name: [at[one] for one in of] for name, of in shown.items()},
    }


def _seen(model: Model, examples: Sequence[Example]) -> Float[np.ndarray, "n dim"]:
    parts = (examples[at : at + PART] for at in range(0, len(examples), PART))
    return np.concatenate([model.encode(part).embeddings for part in parts])


def _rounded(places: Float[np.ndarray, "n 2"]) -> list[list[float]]:
    found: list[list[float]] = places.round(4).tolist()
    return found
