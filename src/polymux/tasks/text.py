"""One label for a text or for a pair of texts (DeMuX 3, text-classification)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from polymux.errors import InputError
from polymux.records import Example, Label
from polymux.tasks import metrics
from polymux.tasks import probability as pr
from polymux.tasks.feature import Feature, frame_of, subwords
from polymux.tasks.probability import Distributions, Measure

AUTO = "AutoModelForSequenceClassification"

MEASURES: dict[str, Measure] = {
    "margin": Measure("-(p1 - p2)", lambda d: pr.margin(d.log_p)),
    "log-margin": Measure(
        "-(log p1 - log p2) (released code): another order from three classes on",
        lambda d: pr.log_margin(d.log_p),
        pr.LOGARITHM,
    ),
    "entropy": Measure("H", lambda d: pr.entropy(d.log_p), pr.LOGARITHM),
    "least-confidence": Measure("1 - p1", lambda d: pr.least_confidence(d.log_p)),
}
DEFAULT_MEASURE = "margin"


def prepare(
    examples: Sequence[Example],
    tokenizer: Any,
    *,
    max_length: int,
    stride: int = 128,  # a text is cut, never split
    windows: bool = False,
    pooled: Literal["first", "last"] = "first",
) -> list[Feature]:
    """One feature an example, cut at `max_length`: of two texts the longer one loses first.

    `pooled` says what stands for the whole: the first position, or (decoder-only models) the last
    one that is not a padding token.

    Raises:
        InputError: the tokenizer makes nothing of an example.
    """
    firsts = list(subwords(tokenizer, [e.fields["text"] for e in examples]))
    paired = [i for i, e in enumerate(examples) if "text_pair" in e.fields]
    seconds = dict(
        zip(
            paired,
            subwords(tokenizer, [examples[i].fields["text_pair"] for i in paired]),
            strict=True,
        )
    )
    frames = {
        pair: frame_of(tokenizer, pair=pair) for pair in {i in seconds for i in range(len(firsts))}
    }
    features = []
    for number, first in enumerate(firsts):
        second = seconds[number].ids if number in seconds else []
        frame = frames[number in seconds]
        keep = _longest_first(len(first.ids), len(second), max_length - frame.size)
        ids, types = frame.around(first.ids[: keep[0]], second[: keep[1]])
        if not ids:
            raise InputError(
                "the tokenizer makes nothing of this text",
                "leave the example out, or use a model whose tokenizer knows its characters",
                file=examples[number].file,
                line=examples[number].line,
            )
        at = (0 if pooled == "first" else _last(ids, tokenizer.pad_token_id),)
        lost = len(first.ids) + len(second) - sum(keep)
        features.append(Feature(number, ids, types, at, at, (0,), lost))
    return features


def summarise(
    examples: Sequence[Example],
    features: Sequence[Feature],
    embeddings_FD: Float[np.ndarray, "examples dim"],
    logits_PC: Float[np.ndarray, "examples classes"],
    labels: Sequence[str],
    *,
    aggregate: str = "joint",  # there is one window an example
) -> tuple[
    Float[np.ndarray, "examples dim"],
    dict[str, Float[np.ndarray, "examples"]],
    list[dict[str, Any]],
]:
    """The hidden state at the pooled position, every measure, and the label now."""
    rows = np.arange(len(examples))
    seen = Distributions(pr.log_softmax(logits_PC), rows, rows, np.ones(len(rows), dtype=np.bool_))
    return (
        embeddings_FD.astype(np.float32),
        {name: measure(seen).astype(np.float32) for name, measure in MEASURES.items()},
        predict(examples, features, logits_PC, labels),
    )


def gold(
    examples: Sequence[Example], features: Sequence[Feature], labels: Sequence[str]
) -> list[Int[np.ndarray, "one"]]:
    """The label number of every feature, beside `logits_at`; -100 = no label.

    Raises:
        InputError: a label that the model does not know.
    """
    number = {label: i for i, label in enumerate(labels)}
    out = []
    for feature in features:
        example = examples[feature.example]
        if example.label is not None and example.label not in number:
            raise InputError(
                f"the model does not know the label {example.label}",
                f"it knows {', '.join(labels)}; train a new head on yours with `polymux train`",
                file=example.file,
                line=example.line,
            )
        told = -100 if example.label is None else number[str(example.label)]
        out.append(np.array([told], dtype=np.int64))
    return out


def predict(
    examples: Sequence[Example],  # one feature is one example
    features: Sequence[Feature],
    logits_PC: Float[np.ndarray, "examples classes"],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """For every example the `label` and its probability, `score`."""
    log_p = pr.log_softmax(logits_PC)
    best = log_p.argmax(axis=1).tolist()
    scores = np.exp(log_p.max(axis=1)).round(4).tolist()
    return [{"label": labels[i], "score": p} for i, p in zip(best, scores, strict=True)]


def score(gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Accuracy first, then macro and weighted F1."""
    return metrics.classes([str(label) for label in gold], [str(p["label"]) for p in predicted])


def counts(
    gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
) -> Float[np.ndarray, "examples 2"]:
    """1 for a right one and 0 for a wrong one, and 1."""
    right = [float(label == p["label"]) for label, p in zip(gold, predicted, strict=True)]
    return np.array([right, [1.0] * len(right)]).T


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts stays: the longer is cut to the shorter, then both to halves."""
    if first + second <= room:
        return first, second
    short = min(first, second, room // 2)
    return (short, room - short) if first <= second else (room - short, short)


def _last(ids: Sequence[int], padding: int | None) -> int:
    """The position that a decoder's head reads: the last token that is not padding."""
    for position in range(len(ids) - 1, -1, -1):
        if ids[position] != padding:
            return position
    return len(ids) - 1
