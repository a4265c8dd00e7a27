"""Extractive question answering in overlapping windows (DeMuX 3, question-answering).

A window holds the question and a stretch of the context. The logits of all its positions are kept,
because one way to put windows together (`surest`, the released code's) needs them all; every other
way looks at positions of the context only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.errors import InputError, UsageError
from polymux.records import Example, Label
from polymux.tasks import metrics
from polymux.tasks import probability as pr
from polymux.tasks.feature import Feature, Frame, frame_of, subwords
from polymux.tasks.probability import Distributions, Measure

AUTO = "AutoModelForQuestionAnswering"


def _span_prob(seen: Distributions) -> Float[np.ndarray, "units"]:
    best: Float[np.ndarray, "units"] = -np.maximum.reduceat(seen.log_p, seen.starts, axis=0).sum(1)
    return best


def _span_joint(seen: Distributions) -> Float[np.ndarray, "units"]:
    best, _ = pr.best_spans(seen.log_p, seen.window, seen.inside)
    unsure: Float[np.ndarray, "units"] = -np.maximum.reduceat(best, seen.starts)
    return unsure


def _span_margin(seen: Distributions) -> Float[np.ndarray, "units"]:
    total = np.zeros(len(seen.starts))
    for column in range(2):
        first, second = pr.segment_top_two(seen.log_p[:, column], seen.starts)
        total += np.exp(second) - np.exp(first)
    return total


def _entropy(seen: Distributions) -> Float[np.ndarray, "units"]:
    mean: Float[np.ndarray, "units"] = pr.segment_entropy(seen.log_p, seen.starts).mean(axis=1)
    return mean


MEASURES: dict[str, Measure] = {
    "span-prob": Measure("-(max log P(start) + max log P(end))", _span_prob, pr.LOGARITHM),
    "span-joint": Measure(
        "the same of the best valid span: in one window, at most 30 sub-words",
        _span_joint,
        pr.LOGARITHM,
    ),
    "span-margin": Measure("-(p1 - p2) of the start, plus that of the end", _span_margin),
    "entropy": Measure("mean of the two H", _entropy, pr.LOGARITHM),
}
DEFAULT_MEASURE = "span-prob"

# How the measures of an example's windows become one; `joint` needs none: one softmax over all.
AGGREGATES: dict[str, Callable[..., Any] | None] = {
    "joint": None,
    "surest": np.minimum.reduceat,
    "mean": pr.segment_mean,
    "worst": np.maximum.reduceat,
}


def prepare(
    examples: Sequence[Example],
    tokenizer: Any,
    *,
    max_length: int,
    stride: int = 128,
    windows: bool = True,  # a context is always split, never cut
    pooled: Literal["first", "last"] = "first",
) -> list[Feature]:
    """As many windows an example as its context needs, `stride` sub-words shared by neighbours.

    The context alone is split. A question may fill half of what is left beside special tokens and
    loses its end beyond that.

    Raises:
        InputError: a context in which the tokenizer sees nothing.
    """
    frame = frame_of(tokenizer, pair=True)
    questions = subwords(tokenizer, [e.fields["question"] for e in examples])
    contexts = subwords(tokenizer, [e.fields["context"] for e in examples])
    features: list[Feature] = []
    for number, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        if not context.ids:
            raise InputError(
                "the context is empty, or the model sees nothing in it",
                "give the text that holds the answer, or leave the example out",
                file=examples[number].file,
                line=examples[number].line,
            )
        room = max_length - frame.size
        asked = question.ids[: max(room // 2, room - len(context.ids))]
        lost = len(question.ids) - len(asked)
        width = room - len(asked)
        ids, places = context.ids, context.offsets
        for start in _window_starts(len(ids), width, stride):
            part = slice(start, start + width)
            features.append(_window(number, frame, asked, ids[part], places[part], lost, pooled))
            lost = 0
    return features


def _window_starts(length: int, width: int, stride: int) -> range:
    # Neighbours share three quarters at most: a long question must not make thousands of windows.
    step = max(width - stride, width // 4, 1)
    return range(0, max(1, length - width + step), step)


def _window(
    number: int,
    frame: Frame,
    question: Sequence[int],
    context: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    lost: int,
    pooled: str,
) -> Feature:
    ids, types = frame.around(question, context)
    head = len(frame.before) + len(question) + len(frame.between)
    align = (None,) * head + tuple(offsets) + (None,) * len(frame.after)
    at = (0 if pooled == "first" else len(ids) - 1,)
    return Feature(number, ids, types, at, _everywhere(len(ids)), align, lost)


@cache
def _everywhere(length: int) -> tuple[int, ...]:
    """All positions of a row; one tuple for all rows of a length, of which there are many."""
    return tuple(range(length))


def summarise(
    examples: Sequence[Example],
    features: Sequence[Feature],
    embeddings_FD: Float[np.ndarray, "features dim"],
    logits_PC: Float[np.ndarray, "positions 2"],
    labels: Sequence[str],
    *,
    aggregate: str = "joint",
) -> tuple[
    Float[np.ndarray, "examples dim"],
    dict[str, Float[np.ndarray, "examples"]],
    list[dict[str, Any]],
]:
    """The mean over windows of their hidden states, every measure, and the answer now."""
    if aggregate not in AGGREGATES:
        raise UsageError(
            f"windows cannot be put together by {aggregate!r}",
            f"choose one of: {', '.join(AGGREGATES)}",
        )
    example_F = np.array([f.example for f in features])
    first_F = _boundaries(example_F)
    windows_N = pr.counts_of(first_F, len(features))
    embeddings_ND = np.add.reduceat(embeddings_FD, first_F, axis=0, dtype=np.float64)
    merge = AGGREGATES[aggregate]
    seen = _distributions(features, logits_PC, aggregate)
    unsure = {}
    for name, measure in MEASURES.items():
        values = measure(seen)
        unsure[name] = (values if merge is None else merge(values, first_F)).astype(np.float32)
    return (
        (embeddings_ND / windows_N[:, None]).astype(np.float32),
        unsure,
        predict(examples, features, logits_PC, labels),
    )


def _boundaries(numbers: Int[np.ndarray, "n"]) -> Int[np.ndarray, "units"]:
    """Where a run of equal numbers begins."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def _inside(features: Sequence[Feature]) -> Bool[np.ndarray, "positions"]:
    return np.array([place is not None for f in features for place in f.align], dtype=np.bool_)


