"""Words and their labels: parts of speech, names, slots (DeMuX 3, token-classification).

Only a word's first sub-word counts. A word that yields no sub-word is skipped in the embedding and
in the measures, and predicted `O`.
"""

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

AUTO = "AutoModelForTokenClassification"
OUTSIDE = "O"

MEASURES: dict[str, Measure] = {
    "margin-min": Measure(
        "largest -(p1 - p2) over words: the least sure word decides",
        lambda d: np.maximum.reduceat(pr.margin(d.log_p), d.starts),
    ),
    "margin-mean": Measure(
        "mean of -(p1 - p2) over words", lambda d: pr.segment_mean(pr.margin(d.log_p), d.starts)
    ),
    "margin-max": Measure(
        "smallest -(p1 - p2): the surest word decides (released code)",
        lambda d: np.minimum.reduceat(pr.margin(d.log_p), d.starts),
    ),
    "mnlp": Measure(
        "mean of -log p1 over words",
        lambda d: pr.segment_mean(-d.log_p.max(axis=1), d.starts),
        pr.LOGARITHM,
    ),
    "entropy-mean": Measure(
        "mean of H over words",
        lambda d: pr.segment_mean(pr.entropy(d.log_p), d.starts),
        pr.LOGARITHM,
    ),
    "entropy-max": Measure(
        "largest H over words",
        lambda d: np.maximum.reduceat(pr.entropy(d.log_p), d.starts),
        pr.LOGARITHM,
    ),
    "least-confidence-mean": Measure(
        "mean of 1 - p1 over words",
        lambda d: pr.segment_mean(pr.least_confidence(d.log_p), d.starts),
    ),
    "log-margin-min": Measure(
        "largest -(log p1 - log p2) over words (released code)",
        lambda d: np.maximum.reduceat(pr.log_margin(d.log_p), d.starts),
        pr.LOGARITHM,
    ),
}
DEFAULT_MEASURE = "margin-min"


def prepare(
    examples: Sequence[Example],
    tokenizer: Any,
    *,
    max_length: int,
    stride: int = 128,
    windows: bool = False,
    pooled: Literal["first", "last"] = "first",  # a word is read where it stands
) -> list[Feature]:
    """One feature an example, cut at `max_length`; with `windows` as many as hold all its words.

    In windows each word stands in exactly one feature, the one that shows most around it; an
    example without a visible word has none.

    Raises:
        InputError: without `windows`, the model sees no word of an example.
    """
    frame = frame_of(tokenizer, pair=False)
    room = max_length - frame.size
    lead = lead_of(tokenizer)
    texts = [[lead + word for word in _words(example)] for example in examples]
    features = []
    for number, encoding in enumerate(subwords(tokenizer, texts, words=True)):
        first = _first_subwords(encoding.word_ids)
        spans = _spans(len(encoding.ids), room, stride) if windows else [(0, room)]
        homes = _homes(list(first.values()), spans)
        lost = sum(home < 0 for home in homes)
        if not windows and lost == len(homes):
            raise InputError(
                "the model sees none of its words",
                "leave the example out, or use a model whose tokenizer knows its characters",
                file=examples[number].file,
                line=examples[number].line,
            )
        for home, (start, end) in enumerate(spans):
            held = [(w, at) for (w, at), h in zip(first.items(), homes, strict=True) if h == home]
            if not held:
                continue
            ids, types = frame.around(encoding.ids[start:end])
            at = tuple(len(frame.before) + position - start for _, position in held)
            features.append(Feature(number, ids, types, at, at, tuple(w for w, _ in held), lost))
            lost = 0
    return features


def summarise(
    examples: Sequence[Example],
    features: Sequence[Feature],
    embeddings_FD: Float[np.ndarray, "features dim"],
    logits_PC: Float[np.ndarray, "positions classes"],
    labels: Sequence[str],
    *,
    aggregate: str = "joint",  # there is one window an example
) -> tuple[
    Float[np.ndarray, "examples dim"],
    dict[str, Float[np.ndarray, "examples"]],
    list[dict[str, Any]],
]:
    """The mean over words of their hidden states, every measure, and the labels now."""
    words_F = np.array([len(f.logits_at) for f in features])
    example_F = np.array([f.example for f in features])
    embeddings_ND = np.zeros((len(examples), embeddings_FD.shape[1]))
    np.add.at(embeddings_ND, example_F, embeddings_FD * words_F[:, None])
    words_N = np.bincount(example_F, weights=words_F, minlength=len(examples)).astype(np.int64)
    starts_N = np.cumsum(words_N) - words_N
    rows = len(logits_PC)
    seen = Distributions(
        pr.log_softmax(logits_PC), starts_N, np.arange(rows), np.ones(rows, dtype=np.bool_)
    )
    return (
        (embeddings_ND / words_N[:, None]).astype(np.float32),
        {name: measure(seen).astype(np.float32) for name, measure in MEASURES.items()},
        predict(examples, features, logits_PC, labels),
    )


