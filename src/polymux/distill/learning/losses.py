"""What a student learns from a hidden token: the true word, or all that a teacher thinks of it.

Every loss is a mean over hidden tokens, each taken from a (hidden, vocabulary) table: a mean over
rows would multiply it by their length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax

from polymux.errors import UsageError

# Of the student's mass outside the likeliest words: rounding must not make it 0 or less.
_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class Loss:
    """Which parts a loss has."""

    alpha: float
    """Weight of the teacher's words against the true ones."""
    temperature: float
    relations: bool
    """The last layer's relations between positions too (MiniLMv2, 2012.15828)."""
    about: str

    @property
    def asks_teachers(self) -> bool:
        """Whether there is anything to learn from a teacher."""
        return self.alpha > 0 or self.relations


LOSSES: dict[str, Loss] = {
    "soft": Loss(1.0, 1.0, False, "the teacher's distribution only, T = 1 (the slides)"),
    "soft+hard": Loss(0.5, 2.0, False, "half the teacher's distribution, half the true word"),
    "soft+relation": Loss(1.0, 1.0, True, "soft, and the teacher's attention relations"),
    "soft+hard+relation": Loss(0.5, 2.0, True, "soft+hard, and the teacher's relations"),
    "hard": Loss(0.0, 1.0, False, "the true word only: ordinary masked-language modelling"),
}


def loss_named(name: str) -> Loss:
    """A loss by its name."""
    if name not in LOSSES:
        raise UsageError(f"no loss {name!r}", f"choose one of: {', '.join(LOSSES)}")
    return LOSSES[name]


@dataclass(frozen=True, slots=True)
class Dense:
    """A teacher's whole distribution at each hidden token."""

    p: Float[Tensor, "hidden vocabulary"]
    known: Bool[Tensor, " hidden"] | None = None
    """Where the teacher has a word for the true token; None: everywhere."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A teacher's likeliest words with the rest in one bucket, or words drawn from it."""

    ids: Int[Tensor, "hidden k"]
    p: Float[Tensor, "hidden k"]
    rest: Float[Tensor, " hidden"] | None
    """Probability of all other words; None where words were drawn, each of equal weight."""


class _Soft(torch.autograd.Function):
    """-sum_v p(v) log q(v) for q = softmax(z), with the gradient q - p made in place.

    The vocabulary's table is what takes the time on a CPU: it is read and written as rarely as can
    be, and what autograd would keep of it is not kept.
    """

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, p_NV: Tensor) -> Tensor:
        log_q = log_softmax(logits_NV, dim=-1, dtype=torch.float32)
        # Autocast would round both tables to half precision.
        with torch.autocast(log_q.device.type, enabled=False):
            value = -torch.einsum("nv,nv->n", p_NV, log_q)
        ctx.save_for_backward(log_q.exp_().sub_(p_NV))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference.mul_(gradients[0][:, None]), None


class _Picked(torch.autograd.Function):
    """-sum_k p(k) log q(k) - rest log(1 - sum_k q(k)) for q = softmax(z), likewise.

    With Q = 1 - sum_k q(k) and r = rest / Q, the gradient is (sum_k p(k) - r (1 - Q)) q, and at
    each k besides r q(k) - p(k).
    """

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, ids_NK: Tensor, p_NK: Tensor, rest_N: Tensor | None
    ) -> Tensor:
        log_q = log_softmax(logits_NV, dim=-1, dtype=torch.float32)
        log_q_NK = log_q.gather(1, ids_NK)
        value = -(p_NK * log_q_NK).sum(1)
        scale, more_NK = p_NK.sum(1), -p_NK
        if rest_N is not None:
            q_NK = log_q_NK.exp()
            outside = 1 - q_NK.sum(1)
            left = outside.clamp_min(_LEAST)
            value = value - rest_N * left.log()
            share = torch.where(outside >= _LEAST, rest_N / left, 0.0)
            scale = scale - share * (1 - outside)
            more_NK = share[:, None] * q_NK - p_NK
        ctx.save_for_backward(log_q.exp_().mul_(scale[:, None]).scatter_add_(1, ids_NK, more_NK))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(gradients[0][:, None]), None, None, None


def soft_cross_entropy(
    logits_NV: Float[Tensor, "hidden vocabulary"], target: Dense | Sparse, temperature: float = 1.0
) -> Float[Tensor, " hidden"]:
    """-sum_v p_T(v) log p_S(v) at each hidden token, times T^2 (METHOD.md 2.1).

    The target was made at the same temperature. A bucket counts as one word whose probability the
    student gives to all words outside the likeliest.
    """
    scaled = logits_NV.float() / temperature if temperature != 1 else logits_NV.float()
    if isinstance(target, Dense):
        value: Tensor = _Soft.apply(scaled, target.p)  # type: ignore[no-untyped-call]
        if target.known is not None:
            value = torch.where(target.known, value, 0.0)
    else:
        value = _Picked.apply(scaled, target.ids, target.p, target.rest)  # type: ignore[no-untyped-call]
    return value * temperature**2


def mixed_loss(
    logits_NV: Float[Tensor, "hidden vocabulary"],
    gold_N: Int[Tensor, " hidden"],
    target: Dense | Sparse | None,
    alpha_N: Float[Tensor, " hidden"],
    temperature: float = 1.0,
) -> Float[Tensor, " hidden"]:
    """A T^2 CE(teacher, student) + (1 - a) CE(true word, student) at each hidden token.

    The cross-entropy with the teacher differs from the divergence by the teacher's own entropy,
    which no gradient sees. Where a is 1 the true word is not looked at.
    """
    value = logits_NV.new_zeros(len(gold_N), dtype=torch.float32)
    if target is not None:
        value = value + alpha_N * soft_cross_entropy(logits_NV, target, temperature)
    if bool((alpha_N < 1).any()):
        # Ordinary cross-entropy, in half the time of torch's on a CPU.
        certain = Sparse(
            gold_N[:, None], torch.ones_like(gold_N[:, None], dtype=torch.float32), None
        )
        value = value + (1 - alpha_N) * soft_cross_entropy(logits_NV, certain)
    return value
