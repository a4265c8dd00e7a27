"""Can the model's probabilities be believed? Where labels exist, this says (Guo et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.diagnosis.findings import Finding, Level, Result, share
from polymux.intervals import Interval, score_interval
from polymux.records import Label
from polymux.tasks.metrics import answer_words

BINS = 10
# Expected calibration errors from which a model is worth a remark, and a warning.
SOME, MUCH = 0.05, 0.10
# Of fewer labelled examples the error is mostly the luck of the draw.
ENOUGH = 50

# Of one example: how sure the model was of each thing it said, and whether it was right.
Judged = list[tuple[float, bool]]


def _words(gold: Any, told: Mapping[str, Any]) -> Judged:
    pairs = zip(gold, told["labels"], told["scores"], strict=False)
    # A word that the model did not see has score 0.
    return [(float(sure), truth == label) for truth, label, sure in pairs if sure > 0]


def _text(gold: Any, told: Mapping[str, Any]) -> Judged:
    return [(float(told["score"]), gold == told["label"])]


def _answer(gold: Any, told: Mapping[str, Any]) -> Judged:
    words = answer_words(told["answers"]["text"][0])
    is_right = any(answer_words(text) == words for text in gold["text"] or [""])
    return [(float(told["score"]), is_right)]


JUDGES: dict[str, Callable[[Any, Mapping[str, Any]], Judged]] = {
    "token-classification": _words,
    "text-classification": _text,
    "question-answering": _answer,
}


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions with about the same confidence."""

    n: int
    confidence: float
    """Mean probability that the model gave to what it said."""
    accuracy: float
    """Share of them that are right."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability diagram of one pool."""

    examples: int
    """That are labelled, of those looked at."""
    bins: tuple[Bin, ...]
    """Of ten equal ones over [0, 1], those that hold something."""
    error: float
    """Expected calibration error: mean |confidence - accuracy|, bins weighted by their size."""
    confidence: float
    accuracy: Interval
    """Its interval is over examples, however many predictions each has."""

    def finding(self, name: str) -> Finding:
        """On how far the model's doubts of this pool mean what they say."""
        told = (
            f"on the labelled {name} ({self.examples:,} examples) the model is right in "
            f"{share(self.accuracy.value)} and says {share(self.confidence)} "
            f"(calibration error {100 * self.error:.1f} points)"
        )
        if self.examples < ENOUGH:
            return Finding("note", f"{told}, of too few to tell", "label some more")
        is_sure = not self.accuracy.low <= self.confidence <= self.accuracy.high
        if self.error > SOME and is_sure:
            side = "overconfident" if self.confidence > self.accuracy.value else "underconfident"
            level: Level = "warning" if self.error > MUCH else "note"
            return Finding(
                level,
                f"{told}: it is {side}",
                "trust the order of its doubts, not their size; compare a second --uncertainty",
            )
        return Finding("good", told)


@dataclass(frozen=True, slots=True)
class Calibration(Result):
    """The reliability diagrams of the pools that have labels."""

    pools: Mapping[str, Reliability]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One a pool, or that there are no labels."""
        if not self.pools:
            told = "no example looked at is labelled: whether the model's probabilities can be "
            return (Finding("note", f"{told}believed is not known", "label some dozens to know"),)
        return tuple(found.finding(name) for name, found in self.pools.items())


def judged(
    task: str, labels: Sequence[Label | None], predictions: Sequence[Mapping[str, Any]]
) -> list[Judged]:
    """What the model said of each labelled example, and whether it was right."""
    judge = JUDGES[task]
    pairs = zip(labels, predictions, strict=True)
    said = [judge(label, told) for label, told in pairs if label is not None]
    return [one for one in said if one]


def reliability(said: Sequence[Judged]) -> Reliability:
    """The reliability diagram of at least one example."""
    sure_P = np.array([sure for one in said for sure, _ in one])
    right_P = np.array([is_right for one in said for _, is_right in one], dtype=np.float64)
    bins, error = diagram(sure_P, right_P)
    parts = [(float(sum(is_right for _, is_right in one)), float(len(one))) for one in said]
    accuracy = score_interval(np.array(parts))
    return Reliability(len(said), bins, error, float(sure_P.mean()), accuracy)


def diagram(
    confidence: Float[np.ndarray, "predictions"], right: Float[np.ndarray, "predictions"]
) -> tuple[tuple[Bin, ...], float]:
    """The bins that hold something, and the expected calibration error."""
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    home: Int[np.ndarray, "predictions"] = np.searchsorted(inner, confidence)
    bins = []
    for place in np.unique(home).tolist():
        here = home == place
        mean = float(confidence[here].mean()), float(right[here].mean())
        bins.append(Bin(int(here.sum()), *mean))
    error = sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / len(confidence)
    return tuple(bins), float(error)
