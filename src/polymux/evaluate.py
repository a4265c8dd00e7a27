"""Predictions of a model: written, and scored for each language."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from polymux import __version__
from polymux.encoders import Model, check_finite, readable
from polymux.errors import InputError, UsageError
from polymux.folders import check_new, replaced, write_texts
from polymux.progress import Progress
from polymux.records import LABEL_FIELD, Example, Label, Pool
from polymux.tasks import TASKS, token

Scores = Mapping[str, float]
Prediction = dict[str, Any]
# Examples predicted together: enough to sort by length, few enough to show progress.
TOGETHER = 512
# Where no example says its language, and where some do and others do not.
ALL, UNKNOWN = "all", "unknown"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model, and of the untouched start model beside it if one was given."""

    task: str
    model: str
    languages: Mapping[str, Scores]
    """Scores in [0, 1] by language, the task's main one first."""
    examples: Mapping[str, int]
    """How many were scored, by language."""
    unlabelled: int
    """Examples that were left out, because nobody labelled them."""
    strangers: Mapping[str, int] = field(default_factory=dict)
    """Gold labels that the model does not know, which it can only get wrong: how many of each."""
    start: str | None = None
    start_languages: Mapping[str, Scores] | None = None

    @property
    def average(self) -> Scores:
        """The plain mean over languages, however many examples each has."""
        return _mean(self.languages)

    @property
    def start_average(self) -> Scores | None:
        """The same of the start model."""
        return None if self.start_languages is None else _mean(self.start_languages)

    @property
    def main(self) -> str:
        """The name of the score that counts first."""
        return next(iter(self.average))

    @property
    def record(self) -> dict[str, Any]:
        """All of it as `evaluation.json` says it."""
        out: dict[str, Any] = {
            "polymux": __version__,
            "task": self.task,
            "model": self.model,
            "main": self.main,
            "average": dict(self.average),
            "languages": {name: dict(scores) for name, scores in self.languages.items()},
            "examples": dict(self.examples),
            "unlabelled": self.unlabelled,
            "strangers": dict(self.strangers),
        }
        if self.start_languages is not None:
            out["start"] = {
                "model": self.start,
                "average": dict(_mean(self.start_languages)),
                "languages": {name: dict(s) for name, s in self.start_languages.items()},
            }
            out["difference"] = {
                name: {key: scores[key] - self.start_languages[name][key] for key in scores}
                for name, scores in self.languages.items()
            }
        return out


def _mean(languages: Mapping[str, Scores]) -> Scores:
    """Over languages, of the scores that all of them have."""
    first, *others = languages.values()
    shared = [name for name in first if all(name in scores for scores in others)]
    return {name: sum(s[name] for s in languages.values()) / len(languages) for name in shared}


def label(model: Model, examples: Sequence[Example]) -> list[Prediction]:
    """What the model says of each example, under the task's label field, with probabilities.

    Long sentences and contexts are read in windows, so that no word is left without a prediction.

    Raises:
        WorkError: numbers that are not finite.
    """
    if not examples:
        return []
    features = model.prepare(examples, windows=True)
    # A sentence whose words the tokenizer drops altogether has no feature.
    if features:
        embeddings_FD, logits_PC = model.forward(features)
        check_finite(examples, features, embeddings_FD, logits_PC)
    else:
        logits_PC = np.empty((0, len(model.labels)))
    return TASKS[model.task].predict(examples, features, logits_PC, model.labels)


