"""Several choices side by side: one folder each, and a page that compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from statistics import fmean
from typing import Any

from polymux.folders import Texts
from polymux.prescribe.reasons import significant
from polymux.records import Prescription

Made = Mapping[tuple[str, int], Prescription]


def summary_files(made: Made) -> Texts:
    """`STRATEGY/BUDGET/` for each, and `summary.md` and `summary.json` beside them."""
    texts = {
        f"{strategy}/{budget}/{name}": text
        for (strategy, budget), choice in made.items()
        for name, text in choice.files.items()
    }
    return {**texts, "summary.md": partial(_markdown, made), "summary.json": partial(_json, made)}


def rows(made: Made) -> list[dict[str, Any]]:
    """One record a choice: size, means, languages, and what it shares with the first choice."""
    leading = next(iter(made))[0]
    return [
        {
            "strategy": strategy,
            "budget": budget,
            "chosen": len(choice),
            "mean_uncertainty": significant(fmean(p.uncertainty for p in choice.picks)),
            "mean_distance": significant(fmean(p.distance for p in choice.picks)),
            "shared_with_first": len(set(choice.rows) & set(made[leading, budget].rows)),
            "languages": (choice.manifest["languages"] or {}).get("chosen"),
        }
        for (strategy, budget), choice in made.items()
    ]


def _json(made: Made) -> Iterator[str]:
    yield json.dumps(rows(made), ensure_ascii=False, indent=2) + "\n"


def _markdown(made: Made) -> Iterator[str]:
    leading = next(iter(made))[0]
    yield "# Choices side by side\n\n"
    yield f"Uncertainty: higher = less sure. Shared: examples also chosen by {leading}.\n\n"
    yield "| strategy | budget | chosen | mean uncertainty | mean distance | shared | languages |\n"
    yield "|---|--:|--:|--:|--:|--:|---|\n"
    for row in rows(made):
        languages = ", ".join(
            f"{_plain(name)} {count}" for name, count in (row["languages"] or {}).items()
        )
        yield (
            f"| [{row['strategy']}]({row['strategy']}/{row['budget']}/report.html) "
            f"| {row['budget']} | {row['chosen']} | {row['mean_uncertainty']:.4g} "
            f"| {row['mean_distance']:.4g} | {row['shared_with_first']} | {languages} |\n"
        )


def _plain(name: str) -> str:
    """A language's name as text of a Markdown table, whatever it holds."""
    return "".join(f"&#{ord(c)};" if c in "|<>&[]`*_\\\n" else c for c in name) or "?"
