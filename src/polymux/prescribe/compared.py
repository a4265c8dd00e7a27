"""Two choices side by side: what stands elsewhere, and whether rounding explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import polymux
from polymux.prescribe.again import Scene
from polymux.prescribe.past import Past, PastPick
from polymux.records import Prescription, content_hashes
from polymux.selection import Ask
from polymux.selection.ties import TIES, weigh
from polymux.selection.twice import Gap, Twice
from polymux.tasks import TASKS

SAME, TIE, DIFFERENT = "the same", "the same up to a tie", "different"
# How a model is run, which may differ from run to run without another choice.
RUNNING = ("backend", "device", "dtype", "batch_tokens")


@dataclass(frozen=True, slots=True)
class Difference:
    """One example that stands elsewhere in the other choice, and the comparison that decides."""

    id: str | None
    """None where the comparison is of no single example: |C| against the budget."""
    rank_then: int | None
    rank_now: int | None
    comparison: str
    key: float | None
    gap: float | None
    """How far the key is from where both runs could decide as they did; None: no key decides."""
    tolerance: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A choice of then against the same choice made now."""

    folder: str
    strategy: str
    budget: int
    ties: tuple[Difference, ...]
    """Differences within the tolerances."""
    differences: tuple[Difference, ...]
    """Differences beyond them."""
    ran: Mapping[str, Any]
    """What was run otherwise than then (`polymux`, `settings`: then and now), and how far apart the
    numbers of the examples in both choices are (`uncertainty_apart`, `distance_apart`)."""
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`the same`, `the same up to a tie` or `different`."""
        return DIFFERENT if self.differences else TIE if self.ties else SAME

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Which comparisons were ties, the most frequent first."""
        return tuple(name for name, _ in Counter(t.comparison for t in self.ties).most_common())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of every choice of a folder when it was made again."""

    choices: tuple[Compared, ...]

    @property
    def verdict(self) -> str:
        """The worst of the choices' verdicts."""
        return max((c.verdict for c in self.choices), key=(SAME, TIE, DIFFERENT).index)

    @property
    def comparisons(self) -> tuple[str, ...]:
        """Which comparisons were ties, each once."""
        return tuple(dict.fromkeys(name for c in self.choices for name in c.comparisons))

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Differences beyond the tolerances, of all choices."""
        return tuple(d for c in self.choices for d in c.differences)


def compared(past: Past, now: Prescription, scene: Scene, *, has_ids: bool) -> Compared:
    """Set the two side by side."""
    places = scene.survey.places
    ties: list[Difference] = []
    found: list[Difference] = []
    for pick in past.picks:
        there = places.get(pick.content)
        if there is None:
            found.append(_unlike(pick, "its content is not in the pool"))
        elif has_ids and there[1] != pick.id:
            found.append(_unlike(pick, f"its content is {there[1]} in the pool"))
    then = {places[p.content][0]: p for p in past.picks if p.content in places}
    if list(then) != now.rows:
        for difference, is_tie in _weighed(past, now, scene, then):
            (ties if is_tie else found).append(difference)
    found.sort(key=lambda d: (d.rank_then or np.inf, d.rank_now or np.inf))
    return Compared(
        str(past.folder),
        past.strategy,
        past.budget,
        tuple(ties),
        tuple(found),
        _ran(past, now),
        tuple(_notes(past, now, scene)),
    )


def _unlike(pick: PastPick, comparison: str) -> Difference:
    return Difference(pick.id, pick.rank, None, comparison, None, None, None)


def _weighed(
    past: Past, now: Prescription, scene: Scene, then: Mapping[int, PastPick]
) -> list[tuple[Difference, bool]]:
    """What stands elsewhere, each with the comparison that decides, and whether that is a tie."""
    rank_then = {row: pick.rank for row, pick in then.items()}
    rank_now = {row: rank for rank, row in enumerate(now.rows, 1)}
    rows = np.array(list(then), dtype=np.int64)
    gaps: list[Gap] = []
    has_keys = past.strategy in TIES and len(then) == len(past.picks) == len(now)
    if has_keys and np.isin(rows, scene.pool.rows).all():
        apart = past.settings.get("near_duplicates")
        gaps = weigh(past.strategy, _twice(past, now, scene, rows), apart)
    if not gaps:
        what = "another example" if past.strategy in TIES else "no rounding decides here"
        strangers = rank_then.keys() ^ rank_now.keys()
        moved = [row for row in rank_now if rank_then.get(row) != rank_now[row]]
        gaps = [Gap(row, what, np.nan, np.inf, 0.0) for row in sorted(strangers) or moved]
    named = scene.pool.examples(np.array([g.row for g in gaps if g.row is not None], dtype=int))
    return [
        (
            Difference(
                None if gap.row is None else named[gap.row].id,
                rank_then.get(-1 if gap.row is None else gap.row),
                rank_now.get(-1 if gap.row is None else gap.row),
                gap.comparison,
                gap.key + 0.0 if np.isfinite(gap.key) else None,  # no -0
                gap.gap if np.isfinite(gap.gap) else None,
                gap.tolerance if np.isfinite(gap.gap) else None,
            ),
            gap.is_tie,
        )
        for gap in gaps
    ]


def _twice(past: Past, now: Prescription, scene: Scene, then: np.ndarray) -> Twice:
    """The question as it is asked of arrays, with both answers."""
    settings, aim = now.manifest["settings"], scene.aim.encodings
    names = ("distance", "average", "k", "candidates", "more_than_budget", "ratio", "quotas")
    ask = Ask(
        target=aim.embeddings,
        target_hashes=aim.hashes,
        target_languages=tuple(aim.languages or [None] * len(aim)),
        budget=min(past.budget, scene.pool.counts.eligible),
        depth=len(now),
        seed=now.manifest["seed"],
        measure=settings["uncertainty"],
        **{name: settings[name] for name in names},
    )
    measure = TASKS[now.task].MEASURES[ask.measure]
    return Twice(
        ask,
        then,
        np.array(now.rows, dtype=np.int64),
        past.manifest.get("facts", {}),
        now.manifest["facts"],
        measure.tolerance,
        scene.pool.shards,
        scene.pool.fetch,
    )


def _ran(past: Past, now: Prescription) -> dict[str, Any]:
    """What was run otherwise, and how far apart the numbers of the examples in both choices are."""
    here = now.manifest["settings"]
    known = {pick.content: pick for pick in past.picks}
    hashes = content_hashes([pick.example for pick in now.picks]).tolist()
    both = [
        (known[tuple(content)], pick)
        for content, pick in zip(hashes, now.picks, strict=True)
        if tuple(content) in known
    ]
    return {
        "polymux": [past.manifest.get("polymux"), polymux.__version__],
        "settings": {
            name: [past.settings.get(name), here[name]]
            for name in RUNNING
            if past.settings.get(name) != here[name]
        },
        "uncertainty_apart": max((abs(a.uncertainty - b.uncertainty) for a, b in both), default=0),
        "distance_apart": max((abs(a.distance - b.distance) for a, b in both), default=0),
    }


def _notes(past: Past, now: Prescription, scene: Scene) -> Iterator[str]:
    """What a person should know before believing the verdict."""
    yield from scene.changed
    version = past.manifest.get("polymux")
    if version != polymux.__version__:
        yield f"made by polymux {version}, verified by {polymux.__version__}"
    if "contents" not in past.manifest["model"]:
        yield "selection.json does not say what stood in the model's folder: it may be another"
    here = now.manifest["settings"]
    unknown = sorted(
        name for name, value in past.settings.items() if value and name not in {*here, "screen"}
    )
    if unknown:
        yield f"settings that this polymux does not know: {', '.join(unknown)}"
    if here["dtype"] != "float32":
        yield f"run in {here['dtype']}: the tolerances are those of float32"
