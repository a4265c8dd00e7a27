"""Which words of a row are hidden, and behind what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from polymux.distill.text.blocks import Block, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Masking:
    """How rows are masked; what a row's mask is depends on seed, row and pass alone.

    So neither the size of a batch, nor who else is in it, nor a resume changes a mask.
    """

    share: float
    """Of the tokens that are not special."""
    mask_id: int
    padding: int
    special: frozenset[int]
    seed: int
    random: float = 0.1
    """Share of the hidden tokens behind which a random token of the same language stands."""
    kept: float = 0.1
    """Share of the hidden tokens that stay as they are."""
    repeats_after: int = 0
    """A row has only so many different masks, in turn (0: a new one each pass)."""

    def positions(self, block: Block) -> Int[np.ndarray, "hidden"]:
        """Where tokens are hidden, in order; always the same number of them for so many tokens."""
        return self._draw(block)[0]

    def _draw(self, block: Block) -> tuple[Int[np.ndarray, "hidden"], np.random.Generator]:
        passes = block.passes % self.repeats_after if self.repeats_after else block.passes
        draw = np.random.default_rng([self.seed, 2, block.language, block.place, passes])
        open_ = np.flatnonzero(~np.isin(block.ids, list(self.special)))
        count = min(len(open_), max(1, round(self.share * len(open_))))
        return np.sort(draw.choice(open_, count, replace=False)), draw

    def hide(
        self, block: Block, rows: Rows
    ) -> tuple[Int[np.ndarray, "_"], Int[np.ndarray, "hidden"]]:
        """The row as a model reads it, and where tokens are hidden in it.

        Random tokens are drawn from the language's own text: others would tell a mask by their
        script alone.
        """
        positions, draw = self._draw(block)
        ids = block.ids.copy()
        how = draw.random(len(positions))
        ids[positions[how >= self.random + self.kept]] = self.mask_id
        replaced = positions[how < self.random]
        at = draw.integers(rows.tokens, size=len(replaced))
        # A separator ends a line of one token at least: the token before it is a word.
        at -= rows.stream.ids[at] == rows.end
        ids[replaced] = rows.stream.ids[at]
        return ids, positions


def collate(
    blocks: Sequence[Block], *, masking: Masking, rows: Sequence[Rows] | Mapping[int, Rows]
) -> dict[str, Tensor]:
    """A batch of masked rows.

    `input_ids` (rows, length) and `attention_mask` where rows differ in length; `row` and `place`
    of each hidden token, in order, its true `gold` number, and `language`, `index`, `passes` of
    each row.
    """
    import torch

    hidden = [masking.hide(block, rows[block.language]) for block in blocks]
    lengths = [len(ids) for ids, _ in hidden]
    width = max(lengths)
    ids_BS = np.full((len(blocks), width), masking.padding, np.int64)
    for i, (ids, _) in enumerate(hidden):
        ids_BS[i, : len(ids)] = ids
    place = np.concatenate([positions for _, positions in hidden])
    row = np.repeat(np.arange(len(blocks)), [len(positions) for _, positions in hidden])
    gold = [block.ids[at] for block, (_, at) in zip(blocks, hidden, strict=True)]
    batch = {
        "input_ids": ids_BS,
        "row": row,
        "place": place,
        "gold": np.concatenate(gold),
        "language": np.array([block.language for block in blocks]),
        "index": np.array([block.place for block in blocks]),
        "passes": np.array([block.passes for block in blocks]),
    }
    if min(lengths) < width:
        batch["attention_mask"] = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    return {name: torch.from_numpy(values) for name, values in batch.items()}
