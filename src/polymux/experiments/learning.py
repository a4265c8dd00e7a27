"""What a worker of an experiment does: train on a choice and score; or a whole chain of rounds."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from polymux.encoders import Model
from polymux.experiments.cells import Cell, Row, Scored, chosen_ids, keep, kept, scored
from polymux.experiments.choosing import choose
from polymux.experiments.pools import Corpora, Setting
from polymux.experiments.settings import Experiment, Training
from polymux.records import Example, Pool
from polymux.train import train


def fine_tuned(
    start: str,
    task: str,
    chosen: Sequence[Example],
    out: Path,
    *,
    how: Training,
    seed: int,
    device: str,
    labels: Sequence[str] | None = None,
) -> None:
    """Train a start model on labelled examples; killed, it goes on. `labels` make a new head."""
    train(
        start,
        Pool.of(chosen, task, name="labels"),
        out,
        preset=how.preset,
        epochs=how.epochs,
        lr=how.lr,
        batch_size=how.batch_size,
        accumulation=how.accumulation,
        bucketed=how.bucketed,
        max_length=how.max_length,
        stride=how.stride,
        labels=labels,
        seed=seed,
        device=device,
        resume=True,
    )


def loaded(path: str, task: str, how: Training, device: str) -> Model:
    """A model that reads as it was trained."""
    return Model(path, task=task, device=device, max_length=how.max_length, stride=how.stride)


def learned(
    start: str,
    task: str,
    chosen: Sequence[Example],
    tests: Mapping[str, Sequence[Example]],
    how: Training,
    seed: int,
    device: str,
    work: Path,
) -> tuple[dict[str, Scored], dict[str, float]]:
    """Train on a choice, score, throw the model away: scores by language, and seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=work) as place:
        model = Path(place) / "model"
        fine_tuned(start, task, chosen, model, how=how, seed=seed, device=device)
        middle = time.perf_counter()
        found = scored(loaded(str(model), task, how, device), tests)
    return found, {"train": middle - began, "evaluate": time.perf_counter() - middle}


@lru_cache(maxsize=1)
def _corpora(text: str, folder: Path) -> Corpora:
    return Corpora(Experiment.model_validate_json(text), folder)


def chain(
    text: str,
    folder: Path,
    out: Path,
    start: str,
    first: Cell,
    of: str,
    told: Mapping[str, Any],
    device: str,
) -> list[list[Row]]:
    """One campaign: in each round the last model chooses, and one is trained on all so far.

    Rounds that are there are not made again; the model of a round is kept until the next is.
    """
    corpora = _corpora(text, folder)
    experiment = corpora.experiment
    setting = corpora.setting(first.configuration)
    work = out / "work" / first.name
    cells = [
        replace(first, budget=budget, round=number)
        for number, budget in enumerate(experiment.budgets, start=1)
    ]
    known = [kept(out, cell, of) for cell in cells]
    missing = next((number for number, rows in enumerate(known, 1) if rows is None), len(cells) + 1)
    labelled: list[Example] = []
    rows, current = [], start
    for cell, done in zip(cells, known, strict=True):
        number = cell.round
        model = work / f"round-{number}"
        if done is None:
            began = time.perf_counter()
            labelled = labelled + _next(corpora, setting, cell, current, labelled, out, device)
            seconds = {"choose": time.perf_counter() - began}
            made = _trained(experiment, start, current, labelled, model, cell, device)
            found = scored(made, setting.tests)
            seconds["learn"] = time.perf_counter() - began - seconds["choose"]
            done = keep(out, cell, of, told, labelled, found, seconds)
        else:
            labelled = [setting.by_id[one] for one in chosen_ids(out, cell)]
            # What the first missing round is chosen by, or goes on from, is made again if need be.
            if number == missing - 1 or (experiment.continued and number < missing - 1):
                _trained(experiment, start, current, labelled, model, cell, device)
        rows.append(done)
        if number > 1:
            shutil.rmtree(work / f"round-{number - 1}", ignore_errors=True)
        current = str(model)
    shutil.rmtree(work, ignore_errors=True)
    return rows


def _next(
    corpora: Corpora,
    setting: Setting,
    cell: Cell,
    current: str,
    labelled: Sequence[Example],
    out: Path,
    device: str,
) -> list[Example]:
    """What a round adds, chosen by the last round's model."""
    experiment = corpora.experiment
    made = choose(
        experiment,
        cell.configuration,
        setting,
        loaded(current, experiment.task, experiment.further(cell.model), device),
        [cell.strategy],
        [cell.budget - len(labelled)],
        seed=cell.choice_seed or 0,
        exclude=labelled,
        store=out / "store" if cell.round == 1 else None,
    )
    (ids,) = made.ids.values()
    return [setting.by_id[one] for one in ids]


def _trained(
    experiment: Experiment,
    start: str,
    current: str,
    labelled: Sequence[Example],
    model: Path,
    cell: Cell,
    device: str,
) -> Model:
    """The model of a round, trained if it is not there."""
    if not (model / "training.json").is_file():
        fine_tuned(
            current if experiment.continued else start,
            experiment.task,
            labelled,
            model,
            how=experiment.further(cell.model),
            seed=cell.train_seed or 0,
            device=device,
        )
    return loaded(str(model), experiment.task, experiment.further(cell.model), device)
