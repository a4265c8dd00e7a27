"""The steps of a campaign: each is done whole or not at all, and never twice."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from polymux.annotation import Batch
from polymux.campaign.settings import NAME, Settings
from polymux.campaign.state import State, items, suggested
from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.evaluate import evaluate
from polymux.progress import Progress
from polymux.readers import anchored, read
from polymux.records import LABEL_FIELD, Example, Pool, content_hashes
from polymux.train import train
from polymux.train.presets import preset_of

# In the folder of a round: the labels that its model learns from.
LEARNED = "labels.jsonl"
# Below this the paper's settings, made for thousands of labels, hardly change a model.
FEW_UPDATES = 50
# A sum of costs differs from a whole number by rounding only.
_ROUNDING = 1e-6


def pool(state: State, name: str) -> Pool:
    """The source, the target or the test set, read as the settings say."""
    settings = state.settings
    return read(
        *(anchored(path, state.folder) for path in getattr(settings, name)),
        task=settings.task,
        language=settings.language,
        fields=settings.fields,
        on_error=settings.on_error,
        name=name,
    )


def open_to_all(state: State) -> Iterator[Example]:
    """The source without the languages that nobody can annotate."""
    without = state.settings.limits.without
    return (one for one in pool(state, "source") if one.language not in without)


def distinct(state: State) -> int:
    """How many different examples of the source somebody could annotate."""
    seen: set[bytes] = set()
    without = state.settings.limits.without
    for shard in pool(state, "source").shards():
        kept = [one for one in shard.examples if one.language not in without]
        seen.update(row.tobytes() for row in content_hashes(kept))
    return len(seen)


def languages(state: State) -> set[str]:
    """The languages that the source tells of, those that nobody can annotate among them."""
    return {one.language or "" for one in pool(state, "source")}


def model_path(state: State, number: int) -> str:
    """The model that chooses after a round: the start model before any was trained."""
    for before in range(number, 0, -1):
        if trained(state, before):
            return str(state.place(before) / "model")
    local = Path(anchored(state.settings.model, state.folder))
    return str(local) if local.is_dir() else state.settings.model


def model_of(state: State, number: int) -> Model:
    """The model after a round, loaded."""
    settings = state.settings
    return Model(model_path(state, number), task=settings.task, device=settings.device)


def trained(state: State, number: int) -> bool:
    """Whether the model of a round is there."""
    return (state.place(number) / "model" / "training.json").is_file()


def unscored(state: State, number: int) -> bool:
    """Whether there is a test set that a model which is there was not scored on."""
    there = number == 0 or trained(state, number)
    done = (state.place(number) / "evaluation" / "evaluation.json").is_file()
    return bool(state.settings.test) and there and not done


def share(state: State, number: int, *, but: float = 0.0) -> int:
    """The budget of a round: equal parts, the last takes what is left.

    `but` of it is on its way and counts as spent.
    """
    settings = state.settings
    equal = max(1, settings.budget // settings.rounds)
    left = int(state.left - but + _ROUNDING)
    part = left if number >= settings.rounds else min(equal, left)
    return affordable(state, part)


def affordable(state: State, amount: float) -> int:
    """A whole part of the budget, as far as there is something left to buy."""
    whole = int(amount + _ROUNDING)
    most = state.choosable
    return min(whole, most) if state.settings.costs.unit == "examples" or not most else whole


def store_of(state: State) -> str | Path | None:
    """Where encodings are kept; None: nowhere but for the time of one choice."""
    if state.settings.store == "off":
        return None
    if state.settings.store is not None:
        return anchored(state.settings.store, state.folder)
    return state.folder / "store"


def asked(state: State, *, conflicts: bool = False, suggests: bool = False) -> Batch:
    """What waits for labels as people are asked; with what the model says of it where wanted.

    `conflicts`: what annotators disagree about instead, with what each of them said.

    Raises:
        UsageError: nothing waits.
    """
    found = []
    for one in state.rounds:
        wanted = set(one.conflicts if conflicts else one.waiting)
        # A rank is the place in the whole round, the same however often it is exported.
        waiting = [item for item in items(one.issued) if item.id in wanted]
        if conflicts:
            waiting = [replace(item, said=tuple(one.answers[item.id].values())) for item in waiting]
        if suggests:
            waiting = [suggested(item, one.issued[item.id], state.labels) for item in waiting]
        found += waiting
    if not found:
        what = "is in conflict" if conflicts else "waits for labels"
        run = shlex.quote(str(state.folder))
        raise UsageError(f"nothing {what}", f"polymux status {run} tells what is due")
    return Batch(state.settings.task, state.labels, tuple(found))


def outdated(state: State, number: int) -> bool:
    """Whether labels came, or were changed, after the model of a round had learned from them."""
    file = state.place(number) / LEARNED
    return file.is_file() and file.read_text(encoding="utf-8") != _labels(state, number)


def _labels(state: State, number: int) -> str:
    """What the model of a round learns from, as a file that `polymux train` reads."""
    name = LABEL_FIELD[state.settings.task]
    told = (
        {
            "id": one.id,
            **({"language": one.language} if one.language else {}),
            **one.fields,
            name: one.label,
        }
        for one in state.training(number)
    )
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)


def learn(state: State, number: int, *, progress: Progress | None) -> None:
    """Train on all labels so far, from the start model unless settings say to continue."""
    begin = number - 1 if state.settings.training.continued else 0
    place = state.place(number)
    out = place / "model"
    # What an earlier model of the round scored, and was judged by, is nothing of this one's.
    shutil.rmtree(place / "evaluation", ignore_errors=True)
    (place / "control" / "control.json").unlink(missing_ok=True)
    place.mkdir(parents=True, exist_ok=True)
    (place / LEARNED).write_text(_labels(state, number), encoding="utf-8")
    seed = state.settings.seed + number
    fit(state, begin, state.training(number), out, seed=seed, progress=progress)


def hardly_trained(settings: Settings) -> str:
    """Why the paper's settings train on so few labels in next to no updates; empty: they do not."""
    how = settings.training
    if settings.costs.unit != "examples" or how.preset or how.epochs or how.batch_size:
        return ""
    usual = preset_of(None, settings.task)
    updates = usual.epochs * math.ceil(settings.budget / usual.batch_size)
    if updates >= FEW_UPDATES:
        return ""
    return (
        f"the paper's settings take {updates} updates for all {settings.budget} labels (batches of "
        f'{usual.batch_size}): set preset = "small" or epochs = N under [training] in {NAME}'
    )


