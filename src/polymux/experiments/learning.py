"""What a worker of an experiment does: train on a choice and score; or a whole chain of rounds."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from polymux.encoders import Model
from polymux.experiments.cells import Cell, Row, Scored, chosen_ids, keep, scored
from polymux.experiments.choosing import choose
from polymux.experiments.pools import Corpora, Setting
from polymux.experiments.settings import Experiment, Training
from polymux.prescribe.hashes import HashSet
from polymux.progress import Progress
from polymux.records import Example, Pool, content_hashes
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
    progress: Progress | None = None,
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
        progress=progress,
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


@dataclass(frozen=True, slots=True)
class Campaign:
    """All that a worker needs to run one campaign."""

    experiment: str
    """As JSON."""
    folder: Path
    out: Path
    start: str
    first: Cell
    made_of: Mapping[int, str]
    """By round that is missing, a name for all that decides it."""
    told: Row
    begun: list[str] | None
    """What the first round is to be trained on; None: it was before."""
    device: str


def chain(campaign: Campaign) -> list[tuple[Cell, list[Row]]]:
    """In each round the last model chooses, and one is trained on all so far; the missing rounds.

    The model of a round is kept until the next is there; one that a missing round stands on is made
    again if need be.
    """
    corpora = _corpora(campaign.experiment, campaign.folder)
    experiment, out = corpora.experiment, campaign.out
    setting = corpora.setting(campaign.first.configuration)
    work = out / "work" / campaign.made_of[max(campaign.made_of)] / campaign.first.name
    labelled: list[Example] = []
    current = campaign.start
    made = []
    for number, budget in enumerate(experiment.budgets, start=1):
        cell = replace(campaign.first, budget=budget, round=number)
        model = work / f"round-{number}"
        began = time.perf_counter()
        if number in campaign.made_of:
            ids = campaign.begun if number == 1 else None
            if ids is None:
                ids = _next(corpora, setting, cell, current, labelled, campaign.device)
            labelled = labelled + [setting.by_id[one] for one in ids]
            chosen_after = time.perf_counter() - began
            how = (experiment, campaign.start, current, labelled, model, cell, campaign.device)
            found = scored(_trained(*how), setting.tests)
            seconds = {"choose": chosen_after, "learn": time.perf_counter() - began - chosen_after}
            name = campaign.made_of[number]
            made.append((cell, keep(out, cell, name, campaign.told, labelled, found, seconds)))
        else:
            labelled = [setting.by_id[one] for one in chosen_ids(out, cell)]
            later = [one for one in campaign.made_of if one > number]
            if number + 1 in later or (later and experiment.continued):
                how = (experiment, campaign.start, current, labelled, model, cell, campaign.device)
                _trained(*how)
        if number > 1:
            shutil.rmtree(work / f"round-{number - 1}", ignore_errors=True)
        current = str(model)
    shutil.rmtree(work, ignore_errors=True)
    return made


def _next(
    corpora: Corpora,
    setting: Setting,
    cell: Cell,
    current: str,
    labelled: Sequence[Example],
    device: str,
) -> list[str]:
    """What a round adds, chosen by the last round's model; nothing once all are labelled."""
    experiment = corpora.experiment
    is_gold = experiment.rule(cell.strategy).strategy == "gold"
    known = HashSet()
    known.add(content_hashes(labelled))
    if not known.add(content_hashes(list((is_gold and setting.gold) or setting.source))).any():
        return []
    made = choose(
        experiment,
        cell.configuration,
        setting,
        loaded(current, experiment.task, experiment.further(cell.model), device),
        [cell.strategy],
        [cell.budget - len(labelled)],
        seed=cell.choice_seed or 0,
        exclude=labelled,
    )
    (ids,) = made.ids.values()
    return ids


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
