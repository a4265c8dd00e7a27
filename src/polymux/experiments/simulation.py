"""Run an experiment cell by cell; what was made before is not made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.experiments.cells import Cell, Row, keep, kept, scored
from polymux.experiments.choosing import Chosen, choose, read_choices, write_choices
from polymux.experiments.hands import Run, Task, hands, workers_for
from polymux.experiments.learning import Campaign, chain, fine_tuned, learned, loaded
from polymux.experiments.maps import keep_maps
from polymux.experiments.pools import Corpora, Setting
from polymux.experiments.results import RESULTS
from polymux.experiments.settings import (
    UNTOUCHED,
    Experiment,
    folder_of,
    model_path,
    read_experiment,
)
from polymux.folders import claimed, write_text
from polymux.progress import Progress, within
from polymux.records import Example
from polymux.train.start import labelled


@dataclass(frozen=True, slots=True)
class Simulated:
    """What an experiment left."""

    out: Path
    rows: tuple[Row, ...]
    """As in `results.jsonl`."""
    made: int
    """Cells that were not there before."""
    others: tuple[str, ...] = ()
    """Strategies that were not named now and have cells here; their rows are left out."""

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
        of = self.experiment
        return {"experiment": of.name, "task": of.corpus, "kind": of.task, "setting": of.setting}

    def tell(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Show how far it is."""
        if self.progress:
            self.progress(stage, done, total)

    def loaded(self, name: str, path: str) -> Model:
        """A model as the one of this name is to read."""
        told = self.experiment
        return loaded(path, told.task, told.further(name), self.device)

    def chooser(self, name: str, starts: Mapping[str, str]) -> Model:
        """The model that chooses for the one of this name."""
        return self.loaded(name, starts[self.experiment.chooser or name])


class _Asked(NamedTuple):
    """A cell, what it is made from, and a name for all that decides it."""

    cell: Cell
    setting: Setting
    made_of: str


