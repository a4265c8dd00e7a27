"""How well a model guesses held-out text, on masks that are the same for all models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from polymux.distill.learning.masking import Masking, collate
from polymux.distill.learning.network import hidden_logits
from polymux.distill.text.blocks import Block, Rows
from polymux.errors import WorkError

# Enough to tell teachers apart, few enough to be asked during a training.
ROWS = 64
_AT_ONCE = 32
# Marks the masks of held-out text: no training has them.
_PASSES = 1_000_000


def held_out_batches(rows: Rows, language: int, masking: Masking) -> list[dict[str, Tensor]]:
    """The first rows of a held-out text under a mask that never changes."""
    blocks = [Block(language, i, _PASSES, rows[i]) for i in range(min(ROWS, len(rows)))]
    by_language = {language: rows}
    return [
        collate(blocks[i : i + _AT_ONCE], masking=masking, rows=by_language)
        for i in range(0, len(blocks), _AT_ONCE)
    ]


def held_out_loss(
    model: Any, batches: Sequence[Mapping[str, Tensor]], autocast: torch.dtype
) -> float:
    """Mean cross-entropy of a hidden token, in nats."""
    return float(held_out_losses(model, batches, autocast).mean())


@torch.no_grad()
def held_out_losses(
    model: Any, batches: Sequence[Mapping[str, Tensor]], autocast: torch.dtype
) -> Float[Tensor, " hidden"]:
    """Cross-entropy of each hidden token, in nats; the model is left in the mode it was in."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    losses = []
    for batch in batches:
        moved = {name: value.to(device) for name, value in batch.items()}
        with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
            logits = hidden_logits(model, moved)
        losses.append(cross_entropy(logits.float(), moved["gold"], reduction="none").cpu())
    model.train(was_training)
    return torch.cat(losses)


def compared(asked: Sequence[Sequence[Tensor]], *, blind: float) -> list[list[float]]:
    """The loss of every teacher (row) on every text, to be compared within a text.

    Teachers with words of their own are asked about different tokens. So another teacher than the
    text's own has that one's loss, and what it is worse by over tokens that both have words for.

    Args:
        asked: By teacher and text the loss of each hidden token; NaN: it has no word for that.
        blind: The loss where no token is left to compare.
    """

    def cell(mine: Tensor, own: Tensor) -> float:
        worse = float((mine - own).nanmean())
        return blind if math.isnan(worse) else float(own.nanmean()) + worse

    return [[cell(mine, asked[text][text]) for text, mine in enumerate(row)] for row in asked]


def check_diagonal(loss_TL: Float[Tensor, "teachers languages"], languages: Sequence[str]) -> None:
    """Each language's text must be easiest for its own teacher (METHOD.md 2.5).

    Raises:
        WorkError: for some text another teacher is better: names both and their losses.
    """
    for place, language in enumerate(languages):
        best = int(loss_TL[:, place].argmin())
        if best != place:
            raise WorkError(
                f"the text of {language} is easier for the teacher of {languages[best]} "
                f"({loss_TL[best, place]:.3f} nats a token) than for its own "
                f"({loss_TL[place, place]:.3f})",
                "give the right text to each language, or more [teachers] tokens: a teacher that "
                "has learned nothing answers like any other",
            )
