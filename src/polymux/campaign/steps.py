"""The steps of a campaign: each is done whole or not at all, and never twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polymux.annotation import Answer, Batch, checked
from polymux.campaign.state import State, items
from polymux.campaign.suggestions import suggestions
from polymux.encoders import Model
from polymux.errors import InputError, UsageError
from polymux.evaluate import evaluate
from polymux.prescribe import select
from polymux.progress import Progress
from polymux.readers import anchored, read
from polymux.records import Pool, content_hashes
from polymux.train import train


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import took, and what it could not."""

    answers: tuple[Answer, ...]
    refused: tuple[InputError, ...]
    known: int
    """Answers that were there before, word for word."""


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


def distinct(state: State) -> int:
    """How many different examples the source has."""
    hashes = [content_hashes(shard.examples) for shard in pool(state, "source").shards()]
    return len(np.unique(np.concatenate(hashes), axis=0))


def model_path(state: State, number: int) -> str:
    """The model that chooses after a round: the start model after round 0."""
    if number == 0:
        local = Path(anchored(state.settings.model, state.folder))
        return str(local) if local.is_dir() else state.settings.model
    return str(state.place(number) / "model")


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


def share(state: State, number: int) -> int:
    """Labels of a round: the budget in equal parts, the last takes what is left (1.4)."""
    settings = state.settings
    equal = max(1, settings.budget // settings.rounds)
    return min(state.left if number >= settings.rounds else equal, state.left, state.choosable)


def choose(state: State, number: int, budget: int, *, progress: Progress | None) -> None:
    """Choose a round's examples with the model of the round before; what was issued stays out.

    A second choice of a round replaces examples that nobody could label.
    """
    parts = sum(1 for _ in state.place(number).glob("issued-*"))
    named = _unrecorded(state, number)
    if named is None:
        named = f"issued-{parts + 1}"
        settings, issued = state.settings, state.issued
        model = model_of(state, number - 1)
        barred = [Pool.of(issued, settings.task, name="issued")] if issued else []
        made = select(
            model,
            pool(state, "source"),
            pool(state, "target"),
            budget=budget,
            strategy=settings.strategy,
            seed=settings.seed + number,
            exclude=barred,
            store=store_of(state),
            progress=progress,
        )
        made.write(state.place(number) / named)
    file = state.place(number) / named / "to_label.jsonl"
    ids = _ids(file)
    state.ledger.add(
        "issued",
        round=number,
        file=file.relative_to(state.folder).as_posix(),
        ids=ids,
        wanted=budget,
    )


def store_of(state: State) -> str | Path | None:
    """Where encodings are kept; None: nowhere but for the time of one choice."""
    if state.settings.store == "off":
        return None
    if state.settings.store is not None:
        return anchored(state.settings.store, state.folder)
    return state.folder / "store"


def _unrecorded(state: State, number: int) -> str | None:
    """A choice that was written whole before the ledger told of it: killed in between."""
    known = {event["file"] for event in state.ledger if event["event"] == "issued"}
    for folder in sorted(state.place(number).glob("issued-*")):
        file = folder / "to_label.jsonl"
        if file.relative_to(state.folder).as_posix() not in known:
            return folder.name
    return None


def _ids(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["id"] for line in lines if line.strip()]


def waiting(state: State, *, suggested: bool = False) -> Batch:
    """What nobody has answered of the last round, as people are asked; with the model's labels.

    Raises:
        UsageError: nothing waits.
    """
    if not state.rounds or not state.rounds[-1].waiting:
        raise UsageError("nothing waits for labels", "run polymux next")
    now = state.rounds[-1]
    wanted = set(now.waiting)
    # A rank is the place in the whole round, the same however often it is exported.
    asked = tuple(item for item in items(now.issued) if item.id in wanted)
    if suggested:
        told = suggestions(state, now.number)
        asked = tuple(
            replace(item, label=told[item.id][0], score=told[item.id][1])
            if item.id in told
            else item
            for item in asked
        )
    return Batch(state.settings.task, state.labels, asked)


def issued(state: State) -> Batch:
    """Everything that people were ever asked.

    Raises:
        UsageError: nothing was issued yet.
    """
    if not state.rounds:
        raise UsageError("nothing was issued yet", "run polymux next first")
    everything = {name: example for one in state.rounds for name, example in one.issued.items()}
    return Batch(state.settings.task, state.labels, items(everything))


def take(state: State, batch: Batch, answers: Iterable[Answer | InputError], place: str) -> Taken:
    """Take answers to what was issued; the good part is kept, word for word, in the ledger.

    Labels of a round that was closed without them count from the next training on.

    Raises:
        InputError: the answers cannot be read at all.
    """
    rounds = {name: one for one in state.rounds for name in one.issued}
    good: dict[int, list[Answer]] = {}
    bad: list[InputError] = []
    known = 0
    for answer in checked(batch, answers, place):
        if isinstance(answer, InputError):
            bad.append(answer)
        elif _same(rounds[answer.id].answers.get(answer.id, {}).get(answer.annotator), answer):
            known += 1
        else:
            good.setdefault(rounds[answer.id].number, []).append(answer)
    for number, taken in good.items():
        told = [_told(answer) for answer in taken]
        state.ledger.add("answers", round=number, file=place, answers=told)
    return Taken(tuple(a for taken in good.values() for a in taken), tuple(bad), known)


def _same(before: Answer | None, now: Answer) -> bool:
    return before is not None and (before.state, before.label) == (now.state, now.label)


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"id": answer.id, "state": answer.state}
    if answer.label is not None:
        label = answer.label
        told["label"] = list(label) if isinstance(label, tuple) else label
    if answer.annotator is not None:
        told["annotator"] = answer.annotator
    if answer.seconds is not None:
        told["seconds"] = answer.seconds
    return told


def learn(state: State, number: int, *, progress: Progress | None) -> None:
    """Train on all labels so far, from the start model unless settings say to continue (1.4)."""
    settings = state.settings
    how = settings.training
    begin = number - 1 if how.continued else 0
    train(
        model_path(state, begin),
        Pool.of(state.labelled, settings.task, name="labels"),
        state.place(number) / "model",
        preset=how.preset,
        epochs=how.epochs,
        lr=how.lr,
        batch_size=how.batch_size,
        labels=state.labels or None,
        seed=settings.seed + number,
        device=settings.device,
        resume=True,
        progress=progress,
    )


def score(state: State, number: int, *, progress: Progress | None) -> None:
    """Score the model of a round on the labelled test set, where there is one."""
    out = state.place(number) / "evaluation"
    evaluate(model_of(state, number), pool(state, "test"), out=out, progress=progress)
