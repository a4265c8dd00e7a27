"""A model that is trained for its scores alone: its counts are kept, it is thrown away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from polymux.campaign.state import State
from polymux.campaign.steps import fingerprint, fit
from polymux.encoders import Model
from polymux.evaluate import label
from polymux.folders import write_text
from polymux.intervals import Parts
from polymux.progress import Progress
from polymux.records import LABEL_FIELD, Example
from polymux.tasks import TASKS


def trial(
    state: State,
    out: Path,
    name: str,
    labels: Sequence[Example],
    asked: Sequence[Example],
    seed: int,
    progress: Progress | None,
) -> Parts:
    """Each asked example's parts of the score, by the start model trained on these labels.

    Killed, it goes on; what was counted before of the same training, in a file of this name in
    `out`, is not made again.
    """
    file, place = out / f"{name}.json", out / f".{name}.training"
    of = [fingerprint(state, 0, labels, seed), [(one.id, one.label) for one in asked]]
    told = blake2b(repr(of).encode(), digest_size=16).hexdigest()
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["of"] == told:
            return np.array(known["parts"])
    fit(state, 0, labels, place, seed=seed, progress=progress)
    loaded = Model(str(place), task=state.settings.task, device=state.settings.device)
    parts = counts(loaded, asked)
    write_text(file, json.dumps({"of": told, "parts": parts.tolist()}), force=True)
    shutil.rmtree(place)
    return parts


def counts(model: Model, asked: Sequence[Example]) -> Parts:
    """Each labelled example's parts of the task's main score."""
    gold = [one.label for one in asked if one.label is not None]
    return TASKS[model.task].counts(gold, label(model, asked))


def metric(task: str, labelled: Sequence[Example]) -> str:
    """The name of the score that these parts make."""
    gold = [one.label for one in labelled if one.label is not None]
    told = [
        {LABEL_FIELD[task]: {**one, "text": one["text"] or [""]} if isinstance(one, dict) else one}
        for one in gold
    ]
    return next(iter(TASKS[task].score(gold, told)))