def _distributions(
    features: Sequence[Feature], logits_PC: Float[np.ndarray, "positions 2"], aggregate: str
) -> Distributions:
    """Start and end distributions: of an example's windows together, or of each by itself."""
    inside = _inside(features)
    window = np.repeat(np.arange(len(features)), [len(f.align) for f in features])
    # The released code's softmax runs over question, special tokens and padding, too.
    kept = np.ones_like(inside) if aggregate == "surest" else inside
    unit = window
    if aggregate == "joint":
        unit = np.array([f.example for f in features])[window]
    starts = _boundaries(unit[kept])
    return Distributions(
        pr.segment_log_softmax(logits_PC[kept], starts), starts, window[kept], inside[kept]
    )


def gold(
    examples: Sequence[Example],
    features: Sequence[Feature],
    labels: Sequence[str],  # a span has no label
) -> list[Int[np.ndarray, "2"]]:
    """Start and end of the first answer as indices into `logits_at`; -100 = no label.

    A window that does not hold the whole answer, or an example that has none, gets (0, 0): the
    first position says "not here", as in SQuAD v2 training.

    Raises:
        InputError: an answer that is not in its context.
    """
    spans = [_answer_span(example) for example in examples]
    out = []
    for feature in features:
        answered, span = spans[feature.example]
        if not answered:
            out.append(np.array([-100, -100], dtype=np.int64))
            continue
        found = None if span is None else _locate(feature, *span)
        out.append(np.array(found or (0, 0), dtype=np.int64))
    return out


def _answer_span(example: Example) -> tuple[bool, tuple[int, int] | None]:
    """Whether a person answered, and the characters of the first answer that stands somewhere."""
    label, context = example.label, str(example.fields["context"])
    if label is None:
        return False, None
    texts: Sequence[str] = label["text"]  # type: ignore[call-overload, index]
    told: Sequence[int] = label.get("answer_start", [0] * len(texts))  # type: ignore[union-attr]
    if not texts:
        return True, None
    for text, start in zip(texts, told, strict=True):
        places = [i for i in range(len(context)) if context.startswith(text, i)] if text else []
        if places:
            nearest = min(places, key=lambda place, start=start: abs(place - start))  # type: ignore[misc]
            return True, (nearest, nearest + len(text))
    raise InputError(
        f"the answer {texts[0]!r} is not in the context",
        "give the answer as it stands there",
        file=example.file,
        line=example.line,
    )


def _locate(feature: Feature, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last sub-word of these characters, if the window holds them all."""
    held = [(i, place) for i, place in enumerate(feature.align) if place is not None]
    first = next((i for i, (_, stop) in held if stop > start), None)
    last = next((i for i, (begin, _) in reversed(held) if begin < end), None)
    if first is None or last is None or last < first:
        return None
    holds_start = held[0][1][0] <= start or first > held[0][0]
    holds_end = held[-1][1][1] >= end or last < held[-1][0]
    return (first, last) if holds_start and holds_end else None


def predict(
    examples: Sequence[Example],
    features: Sequence[Feature],
    logits_PC: Float[np.ndarray, "positions 2"],
    labels: Sequence[str],  # a span has no label
) -> list[dict[str, Any]]:
    """For every example `answers` (as SQuAD writes them) and `score`, the span's probability.

    The best span of all windows, its end not before its start, inside the context, at most
    `probability.LONGEST_SPAN` sub-words long.
    """
    seen = _distributions(features, logits_PC, "joint")
    best_P, end_P = pr.best_spans(seen.log_p, seen.window, seen.inside)
    top_N = np.maximum.reduceat(best_P, seen.starts)
    rows = np.arange(len(best_P))
    is_top = best_P == np.repeat(top_N, pr.counts_of(seen.starts, len(rows)))
    start_N = np.minimum.reduceat(np.where(is_top, rows, len(rows)), seen.starts)
    places = [place for f in features for place in f.align if place is not None]
    out = []
    for example, start, top in zip(examples, start_N.tolist(), top_N.tolist(), strict=True):
        begin, end = places[start][0], places[end_P[start]][1]
        text = str(example.fields["context"])[begin:end]
        # The offsets of sentencepiece tokenizers begin at the space before a word.
        begin += len(text) - len(text.lstrip())
        answers = {"text": [text.strip()], "answer_start": [begin]}
        out.append({"answers": answers, "score": round(float(np.exp(top)), 4)})
    return out


def score(gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """F1 over words first, then exact match, each the best over the answers of people."""
    return metrics.answers(*_texts(gold, predicted))


def counts(
    gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
) -> Float[np.ndarray, "examples 2"]:
    """The F1 of each question, and 1."""
    return metrics.answer_counts(*_texts(gold, predicted))


def _texts(
    gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
) -> tuple[list[list[str]], list[str]]:
    truth = [list(label["text"]) for label in gold]  # type: ignore[call-overload, index]
    return truth, [told["answers"]["text"][0] for told in predicted]
