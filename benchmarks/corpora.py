"""Sentences of the Universal Dependencies, drawn evenly from all languages."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from polymux import Example, Pool, read
from polymux.records import content_hashes

TASK = "token-classification"
# The language that the models are fine-tuned on, and the one that is chosen for.
START, TARGET = "en", "ur"
UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON"),
    *("PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)


def data() -> Path:
    """The folder of the corpora."""
    if "POLYMUX_DATA" not in os.environ:
        sys.exit("POLYMUX_DATA must name the folder of the corpora (it holds udpos/LANGUAGE/)")
    return Path(os.environ["POLYMUX_DATA"])


def below(pattern: str) -> list[Path]:
    """The corpora's files of this pattern."""
    found = sorted(data().glob(pattern))
    if not found:
        sys.exit(f"there is no {pattern} below POLYMUX_DATA")
    return found


def everything(split: str = "train") -> Pool:
    """All sentences of a split in all languages."""
    paths = map(str, below(f"udpos/*/{split}.conllu.xz"))
    return read(*paths, task=TASK, language="folder")


def sentences(language: str, split: str) -> list[Example]:
    """All sentences of one language."""
    return list(read(*map(str, below(f"udpos/{language}/{split}.conllu.xz")), task=TASK))


def drawn(count: int, seed: int = 0) -> list[Example]:
    """So many different sentences of the train splits but English and Urdu, languages in turn."""
    by_language: dict[str, list[Example]] = {}
    for example in everything():
        if example.language not in (START, TARGET):
            by_language.setdefault(str(example.language), []).append(example)
    draw = random.Random(seed)
    for rows in by_language.values():
        draw.shuffle(rows)
    kept: list[Example] = []
    seen = _names(sentences(TARGET, "dev"))
    while len(kept) < count and by_language:
        for language in list(by_language):
            if not by_language[language]:
                del by_language[language]
                continue
            example = by_language[language].pop()
            name = _names([example])
            if len(kept) < count and not name & seen:
                kept.append(example)
                seen |= name
    draw.shuffle(kept)
    return kept


def _names(examples: Sequence[Example]) -> set[tuple[int, ...]]:
    return {tuple(row) for row in content_hashes(examples).tolist()}


def written(examples: Sequence[Example], path: Path) -> Path:
    """The sentences as a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for example in examples:
            fields = {"tokens": example.fields["tokens"], "language": example.language}
            out.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return path


def pools(work: Path, count: int, targets: int | None = None) -> tuple[Pool, Pool]:
    """Source and target as files, read as a user's would be."""
    source = written(drawn(count), work / f"source-{count}.jsonl")
    target = written(sentences(TARGET, "dev")[:targets], work / f"target-{targets}.jsonl")
    return (
        read(str(source), task=TASK, language="language", name="source"),
        read(str(target), task=TASK, name="target"),
    )