@dataclass(slots=True)
class _Training:
    """A training that one or more cells wait for: their choices came out the same."""

    examples: list[Example]
    waiting: list[tuple[_Asked, float]] = field(default_factory=list)
    """With the seconds that choosing took."""


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
        WorkError: a worker ended, for want of memory perhaps.
    """
    told, folder = read_experiment(experiment, more), folder_of(experiment)
    place = Path(out)
    work = _Work(told, folder, Corpora(told, folder), place, device, progress)
    with claimed(place), hands(workers or workers_for(device)) as run:
        (place / "work").mkdir(parents=True, exist_ok=True)
        rows, made = _rows(work, run)
        named = {row["strategy"] for row in rows}
        there = {path.parent.name for path in place.glob("cells/*/*/*/*.json")}
        shutil.rmtree(place / "work", ignore_errors=True)
    return Simulated(place, tuple(rows), made, tuple(sorted(there - named)))


def _rows(work: _Work, run: Run[Any]) -> tuple[list[Row], int]:
    """All rows in order, and how many cells were made now."""
    starts = {name: _started(work, name) for name in work.experiment.models}
    asked = list(_asked(work, starts))
    found: dict[Cell, list[Row]] = {}
    for one in asked:
        if (rows := kept(work.out, one.cell, one.made_of)) is not None:
            # Names may have changed since.
            found[one.cell] = [row | work.told for row in rows]
    missing = [one for one in asked if one.cell not in found]
    work.tell(f"{len(missing):,} of {len(asked):,} cells are to be made")
    settings = json.dumps(work.experiment.model_dump(mode="json"), indent=2) + "\n"
    write_text(work.out / "experiment.json", settings, force=True)
    with (work.out / RESULTS).open("w", encoding="utf-8") as file:
        for rows in found.values():
            file.writelines(map(_line, rows))
        file.flush()
        for cell, rows in _made(work, run, starts, missing):
            found[cell] = rows
            file.writelines(map(_line, rows))
            file.flush()
            work.tell("cells", len(found), len(asked))
    ordered = [row for one in asked for row in found[one.cell]]
    write_text(work.out / RESULTS, "".join(map(_line, ordered)), force=True)
    keep_maps(work.out, asked, lambda name: work.chooser(name, starts), work.progress)
    return ordered, len(missing)


def _started(work: _Work, name: str) -> str:
    """The start model: as it is, or fine-tuned on the start language once."""
    told = work.experiment.models[name]
    path = model_path(told.path, work.folder)
    if not told.train:
        return path
    try:
        fine_tuned(
            path,
            work.experiment.task,
            labelled(work.corpora.start(name)).examples,
            work.out / "models" / name,
            how=told.training,
            seed=told.seed,
            device=work.device,
            labels=work.corpora.labels or None,
            progress=within(work.progress, f"start model {name}"),
        )
    except UsageError as error:
        # What is wrong with the settings names no folder.
        if str(work.out / "models") not in error.what:
            raise
        raise UsageError(
            f"models.{name} was made otherwise: {error.what}",
            f"give --out another folder, or delete {work.out}",
        ) from error
    return str(work.out / "models" / name)


def _asked(work: _Work, starts: Mapping[str, str]) -> Iterator[_Asked]:
    """Every cell of the experiment; gold only where a target language has text to choose."""
    told = work.experiment
    prints = {name: work.loaded(name, path).fingerprint for name, path in starts.items()}
    for model in told.models:
        how, chooser = told.further(model), prints[told.chooser or model]
        trained = how.model_dump(exclude_defaults=True), told.continued
        for name in told.configurations:
            setting = work.corpora.setting(name)
            made_of = _name(prints[model], setting.fingerprint, how.max_length, how.stride)
            yield _Asked(Cell(model, name, UNTOUCHED, None, None, 0, 0), setting, made_of)
            for strategy in told.strategies:
                if told.rule(strategy).strategy == "gold" and setting.gold is None:
                    continue
                decides = (made_of, chooser, *trained, _rule(told, name, strategy))
                for cell in _cells(told, model, name, strategy, setting):
                    # Of a campaign, the rounds before decide too.
                    before = told.budgets[: cell.round] if told.rounds else None
                    yield _Asked(cell, setting, _name(*decides, before))


def _name(*told: object) -> str:
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _rule(told: Experiment, configuration: str, name: str) -> object:
    """What decides a choice beside model and data: the rule with its options, and a plan."""
    rule = told.rule(name)
    copied = rule.like and _rule(told, configuration, rule.like)
    plan = told.configurations[configuration].plan if rule.strategy == "plan" else None
    return rule.model_dump(exclude_defaults=True), plan, copied


def _cells(
    told: Experiment, model: str, name: str, strategy: str, setting: Setting
) -> Iterator[Cell]:
    for choice_seed, train_seed in told.pairs(strategy, setting.targets):
        for number, budget in enumerate(told.budgets, start=1):
            round_ = number if told.rounds else 1
            yield Cell(model, name, strategy, choice_seed, train_seed, budget, round_)


def _made(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """The cells that are not there, as they are finished."""
    for cell, setting, made_of in missing:
        if cell.strategy == UNTOUCHED:
            found = scored(work.loaded(cell.model, starts[cell.model]), setting.tests)
            yield cell, keep(work.out, cell, made_of, work.told, [], found, {})
    left = [one for one in missing if one.cell.strategy != UNTOUCHED]
    yield from (_chains if work.experiment.rounds else _trainings)(work, run, starts, left)


def _chains(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """In rounds: a task a campaign. Its first round is chosen here, once for all trainings."""
    told = work.experiment
    campaigns: dict[Cell, dict[int, str]] = {}
    for cell, _, made_of in missing:
        first = replace(cell, budget=told.budgets[0], round=1)
        campaigns.setdefault(first, {})[cell.round] = made_of
    tasks: dict[Cell, Task] = {}
    firsts = [one for one in missing if one.cell.round == 1]
    chosen = _all_choices(work, starts, firsts)
    # A default that is written out would be checked like what was given.
    said = told.model_dump_json(exclude_unset=True)
    for first, rounds in campaigns.items():
        by_seed = chosen.get((first.model, first.configuration), {}).get(first.choice_seed or 0)
        begun = None if by_seed is None else by_seed.ids.get((first.strategy, first.budget))
        where = (said, work.folder, work.out, starts[first.model])
        campaign = Campaign(*where, first, rounds, work.told, begun, work.device)
        tasks[first] = chain, (campaign,)
    for _, parts in run(tasks):
        yield from parts


def _trainings(
    work: _Work, run: Run[Any], starts: Mapping[str, str], missing: Sequence[_Asked]
) -> Iterator[tuple[Cell, list[Row]]]:
    """In one round: choose for all, then train; what is trained on the same choice is one task."""
    told = work.experiment
    chosen = _all_choices(work, starts, missing)
    trainings: dict[tuple[Any, ...], _Training] = {}
    for one in missing:
        cell = one.cell
        by_seed = chosen[cell.model, cell.configuration][cell.choice_seed or 0]
        ids = by_seed.ids[cell.strategy, cell.budget]
        key = (cell.model, cell.configuration, cell.train_seed, *ids)
        if key not in trainings:
            trainings[key] = _Training([one.setting.by_id[example] for example in ids])
        trainings[key].waiting.append((one, by_seed.seconds[cell.strategy]))
    tasks: dict[tuple[Any, ...], Task] = {}
    for key, training in trainings.items():
        cell, setting, _ = training.waiting[0][0]
        what = (starts[cell.model], told.task, training.examples, setting.tests)
        how = (told.further(cell.model), cell.train_seed, work.device, work.out / "work")
        tasks[key] = learned, (*what, *how)
    for key, (found, seconds) in run(tasks):
        training = trainings[key]
        for (cell, _, made_of), took in training.waiting:
            spent = {"choose": took, **seconds}
            rows = keep(work.out, cell, made_of, work.told, training.examples, found, spent)
            yield cell, rows


def _all_choices(
    work: _Work, starts: Mapping[str, str], asked: Sequence[_Asked]
) -> dict[tuple[str, str], dict[int, Chosen]]:
    """What is chosen for these cells, by model and configuration, then by seed."""
    groups: dict[tuple[str, str], list[_Asked]] = {}
    for one in asked:
        groups.setdefault((one.cell.model, one.cell.configuration), []).append(one)
    return {
        (model, name): _choices(work, work.chooser(model, starts), some)
        for (model, name), some in groups.items()
    }


def _choices(work: _Work, chooser: Model, asked: Sequence[_Asked]) -> dict[int, Chosen]:
    """What is chosen for the cells of a configuration, by seed; kept, so that it is chosen once."""
    found: dict[int, Chosen] = {}
    told = work.experiment
    for seed in dict.fromkeys(one.cell.choice_seed or 0 for one in asked):
        here = [one for one in asked if one.cell.choice_seed == seed]
        cell, setting = here[0].cell, here[0].setting
        names = {one.cell.strategy for one in here}
        names |= {rule for name in names if (rule := told.rule(name).like) is not None}
        prints = chooser.fingerprint, setting.fingerprint
        made_of = {
            name: _name(*prints, _rule(told, cell.configuration, name))
            for name in told.strategies
            if name in names
        }
        file = work.out / "choices" / cell.model / cell.configuration / f"c{seed}.json"
        budgets = sorted({one.cell.budget for one in here})
        known = read_choices(file, made_of, budgets)
        missing = [name for name in made_of if (name, budgets[0]) not in known.ids]
        found[seed] = known
        if missing:
            work.tell(f"choose for {cell.configuration}, seed {seed}")
            found[seed] = choose(
                told,
                cell.configuration,
                setting,
                chooser,
                missing,
                budgets,
                seed=seed,
                known=known,
                store=work.out / "store",
            )
            write_choices(file, made_of, found[seed])
    return found


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
