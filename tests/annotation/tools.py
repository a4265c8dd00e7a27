"""What each tool makes of a dump when a person agrees with every suggestion: bytes to bytes."""

from __future__ import annotations

from collections.abc import Callable

from polymux.annotation import Batch

Finish = Callable[[bytes, Batch], bytes]


def as_it_is(dumped: bytes, batch: Batch) -> bytes:
    """The labels stand in the dump where a person would write them."""
    return dumped


FINISH: dict[str, Finish] = {"jsonl": as_it_is}
