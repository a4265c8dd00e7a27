"""A row of results: one training scored in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What a table shows where a file of results does not tell.
UNTOLD = "–"
NO_SEED = -1
UNTOUCHED, RANDOM = "untouched", "random"


@dataclass(frozen=True, slots=True)
class Row:
    """One training scored in one language."""

    model: str
    task: str
    config: str
    setting: str
    strategy: str
    choice_seed: int
    """`NO_SEED` where nothing was drawn."""
    train_seed: int
    budget: int
    """Labels asked for so far, those of earlier rounds included; 0 where none is told."""
    round: int
    language: str
    metric: str
    score: float
    """In [0, 1]."""
    file: str
    line: int
    counts: Path | None = None
    """Where the test examples' parts of the score are kept, an array a language."""
    chosen: Mapping[str, int] = field(default_factory=dict)
    """Labels by language."""
    experiment: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What may stand once only."""
        return (
            *(self.setting, self.task, self.model, self.config, self.strategy),
            *(self.budget, self.choice_seed, self.train_seed, self.language),
        )


def title(*names: str) -> str:
    """What names a place, without what is not told."""
    return ", ".join(name for name in names if name != UNTOLD)
