"""Languages in thirds by how well a model does in them before any help (DeMuX, section 4.1)."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from polymux import __version__
from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.evaluate import ALL, UNKNOWN, evaluate
from polymux.experiments.spreadsheet import inert
from polymux.progress import Progress
from polymux.records import Pool

# High, mid and low performing.
TIERS = ("HP", "MP", "LP")


@dataclass(frozen=True, slots=True)
class Tiered:
    """A language and its third."""

    language: str
    tier: str
    score: float
    """The task's main one, in [0, 1]."""
    examples: int
    """How many labelled ones were scored."""


@dataclass(frozen=True, slots=True)
class Tiers:
    """Languages from the best score to the worst, each with its third."""

    task: str
    model: str
    main: str
    """The name of the score that ranks."""
    rows: tuple[Tiered, ...]
    tied: tuple[str, ...]
    """Languages whose equals stand in another third, because earlier names go first."""
    without: tuple[str, ...]
    """Languages with labelled examples that were left out, as asked."""
    nameless: int
    """Labelled examples that were left out because they have no language."""

    @property
    def record(self) -> dict[str, Any]:
        """All of it for machines."""
        return {
            "polymux": __version__,
            "task": self.task,
            "model": self.model,
            "main": self.main,
            "tiers": {t: [row.language for row in self.rows if row.tier == t] for t in TIERS},
            "scores": {row.language: row.score for row in self.rows},
            "examples": {row.language: row.examples for row in self.rows},
            "tied": list(self.tied),
            "without": list(self.without),
            "nameless": self.nameless,
        }

    @property
    def csv(self) -> str:
        """A line a language: `language,tier,score,examples`; names that are no formulas."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n").writerow
        write(("language", "tier", "score", "examples"))
        for row in self.rows:
            write((inert(row.language), row.tier, repr(row.score), row.examples))
        return out.getvalue()


def thirds(scores: Mapping[str, float]) -> dict[str, str]:
    """The third of each language, best score first.

    Equal scores stand in the order of their names. Thirds differ by at most one language: one left
    over goes to HP, a second one to MP.

    Raises:
        UsageError: fewer than three languages.
    """
    if len(scores) < len(TIERS):
        raise UsageError(
            f"thirds need 3 languages, and there are {len(scores)}: "
            f"{', '.join(sorted(scores)) or '-'}",
            "give labelled examples of at least 3 languages: --test PATH repeats, and --language "
            "FIELD, folder or file says where an example's language is told",
        )
    order = sorted(scores, key=lambda name: (-scores[name], name))
    each, left = divmod(len(order), len(TIERS))
    sizes = [each + (place < left) for place in range(len(TIERS))]
    named = chain.from_iterable([tier] * size for tier, size in zip(TIERS, sizes, strict=True))
    return dict(zip(order, named, strict=True))


def tiers(
    model: Model,
    pool: Pool,
    *,
    without: Collection[str] = (),
    progress: Progress | None = None,
) -> Tiers:
    """Score a model on labelled examples, and split their languages into thirds.

    `without` names languages that are no candidates, such as the one the model was trained on.

    Raises:
        InputError: no example is labelled.
        UsageError: fewer than three languages are left, or `without` names one that is not there.
    """
    told = evaluate(model, pool, progress=progress)
    absent = sorted(set(without) - set(told.languages))
    if absent:
        raise UsageError(
            f"no labelled example is in {', '.join(absent)}",
            f"leave out some of: {', '.join(told.languages)}",
        )
    nameless = {ALL, UNKNOWN} & set(told.languages)
    scores = {
        name: scored[told.main]
        for name, scored in told.languages.items()
        if name not in without and name not in nameless
    }
    third = thirds(scores)
    reached: dict[float, set[str]] = {}
    for name, tier in third.items():
        reached.setdefault(scores[name], set()).add(tier)
    rows = (Tiered(name, tier, scores[name], told.examples[name]) for name, tier in third.items())
    return Tiers(
        task=told.task,
        model=told.model,
        main=told.main,
        rows=tuple(rows),
        tied=tuple(name for name in third if len(reached[scores[name]]) > 1),
        without=tuple(sorted(without)),
        nameless=sum(told.examples[name] for name in nameless),
    )
