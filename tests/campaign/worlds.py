"""A small campaign: utterances of the demo, a start model, and a person who knows the labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from tests.models import tiny_model

from polymux.annotation.canaries import PREFIX
from polymux.campaign import Settings, Training
from polymux.demo.corpus import columns
from polymux.demo.utterances import SLOTS, language, utterances
from polymux.readers import read
from polymux.records import Example

TASK = "token-classification"
# What a person would say of each sentence.
Gold = Mapping[tuple[str, ...], tuple[str, ...]]
LABELS = ("O", *(f"{letter}-{slot}" for slot in SLOTS for letter in "BI"))
SIZES = {"es": 60, "de": 40}


def write_world(folder: Path) -> Settings:
    """Pools, a test set and a start model; gives what a campaign is begun with."""
    sample = []
    for code, size in {**SIZES, "hi": 40}.items():
        spoken = utterances(language(code), size, seed=1)
        sample += [one.text for one in spoken]
        (folder / code).mkdir(parents=True)
        for name, part, labelled in (
            ("pool", spoken, True),
            ("sample", spoken[:15], False),
            ("test", spoken[15:], True),
        ):
            text = "".join(columns(part, labelled=labelled))
            (folder / code / f"{name}.conll").write_text(text, encoding="utf-8")
    model = tiny_model(folder / "start", TASK, LABELS, kind="roberta", sample=sample)
    return Settings(
        model=str(model),
        task=TASK,
        source=tuple(str(folder / code / "pool.conll") for code in SIZES),
        target=(str(folder / "hi/sample.conll"),),
        test=(str(folder / "hi/test.conll"),),
        budget=11,
        rounds=3,
        language="folder",
        device="cpu",
        store="off",
        training=Training(epochs=2, lr=1e-3, batch_size=4),
    )


def gold() -> Gold:
    """What a person would say of each sentence of the pools."""
    return {
        one.tokens: one.tags
        for code, size in {**SIZES, "hi": 40}.items()
        for one in utterances(language(code), size, seed=1)
    }


def write_treebanks(folder: Path, data: Path) -> tuple[Settings, Gold]:
    """The same of real treebanks: parts of speech, Hindi and German sentences for Urdu."""
    parts = {"hi/train": 60, "de/train": 40, "ur/dev": 20, "ur/test": 25}
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    files: dict[str, str] = {}
    for name, count in parts.items():
        pool = read(str(data / "udpos" / f"{name}.conllu.xz"), task=TASK)
        sentences = list(islice(pool, count))
        known |= {one.fields["tokens"]: one.label for one in sentences}  # type: ignore[misc]
        path = folder / f"{name}.conll"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(map(_columns, sentences)), encoding="utf-8")
        files[name] = str(path)
    labels = tuple(sorted({label for labels in known.values() for label in labels}))
    sample = [" ".join(words) for words in known]
    model = tiny_model(folder / "start", TASK, labels, kind="roberta", sample=sample)
    settings = Settings(
        model=str(model),
        task=TASK,
        source=(files["hi/train"], files["de/train"]),
        target=(files["ur/dev"],),
        test=(files["ur/test"],),
        budget=11,
        rounds=3,
        language="folder",
        device="cpu",
        store="off",
        training=Training(epochs=2, lr=1e-3, batch_size=4),
    )
    return settings, known


def _columns(example: Example) -> str:
    rows = zip(example.fields["tokens"], example.label or (), strict=True)
    return "".join(f"{word}\t{label}\n" for word, label in rows) + "\n"


def answered(exported: Path, but: Mapping[int, str | None] = {}, known: Gold | None = None) -> Path:
    """The exported JSON lines with labels; `but` gives some lines a state, or None leaves them."""
    known = gold() if known is None else known
    everything = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
    canaries = [told for told in everything if told["id"].startswith(PREFIX)]
    lines = [json.dumps(told, ensure_ascii=False) + "\n" for told in canaries]
    for place, told in enumerate(everything[len(canaries) :]):
        state = but.get(place, "labelled")
        if state == "labelled":
            told["labels"] = known[tuple(told["tokens"])]
        elif state is not None:
            told["state"] = state
        lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    exported.write_text("".join(lines), encoding="utf-8")
    return exported
