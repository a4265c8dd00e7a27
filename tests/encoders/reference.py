"""The slow, obvious way: one example at a time, plain transformers, every formula in a loop."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tests.models import AUTO, DECODERS
from tokenizers import pre_tokenizers

from polymux.records import Example

Numbers = tuple[np.ndarray, dict[str, float]]


class Reference:
    """A model as a tutorial would use it."""

    def __init__(self, folder: Path, task: str, kind: str, max_length: int, stride: int) -> None:
        self.task, self.kind = task, kind
        self.max_length, self.stride = max_length, stride
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        if (
            task == "token-classification"
            and type(self.tokenizer.backend_tokenizer.pre_tokenizer) is pre_tokenizers.ByteLevel
        ):
            self.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
                add_prefix_space=True
            )
        self.model = getattr(transformers, AUTO[task]).from_pretrained(folder).eval()

    def __call__(self, example: Example, aggregate: str = "joint") -> Numbers:
        if self.task == "token-classification":
            return self.words(example)
        if self.task == "text-classification":
            return self.text(example)
        return self.question(example, aggregate)

    def run(self, inputs: Any) -> tuple[np.ndarray, Any]:
        with torch.no_grad():
            out = self.model(**inputs, output_hidden_states=True)
        return out.hidden_states[-1][0].double().numpy(), out

    def words(self, example: Example) -> Numbers:
        inputs = self.tokenizer(
            list(example.fields["tokens"]),
            is_split_into_words=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        hidden, out = self.run(inputs)
        word_ids = inputs.word_ids(0)
        first = [word_ids.index(word) for word in sorted({w for w in word_ids if w is not None})]
        logits = out.logits[0].double().numpy()
        p = [softmax(logits[at]) for at in first]
        margins = [gap(q) for q in p]
        entropies = [spread(q) for q in p]
        n = len(first)
        return sum(hidden[at] for at in first) / n, {
            "margin-min": -min(margins),
            "margin-mean": -sum(margins) / n,
            "margin-max": -max(margins),
            "mnlp": -sum(np.log(max(q)) for q in p) / n,
            "entropy-mean": sum(entropies) / n,
            "entropy-max": max(entropies),
            "least-confidence-mean": sum(1 - max(q) for q in p) / n,
            "log-margin-min": -min(gap(np.log(q)) for q in p),
        }

    def text(self, example: Example) -> Numbers:
        inputs = self.tokenizer(
            example.fields["text"],
            example.fields.get("text_pair"),
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        hidden, out = self.run(inputs)
        p = softmax(out.logits[0].double().numpy())
        return hidden[-1 if self.kind in DECODERS else 0], {
            "margin": -gap(p),
            "log-margin": -gap(np.log(p)),
            "entropy": spread(p),
            "least-confidence": 1 - max(p),
        }

    def question(self, example: Example, aggregate: str) -> Numbers:
        windows = self.tokenizer(
            example.fields["question"],
            example.fields["context"],
            truncation="only_second",
            max_length=self.max_length,
            stride=self.stride,
            return_overflowing_tokens=True,
        )
        pooled, logits, inside = [], [], []
        for i, ids in enumerate(windows["input_ids"]):
            inputs = {
                name: torch.tensor([windows[name][i]]) for name in self.tokenizer.model_input_names
            }
            hidden, out = self.run(inputs)
            pooled.append(hidden[-1 if self.kind in DECODERS else 0])
            starts, ends = out.start_logits[0].double(), out.end_logits[0].double()
            logits.append([(float(starts[t]), float(ends[t])) for t in range(len(ids))])
            inside.append([s == 1 for s in windows.sequence_ids(i)])
        embedding = sum(pooled) / len(pooled)
        if aggregate == "joint":
            return embedding, spans(logits, inside)
        if aggregate == "surest":
            each = [
                span_numbers(w, all_positions(w), i) for w, i in zip(logits, inside, strict=True)
            ]
            fold = min
        else:
            each = [span_numbers(w, i, i) for w, i in zip(logits, inside, strict=True)]
            fold = max if aggregate == "worst" else lambda xs: sum(xs) / len(xs)
        return embedding, {name: fold([e[name] for e in each]) for name in each[0]}


def spans(logits: list[Any], inside: list[Any]) -> dict[str, float]:
    """All windows of an example as one distribution; no span leaves its window."""
    flat = [pair for window in logits for pair in window]
    kept = [k for window in inside for k in window]
    home = [i for i, window in enumerate(logits) for _ in window]
    return span_numbers(flat, kept, kept, home)


def all_positions(window: list[Any]) -> list[bool]:
    return [True] * len(window)


def span_numbers(
    pairs: list[Any], normed: list[bool], inside: list[bool], home: list[int] | None = None
) -> dict[str, float]:
    home = home or [0] * len(pairs)
    p = []
    for side in range(2):
        some = softmax(np.array([pair[side] for pair, n in zip(pairs, normed, strict=True) if n]))
        rest = iter(some)
        p.append([next(rest) if n else 0.0 for n in normed])
    start, end = p
    joint = max(
        np.log(start[i]) + np.log(end[j])
        for i, j in product(range(len(pairs)), repeat=2)
        if i <= j < i + 30 and home[i] == home[j] and inside[i] and inside[j]
    )
    kept = [[q for q, n in zip(side, normed, strict=True) if n] for side in p]
    return {
        "span-prob": -(np.log(max(start)) + np.log(max(end))),
        "span-joint": -joint,
        "span-margin": -(gap(np.array(kept[0])) + gap(np.array(kept[1]))),
        "entropy": (spread(np.array(kept[0])) + spread(np.array(kept[1]))) / 2,
    }


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def gap(p: np.ndarray) -> float:
    second, first = sorted([0.0, *p] if len(p) == 1 else p)[-2:]
    return float(first - second)


def spread(p: np.ndarray) -> float:
    return float(-sum(q * np.log(q) for q in p))
