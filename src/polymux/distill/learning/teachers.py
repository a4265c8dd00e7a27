"""Who answers a row: the teacher of its language, asked now or long before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polymux.distill.learning.losses import Dense
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.relations import listened
from polymux.distill.learning.vocabulary import Bridge

Batch = Mapping[str, Tensor]
# What is heard of a teacher: a target for each hidden token, and its last layer if asked for.
Answer = tuple[Any, list[Tensor] | None]


@dataclass(slots=True)
class Live:
    """Teachers that read the same hidden rows as the student: frozen, in evaluation mode."""

    models: Sequence[Any]
    """By language."""
    temperature: float = 1.0
    bridges: Sequence[Bridge | None] = ()
    relations: bool = False
    mass: dict[int, list[float]] = field(default_factory=dict)
    """By language with a bridge: tokens answered, and the sum of the mass that came across."""

    def __post_init__(self) -> None:
        for model in self.models:
            model.eval().requires_grad_(False)

    def __call__(self, batch: Batch) -> Answer:
        """What each row's own teacher says at the row's hidden tokens."""
        return self.distributions(batch)

    def distributions(self, batch: Batch) -> tuple[Dense, list[Tensor] | None]:
        """The same, known to be whole distributions."""
        told = batch["gold"].new_empty(0, dtype=torch.float32)
        known = torch.ones(len(batch["gold"]), dtype=torch.bool, device=batch["gold"].device)
        heard: list[Tensor] | None = None
        for language, rows, part in by_language(batch):
            at = torch.isin(batch["row"], rows)
            p, mine, listening = self._asked(language, part)
            if not len(told):
                told = p.new_empty((len(at), p.shape[1]))
            told[at] = p
            if mine is not None:
                known[at] = mine
            if listening:
                heard = heard or [
                    x.new_empty((len(batch["language"]), *x.shape[1:])) for x in listening
                ]
                for whole, some in zip(heard, listening, strict=True):
                    whole[rows] = some
        return Dense(told, None if bool(known.all()) else known), heard

    @torch.no_grad()
    def _asked(
        self, language: int, part: Batch
    ) -> tuple[Float[Tensor, "hidden vocabulary"], Tensor | None, list[Tensor]]:
        model = self.models[language]
        bridge = self.bridges[language] if self.bridges else None
        listening: Any = listened(model) if self.relations else nullcontext([])
        if bridge is None:
            with listening as heard:
                logits = hidden_logits(model, part)
            return _softened(logits, self.temperature), None, list(heard)
        read = {**part, "input_ids": bridge.read(part["input_ids"])}
        with listening as heard:
            logits = hidden_logits(model, read)
        p, mass = bridge.across(_softened(logits, self.temperature))
        count = self.mass.setdefault(language, [0.0, 0.0])
        count[0] += len(mass)
        count[1] += float(mass.sum())
        return p, bridge.known[part["gold"]], list(heard)


def _softened(logits: Tensor, temperature: float) -> Tensor:
    scaled = logits if temperature == 1 else logits / temperature
    return scaled.softmax(-1, dtype=torch.float32)


def by_language(batch: Batch) -> Iterator[tuple[int, Tensor, dict[str, Tensor]]]:
    """A batch in parts of one language: its number, which rows these are, and the part."""
    for language in sorted(set(batch["language"].tolist())):
        rows = (batch["language"] == language).nonzero()[:, 0]
        at = torch.isin(batch["row"], rows)
        part = {n: batch[n][rows] for n in ("input_ids", "attention_mask") if n in batch}
        part["row"] = torch.searchsorted(rows, batch["row"][at])
        part["place"], part["gold"] = batch["place"][at], batch["gold"][at]
        yield language, rows, part


Teaching = Callable[[Batch], Answer]
