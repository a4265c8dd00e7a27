"""Worlds with one defect each, and a clean one: pools whose embeddings one can foresee."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tests.models import SAMPLE

from polymux.records import Example, Pool

WORDS = sorted({word for line in SAMPLE[:6] for word in line.split() if word.isalpha()})
STRANGE = ["მშვიდობა", "ბიბლიოთეკა", "საქართველო", "ქალაქი", "მეგობარი", "სიტყვა"]


def sentences(count: int, seed: int, words: Sequence[str] = WORDS) -> list[tuple[str, ...]]:
    """Distinct sentences of 6 to 12 words drawn evenly."""
    draw = random.Random(seed)
    made: dict[tuple[str, ...], None] = {}
    while len(made) < count:
        made[tuple(draw.choices(words, k=draw.randint(6, 12)))] = None
    return list(made)


def pool_of(
    texts: Sequence[Sequence[str]], name: str, languages: Sequence[str | None] | None = None
) -> Pool:
    """Token examples in memory."""
    given = languages or [None] * len(texts)
    examples = [
        Example(f"{name}.txt#{number}", f"{name}.txt", number, {"tokens": tuple(words)}, None, lang)
        for number, (words, lang) in enumerate(zip(texts, given, strict=True), 1)
    ]
    return Pool.of(examples, "token-classification", name=name)


@dataclass(frozen=True)
class World:
    """A source pool and a target sample."""

    source: Pool
    target: Pool


def clean() -> World:
    """A target like the pool, large enough, nothing twice."""
    texts = sentences(400, 1)
    return World(pool_of(texts[:300], "source"), pool_of(texts[300:], "target"))


def with_target(texts: Sequence[Sequence[str]]) -> World:
    """The clean pool, and this target."""
    return replace(clean(), target=pool_of(texts, "target"))


def defects() -> Mapping[tuple[str, str], World]:
    """By (check that must warn, what it must speak of)."""
    texts = sentences(400, 1)
    repeated = [words for words in texts[300:340] for _ in range(3)]
    changed = [(*words[:-1], f"{words[-1]}s") for words in texts[:150] if len(words) > 9]
    lines = [("https://example.org/a", "12345", "%"), ("!!!", "2024"), ("???", "42")]
    noise = [(*line, str(number)) for number, line in enumerate(lines * 5)]
    strange = sentences(60, 3, STRANGE)
    # Words that a language has in every sentence draw its embeddings together.
    two = [*texts[:150], *(("больнице",) * 15 + words for words in texts[150:300])]
    return {
        ("size", "mostly chance"): with_target(texts[300:312]),
        ("size", "repeats itself"): with_target(repeated),
        ("noise", "digits, links or markup"): with_target([*texts[300:], *noise]),
        ("redundancy", "near-duplicate"): World(
            pool_of([*texts[:150], *changed], "source"), pool_of(texts[300:], "target")
        ),
        ("clusters", "clusters by language"): World(
            pool_of(two, "source", ["xx"] * 150 + ["yy"] * 150), pool_of(texts[300:], "target")
        ),
        ("fertility", "Georgian"): with_target([*texts[300:], *strange]),
    }


def cloud(count: int, dim: int, seed: int, centre: float = 0.0, spread: float = 1.0) -> np.ndarray:
    """Normally distributed float32 vectors."""
    rng = np.random.default_rng(seed)
    return (centre + spread * rng.normal(size=(count, dim))).astype(np.float32)
