"""One task of the demo: English start model, choices, simulated labels, training, scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from polymux.demo.corpus import Plan
from polymux.demo.encoder import Shape
from polymux.encoders import Model
from polymux.evaluate import evaluate
from polymux.folders import write_texts
from polymux.prescribe import select_many
from polymux.prescribe.files import to_label
from polymux.prescribe.summary import summary_files
from polymux.progress import Progress
from polymux.readers import read
from polymux.records import LABEL_FIELD, Pool, Prescription
from polymux.train import train

# What the demo calls the tasks, and where a text's label stands in its files.
TASKS = {"slots": "token-classification", "intents": "text-classification"}
FIELDS: dict[str, dict[str, str]] = {"slots": {}, "intents": {"label": "intent"}}


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how fast a model learns; the names are those of `polymux train`."""

    epochs: int
    batch_size: int
    preset: str = "small"
    lr: float = 1e-3

    @property
    def options(self) -> list[str]:
        """The same for the command line."""
        named = {"--" + name.replace("_", "-"): str(v) for name, v in asdict(self).items()}
        return [part for option in named.items() for part in option]


@dataclass(frozen=True, slots=True)
class Settings:
    """How large the demo is; the same for every strategy."""

    plan: Plan = field(default_factory=Plan)
    shape: Shape = field(default_factory=Shape)
    tasks: tuple[str, ...] = ("slots", "intents")
    strategies: tuple[str, ...] = ("knn-uncertainty", "random", "egalitarian")
    budget: int = 80
    seeds: tuple[int, ...] = (1, 2, 3)
    """Of the trainings on a choice, one model each."""
    start: Training = Training(epochs=5, batch_size=32)
    """From the encoder, on the labelled language."""
    further: Training = Training(epochs=10, batch_size=8)
    """From the start model, on a choice."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of one task."""

    score: str
    """The name of the task's main score."""
    untouched: Mapping[str, float]
    """Of the English model, by target language, in [0, 1]."""
    after: Mapping[str, tuple[Mapping[str, float], ...]]
    """By strategy, a training each."""
    chosen: Mapping[str, Mapping[str, int]]
    """By strategy: how many examples of each language, the most frequent first."""


def run(name: str, out: Path, settings: Settings, *, seed: int, progress: Progress) -> Outcome:
    """From the encoder in `out/encoder` and the utterances in `out/data` to scores.

    Writes `out/NAME`: start model, choices with their cards, labelled choices, trained models.
    """
    folder = out / name
    train(
        out / "encoder",
        _labelled(name, out / "data" / settings.plan.start / "train.conll"),
        folder / "start",
        **asdict(settings.start),
        seed=seed,
        device="cpu",
        progress=_told(progress, f"{name}: learn from {settings.plan.start}"),
    )
    choices = _choose(name, out, settings, seed=seed, progress=progress)
    untouched = _scores(name, out, folder / "start")
    runs = [(strategy, s) for strategy in choices for s in settings.seeds]
    after: dict[str, list[Mapping[str, float]]] = {strategy: [] for strategy in choices}
    for position, (strategy, run_seed) in enumerate(runs):
        model = folder / "models" / f"{strategy}-{run_seed}"
        train(
            folder / "start",
            read(str(folder / "labelled" / f"{strategy}.jsonl"), task=TASKS[name]),
            model,
            **asdict(settings.further),
            seed=run_seed,
            device="cpu",
            progress=_told(progress, f"{name}: train on the choices", position, len(runs)),
        )
        after[strategy].append(_scores(name, out, model)[1])
    return Outcome(
        score=untouched[0],
        untouched=untouched[1],
        after={strategy: tuple(scores) for strategy, scores in after.items()},
        chosen={s: dict(c.manifest["languages"]["chosen"]) for s, c in choices.items()},
    )


def _choose(
    name: str, out: Path, settings: Settings, *, seed: int, progress: Progress
) -> dict[str, Prescription]:
    """One encoding pass, every strategy; writes the choices, then labels them."""
    task, folder = TASKS[name], out / name
    made = select_many(
        Model(folder / "start", task=task, device="cpu"),
        _labelled(name, out / "data" / "*" / "pool.conll"),
        read(str(out / "data" / "*" / "sample.conll"), task=task, language="folder", name="target"),
        budgets=[settings.budget],
        strategies=settings.strategies,
        seed=seed,
        spool=out,
        progress=lambda stage, done, total: progress(f"{name}: {stage}", done, total),
    )
    write_texts(folder / "chosen", summary_files(made), force=False)
    choices = {strategy: choice for (strategy, _), choice in made.items()}
    labels = {f"{s}.jsonl": partial(_answered, task, c) for s, c in choices.items()}
    write_texts(folder / "labelled", labels, force=False)
    return choices


def _answered(task: str, choice: Prescription) -> Iterator[str]:
    """`to_label.jsonl` with the labels that the templates know, as a person would add them."""
    for line, pick in zip(to_label(choice.picks), choice.picks, strict=True):
        label = {LABEL_FIELD[task]: pick.example.label}
        yield json.dumps(json.loads(line) | label, ensure_ascii=False) + "\n"


def _labelled(name: str, path: Path) -> Pool:
    kept = FIELDS[name]
    return read(str(path), task=TASKS[name], fields=kept, language="folder", name="source")


def _scores(name: str, out: Path, model: Path) -> tuple[str, dict[str, float]]:
    """The main score and its value for each target language."""
    tested = evaluate(
        Model(model, task=TASKS[name], device="cpu"),
        _labelled(name, out / "data" / "*" / "test.conll"),
    )
    return tested.main, {code: scores[tested.main] for code, scores in tested.languages.items()}


def _told(progress: Progress, stage: str, part: int = 0, parts: int = 1) -> Progress:
    """One stage for several trainings, however they call themselves."""

    def tell(_: str, done: int, total: int | None) -> None:
        size = total or done
        progress(stage, part * size + done, parts * size)

    return tell
