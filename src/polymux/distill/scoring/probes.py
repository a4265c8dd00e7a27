"""Linear probes on a frozen encoder: what its vectors tell of words (METHOD.md 2.1, 2.5)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn.utils.rnn import pad_sequence

from polymux.errors import InputError, WorkError
from polymux.records import Example
from polymux.statistics import accuracy, f1
from polymux.tasks import task_named
from polymux.tasks.metrics import entities

# Inverse strengths of the L2 penalty; the source language's dev set decides.
STRENGTHS = (0.003, 0.03, 0.3, 3.0)
_ITERATIONS = 200
_BATCH_ROWS = 64
OUTSIDE = "O"
SPLITS = ("train", "dev", "test")
# By kind of labels: the name of the score, and how it is made of summed counts.
SCORES = {"pos": ("accuracy", accuracy), "ner": ("f1", f1)}
Data = Mapping[str, Mapping[str, Sequence[Example]]]
Counts = Int[np.ndarray, "sentences columns"]


@dataclass(frozen=True, slots=True)
class Seen:
    """The vectors of a split's words, and where each word stands."""

    vectors: Float[np.ndarray, "words dim"]
    example: Int[np.ndarray, "words"]
    word: Int[np.ndarray, "words"]
    labels: tuple[tuple[str, ...], ...]
    """By example, of all its words, also those the model does not see."""

    @property
    def gold(self) -> list[str]:
        """The labels of the words seen, in their order."""
        pairs = zip(self.example.tolist(), self.word.tolist(), strict=True)
        return [self.labels[example][word] for example, word in pairs]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Probes trained on each language, tested on every language."""

    languages: tuple[str, ...]
    counts: Mapping[tuple[str, str], Counts]
    """By (source, target): right and total of each sentence, or right, found and there."""
    scores: Float[np.ndarray, "sources targets"]
    strengths: Mapping[str, float]
    """What the dev set of each source chose."""
    iterations: Mapping[str, int]


@torch.no_grad()
def see(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    *,
    max_length: int,
    autocast: torch.dtype,
) -> Seen:
    """The last hidden state at each word's first sub-word, frozen: no gradient, no dropout.

    Long sentences are read in windows, so that every word is seen that any sub-word writes.
    """
    features = task_named("token-classification").prepare(
        examples, tokenizer, max_length=max_length, windows=True
    )
    body = getattr(model, "base_model", model).eval()
    device = next(model.parameters()).device
    order = sorted(range(len(features)), key=lambda i: len(features[i].input_ids))
    vectors: dict[int, np.ndarray] = {}
    for start in range(0, len(order), _BATCH_ROWS):
        some = order[start : start + _BATCH_ROWS]
        ids = [torch.tensor(features[i].input_ids) for i in some]
        padding = tokenizer.pad_token_id
        batch = pad_sequence(ids, batch_first=True, padding_value=padding).to(device)
        shown = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True).to(device)
        with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
            hidden = body(input_ids=batch, attention_mask=shown)[0].float().cpu().numpy()
        for place, i in enumerate(some):
            vectors[i] = hidden[place, list(features[i].logits_at)]
    rows = [(f.example, int(word)) for f in features for word in f.align]
    seen = np.concatenate([vectors[i] for i in range(len(features))])
    if not np.isfinite(seen).all():
        raise WorkError(
            "an encoder gives vectors that are not finite",
            "train it with a lower lr, or in float32",
        )
    return Seen(
        seen,
        np.array([example for example, _ in rows]),
        np.array([word for _, word in rows]),
        tuple(_labels(example) for example in examples),
    )


def _labels(example: Example) -> tuple[str, ...]:
    if not isinstance(example.label, tuple):
        raise InputError(
            "a sentence of a probe has no labels", "give labelled words", file=example.file
        )
    return example.label


@dataclass(frozen=True, slots=True)
class Probe:
    """A softmax over standardised vectors."""

    mean: Float[np.ndarray, "dim"]
    spread: Float[np.ndarray, "dim"]
    weights: Float[np.ndarray, "dim classes"]
    bias: Float[np.ndarray, "classes"]
    labels: tuple[str, ...]
    strength: float
    iterations: int

    def says(self, vectors: Float[np.ndarray, "words dim"]) -> list[str]:
        """The likeliest label of each vector."""
        logits = ((vectors - self.mean) / self.spread) @ self.weights + self.bias
        return [self.labels[i] for i in logits.argmax(1)]


def fit_probe(train: Seen, dev: Seen, kind: str) -> Probe:
    """Fit a probe on `train`; the strength of the penalty is the one that is best on `dev`.

    The problem is convex and solved to its end, so there is no learning rate to be tuned: the
    strength of the L2 penalty is, in its place.
    """
    mean, spread = train.vectors.mean(0), train.vectors.std(0) + 1e-6
    names = tuple(sorted(set(train.gold)))
    if len(names) == 1:
        return Probe(mean, spread, np.zeros((len(mean), 1)), np.zeros(1), names, 0.0, 0)
    probes = list(_fitted(train, mean, spread, names))
    score = SCORES[kind][1]
    scores = [float(score(_counts(dev, one.says(dev.vectors), kind).sum(0))) for one in probes]
    return probes[int(np.argmax(scores))]


def _fitted(
    train: Seen,
    mean: Float[np.ndarray, "dim"],
    spread: Float[np.ndarray, "dim"],
    names: tuple[str, ...],
) -> Iterator[Probe]:
    """A probe for each strength, from the strongest penalty on: each begins where one ended."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=_ITERATIONS, tol=1e-4, warm_start=True)
    scaled, gold = (train.vectors - mean) / spread, train.gold
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            # How many iterations it took is told; the dev set says whether they were enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=strength).fit(scaled, gold)
        weights, bias = model.coef_.T, model.intercept_
        if len(names) == 2:
            weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
        steps = int(model.n_iter_.max())
        # A copy: the next fit goes on in the same arrays.
        yield Probe(mean, spread, weights.astype(np.float32), bias.copy(), names, strength, steps)


