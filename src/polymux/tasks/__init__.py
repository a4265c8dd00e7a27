"""What a task is: how examples become rows of a model, and logits become numbers and labels.

A task is a module of functions without torch; `TASKS` finds it by Hugging Face's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from polymux.errors import UsageError
from polymux.records import Example, Label
from polymux.tasks import qa, text, token
from polymux.tasks.feature import Feature
from polymux.tasks.probability import Distributions, Measure

__all__ = ["TASKS", "Distributions", "Feature", "Measure", "Task", "measures", "task_named"]


@runtime_checkable
class Task(Protocol):
    """What a module must hold to be a task; shapes are in docs/design/architecture.md."""

    AUTO: str
    """The class of transformers that loads a model with its head."""
    MEASURES: dict[str, Measure]
    """Uncertainty by name; higher = less sure."""
    DEFAULT_MEASURE: str
    """The paper's (DeMuX 3.2)."""

    def prepare(
        self,
        examples: Sequence[Example],
        tokenizer: Any,
        *,
        max_length: int,
        stride: int = ...,
        windows: bool = ...,
        pooled: Literal["first", "last"] = ...,
    ) -> list[Feature]:
        """The rows that a model reads for these examples."""

    def summarise(
        self,
        examples: Sequence[Example],
        features: Sequence[Feature],
        embeddings_FD: Float[np.ndarray, "features dim"],
        logits_PC: Float[np.ndarray, "positions classes"],
        labels: Sequence[str],
        *,
        aggregate: str = ...,
    ) -> tuple[
        Float[np.ndarray, "examples dim"],
        dict[str, Float[np.ndarray, "examples"]],
        list[dict[str, Any]],
    ]:
        """One embedding, one uncertainty a measure and one prediction an example."""

    def gold(
        self, examples: Sequence[Example], features: Sequence[Feature], labels: Sequence[str]
    ) -> list[Int[np.ndarray, "targets"]]:
        """Class numbers beside `logits_at`, -100 = none; for spans two indices into it."""

    def predict(
        self,
        examples: Sequence[Example],
        features: Sequence[Feature],
        logits_PC: Float[np.ndarray, "positions classes"],
        labels: Sequence[str],
    ) -> list[dict[str, Any]]:
        """The label of every example under its field's name (`LABEL_FIELD`), with scores."""

    def score(
        self, gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
    ) -> dict[str, float]:
        """Scores in [0, 1] of what `predict` gave, the task's main one first."""

    def counts(
        self, gold: Sequence[Label], predicted: Sequence[Mapping[str, Any]]
    ) -> Float[np.ndarray, "examples 2"]:
        """Each example's parts of the main score, which is the sum of the first / the second."""


TASKS: dict[str, Task] = {
    "token-classification": token,
    "text-classification": text,
    "question-answering": qa,
}


def task_named(name: str) -> Task:
    """The task of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r}", f"choose one of: {', '.join(TASKS)}")
    return TASKS[name]


def measures(task: str) -> tuple[str, ...]:
    """The names of a task's uncertainty measures, the paper's first."""
    module = task_named(task)
    first = module.DEFAULT_MEASURE
    return (first, *(name for name in module.MEASURES if name != first))