def fingerprint(state: State, begin: int, labelled: Sequence[Example], seed: int) -> str:
    """What a training stands on: its start, its labels, its settings."""
    told = [
        model_path(state, begin),
        state.settings.training.model_dump(),
        state.labels,
        seed,
        [(one.id, one.label) for one in labelled],
    ]
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def fit(
    state: State,
    begin: int,
    labelled: Sequence[Example],
    out: Path,
    *,
    seed: int,
    progress: Progress | None,
) -> None:
    """Train the model of round `begin` on these labels, as the settings say.

    What a killed training of other labels or settings left here is thrown away: labels may come in
    late, and settings may change, while nothing trains.
    """
    settings = state.settings
    how = settings.training
    mark = out.with_name(f".{out.name}.of")
    asked = fingerprint(state, begin, labelled, seed)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != asked:
        for left in (out, out.with_name(f".{out.name}.training")):
            shutil.rmtree(left, ignore_errors=True)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(asked, encoding="utf-8")
    train(
        model_path(state, begin),
        Pool.of(labelled, settings.task, name="labels"),
        out,
        preset=how.preset,
        epochs=how.epochs,
        lr=how.lr,
        batch_size=how.batch_size,
        labels=state.labels or None,
        seed=seed,
        device=settings.device,
        resume=True,
        progress=progress,
    )
    mark.unlink()


def score(state: State, number: int, *, progress: Progress | None) -> None:
    """Score the model of a round on the labelled test set, where there is one."""
    out = state.place(number) / "evaluation"
    evaluate(model_of(state, number), pool(state, "test"), out=out, progress=progress)
