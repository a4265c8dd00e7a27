"""Before you spend: what a model and two pools say of themselves, and which strategy to take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polymux import __version__
from polymux.diagnosis.calibration import Calibration
from polymux.diagnosis.checks import CHECKS
from polymux.diagnosis.clusters import Clustering
from polymux.diagnosis.correlation import Neighbourhood
from polymux.diagnosis.findings import Finding, Level, Result
from polymux.diagnosis.look import Seen, look
from polymux.diagnosis.noise import Noise
from polymux.diagnosis.page import page
from polymux.diagnosis.reach import Reach
from polymux.diagnosis.redundancy import Redundancy
from polymux.diagnosis.rules import RULES, Facts, Recommendation, Rule, advise, recommend
from polymux.encoders import Model
from polymux.engines import opened
from polymux.errors import UsageError
from polymux.folders import write_texts
from polymux.prescribe.pools import Counts, place_of
from polymux.prescribe.presets import measure_named
from polymux.prescribe.spool import store_for
from polymux.progress import Progress
from polymux.records import Example, Pool

__all__ = [
    "CHECKS",
    "RULES",
    "Calibration",
    "Diagnosis",
    "Facts",
    "Finding",
    "Level",
    "Listed",
    "Recommendation",
    "Result",
    "Rule",
    "advise",
    "diagnose",
    "recommend",
]

MANIFEST, PAGE = "diagnosis.json", "diagnosis.html"


@dataclass(frozen=True, slots=True)
class Listed:
    """A target example that a check points at."""

    id: str
    text: str
    why: str


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What every check measured, what that means, and the strategy recommended."""

    results: Mapping[str, Result]
    """By check; those that had nothing to look at are missing."""
    listed: Mapping[str, tuple[Listed, ...]]
    """Target examples that `noise` and `reach` point at."""
    facts: Facts
    recommendation: Recommendation
    about: Mapping[str, Any]
    """What was looked at, and how."""

    @property
    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """By check."""
        return {name: result.findings for name, result in self.results.items()}

    def of_level(self, level: Level) -> list[Finding]:
        """All findings that are as serious as this."""
        return [one for found in self.findings.values() for one in found if one.level == level]

    @property
    def record(self) -> dict[str, Any]:
        """All of it as `diagnosis.json` says it."""
        return {
            **self.about,
            "checks": {
                name: {
                    "findings": [asdict(finding) for finding in result.findings],
                    "measured": result.record,
                    "examples": [asdict(one) for one in self.listed.get(name, ())],
                }
                for name, result in self.results.items()
            },
            "recommendation": self.recommendation.record,
        }

    def write(self, out: str | Path, *, force: bool = False) -> None:
        """Write `diagnosis.json`, and as a page `diagnosis.html`, into the folder `out`.

        Raises:
            UsageError: it is not empty, and not forced.
        """
        text = json.dumps(self.record, ensure_ascii=False, indent=2) + "\n"
        shown = page(self.record)
        write_texts(Path(out), {MANIFEST: lambda: [text], PAGE: lambda: [shown]}, force=force)


def diagnose(
    model: Model,
    source: Pool,
    target: Pool,
    *,
    budget: int | None = None,
    seed: int = 0,
    uncertainty: str | None = None,
    engine: str = "local",
    workers: int | None = None,
    store: str | Path | None = None,
    spool: str | Path | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look at a model and two pools before a label is bought; no languages are needed.

    Both pools pass through the model once, as in `select`, and are found in `store` by it later.
    Of each a few thousand examples, drawn by content hash and `seed`, are looked at closely.

    Raises:
        UserError: input that cannot be used.
        WorkError: the work fails.
    """
    if budget is not None and budget < 1:
        raise UsageError(f"the budget is {budget}", "ask for at least one example")
    measure = measure_named(uncertainty, model.task, None)
    keep = store_for(store, spool, "float32")
    with keep as shelf, opened(engine, None, workers) as hands:
        seen = look(
            model,
            source,
            target,
            measure=measure,
            budget=budget,
            seed=seed,
            store=shelf,
            engine=hands,
            progress=progress,
        )
    found = {name: check(seen) for name, check in CHECKS.items()}
    results = {name: result for name, result in found.items() if result is not None}
    facts = _facts(seen, results)
    about = {
        "polymux": __version__,
        "task": model.task,
        "model": {"path": model.path, "fingerprint": model.fingerprint},
        "seed": seed,
        "budget": budget,
        "uncertainty": measure,
        "source": _told(source, seen.source_counts),
        "target": _told(target, seen.target_counts),
        "looked_at": {
            "target": len(seen.target.examples),
            "source": len(seen.source.examples),
            "source_with_neighbours": len(seen.around.apart),
        },
    }
    return Diagnosis(results, _listed(seen, results), facts, recommend(facts), about)


def _told(pool: Pool, counts: Counts) -> dict[str, Any]:
    return {**place_of(pool), **asdict(counts), "eligible": counts.eligible}


def _facts(seen: Seen, results: Mapping[str, Result]) -> Facts:
    """What the rules may look at."""
    reached, near = results.get("reach"), results.get("correlation")
    repeated, groups = results.get("redundancy"), results.get("clusters")
    judged = near.judged if isinstance(near, Neighbourhood) else None
    is_named = isinstance(groups, Clustering) and groups.by != "cluster"
    return Facts(
        task=seen.model.task,
        budget=seen.budget,
        targets=seen.target_counts.eligible,
        pool=seen.source_counts.eligible,
        out_of_reach=reached.share if isinstance(reached, Reach) else None,
        correlation=judged.r if judged is not None else None,
        near_duplicates=repeated.share if isinstance(repeated, Redundancy) else None,
        purity=groups.lift if isinstance(groups, Clustering) and is_named else None,
    )


def _listed(seen: Seen, results: Mapping[str, Result]) -> dict[str, tuple[Listed, ...]]:
    """The target examples that checks point at, the worst first."""

    def one(place: int, why: str) -> Listed:
        example: Example = seen.target.examples[place]
        return Listed(example.id, example.text, why)

    noisy, reached = results.get("noise"), results.get("reach")
    listed = {}
    if isinstance(noisy, Noise) and noisy.suspects:
        listed["noise"] = tuple(one(s.place, s.why) for s in noisy.suspects)
    if isinstance(reached, Reach) and reached.out_of_reach:
        lies = seen.nearest.distances[:, 0]
        listed["reach"] = tuple(
            one(place, f"{lies[place]:.3g} from the nearest in the pool")
            for place in reached.out_of_reach
        )
    return listed
