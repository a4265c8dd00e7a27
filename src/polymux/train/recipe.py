"""The settings of a training, and those of the paper by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from polymux.errors import UsageError

# What is left of the learning rate after the warm-up, by the share of it that is done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda done: 1.0 - done,
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "stable": lambda done: min(1.0, (1.0 - done) / 0.2),
}
PRECISIONS = ("float32", "bfloat16")
# The keys of `optimizers.OPTIMIZERS`, which needs torch.
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a training; with the rows and the start weights they decide the result."""

    lr: float
    batch_size: int
    epochs: int | None = None
    steps: int | None = None
    """Updates in all; either these or `epochs`."""
    accumulation: int = 1
    """Batches an update."""
    warmup: float = 0.1
    """Share of the updates."""
    schedule: str = "linear"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None
    """Largest norm of the gradient."""
    precision: str = "float32"
    """Of the forward pass; the weights are float32 always."""
    optimizer: str = "adamw"
    """`adamw`, or `muon` for the hidden layers' matrices and adamw for the rest."""
    bucketed: bool = False
    """Batches of rows of like length, to save padding."""
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {"lr": self.lr, "batch size": self.batch_size, "accumulation": self.accumulation}
        lasting = {"epochs": self.epochs, "steps": self.steps}
        given = {name: value for name, value in lasting.items() if value is not None}
        if len(given) != 1:
            raise UsageError("a training needs either epochs or steps", "give one of the two")
        for name, value in (positive | given).items():
            if not value > 0 or math.isinf(value):
                raise UsageError(f"{name} is {value}", f"give a {name} above 0")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}", "give a whole number from 0 to 2^63 - 1")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"warm-up is {self.warmup}", "give a share from 0 to 1")
        for what, name, table in (
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
            ("optimizer", self.optimizer, OPTIMIZERS),
        ):
            if name not in table:
                raise UsageError(f"no {what} {name!r}", f"choose one of: {', '.join(table)}")

    def updates_per_epoch(self, rows: int) -> int:
        """Updates that read each of so many rows once."""
        return math.ceil(math.ceil(rows / self.batch_size) / self.accumulation)

    def updates(self, rows: int) -> int:
        """Updates in all."""
        return self.steps or self.updates_per_epoch(rows) * (self.epochs or 0)

    def rate(self, update: int, updates: int) -> float:
        """The learning rate at an update counted from 0, as in Hugging Face's schedules.

        The warm-up is `floor(warmup * updates)` updates long and begins at 0; "stable" holds the
        rate and cools down over the last fifth.
        """
        warm = int(self.warmup * updates)
        if update < warm:
            return self.lr * update / warm
        done = (update - warm) / max(1, updates - warm)
        return self.lr * max(0.0, SCHEDULES[self.schedule](done))
