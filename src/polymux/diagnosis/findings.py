"""What a check says: how serious it is, one sentence, and what to do."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["good", "note", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should know before spending."""

    level: Level
    says: str
    """One sentence, with the numbers that it rests on."""
    do: str = ""
    """What to do about it; empty where there is nothing to do."""


class Result:
    """What a check measured, as a frozen dataclass of plain values, and what that means."""

    __slots__ = ()

    @property
    def record(self) -> dict[str, Any]:
        """What was measured, as JSON values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @property
    @abstractmethod
    def findings(self) -> tuple[Finding, ...]:
        """At least one; the most serious need not come first."""


def share(part: float) -> str:
    """A share of 1 as a person reads it; what is there is never rounded to nothing."""
    percent = 100 * part
    if 0 < percent < 1:
        return "under 1 %"
    return f"{percent:.0f} %"