def _counts(seen: Seen, says: Sequence[str], kind: str) -> Counts:
    """Every gold word counts; one that the model does not see is wrong (for names: outside)."""
    missing = OUTSIDE if kind == "ner" else ""
    told = [[missing] * len(labels) for labels in seen.labels]
    for example, word, label in zip(seen.example.tolist(), seen.word.tolist(), says, strict=True):
        told[example][word] = label
    return np.array([_count(g, t, kind) for g, t in zip(seen.labels, told, strict=True)])


def _count(gold: Sequence[str], told: Sequence[str], kind: str) -> tuple[int, ...]:
    if kind == "pos":
        return sum(a == b for a, b in zip(gold, told, strict=True)), len(gold)
    there, found = set(entities(gold, {})), set(entities(told, {}))
    return len(there & found), len(found), len(there)


def matrix(
    model: Any,
    tokenizer: Any,
    data: Data,
    kind: str,
    *,
    max_length: int,
    train_words: int,
    autocast: torch.dtype = torch.float32,
) -> Matrix:
    """Train a probe on each language and test it on all; each split is encoded once."""
    taken = {
        (language, split): _first(data[language][split], train_words)
        if split == "train"
        else data[language][split]
        for language in data
        for split in SPLITS
    }
    seen = {
        key: see(model, tokenizer, examples, max_length=max_length, autocast=autocast)
        for key, examples in taken.items()
    }
    probes = {
        language: fit_probe(seen[language, "train"], seen[language, "dev"], kind)
        for language in data
    }
    counts = {
        (source, target): _counts(
            seen[target, "test"], probe.says(seen[target, "test"].vectors), kind
        )
        for source, probe in probes.items()
        for target in data
    }
    return _matrix(
        tuple(data),
        counts,
        kind,
        {language: probe.strength for language, probe in probes.items()},
        {language: probe.iterations for language, probe in probes.items()},
    )


def _first(examples: Sequence[Example], words: int) -> Sequence[Example]:
    """The first sentences that together have at most so many words; one at least."""
    sizes = np.cumsum([len(_labels(example)) for example in examples])
    return examples[: max(1, int((sizes <= words).sum()))]


def majority(data: Data, kind: str) -> Matrix:
    """What comes of saying the source's most frequent tag of every word (names: none)."""
    counts = {}
    for source in data:
        labels = [label for example in data[source]["train"] for label in _labels(example)]
        tag = OUTSIDE if kind == "ner" else max(sorted(set(labels)), key=labels.count)
        for target in data:
            gold = [_labels(example) for example in data[target]["test"]]
            counts[source, target] = np.array([_count(g, [tag] * len(g), kind) for g in gold])
    return _matrix(tuple(data), counts, kind, {}, {})


def _matrix(
    languages: tuple[str, ...],
    counts: Mapping[tuple[str, str], Counts],
    kind: str,
    strengths: Mapping[str, float],
    iterations: Mapping[str, int],
) -> Matrix:
    score = SCORES[kind][1]
    scores = [[float(score(counts[s, t].sum(0))) for t in languages] for s in languages]
    return Matrix(languages, counts, np.array(scores), strengths, iterations)
