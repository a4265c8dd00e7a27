"""What an engine promises, and what it is given: protocols that engines and encoders share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from polymux.records import Encodings, Example

Tick = Callable[[float], None]
Finish = Callable[[Tick], Encodings]


@runtime_checkable
class Reader(Protocol):
    """What works on shards: a model. Pickled, it travels to workers."""

    device: str
    notes: list[str]

    @property
    def fingerprint(self) -> str:
        """A name for everything that decides its numbers."""

    def prepare(self, examples: Sequence[Example]) -> list[Any]:
        """The rows that it reads of these examples."""

    def encode_features(
        self,
        examples: Sequence[Example],
        features: list[Any],
        tick: Callable[[int], None] | None = None,
    ) -> Encodings:
        """What it says of them; `tick` hears how many rows are done."""


@runtime_checkable
class Engine(Protocol):
    """An engine that is open."""

    @property
    def ahead(self) -> int:
        """How many shards may be begun while one is waited for."""

    def begin(self, reader: Reader, examples: tuple[Example, ...]) -> Finish:
        """Begin a shard; what is returned waits for it, telling the share of it that is done."""
