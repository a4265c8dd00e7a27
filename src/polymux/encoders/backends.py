"""What runs a model: the table of backends, and what all of them share (rows, batches, threads)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from polymux.tasks import Feature

# Name -> module with version, device_named, BATCH_TOKENS, DTYPES, CALIBRATED, load and forward.
BACKENDS: dict[str, str] = {
    "torch": "polymux.encoders.pytorch",
    "openvino": "polymux.encoders.openvino",
}

Tick = Callable[[int], None]
Arrays = tuple[Float[np.ndarray, "features dim"], Float[np.ndarray, "positions classes"]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a quantised model is made from beside the weights, and where it is kept."""

    features: tuple[Feature, ...]
    kept: Path | None
    """None: it is made each time."""


def in_batches(
    features: Sequence[Feature],
    budget: int,
    run: Callable[[Sequence[Feature]], tuple[np.ndarray, np.ndarray]],
    tick: Tick | None = None,
) -> Arrays:
    """What `run` gives for batches of features, put back into the features' own order.

    Features are sorted by length and batched by a budget of positions, longest first. `tick` hears
    how many features are done.
    """
    lengths_F = np.array([len(f.input_ids) for f in features])
    asked_F = np.array([len(f.logits_at) for f in features])
    embeddings: list[np.ndarray] = [np.empty(0)] * len(features)
    logits: list[np.ndarray] = [np.empty(0)] * len(features)
    done = 0
    for batch in by_length(lengths_F, budget):
        means_BD, logits_QC = run([features[i] for i in batch])
        cuts = np.cumsum(asked_F[batch])[:-1]
        for i, mean_D, part in zip(batch, means_BD, np.split(logits_QC, cuts), strict=True):
            embeddings[i], logits[i] = mean_D, part
        done += len(batch)
        if tick is not None:
            tick(done)
    return np.stack(embeddings), np.concatenate(logits)


def by_length(lengths: np.ndarray, budget: int) -> Iterator[list[int]]:
    """Positions by falling length, as many at once as the budget holds when padded."""
    order = np.argsort(-lengths, kind="stable").tolist()
    start = 0
    while start < len(order):
        size = max(1, budget // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def rows_of(features: Sequence[Feature], padding: int) -> dict[str, Int[np.ndarray, "rows length"]]:
    """What a model reads: ids, mask and (where it has them) segment ids, padded on the right."""
    shape = len(features), max(len(f.input_ids) for f in features)
    ids = np.full(shape, padding, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    types = np.zeros(shape, dtype=np.int64)
    for row, feature in enumerate(features):
        length = len(feature.input_ids)
        ids[row, :length] = feature.input_ids
        mask[row, :length] = 1
        types[row, :length] = feature.type_ids or 0
    arrays = {"input_ids": ids, "attention_mask": mask}
    if features[0].type_ids is not None:
        arrays["token_type_ids"] = types
    return arrays


def mean_weights(features: Sequence[Feature]) -> Float[np.ndarray, "rows length"]:
    """The share of each position in the embedding of its row."""
    shape = len(features), max(len(f.input_ids) for f in features)
    weights_BT = np.zeros(shape, dtype=np.float32)
    for row, feature in enumerate(features):
        weights_BT[row, list(feature.embed_at)] = 1 / len(feature.embed_at)
    return weights_BT


def asked_at(
    features: Sequence[Feature],
) -> tuple[Int[np.ndarray, " asked"], Int[np.ndarray, " asked"]]:
    """Row and position of each logit that is asked for."""
    rows_Q = np.repeat(np.arange(len(features)), [len(f.logits_at) for f in features])
    return rows_Q, np.array([at for f in features for at in f.logits_at], dtype=np.int64)
