"""Small tasks that a tiny model can learn: which word is of which kind, and where the fox is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tests.models import tiny_model

from polymux.records import Example, Label, Pool

KIND = {
    "fox": "NOUN",
    "dog": "NOUN",
    "house": "NOUN",
    "runs": "VERB",
    "jumps": "VERB",
    "the": "DET",
    "quick": "ADJ",
    "lazy": "ADJ",
    "old": "ADJ",
}
KINDS_OF_WORD = ("ADJ", "DET", "NOUN", "VERB")
LABELS: dict[str, tuple[str, ...]] = {
    "token-classification": KINDS_OF_WORD,
    "text-classification": ("no", "yes"),
    "question-answering": (),
}


def sentences(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    draw = random.Random(seed)
    return [tuple(draw.choices(list(KIND), k=draw.randint(3, 7))) for _ in range(count)]


def example(number: int, task: str, words: Sequence[str]) -> Example:
    text = " ".join(words)
    fields: dict[str, dict[str, str | tuple[str, ...]]] = {
        "token-classification": {"tokens": tuple(words)},
        "text-classification": {"text": text},
        "question-answering": {"question": "who", "context": text},
    }
    label: dict[str, Label] = {
        "token-classification": tuple(KIND[word] for word in words),
        "text-classification": "yes" if "fox" in words else "no",
        "question-answering": {"text": [words[0]], "answer_start": [0]},
    }
    language = ("en", "sco", "nds")[number % 3]
    return Example(f"w#{number}", "w.jsonl", number, fields[task], label[task], language)


def pool(task: str, count: int = 20, seed: int = 0) -> Pool:
    made = [example(i + 1, task, words) for i, words in enumerate(sentences(count, seed))]
    return Pool.of(made, task, name="train")


def start(folder: Path, task: str, **options: object) -> Path:
    """A model with a trained (random) head for the labels above."""
    return tiny_model(folder, task, labels=LABELS[task], **options)  # type: ignore[arg-type]
