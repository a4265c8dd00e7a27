"""How positions of a row relate to each other in the last layer (MiniLMv2, arXiv 2012.15828)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from polymux.errors import UsageError

HEADS = 8
# What models call their projections: three apart, or one that gives all three.
_APART = {
    name: part[0]
    for part in ("query", "key", "value")
    for name in (part, f"{part}_proj", f"{part[0]}_proj", f"{part[0]}_lin")
}
_TOGETHER = "Wqkv"
_LAYER = re.compile(r"\.(\d+)\.")


def projections(model: Any) -> list[Any]:
    """The modules that give queries, keys and values in the last layer: three, or one.

    Raises:
        UsageError: the model has none that are known by name.
    """
    named: dict[int, dict[str, Any]] = {}
    for name, module in model.named_modules():
        last = name.rsplit(".", 1)[-1]
        layer = _LAYER.search(name)
        if layer and (last in _APART or last == _TOGETHER):
            named.setdefault(int(layer[1]), {})[_APART.get(last, last)] = module
    if not named:
        raise UsageError(
            f"where {type(model).__name__} makes its queries is not known",
            "use a loss without +relation for this kind of model",
        )
    last_layer = named[max(named)]
    if _TOGETHER in last_layer:
        return [last_layer[_TOGETHER]]
    return [last_layer[name] for name in "qkv"]


@contextmanager
def listened(model: Any) -> Iterator[list[Tensor]]:
    """Hear queries, keys and values of the last layer as the model runs; full when the block ends.

    Gives a list that holds, after a forward pass, three tensors (rows, length, width).
    """
    heard: list[Tensor] = []

    def hear(module: Any, given: Any, output: Tensor) -> None:
        # A projection that is used again, as for relative places, was heard already.
        if len(modules) == 1:
            heard.extend(output.chunk(3, dim=-1) if not heard else [])
        elif not any(module is one for one in listening):
            listening.append(module)
            heard.append(output)

    modules = projections(model)
    listening: list[Any] = []
    handles = [module.register_forward_hook(hear) for module in modules]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def relation_loss(
    student: Sequence[Float[Tensor, "rows length width"]],
    teacher: Sequence[Float[Tensor, "rows length width2"]],
    heads: int = HEADS,
    attention_BS: Int[Tensor, "rows length"] | None = None,
) -> Float[Tensor, ""]:
    """Mean divergence of the teacher's Q-Q, K-K and V-V relations from the student's.

    A relation is softmax(A A^T / sqrt(d)) over positions, in `heads` parts of the width; teacher
    and student need not be equally wide. Mean over relations, rows, parts and positions; padding
    (0 in `attention_BS`) is no position.
    """
    values = []
    shown = None if attention_BS is None else attention_BS.bool()
    for own, asked in zip(student, teacher, strict=True):
        wanted, given = _relation(asked, heads, shown), _relation(own, heads, shown)
        cost_BHS = kl_div(given, wanted, reduction="none", log_target=True).sum(-1)
        values.append(cost_BHS.mean() if shown is None else cost_BHS.mean(1)[shown].mean())
    return torch.stack(values).mean()


def _relation(vectors_BSD: Tensor, heads: int, shown_BS: Tensor | None) -> Tensor:
    rows, length, width = vectors_BSD.shape
    if width % heads:
        raise UsageError(
            f"a width of {width} has no {heads} equal parts",
            "give teachers and student widths with a common divisor",
        )
    parts = vectors_BSD.float().view(rows, length, heads, width // heads).transpose(1, 2)
    scores = parts @ parts.transpose(-1, -2) / (width // heads) ** 0.5
    if shown_BS is not None:
        # Finite, so that a position without probability costs 0 and not infinity times 0.
        scores = scores.masked_fill(~shown_BS[:, None, None], -1e4)
    return log_softmax(scores, dim=-1)
