"""The page of a diagnosis: each check's findings, and what it drew them from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from polymux.report import lines
from polymux.report.pages import rendered

# Examples shown of one check; diagnosis.json has all.
SHOWN = 20
# A bin of fewer predictions is luck, and not drawn.
ENOUGH = 20
# Of the curve over k, where it is drawn.
_AT = {*range(1, 9), *range(16, 65, 8)}


class Said(TypedDict):
    """One finding."""

    level: str
    says: str
    do: str


class Pointed(TypedDict):
    """A target example that a check points at."""

    id: str
    text: str
    why: str


class Checked(TypedDict):
    """One check."""

    name: str
    asks: str
    """The question that it answers."""
    findings: Sequence[Said]
    examples: Sequence[Pointed]


class DiagnosisFacts(TypedDict):
    """All that the page says."""

    model: str
    task: str
    budget: int | None
    target: int
    pool: int
    """Examples, without duplicates."""
    checks: Sequence[Checked]
    correlation: Sequence[tuple[int, float, float, float]]
    """k, r and its interval."""
    claimed: float
    """The r that the paper reports at least."""
    reliability: Mapping[str, Sequence[tuple[float, float, int]]]
    """Confidence, accuracy and size of the bins, by pool."""
    strategy: str
    reason: str
    evidence: Sequence[str]


def diagnosis(facts: DiagnosisFacts) -> str:
    """One self-contained page that asks no host for anything and runs no script.

    Args:
        facts: What the page says.
    """
    warnings = sum(
        said["level"] == "warning" for check in facts["checks"] for said in check["findings"]
    )
    return rendered(
        "diagnosis.html",
        *("card.css", "lines.css", "diagnosis.css"),
        facts=facts,
        warnings=warnings,
        shown=SHOWN,
        enough=ENOUGH,
        drawings={
            "correlation": correlation(facts["correlation"], facts["claimed"]),
            "calibration": reliability(facts["reliability"]),
        },
    )


def correlation(
    curve: Sequence[tuple[int, float, float, float]], claimed: float
) -> lines.Drawing | None:
    """R over k with its intervals, and the level that the paper reports; None of nothing."""
    points = [(float(k), r, low, high) for k, r, low, high in curve if k in _AT]
    if not points:
        return None
    most = points[-1][0]
    level = [(x, claimed, claimed, claimed) for x in (0.0, most)]
    heights = [0.0, claimed, *(y for _, *rest in points for y in rest)]
    return lines.drawing(
        {"reference": level, "target": points},
        across=(0.0, most),
        up=lines.room(heights, low=-1.0),
    )


def reliability(pools: Mapping[str, Sequence[tuple[float, float, int]]]) -> lines.Drawing | None:
    """How often the model is right over how sure it was; on the diagonal it says what is so."""
    told = {name: [(x, y) for x, y, n in bins if n >= ENOUGH] for name, bins in pools.items()}
    if not any(told.values()):
        return None
    made: dict[str, Sequence[lines.Point]] = {"reference": [(x, x, x, x) for x in (0.0, 1.0)]}
    made |= {name: [(x, y, y, y) for x, y in bins] for name, bins in told.items() if bins}
    return lines.drawing(made, across=(0.0, 1.0), up=(0.0, 1.0))