def evaluate(
    model: Model,
    pool: Pool,
    *,
    start: Model | None = None,
    out: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on the labelled examples of a pool, language by language.

    `start` is scored on the same examples. `out` is a folder for `predictions.jsonl`, gold and
    predicted labels side by side, and `evaluation.json`. A pool that skips what is bad skips what
    a model sees nothing in, too.

    Raises:
        InputError: no example is labelled, or labels that cannot be.
        UsageError: `out` is not empty, or the pool or `start` is of another task.
    """
    models = [model] if start is None else [model, start]
    seen = _seen(models, pool)
    tally = _Tally([{} for _ in models])
    if out is None:
        for _ in _judged(models, seen, tally, progress):
            pass
        pool.rejected = seen.rejected
        return tally.scored(models)
    files: dict[str, Callable[[], Iterable[str]]] = {
        "predictions.jsonl": lambda: _judged(models, seen, tally, progress),
        "evaluation.json": lambda: [_json(tally.scored(models).record, indent=2)],
    }
    write_texts(Path(out), files, force=force)
    pool.rejected = seen.rejected
    return tally.scored(models)


def predict(
    model: Model,
    pool: Pool,
    out: str | Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write what the model says of every example, a JSON line each; gives how many.

    A line holds the example's fields and the predicted label where a person's would stand, so the
    file can be read as a labelled one; a label that was there is kept as `gold`.

    Raises:
        UsageError: `out` is there already, or the pool is of another task.
    """
    seen = _seen([model], pool)
    path = Path(out)
    check_new(path, force=force)
    count = 0
    with replaced(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        for chunk in _chunks(seen, progress):
            for example, told in zip(chunk, label(model, chunk), strict=True):
                gold = {} if example.label is None else {"gold": example.label}
                file.write(_json(_described(example) | told | gold))
            count += len(chunk)
    pool.rejected = seen.rejected
    return count


@dataclass(slots=True)
class _Tally:
    """Gold and predicted labels by language."""

    told: list[dict[str | None, list[Prediction]]]
    """Of each model."""
    gold: dict[str | None, list[Label]] = field(default_factory=dict)
    unlabelled: int = 0

    def add(self, language: str | None, gold: Label, predictions: Sequence[Prediction]) -> None:
        """Note what a person and the models say of an example."""
        language = None if language == UNKNOWN else language
        self.gold.setdefault(language, []).append(gold)
        for told, prediction in zip(self.told, predictions, strict=True):
            told.setdefault(language, []).append(prediction)

    def scored(self, models: Sequence[Model]) -> Evaluation:
        """The scores of what was noted, languages in alphabetical order."""
        task = TASKS[models[0].task]
        order = sorted(self.gold, key=lambda language: (language is None, language))
        missing = ALL if order == [None] else UNKNOWN
        names = {language: missing if language is None else language for language in order}
        scores = [
            {names[key]: task.score(self.gold[key], told[key]) for key in order}
            for told in self.told
        ]
        return Evaluation(
            task=models[0].task,
            model=models[0].path,
            languages=scores[0],
            examples={names[key]: len(self.gold[key]) for key in order},
            unlabelled=self.unlabelled,
            strangers=_strangers(self.gold, models[0].labels),
            start=models[1].path if len(models) > 1 else None,
            start_languages=scores[1] if len(models) > 1 else None,
        )


def _strangers(gold: Mapping[str | None, Sequence[Label]], labels: Sequence[str]) -> dict[str, int]:
    """Labels of words and texts that are none of these; a span has none."""
    counts: Counter[str] = Counter()
    for told in gold.values():
        for one in told:
            counts.update([one] if isinstance(one, str) else one if isinstance(one, tuple) else ())
    return {label: count for label, count in counts.most_common() if label not in labels}


def _judged(
    models: Sequence[Model], pool: Pool, tally: _Tally, progress: Progress | None
) -> Iterator[str]:
    """Each labelled example as a line, its labels and the predictions side by side."""
    key = LABEL_FIELD[pool.task]
    for chunk in _chunks(pool, progress):
        known = [(example, example.label) for example in chunk if example.label is not None]
        tally.unlabelled += len(chunk) - len(known)
        examples = [example for example, _ in known]
        if pool.task == "token-classification":
            for example in examples:
                token.check_label(example)
        for (example, gold), *told in zip(
            known, *(label(m, examples) for m in models), strict=True
        ):
            tally.add(example.language, gold, told)
            sides = dict(zip(("predicted", "start"), told, strict=False))
            yield _json(_described(example) | {key: gold} | sides)
    if not tally.gold:
        raise InputError(
            f"none of the {tally.unlabelled} examples of {pool.name} has a label",
            f"give labelled examples: their labels stand under {key!r}",
            file=pool.files[0].path,
        )


def _seen(models: Sequence[Model], pool: Pool) -> Pool:
    """The pool as these models see it, all of them loaded for its task."""
    for model in models:
        if model.task != pool.task:
            raise UsageError(
                f"the model was loaded for {model.task}, the examples were read for {pool.task}",
                "give both the same task",
            )
        pool = readable(pool, model, windows=True)
    return pool


def _chunks(pool: Pool, progress: Progress | None) -> Iterator[Sequence[Example]]:
    done = 0
    for shard in pool.shards():
        for first in range(0, len(shard.examples), TOGETHER):
            chunk = shard.examples[first : first + TOGETHER]
            yield chunk
            done += len(chunk)
            if progress:
                progress("predicting", done, None)


def _described(example: Example) -> dict[str, Any]:
    """Which example it is, and its fields as they were read."""
    told = {"source_id": example.source_id, "language": example.language}
    known = {name: value for name, value in told.items() if value is not None}
    return {"id": example.id, **known, **example.fields}


def _json(value: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent) + "\n"
