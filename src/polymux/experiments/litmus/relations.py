"""How near two languages are: by the sub-words of their texts, and by distances of the user's."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from polymux.errors import InputError, UsageError
from polymux.experiments.results import text_of
from polymux.prescribe.hashes import HashSet
from polymux.progress import Progress
from polymux.records import Example, Pool, content_hashes
from polymux.tasks.feature import subwords

# Of a bought and a tested language: 1 as near as can be, 0 as far; NaN where nobody knows.
Nearness = Callable[[str, str], float]


@dataclass(slots=True)
class Texts:
    """The languages of one pool or several."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Examples by language, each content once, as they can be chosen."""
    subwords: dict[str, Int[np.ndarray, "vocabulary"]] = field(default_factory=dict)
    """How often each sub-word of the tokenizer stands in a language."""
    nameless: int = 0
    """Examples without a language."""


def texts_of(pool: Pool, tokenizer: Any, progress: Progress | None = None) -> Texts:
    """Read a pool once, without the model: how much there is of each language, in which sub-words.

    Raises:
        UsageError: no example of the pool has a language.
    """
    told, known = Texts(), HashSet()
    for shard in pool.shards():
        is_new = known.add(content_hashes(shard.examples))
        fresh = [e for e, new in zip(shard.examples, is_new.tolist(), strict=True) if new]
        by_language: dict[str, list[Example]] = {}
        for example in fresh:
            if example.language:
                by_language.setdefault(example.language, []).append(example)
            else:
                told.nameless += 1
        for language, examples in by_language.items():
            told.sizes[language] = told.sizes.get(language, 0) + len(examples)
            counts = _subword_counts(examples, tokenizer)
            told.subwords[language] = told.subwords.get(language, 0) + counts
        if progress is not None:
            progress(f"sub-words of {pool.name}", shard.first + len(shard.examples), None)
    if not told.sizes:
        raise UsageError(
            f"no example of {pool.name} has a language, and a plan is of whole languages",
            "say where it is told: --language FIELD, folder or file; where nobody knows the "
            "languages, take a strategy that needs none, such as knn-uncertainty",
        )
    return told


def _subword_counts(examples: list[Example], tokenizer: Any) -> Int[np.ndarray, "vocabulary"]:
    texts = [
        value if isinstance(value, str) else " ".join(value)
        for example in examples
        for value in example.fields.values()
    ]
    ids = [np.array(encoding.ids, dtype=np.int64) for encoding in subwords(tokenizer, texts)]
    return np.bincount(np.concatenate(ids), minlength=len(tokenizer)).astype(np.int64)


def overlap(one: Int[np.ndarray, "vocabulary"], other: Int[np.ndarray, "vocabulary"]) -> float:
    """The share of running sub-words that two texts have in common: sum of min(p, q), in [0, 1].

    LITMUS compares the sets of sub-words; a set grows with its text, and a target sample is small.
    """
    if not one.sum() or not other.sum():
        return math.nan
    return float(np.minimum(one / one.sum(), other / other.sum()).sum())


def by_overlap(*texts: Texts) -> Nearness:
    """Nearness by the sub-words of all these texts together."""
    joined: dict[str, Int[np.ndarray, "vocabulary"]] = {}
    for part in texts:
        for language, counts in part.subwords.items():
            joined[language] = joined.get(language, 0) + counts
    kept: dict[tuple[str, str], float] = {}

    def near(bought: str, tested: str) -> float:
        if bought not in joined or tested not in joined:
            return math.nan
        pair = (min(bought, tested), max(bought, tested))
        if pair not in kept:
            kept[pair] = overlap(joined[pair[0]], joined[pair[1]])
        return kept[pair]

    return near


def by_distance(distances: Mapping[tuple[str, str], float]) -> Nearness:
    """Nearness as 1 - distance, the same both ways; a language is at distance 0 from itself."""

    def near(bought: str, tested: str) -> float:
        if bought == tested:
            return 1.0
        known = distances.get((bought, tested), distances.get((tested, bought), math.nan))
        return 1.0 - known

    return near


def read_distances(path: str | Path) -> dict[tuple[str, str], float]:
    """A CSV file `language,language,distance` with distances in [0, 1] (a header is allowed)."""
    found: dict[tuple[str, str], float] = {}
    asked = "write language,language,distance with a distance from 0 to 1, each pair once"
    for number, (one, other, cell) in _numbers(path, 3, asked):
        if not 0 <= cell <= 1 or (one, other) in found or (other, one) in found:
            raise _fault(path, number, f"{one},{other},{cell:g}", asked)
        found[one, other] = cell
    return found


def read_sizes(path: str | Path) -> dict[str, float]:
    """A CSV file `language,bytes`: how much text of it a model was pre-trained on."""
    found: dict[str, float] = {}
    asked = "write language,bytes with a number above 0, each language once"
    for number, (language, cell) in _numbers(path, 2, asked):
        if not 0 < cell < math.inf or language in found:
            raise _fault(path, number, f"{language},{cell:g}", asked)
        found[language] = cell
    return found


def _numbers(path: str | Path, width: int, asked: str) -> Iterator[tuple[int, list[Any]]]:
    """The lines of a table whose last cell is a number, which is given as one."""
    try:
        reader = csv.reader(text_of(Path(path)).splitlines())
    except (FileNotFoundError, IsADirectoryError):
        raise InputError("there is no such file", asked, file=str(path)) from None
    try:
        lines = list(reader)
    except csv.Error as error:
        raise _fault(path, reader.line_num, str(error), asked) from error
    for number, cells in enumerate(lines, 1):
        *names, last = (cell.strip() for cell in cells or [""])
        if not cells:
            continue
        try:
            value = float(last)
        except ValueError:
            # A first line without a number is a header.
            if number == 1:
                continue
            value = math.nan
        if len(cells) != width or math.isnan(value) or not all(names):
            raise _fault(path, number, ",".join(cells), asked)
        yield number, [*names, value]


def _fault(path: str | Path, number: int, line: str, asked: str) -> InputError:
    return InputError(f"not a line of this table: {line[:80]}", asked, file=str(path), line=number)
