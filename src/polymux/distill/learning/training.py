"""One training of one model, whoever answers the hidden words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polymux.distill.learning.held_out import held_out_loss
from polymux.distill.learning.losses import mixed_loss
from polymux.distill.learning.masking import Masking, collate
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.relations import listened, relation_loss
from polymux.distill.learning.teachers import Batch, Teaching
from polymux.distill.text.blocks import Block, Rows
from polymux.distill.text.sampling import Draw, Mix
from polymux.folders import write_text
from polymux.progress import Progress
from polymux.train import Fitted, Recipe, fit

# How often during a training it is looked whether a teacher is still better than the student.
LOOKS = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training reads, in which order and how long."""

    draw: Draw
    updates: int
    rows_an_update: int
    tokens: Mapping[str, int]
    """By language: tokens read in all, special ones included."""
    epochs: Mapping[str, float]
    """By language: how often its kept text is read."""
    kept: Mapping[str, int]
    """By language: tokens of text that are kept."""

    @property
    def record(self) -> dict[str, Any]:
        """For the manifest: nothing is repeated without being told."""
        total = sum(self.tokens.values())
        return {
            "updates": self.updates,
            "rows_an_update": self.rows_an_update,
            "tokens": total,
            "tokens_an_update": total / self.updates,
            "languages": {
                language: {
                    "kept_tokens": self.kept[language],
                    "tokens": self.tokens[language],
                    "share": self.tokens[language] / total,
                    "epochs": self.epochs[language],
                }
                for language in self.tokens
            },
        }


def planned(
    rows: Mapping[str, Rows], mix: Mix, *, tokens: float, batch_tokens: int, seed: int
) -> Plan:
    """A plan of about so many tokens; rows are drawn by the mix's shares of what they hold."""
    phases = []
    for until, shares in mix.phases:
        drawn = {lang: shares[lang] * len(own) / mix.kept[lang] for lang, own in rows.items()}
        total = sum(drawn.values())
        phases.append((until, {lang: part / total for lang, part in drawn.items()}))
    last = phases[-1][1]
    length = sum(last[lang] * (own.mean_tokens + 2) for lang, own in rows.items())
    rows_an_update = max(1, round(batch_tokens / length))
    updates = max(1, round(tokens / (rows_an_update * length)))
    draw = Draw.planned(rows, phases, updates=updates, rows_an_update=rows_an_update, seed=seed)
    counts = draw.counts[-1].tolist()
    return Plan(
        draw,
        updates,
        rows_an_update,
        {
            lang: round(n * (own.mean_tokens + 2))
            for (lang, own), n in zip(rows.items(), counts, strict=True)
        },
        dict(zip(rows, draw.epochs, strict=True)),
        {lang: own.tokens for lang, own in rows.items()},
    )


@dataclass(slots=True)
class Lesson:
    """The loss of a batch: who answers, how much the answer counts for each language."""

    alpha: Tensor
    """By language."""
    temperature: float = 1.0
    teaching: Teaching | None = None
    relation_weight: float = 0.0
    relation_heads: int = 8
    dropped: Tensor = field(init=False)
    """By language: whether its teacher is not listened to any more."""

    def __post_init__(self) -> None:
        self.dropped = torch.zeros(len(self.alpha), dtype=torch.bool)

    def drop(self, language: int) -> None:
        """Let a language learn from words alone."""
        self.alpha[language] = 0.0
        self.dropped[language] = True

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean over the batch's hidden tokens."""
        answer, wanted = self.teaching(batch) if self.teaching else (None, None)
        if wanted is None:
            logits, relation = hidden_logits(model, batch), None
        else:
            with listened(model) as own:
                logits = hidden_logits(model, batch)
            relation = self._relation(own, wanted, batch)
        of_row = self.alpha.to(logits.device)[batch["language"]]
        alpha_N = of_row[batch["row"]]
        value = mixed_loss(logits, batch["gold"], answer, alpha_N, self.temperature).mean()
        return value if relation is None else value + self.relation_weight * relation

    def _relation(self, own: Sequence[Tensor], wanted: Sequence[Tensor], batch: Batch) -> Tensor:
        """Of the rows whose teachers are still listened to."""
        heard = ~self.dropped.to(batch["language"].device)[batch["language"]]
        if not bool(heard.any()):
            return own[0].new_zeros(())
        attention = batch.get("attention_mask")
        return relation_loss(
            [vectors[heard] for vectors in own],
            [vectors[heard] for vectors in wanted],
            self.relation_heads,
            None if attention is None else attention[heard],
        )


@dataclass(slots=True)
class Weak:
    """Takes the teacher's weight from a language whose teacher is no better than the student.

    What was found is kept beside the checkpoint, so that a resumed training knows it.
    """

    lesson: Lesson
    model: Any
    held_out: Mapping[int, Sequence[Batch]]
    """By language: masked batches of held-out text."""
    teachers: Mapping[int, float]
    """By language: the teacher's loss on them."""
    updates: int
    autocast: torch.dtype
    file: Path
    found: dict[str, dict[str, float]] = field(default_factory=dict)
    """By update: the student's losses, and which languages were dropped."""

    def __post_init__(self) -> None:
        if self.file.is_file():
            self.found = json.loads(self.file.read_text(encoding="utf-8"))

    def __call__(self, update: int) -> None:
        """Before an update: look, every tenth of the training."""
        self._restore(update)
        every = max(1, self.updates // LOOKS)
        if update == 0 or update % every:
            return
        losses = {
            str(language): held_out_loss(self.model, batches, self.autocast)
            for language, batches in self.held_out.items()
        }
        self.found[str(update)] = losses
        write_text(self.file, json.dumps(self.found), force=True)
        self._apply(losses)

    def _restore(self, update: int) -> None:
        for at in sorted(int(at) for at in self.found if int(at) <= update):
            self._apply(self.found[str(at)])

    def _apply(self, losses: Mapping[str, float]) -> None:
        for language, loss in losses.items():
            if loss <= self.teachers[int(language)]:
                self.lesson.drop(int(language))


def learn(
    model: Any,
    plan: Plan,
    masking: Masking,
    recipe: Recipe,
    lesson: Lesson,
    *,
    before: Callable[[int], None] | None,
    checkpoint: Path,
    checkpoint_seconds: float,
    identity: str,
    device: str,
    progress: Progress | None,
) -> Fitted:
    """Train `model` in place; a killed training goes on from its last checkpoint."""
    rows: Sequence[Block] = ()
    return fit(
        model,
        rows,
        partial(collate, masking=masking, rows=plan.draw.rows),
        lesson,
        recipe,
        units=lambda batch: len(batch["gold"]),
        drawn=plan.draw,
        before=before,
        device=device,
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        resume=True,
        identity=identity,
        progress=progress,
    )
