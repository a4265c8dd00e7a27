"""What goes to people and what comes back from them, whatever tool they use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from polymux.records import Label

State = Literal["labelled", "skipped", "rejected"]
# Seconds; nobody takes that long.
LONGEST = 1e9


@dataclass(frozen=True, slots=True)
class Item:
    """One example as it goes to people."""

    id: str
    fields: Mapping[str, str | tuple[str, ...]]
    """Exactly the task's fields (`polymux.records.FIELDS`)."""
    rank: int = 0
    """From 1, best first; 0: not told."""
    surface: str | None = None
    """The sentence as it was written, where the source of `tokens` tells it."""
    language: str | None = None
    label: Label | None = None
    """What the model says now, to be corrected; or what is known, where nobody is to be asked."""
    score: float | None = None
    """How sure the model is, in [0, 1]; tools sort by it."""
    said: tuple[Answer, ...] = ()
    """What annotators answered, for one who decides; never read back."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What people are asked in one go."""

    task: str
    labels: tuple[str, ...]
    """Those that may be given: tags of words or classes of texts; none for answers to questions."""
    items: tuple[Item, ...]
    unit: Literal["code points", "utf-16"] = "code points"
    """What the tool counts, where a canary showed it; else as the format says."""

    @property
    def by_id(self) -> dict[str, Item]:
        """Each item under its id."""
        return {item.id: item for item in self.items}

    @property
    def tagged(self) -> bool:
        """Whether words carry tags that make spans (B-PER, I-PER, O), and not a class each."""
        return self.task == "token-classification" and span_kinds(self.labels) != ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said of one item."""

    id: str
    fields: Mapping[str, str | tuple[str, ...]]
    """As they came back."""
    state: State
    label: Label | None = None
    """Only of a labelled one."""
    annotator: str | None = None
    seconds: float | None = None
    """What it took, where the tool tells."""
    line: int | None = None
    """Where it stands in the file."""
    page: str | None = None
    """Where it stands on a tool's server, if it came from there."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What went to a tool's server."""

    page: str
    """Where people find it."""
    sent: int
    there: int
    """Examples that were there before."""
    is_new: bool = False
    """Whether the project was made for them."""


def span_kinds(labels: Sequence[str]) -> tuple[str, ...]:
    """What spans may be called, from the tags of words: PER of B-PER and I-PER."""
    kinds = {
        label[2:]: None
        for label in labels
        if label[:2] in ("B-", "I-", "E-", "S-", "L-", "U-", "M-") and len(label) > 2
    }
    return tuple(kinds)
