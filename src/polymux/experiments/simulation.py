"""Run an experiment cell by cell; what was made before is not made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from polymux.encoders import Model
from polymux.experiments.cells import Cell, Row, keep, kept, scored
from polymux.experiments.choosing import Chosen, choose, read_choices, write_choices
from polymux.experiments.hands import Run, Task, hands, workers_for
from polymux.experiments.learning import chain, fine_tuned, learned, loaded
from polymux.experiments.pools import Corpora, Setting
from polymux.experiments.settings import (
    UNTOUCHED,
    Experiment,
    anchored,
    folder_of,
    read_experiment,
)
from polymux.folders import claimed
from polymux.progress import Progress
from polymux.records import Example
from polymux.train.start import labelled

RESULTS = "results.jsonl"


@dataclass(frozen=True, slots=True)
class Simulated:
    """What an experiment left."""

    out: Path
    rows: tuple[Row, ...]
    """As in `results.jsonl`."""
    made: int
    """Cells that were not there before."""

    @property
    def results(self) -> Path:
        """The file of all rows."""
        return self.out / RESULTS


@dataclass(frozen=True, eq=False)
class _Work:
    """An experiment under way."""

    experiment: Experiment
    folder: Path
    corpora: Corpora
    out: Path
    device: str
    progress: Progress | None

    @property
    def told(self) -> Row:
        """What every row says first."""
        one = self.experiment
        return {"experiment": one.name, "task": one.corpus, "setting": one.setting}


def simulate(
    experiment: str | Path,
    out: str | Path,
    *,
    more: Sequence[str] = (),
    workers: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Simulated:
    """Run an experiment (a TOML file, or a preset by its name) into a folder (DeMuX 4).

    `results.jsonl` gets a row a cell and language: every strategy, seed and budget, the untouched
    start model among them. `more` strategies take part beside those of the file. A killed run goes
    on where it was, to the same rows; an experiment may grow by strategies, seeds, budgets and
    configurations. `workers` processes train side by side, by default one a core, on a GPU one.

    Raises:
        InputError: the file says what cannot be, or data is not as it says.
        UsageError: the folder holds cells of other settings.
    """
    told, folder = read_experiment(experiment, more), folder_of(experiment)
    place = Path(out)
    work = _Work(told, folder, Corpora(told, folder), place, device, progress)
    with claimed(place), hands(workers or workers_for(device)) as run:
        place.mkdir(parents=True, exist_ok=True)
        _write(place / "experiment.json", json.dumps(told.model_dump(mode="json"), indent=2) + "\n")
        rows, made = _rows(work, run)
        text = "".join(_line(row) for row in rows)
        _write(place / RESULTS, text)
        shutil.rmtree(place / "work", ignore_errors=True)
    return Simulated(place, tuple(rows), made)


def _rows(work: _Work, run: Run[Any]) -> tuple[list[Row], int]:
    """All rows in order, and how many cells were made now."""
    (work.out / "work").mkdir(exist_ok=True)
    starts = {name: _started(work, name) for name in work.experiment.models}
    asked = list(_asked(work, starts))
    found: dict[Cell, list[Row]] = {}
    for one in asked:
        rows = kept(work.out, one.cell, one.of)
        if rows is not None:
            found[one.cell] = rows
    there = len(found)
    missing = [one for one in asked if one.cell not in found]
    with (work.out / RESULTS).open("w", encoding="utf-8") as file:
        for rows in found.values():
            file.writelines(map(_line, rows))
        file.flush()
        for cell, rows in _made(work, run, starts, missing):
            found[cell] = rows
            file.writelines(map(_line, rows))
            file.flush()
            _tell(work, "cells", len(found), len(asked))
    return [row for one in asked for row in found.get(one.cell, [])], len(found) - there


def _started(work: _Work, name: str) -> str:
    """The start model: as it is, or fine-tuned on the start language once."""
    told = work.experiment.models[name]
    path = _model_path(told.path, work.folder)
    if not told.train:
        return path
    out = work.out / "models" / name
    pool = work.corpora.start(name)
    if not (out / "training.json").is_file():
        _tell(work, f"start model {name}", 0, None)
        examples = labelled(pool).examples  # type: ignore[arg-type]
        fine_tuned(
            path,
            work.experiment.task,
            examples,
            out,
            how=told.training,
            seed=told.seed,
            device=work.device,
            labels=work.corpora.labels or None,
        )
    return str(out)


class _Asked(NamedTuple):
    """A cell, what it is made from, and a name for all that decides it."""

    cell: Cell
    setting: Setting
    of: str


def _asked(work: _Work, starts: Mapping[str, str]) -> Iterator[_Asked]:
    """Every cell of the experiment; gold only where a target language has text to choose."""
    told = work.experiment
    prints = {name: _loaded(work, name, path).fingerprint for name, path in starts.items()}
    for model in told.models:
        for name in told.configurations:
            setting = work.corpora.setting(name)
            how = told.further(model)
            of = _name(prints[model], setting.fingerprint, how.max_length)
            yield _Asked(Cell(model, name, UNTOUCHED, None, None, 0, 0), setting, of)
            for strategy in told.strategies:
                rule = told.rule(strategy)
                if rule.strategy == "gold" and setting.gold is None:
                    continue
                budgets = told.budgets if told.rounds else None
                decides = _name(
                    of,
                    prints[told.chooser or model],
                    how.model_dump(exclude_defaults=True),
                    told.continued,
                    budgets,
                    _rule(told, Cell(model, name, strategy, None, None, 0, 0), strategy),
                )
                for cell in _cells(told, model, name, strategy):
                    yield _Asked(cell, setting, decides)


def _name(*told: object) -> str:
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _cells(told: Experiment, model: str, name: str, strategy: str) -> Iterator[Cell]:
    for choice_seed, train_seed in told.pairs(strategy):
        for number, budget in enumerate(told.budgets, start=1):
            round_ = number if told.rounds else 1
            yield Cell(model, name, strategy, choice_seed, train_seed, budget, round_)


def _made(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """The cells that are not there, as they are finished."""
    for cell, setting, of in missing:
        if cell.strategy == UNTOUCHED:
            made = scored(_loaded(work, cell.model, starts[cell.model]), setting.tests)
            yield cell, keep(work.out, cell, of, work.told, [], made, {})
    left = [one for one in missing if one.cell.strategy != UNTOUCHED]
    yield from (_chains if work.experiment.rounds else _trainings)(work, run, starts, left)


def _chains(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """In rounds: a task a campaign."""
    told = work.experiment
    tasks: dict[Cell, Task] = {}
    for cell, _, of in missing:
        first = replace(cell, budget=told.budgets[0], round=1)
        where = (told.model_dump_json(), work.folder, work.out, starts[cell.model])
        tasks[first] = chain, (*where, first, of, work.told, work.device)
    wanted = {one.cell for one in missing}
    for first, parts in run(tasks):
        for number, (budget, rows) in enumerate(zip(told.budgets, parts, strict=True), start=1):
            cell = replace(first, budget=budget, round=number)
            if cell in wanted:
                yield cell, rows


def _trainings(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """In one round: choose for all, then train; what is trained on the same choice is one task."""
    told = work.experiment
    groups: dict[tuple[str, str], list[_Asked]] = {}
    for one in missing:
        groups.setdefault((one.cell.model, one.cell.configuration), []).append(one)
    tasks: dict[tuple[Any, ...], Task] = {}
    waiting: dict[tuple[Any, ...], list[tuple[_Asked, float]]] = {}
    picked: dict[tuple[Any, ...], list[Example]] = {}
    for (model, name), some in groups.items():
        chosen = _choices(work, _loaded(work, model, starts[told.chooser or model]), some)
        for one in some:
            cell, by_seed = one.cell, chosen[one.cell.choice_seed or 0]
            ids = by_seed.ids[cell.strategy, cell.budget]
            key = (model, name, cell.train_seed, *ids)
            picked[key] = [one.setting.by_id[name] for name in ids]
            waiting.setdefault(key, []).append((one, by_seed.seconds[cell.strategy]))
            what = (starts[model], told.task, picked[key], one.setting.tests)
            how = (told.further(model), cell.train_seed, work.device, work.out / "work")
            tasks[key] = learned, (*what, *how)
    for key, (made, seconds) in run(tasks):
        for one, took in waiting[key]:
            spent = {"choose": took, **seconds}
            rows = keep(work.out, one.cell, one.of, work.told, picked[key], made, spent)
            yield one.cell, rows


def _choices(work: _Work, chooser: Model, asked: Sequence[_Asked]) -> dict[int, Chosen]:
    """What is chosen for the cells of a configuration, by seed; kept, so that it is chosen once."""
    found: dict[int, Chosen] = {}
    told = work.experiment
    for seed in dict.fromkeys(one.cell.choice_seed or 0 for one in asked):
        here = [one for one in asked if one.cell.choice_seed == seed]
        cell = here[0].cell
        names = {one.cell.strategy for one in here}
        names |= {rule for name in names if (rule := told.rule(name).like) is not None}
        of = {
            name: _name(chooser.fingerprint, here[0].setting.fingerprint, _rule(told, cell, name))
            for name in told.strategies
            if name in names
        }
        file = work.out / "choices" / cell.model / cell.configuration / f"c{seed}.json"
        budgets = sorted({one.cell.budget for one in here})
        before = read_choices(file, of, budgets)
        missing = [name for name in of if (name, budgets[0]) not in before.ids]
        if missing:
            _tell(work, f"choose for {cell.configuration}, seed {seed}", 0, None)
            before = choose(
                told,
                cell.configuration,
                here[0].setting,
                chooser,
                missing,
                budgets,
                seed=seed,
                known=before,
                store=work.out / "store",
            )
            write_choices(file, of, before)
        found[seed] = before
    return found


def _rule(told: Experiment, cell: Cell, name: str) -> object:
    """What decides a choice beside model and data: the rule with its options, and a plan."""
    rule = told.rule(name)
    copied = rule.like and _rule(told, cell, rule.like)
    plan = told.configurations[cell.configuration].plan if rule.strategy == "plan" else None
    return rule.model_dump(exclude_defaults=True), plan, copied


def _loaded(work: _Work, name: str, path: str) -> Model:
    """A model as the one of this name is to read."""
    told = work.experiment
    return loaded(path, told.task, told.further(name), work.device)


def _model_path(path: str, folder: Path) -> str:
    """A folder relative to the file, or a name on the hub."""
    local = anchored(path, folder)
    return local if Path(local).is_dir() else path


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _tell(work: _Work, stage: str, done: int, total: int | None) -> None:
    if work.progress:
        work.progress(stage, done, total)
