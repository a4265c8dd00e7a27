"""Three small teachers of a small vocabulary, and batches of rows that mix their languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polymux.distill.learning import network
from polymux.distill.learning.masking import Masking, collate
from polymux.distill.text.blocks import Block, Rows, Stream
from polymux.distill.text.tokenizer import train_tokenizer

LENGTH = 12
WORDS = 60


def tokenizer() -> Any:
    texts = ["the quick brown fox jumps over the lazy dog"] * 3
    return train_tokenizer(texts, kind="bpe", vocabulary=320, length=LENGTH)


def model(seed: int, hidden: int = 32, layers: int = 2, sharp: float = 8.0) -> Any:
    """Random, its head so sharp that models differ clearly."""
    made = network.new(
        "modernbert", network.modernbert(layers, hidden, 2, 48), tokenizer(), LENGTH, seed=seed
    ).eval()
    with torch.no_grad():
        made.head.norm.weight.mul_(sharp)
    return made


def rows(seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    ids = draw.integers(261, 320, 400).astype(np.uint16)
    ends = np.arange(20, 401, 20)
    sizes = {unit: ends.astype(float) for unit in ("bytes", "characters", "tokens")}
    return Rows(Stream(ids, ends, sizes), 20, LENGTH, True, 1, 2)


ROWS = [rows(seed) for seed in range(3)]


def masking(repeats_after: int = 0) -> Masking:
    return Masking(0.3, 4, 0, frozenset(range(5)), seed=7, repeats_after=repeats_after)


def batch(pairs: Sequence[tuple[int, int]], passes: int = 0, repeats: int = 0) -> dict[str, Tensor]:
    """Rows by (language, place)."""
    blocks = [Block(lang, place, passes, ROWS[lang][place]) for lang, place in pairs]
    return collate(blocks, masking=masking(repeats), rows=ROWS)
