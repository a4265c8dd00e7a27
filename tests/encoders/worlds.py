"""Examples of every task: short, long, pairs, many scripts, typing errors, emoji."""

from __future__ import annotations

import random

import numpy as np
from tests.models import SAMPLE

from polymux.records import Encodings, Example

NOISE = ("teh", "thx!!", "😀", "👩‍⚕️", "naïve", "ﷺ", "x²", "e\u0301", "ЌАК", "ok...", "ﬁn", "ᚠ")


def world(task: str, count: int = 24, seed: int = 0) -> list[Example]:
    """`count` examples of a task, lengths from one word to more than a model reads."""
    rng = random.Random(seed)
    pool = [word for line in SAMPLE for word in line.split()] + list(NOISE) * 3
    out = []
    for i in range(count):
        words = rng.choices(pool, k=rng.choice([1, 2, 3, 5, 8, 13, 21, 40, 70]))
        few = rng.choices(pool, k=rng.randint(1, 8))
        out.append(Example(f"w#{i + 1}", "w.txt", i + 1, _fields(task, words, few, i)))
    return out


def _fields(
    task: str, words: list[str], few: list[str], i: int
) -> dict[str, str | tuple[str, ...]]:
    if task == "token-classification":
        return {"tokens": tuple(words)}
    if task == "question-answering":
        return {"question": " ".join(few[:2]) + "?", "context": " ".join(words)}
    if i % 3 == 0:
        return {"text": " ".join(words)}
    return {"text": " ".join(words), "text_pair": " ".join(few if i % 3 == 1 else words[::-1])}


def same(one: Encodings, other: Encodings) -> None:
    """The promised tolerances: 1e-5 of the norm, 1e-5 for probabilities, 1e-4 for logarithms."""
    gap = np.linalg.norm(one.embeddings - other.embeddings, axis=1)
    assert (gap <= 1e-5 * np.linalg.norm(one.embeddings, axis=1)).all()
    for name, values in one.uncertainty.items():
        np.testing.assert_allclose(values, other.uncertainty[name], atol=1e-5, rtol=1e-5)
    assert (one.lengths == other.lengths).all()
    assert (one.lost == other.lost).all()
    assert (one.hashes == other.hashes).all()
    assert one.embeddings.dtype == np.float32
