"""A miniature experiment: utterances of the demo, a tiny encoder, two configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomli_w
from tests.models import tiny_model

from polymux.demo.corpus import columns
from polymux.demo.utterances import language, utterances

TASK = "token-classification"
SIZES = {"en": 30, "es": 30, "de": 24, "fr": 20, "hi": 44, "ur": 44}
TARGETS = ("hi", "ur")


def write_corpora(folder: Path) -> None:
    """A folder a language: train, dev and test; the targets' train is theirs alone."""
    sample = []
    for code, size in SIZES.items():
        spoken = utterances(language(code), size, seed=1)
        sample += [one.text for one in spoken]
        parts = {"train": spoken}
        if code in TARGETS:
            parts = {"dev": spoken[:12], "test": spoken[12:30], "train": spoken[30:]}
        for name, some in parts.items():
            place = folder / code / f"{name}.conll"
            place.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(columns(some, labelled=name != "dev"))
            place.write_text(text, encoding="utf-8")
    tiny_model(folder / "encoder", "none", kind="roberta", sample=sample)


def told(**changes: object) -> dict[str, object]:
    """The experiment: two configurations, three strategies, two seeds, one budget, two epochs."""
    return {
        "corpus": "slots",
        "task": TASK,
        "setting": "miniature",
        "strategies": ["random", "knn-uncertainty", "average-dist"],
        "budgets": [8],
        "choice_seeds": [1, 2],
        "train_seeds": [1, 2],
        "models": {
            "tiny": {
                "path": "encoder",
                "train": ["en/train.conll"],
                "training": {"epochs": 2, "lr": 1e-3, "batch_size": 8},
            }
        },
        "data": {
            "train": "{language}/train.conll",
            "target": "{language}/dev.conll",
            "test": "{language}/test.conll",
        },
        "configurations": {"one": {"target": ["hi"]}, "both": {"target": ["hi", "ur"]}},
        "training": {"epochs": 2, "lr": 1e-3, "batch_size": 4},
        **changes,
    }


def write_experiment(folder: Path, **changes: object) -> Path:
    """The file, beside the corpora."""
    path = folder / "miniature.toml"
    path.write_text(tomli_w.dumps(told(**changes)), encoding="utf-8")
    return path


def without_seconds(rows: object) -> list[Mapping[str, object]]:
    """Rows as they must be again; how long they took may differ."""
    assert isinstance(rows, list | tuple)
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
