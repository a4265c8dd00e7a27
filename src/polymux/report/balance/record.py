"""The plain record of a distillation, JSON values only, and the few numbers that follow from it.

A score is a share in [0, 1] here; what is shown is in points of 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np

RANDOM = "random encoder"

# Sources x targets, in the order of the probe's languages.
Matrix = Sequence[Sequence[float | int]]


class Text(TypedDict):
    """The training text of one language."""

    bytes: int
    premium_bytes: float
    """Bytes over those that English needs to say the same."""
    characters: int
    words: int
    tokens: int
    tokens_per_word: float
    unknown: float
    """Share of the tokens that stand for text the tokenizer cannot write."""
    bytes_share: float
    """Share of the tokens that are single bytes."""
    overlap: Mapping[str, float]
    """By probe task: the share of its test sentences found in the text."""


class Portion(TypedDict):
    """One language in the training of one system."""

    share: float
    epochs: float
    """How often the kept text is read; above one it is repeated."""
    kept_tokens: float


class System(TypedDict):
    """How one system was trained."""

    loss: str
    sampling: str
    compute: str
    updates: int
    tokens: int
    flops: float
    """Of the training in all, its teachers' forward passes included."""
    seconds: Sequence[float]
    """One a seed, as `final_loss`."""
    final_loss: Sequence[float]
    losses: Sequence[Sequence[float]]
    """(step, loss) pairs of the first seed."""
    languages: Mapping[str, Portion]


class TeacherWords(TypedDict):
    """How well a teacher guesses the masked words of its own language."""

    mrr: float
    bits_per_character: float
    cross_entropy: float


class Teacher(TypedDict):
    """The teacher of one language; a score is None where its language has no such probe."""

    tokens: int
    epochs: float
    flops: float
    seconds: float
    words: TeacherWords
    pos: float | None
    ner: float | None


class Words(TypedDict):
    """How well a system guesses the masked words of one language: one number a seed."""

    mrr: Sequence[float]
    plain_mrr: Sequence[float]
    """The same over tokens with a letter only: words and their parts."""
    bits_per_character: Sequence[float]
    cross_entropy: Sequence[float]


class Majority(TypedDict):
    """What always giving the source's most frequent tag scores."""

    matrix: Matrix


class Probe(TypedDict):
    """One task: every system's scores, one matrix a seed."""

    score: str
    languages: Sequence[str]
    """Those of the record's that have data for it."""
    majority: Majority
    systems: Mapping[str, Sequence[Matrix]]


class Comparison(TypedDict):
    """How much better one system is than another, over a group of languages."""

    task: str
    transfer: str
    group: str
    ours: str
    theirs: str
    difference: float
    low: float
    """Where the interval of the difference begins."""
    high: float
    better: float
    """The share of resamples in which ours is better."""
    seeds: int


class PaperRow(TypedDict):
    """One number of the slides, in points of 100."""

    task: str
    language_set: str
    group: str
    method: str
    transfer: str
    score: float


class Claim(TypedDict):
    """What the slides claim, and what this run says of it."""

    claim: str
    verdict: str
    evidence: str


class Record(TypedDict):
    """Everything a distillation's report says."""

    name: str
    polymux: str
    machine: str
    reconstruction: str
    settings: Mapping[str, str]
    languages: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    paper: str | None
    text: Mapping[str, Text]
    systems: Mapping[str, System]
    teachers: Mapping[str, Teacher]
    diagonal: Matrix | None
    """Nats: a row a teacher, a column a text."""
    words: Mapping[str, Mapping[str, Words]]
    probes: Mapping[str, Probe]
    comparisons: Sequence[Comparison]
    paper_rows: Sequence[PaperRow]
    claims: Sequence[Claim]
    notes: Sequence[str]


def encoders(record: Record) -> list[str]:
    """Every system that was trained or scored, the untrained encoder last."""
    scored = [*record["words"], *(name for p in record["probes"].values() for name in p["systems"])]
    names = dict.fromkeys([*record["systems"], *scored])
    return sorted(names, key=lambda name: name == RANDOM)


def in_language(matrix: Matrix, languages: Sequence[str], group: Sequence[str]) -> float:
    """I-L: the mean of the group's own diagonal; not a number without one."""
    return _mean(matrix[i][i] for i in _places(languages, group))


def zero_shot(matrix: Matrix, languages: Sequence[str], group: Sequence[str]) -> float:
    """Z-S: the mean of all cells off the diagonal that lead into the group."""
    targets = _places(languages, group)
    return _mean(row[t] for t in targets for s, row in enumerate(matrix) if s != t)


def zero_shot_from(matrix: Matrix, languages: Sequence[str], group: Sequence[str]) -> float:
    """The mean of all cells off the diagonal that lead out of the group."""
    sources = _places(languages, group)
    return _mean(score for s in sources for t, score in enumerate(matrix[s]) if s != t)


def teachers_mean(record: Record, task: str, group: Sequence[str]) -> float:
    """The mean of the group's teachers, each on its own language; not a number if one has none."""
    probed = record["probes"][task]["languages"]
    return _mean(teacher_score(record, task, lang) for lang in group if lang in probed)


def teacher_score(record: Record, task: str, language: str) -> float:
    """A teacher's score on its own language, in [0, 1], or not a number."""
    teacher = record["teachers"].get(language)
    score = {"pos": teacher["pos"], "ner": teacher["ner"]}.get(task) if teacher else None
    return float("nan") if score is None else score


def mean_matrix(matrices: Sequence[Matrix]) -> list[list[float]]:
    """The mean over seeds, cell by cell."""
    means: list[list[float]] = np.mean(np.asarray(matrices, dtype=np.float64), axis=0).tolist()
    return means


def _places(languages: Sequence[str], group: Sequence[str]) -> list[int]:
    order = {language: place for place, language in enumerate(languages)}
    return [order[language] for language in group if language in order]


def _mean(values: Iterator[float]) -> float:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else float("nan")
