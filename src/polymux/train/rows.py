"""Labelled examples as rows of a model, and a task's loss over a batch of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from polymux.encoders.pytorch import batch_of, logits_at
from polymux.tasks import Feature

UNLABELLED = -100
# A feature, and what its logits are to say.
Row = tuple[Feature, Int[np.ndarray, "_"]]


def labelled_rows(features: Sequence[Feature], gold: Sequence[Int[np.ndarray, "_"]]) -> list[Row]:
    """The features that have something to learn from."""
    rows = zip(features, gold, strict=True)
    return [(feature, numbers) for feature, numbers in rows if (numbers != UNLABELLED).any()]


def collate(rows: Sequence[Row], *, padding: int) -> dict[str, Tensor]:
    """A batch: the model's input, where logits are asked for, how many a row, and the gold."""
    features = [feature for feature, _ in rows]
    sizes = [len(feature.logits_at) for feature in features]
    return {
        **batch_of(features, padding),
        "row": torch.arange(len(rows)).repeat_interleave(torch.tensor(sizes)),
        "place": torch.tensor([place for f in features for place in f.logits_at]),
        "sizes": torch.tensor(sizes),
        "gold": torch.from_numpy(np.concatenate([numbers for _, numbers in rows])),
    }


def units(batch: Mapping[str, Tensor]) -> int:
    """What the loss is a mean over: labelled words, texts; windows, whose gold is a pair each."""
    return int((batch["gold"] != UNLABELLED).sum())


def logits_of(model: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, "positions classes"]:
    """The logits at every place asked for, from the same inputs as at inference."""
    inputs = {
        name: batch[name]
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in batch
    }
    return logits_at(model(**inputs), (batch["row"], batch["place"]))


def classes_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Cross-entropy, mean over the labelled first sub-words, or over texts."""
    return cross_entropy(logits_of(model, batch).float(), batch["gold"], ignore_index=UNLABELLED)


def spans_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Mean of start and end cross-entropy over all positions of a window, mean over windows.

    A window without the answer is to point at its first position, as in training on SQuAD v2.
    """
    windows = torch.split(logits_of(model, batch).float(), batch["sizes"].tolist())
    logits_FL2 = pad_sequence(list(windows), batch_first=True, padding_value=-torch.inf)
    gold_F2 = batch["gold"].view(-1, 2)
    start, end = (cross_entropy(logits_FL2[..., i], gold_F2[:, i]) for i in range(2))
    return (start + end) / 2


LOSSES: dict[str, Callable[[nn.Module, Mapping[str, Tensor]], Tensor]] = {
    "token-classification": classes_loss,
    "text-classification": classes_loss,
    "question-answering": spans_loss,
}