def gold(
    examples: Sequence[Example], features: Sequence[Feature], labels: Sequence[str]
) -> list[Int[np.ndarray, "words"]]:
    """The label numbers of every feature's words, beside `logits_at`; -100 = no label.

    Raises:
        InputError: a label that the model does not know, or not one label a word.
    """
    numbers = [_label_numbers(example, labels) for example in examples]
    return [numbers[f.example][list(f.align)] for f in features]


def _label_numbers(example: Example, labels: Sequence[str]) -> Int[np.ndarray, "words"]:
    if example.label is None:
        return np.full(len(_words(example)), -100, dtype=np.int64)
    check_label(example)
    unknown = sorted(set(example.label) - set(labels))
    if unknown:
        raise InputError(
            f"the model does not know the labels {', '.join(unknown)}",
            f"it knows {', '.join(labels)}; train a new head on yours with `polymux train`",
            file=example.file,
            line=example.line,
        )
    return np.array([labels.index(label) for label in example.label], dtype=np.int64)


def check_label(example: Example) -> None:
    """Refuse an example that has not one label a word."""
    words, labels = len(_words(example)), example.label
    if labels is not None and len(labels) != words:
        raise InputError(
            f"{words} words have {len(labels)} labels",
            "give one label a word",
            file=example.file,
            line=example.line,
        )


def predict(
    examples: Sequence[Example],
    features: Sequence[Feature],
    logits_PC: Float[np.ndarray, "positions classes"],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """For every example `labels`, one a word, and `scores`, their probabilities (unseen: O, 0)."""
    log_p = pr.log_softmax(logits_PC)
    best = log_p.argmax(axis=1).tolist()
    scores = np.exp(log_p.max(axis=1)).round(4).tolist()
    out: list[dict[str, Any]] = [
        {"labels": [OUTSIDE] * len(_words(e)), "scores": [0.0] * len(_words(e))} for e in examples
    ]
    row = 0
    for feature in features:
        told = out[feature.example]
        for word in feature.align:
            told["labels"][word] = labels[best[row]]
            told["scores"][word] = scores[row]
            row += 1
    return out


def score(gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Entity F1 first where labels have B-, I- (E-, S-, L-, U-) prefixes, else token accuracy."""
    return metrics.tags(
        [list(labels) for labels in gold], [list(told["labels"]) for told in predicted]
    )


def counts(
    gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
) -> Float[np.ndarray, "examples 2"]:
    """Twice the right entities and all of both sides, or the right words and all words."""
    return metrics.tag_counts(
        [list(labels) for labels in gold], [list(told["labels"]) for told in predicted]
    )


def _words(example: Example) -> tuple[str, ...]:
    return tuple(example.fields["tokens"])


def lead_of(tokenizer: Any) -> str:
    """What must stand before a word for it to be read as it is inside a text.

    Byte-level tokenizers (RoBERTa, GPT-2, Llama 3, Qwen) know a word by the space before it, which
    words given one by one do not have.
    """
    for word in ("a", "the", "и", "的"):
        inside = next(subwords(tokenizer, [f"{word} {word}"])).ids
        alone, spaced = (
            next(subwords(tokenizer, [[word, lead + word]], words=True)).ids for lead in ("", " ")
        )
        if alone != inside:
            return " " if spaced == inside else ""
    return ""


def _first_subwords(word_ids: Sequence[int | None]) -> dict[int, int]:
    """The position of the first sub-word of every word that has one."""
    first: dict[int, int] = {}
    for position, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, position)
    return first


def _spans(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Windows of `room` sub-words that overlap by `stride`, at most by half of themselves."""
    step = room - min(stride, room // 2)
    count = 1 + max(0, -(-(length - room) // step))
    return [(i * step, i * step + room) for i in range(count)]


def _homes(positions: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """For every position the window that shows most around it, the earlier of equals; -1: none."""
    if len(spans) == 1:
        ((start, end),) = spans
        return [0 if start <= position < end else -1 for position in positions]
    homes = []
    for position in positions:
        depth, home = max(
            (
                (min(position - start, end - 1 - position), -i)
                for i, (start, end) in enumerate(spans)
            ),
        )
        homes.append(-home if depth >= 0 else -1)
    return homes
