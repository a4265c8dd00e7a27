"""Small pools in several languages for the main job, on disk and in memory."""

from __future__ import annotations

import random
from pathlib import Path

from polymux.records import Example, Pool

WORDS = {
    "en": ["the", "cat", "sat", "on", "a", "mat", "in", "London", "with", "Ada"],
    "de": ["die", "Katze", "saß", "auf", "einer", "Matte", "in", "Köln", "mit", "Uta"],
    "hi": ["बिल्ली", "दिल्ली", "में", "चटाई", "पर", "राम", "के", "साथ", "बैठी"],
    "ur": ["بلی", "لاہور", "میں", "چٹائی", "پر", "احمد", "کے", "ساتھ", "بیٹھی"],
    "zh": ["猫", "在", "北京", "的", "垫子", "上", "和", "小明", "一起"],
}
NOISE = ["🙂", "👩‍👩‍👧", "hmmm", "teh", "Köln", "हाँ", "???", "lol"]


def sentences(language: str, count: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Distinct word sequences of 3 to 9 words."""
    draw = random.Random(f"{language}{seed}")
    made: dict[tuple[str, ...], None] = {}
    while len(made) < count:
        made[tuple(draw.choices(WORDS[language], k=draw.randint(3, 9)))] = None
    return list(made)


def noisy(count: int) -> list[tuple[str, ...]]:
    """Code-mixed and noisy: words of all languages, emoji, typing errors."""
    draw = random.Random(5)
    every = [word for words in WORDS.values() for word in words] + NOISE
    return [tuple(draw.choices(every, k=draw.randint(3, 9))) for _ in range(count)]


def pool(sizes: dict[str, int], *, name: str = "source", seed: int = 0) -> Pool:
    """Token examples in memory, languages given."""
    examples = [
        Example(
            f"{language}#{number}", f"{language}.txt", number, {"tokens": words}, None, language
        )
        for language, size in sizes.items()
        for number, words in enumerate(sentences(language, size, seed), 1)
    ]
    return Pool.of(examples, "token-classification", name=name)


def noisy_pool(count: int) -> Pool:
    """A target nobody can identify."""
    examples = [
        Example(f"noise#{number}", "noise.txt", number, {"tokens": words})
        for number, words in enumerate(noisy(count), 1)
    ]
    return Pool.of(examples, "token-classification", name="target")


def write_conllu(folder: Path, language: str, count: int, *, seed: int = 0) -> Path:
    """A CoNLL-U file below a folder named by its language."""
    path = folder / language / "train.conllu"
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = []
    for words in sentences(language, count, seed):
        rows = [f"{i}\t{word}\t_\tNOUN" + "\t_" * 6 for i, word in enumerate(words, 1)]
        blocks.append("\n".join(rows) + "\n\n")
    path.write_text("".join(blocks), encoding="utf-8")
    return path
