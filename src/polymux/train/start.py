"""What a training begins with: a model looked at from outside, and the examples with a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypedDict

from polymux.encoders import checks
from polymux.encoders.facts import Facts, contents, look_at
from polymux.encoders.heads import give_padding
from polymux.errors import InputError, UsageError
from polymux.records import LABEL_FIELD, Example, Pool, shard_fingerprint
from polymux.tasks import Feature, Task, task_named
from polymux.train.labels import decide_labels


class Safety(TypedDict, total=False):
    """What a model may do while it is loaded; nothing, unless told."""

    allow_pickle: bool
    trust_remote_code: bool
    offline: bool


@dataclass(frozen=True, slots=True)
class Labelled:
    """The examples of a pool that have a label, in memory."""

    examples: tuple[Example, ...]
    unlabelled: int
    rejected: int

    @property
    def found(self) -> set[str]:
        """The labels that occur; none for question answering."""
        labels = [example.label for example in self.examples]
        texts = {label for label in labels if isinstance(label, str)}
        return texts.union(*(label for label in labels if isinstance(label, tuple)))

    @property
    def fingerprint(self) -> str:
        """A name for these examples with their labels, in this order."""
        digest = blake2b(shard_fingerprint(self.examples).encode(), digest_size=16)
        for example in self.examples:
            digest.update(repr(example.label).encode())
        return digest.hexdigest()


def labelled(pool: Pool) -> Labelled:
    """Read a pool and keep what has a label.

    Raises:
        InputError: nothing has.
    """
    everything = list(pool)
    kept = tuple(example for example in everything if example.label is not None)
    if not kept:
        raise InputError(
            f"none of the {len(everything)} examples of {pool.name} has a label",
            f"give labelled examples: their labels stand under {LABEL_FIELD[pool.task]!r}",
            file=pool.files[0].path,
        )
    return Labelled(kept, len(everything) - len(kept), len(pool.rejected))


@dataclass(frozen=True, slots=True)
class Start:
    """A start model, its weights not loaded yet, and how it is to read."""

    path: str
    task: str
    facts: Facts
    max_length: int
    """Sub-words of a row, special tokens included."""
    stride: int

    @classmethod
    def of(cls, path: str | Path, task: str, max_length: int, stride: int, safety: Safety) -> Start:
        """Find a model and look at it; rows are never longer than it reads.

        Raises:
            UsageError: rows without room, or a stride below 0.
        """
        checks.check_at_least("--stride", stride, 0)
        facts = look_at(
            path,
            allow_pickle=safety.get("allow_pickle", False),
            trust_remote_code=safety.get("trust_remote_code", False),
            offline=safety.get("offline", False),
        )
        give_padding(facts.tokenizer)
        return cls(str(path), task, facts, checks.longest_row(facts, task, max_length), stride)

    @property
    def module(self) -> Task:
        """What the task is."""
        return task_named(self.task)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Of its trained head; None if it has none for the task."""
        return checks.known_labels(self.facts, self.task)

    @property
    def fingerprint(self) -> str:
        """A name for its weights and its tokenizer."""
        return contents(self.facts)

    def decide_labels(
        self, found: set[str], given: Sequence[str] | None
    ) -> tuple[tuple[str, ...], bool]:
        """The labels of the trained model, and whether its head is new."""
        if self.task != "question-answering":
            return decide_labels(found, start=self.labels, given=given)
        if given is not None:
            raise UsageError("answers are spans: they have no labels", "leave --labels out")
        return (), self.labels is None

    def prepare(self, examples: Sequence[Example], *, windows: bool = False) -> list[Feature]:
        """The rows that are trained on, cut like those that are chosen by."""
        return self.module.prepare(
            examples,
            self.facts.tokenizer,
            max_length=self.max_length,
            stride=self.stride,
            windows=windows,
            pooled="last" if self.facts.is_decoder else "first",
        )
