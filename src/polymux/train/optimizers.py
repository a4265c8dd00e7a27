"""How weights follow their gradients: a function from a model and a recipe's numbers, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from polymux.encoders.probe import has_bfloat16


def adamw(
    weights: Sequence[Tensor], lr: float, decay: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """AdamW; biases and the gains of norms never decay."""
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas)


class Together:
    """Two optimizers that each own some of the weights, as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all parts: a rate set here is set there."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Let every part update its weights."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The parts' states by their place."""
        return {str(i): part.state_dict() for i, part in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for i, part in enumerate(self.parts):
            part.load_state_dict(state[str(i)])


def _optimized_by_adamw(
    model: nn.Module, lr: float, decay: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    return adamw([p for p in model.parameters() if p.requires_grad], lr, decay, betas)


class _InFull(TorchFunctionMode):
    """What is asked for in bfloat16 stays float32."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.bfloat16:
            return args[0].float().clone()
        return func(*args, **(kwargs or {}))


class Muon(torch.optim.Muon):
    """torch's, which makes directions orthogonal in bfloat16, but where the device has none."""

    def __init__(self, weights: Sequence[Tensor], **settings: Any) -> None:
        super().__init__(weights, **settings)
        self._is_quick = has_bfloat16(weights[0].device.type)

    def step(self, closure: Any = None) -> Any:
        """Update the weights once."""
        with nullcontext() if self._is_quick else _InFull():
            return super().step(closure)  # type: ignore[no-untyped-call]


def _muon(model: nn.Module, lr: float, decay: float, betas: tuple[float, float]) -> Together:
    """Muon for the matrices of hidden layers, scaled to AdamW's steps; AdamW for all others.

    Embeddings and the head that is tied to them are tables of words, not maps between layers.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    heads = getattr(model, "get_output_embeddings", lambda: None)()
    tables |= set() if heads is None else {id(heads.weight)}
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim == 2 and id(p) not in tables]
    owned = {id(p) for p in matrices}
    rest = [p for p in trained if id(p) not in owned]
    return Together(
        Muon(matrices, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        adamw(rest, lr, decay, betas),
    )


OPTIMIZERS: dict[
    str,
    Callable[[nn.Module, float, float, tuple[float, float]], torch.optim.Optimizer | Together],
] = {"adamw": _optimized_by_adamw, "muon": _muon}
