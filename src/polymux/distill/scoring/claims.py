"""What the slides claim, and what a run says of each claim (METHOD.md 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# What a language may lose, of 1, and still be called preserved.
PRESERVED = 0.01
HOLDS, FAILS, OPEN = "holds here", "does not hold here", "cannot be told"
Comparison = Mapping[str, Any]
Sides = list[int]


def side(comparison: Comparison) -> int:
    """1 if ours is better beyond doubt (the interval is above 0), -1 if worse, else 0."""
    return int(comparison["low"] > 0) - int(comparison["high"] < 0)


def of(
    comparisons: Sequence[Comparison],
    theirs: str,
    ours: str = "student",
    tasks: Sequence[str] = ("pos", "ner"),
    transfers: Sequence[str] = ("in-language", "zero-shot"),
    groups: Sequence[str] | None = None,
) -> list[Comparison]:
    """The comparisons of two systems that a claim is about."""
    return [
        c
        for c in comparisons
        if (c["ours"], c["theirs"]) == (ours, theirs)
        and c["task"] in tasks
        and c["transfer"] in transfers
        and (groups is None or c["group"] in groups)
    ]


def _all_better(chosen: Sequence[Comparison]) -> str:
    sides = [side(c) for c in chosen]
    if not sides:
        return OPEN
    return HOLDS if min(sides) == 1 else FAILS if min(sides) == -1 else OPEN


def _mostly_better(chosen: Sequence[Comparison]) -> str:
    sides = [side(c) for c in chosen]
    if not sides:
        return OPEN
    if sides.count(1) * 2 > len(sides):
        return HOLDS
    return FAILS if sides.count(-1) * 2 >= len(sides) else OPEN


def _and(*verdicts: str) -> str:
    if FAILS in verdicts:
        return FAILS
    return HOLDS if set(verdicts) == {HOLDS} else OPEN


def _not_worse(chosen: Sequence[Comparison]) -> str:
    """Preserved: every interval lies above a loss of a point; not, if one lies below 0."""
    if not chosen:
        return OPEN
    if min(side(c) for c in chosen) == -1:
        return FAILS
    return HOLDS if min(c["low"] for c in chosen) > -PRESERVED else OPEN


def _told(chosen: Sequence[Comparison]) -> str:
    """Differences in points, one after the other."""
    return "; ".join(
        f"{c['task']} {c['transfer']} {c['group']} {c['ours']} - {c['theirs']} "
        f"{100 * c['difference']:+.1f} [{100 * c['low']:+.1f}, {100 * c['high']:+.1f}]"
        for c in chosen
    )


Verdict = tuple[str, list[Comparison]]


def _low_better_high_kept(cs: Sequence[Comparison]) -> Verdict:
    low = of(cs, "hl", transfers=["in-language"], groups=["low"])
    high = of(cs, "hl", transfers=["in-language"], groups=["high"])
    return _and(_all_better(low), _not_worse(high)), [*low, *high]


def _best_of_pos_zero_shot(cs: Sequence[Comparison]) -> Verdict:
    chosen = [
        c
        for other in ("hl", "hl-balanced")
        for c in of(cs, other, tasks=["pos"], transfers=["zero-shot"])
    ]
    return _all_better(chosen), chosen


def _mostly_best_of_ner_zero_shot(cs: Sequence[Comparison]) -> Verdict:
    chosen = [
        c
        for other in ("hl", "hl-balanced")
        for c in of(cs, other, tasks=["ner"], transfers=["zero-shot"])
    ]
    return _mostly_better(chosen), chosen


def _better_in_language(cs: Sequence[Comparison]) -> Verdict:
    chosen = [
        c for other in ("hl", "hl-balanced") for c in of(cs, other, transfers=["in-language"])
    ]
    return _mostly_better(chosen), chosen


def _naive_balancing(cs: Sequence[Comparison]) -> Verdict:
    low = of(cs, "hl", "hl-balanced", transfers=["in-language"], groups=["low"])
    high = of(cs, "hl", "hl-balanced", transfers=["in-language"], groups=["high"])
    turned = [{**c, "low": -c["high"], "high": -c["low"]} for c in high]
    return _and(_all_better(low), _all_better(turned)), [*low, *high]


def _beyond_compute(cs: Sequence[Comparison]) -> Verdict:
    chosen = of(cs, "hl-unimax", groups=["all"])
    return _mostly_better(chosen), chosen


CLAIMS: dict[str, Callable[[Sequence[Comparison]], Verdict]] = {
    "Better on low-resource languages, high-resource ones preserved": _low_better_high_kept,
    "Best in zero-shot transfer of parts of speech": _best_of_pos_zero_shot,
    "Best in most zero-shot transfer of names": _mostly_best_of_ner_zero_shot,
    "Better in in-language probing": _better_in_language,
    "Naive balancing helps low-resource and hurts high-resource languages": _naive_balancing,
    "Not in the slides: better than hard labels by UniMax at all compute spent": (_beyond_compute),
}


def verdicts(comparisons: Sequence[Comparison], seeds: int) -> list[dict[str, str]]:
    """Each claim with what this run says of it, and the differences that say so."""
    found = []
    for claim, judge in CLAIMS.items():
        verdict, chosen = judge(comparisons)
        told = _told(chosen) or "nothing to compare: a system or a group is missing"
        if seeds < 2:
            told += " (one seed: the intervals tell of test sentences only)"
        found.append({"claim": claim, "verdict": verdict, "evidence": told})
    return found
