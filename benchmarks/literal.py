"""DeMuX's procedure to the letter, written from its description: what polymux is measured against.

Every sentence is padded to 128 sub-words, fp32, batches of 32 in file order, all hidden states are
asked for; then full distance matrices and full sorts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from polymux import Example

LENGTH, BATCH = 128, 32


def encode(folder: Path, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """Mean last hidden state of a sentence over first sub-words; its smallest margin, negated."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from polymux.encoders.pytorch import quiet

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with quiet():
        model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    embeddings, uncertainty = [], []
    for start in range(0, len(examples), BATCH):
        inputs = tokenizer(
            [list(example.fields["tokens"]) for example in examples[start : start + BATCH]],
            is_split_into_words=True,
            padding="max_length",
            max_length=LENGTH,
            truncation=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
        probabilities = out.logits.softmax(dim=-1)
        for row in range(len(inputs["input_ids"])):
            words = inputs.word_ids(row)
            first = [i for i, w in enumerate(words) if w is not None and w != words[i - 1]]
            embeddings.append(out.hidden_states[-1][row, first].mean(dim=0).numpy())
            top = probabilities[row, first].topk(2, dim=-1).values
            uncertainty.append(float(-(top[:, 0] - top[:, 1]).min()))
    return np.stack(embeddings), np.array(uncertainty)


Choose = Callable[[np.ndarray, np.ndarray, np.ndarray, int], list[int]]


def average_dist(
    source: np.ndarray, uncertainty: np.ndarray, target: np.ndarray, budget: int
) -> list[int]:
    """Smallest mean distance to the target."""
    return _sorted(_distances(source, target).mean(axis=1))[:budget]


def least_sure(
    source: np.ndarray, uncertainty: np.ndarray, target: np.ndarray, budget: int
) -> list[int]:
    """Largest uncertainty."""
    return _sorted(-uncertainty)[:budget]


def knn_uncertainty(
    source: np.ndarray, uncertainty: np.ndarray, target: np.ndarray, budget: int
) -> list[int]:
    """The least sure of the union of every target's k nearest, k doubled up to the budget."""
    order = np.argsort(_distances(target, source), axis=1, kind="stable")
    k = 1
    while len(union := np.unique(order[:, :k])) < min(budget, len(source)):
        k *= 2
    return [int(union[i]) for i in _sorted(-uncertainty[union])[:budget]]


CHOOSE: dict[str, Choose] = {
    "knn-uncertainty": knn_uncertainty,
    "average-dist": average_dist,
    "uncertainty": least_sure,
}


def choose(
    folder: Path, source: Sequence[Example], target: Sequence[Example], budget: int
) -> dict[str, list[int]]:
    """Rows of the source by strategy, best first."""
    embeddings, uncertainty = encode(folder, source)
    aim, _ = encode(folder, target)
    return {name: rule(embeddings, uncertainty, aim, budget) for name, rule in CHOOSE.items()}


def _distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    distances: np.ndarray = cdist(left, right)
    return distances


def _sorted(keys: np.ndarray) -> list[int]:
    order: list[int] = np.argsort(keys, kind="stable").tolist()
    return order
