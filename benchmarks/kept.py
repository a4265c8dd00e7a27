"""How much of the fp32 choice is left after screening, and after screening and deciding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polymux as pm
from corpora import TASK, pools
from end_to_end import SAID, SCREENS, low, missing
from figures import Row
from networks import accuracy, fine_tuned
from polymux.prescribe import select_many

# Every strategy that needs no extra input.
STRATEGIES = (
    *("knn-uncertainty", "average-dist", "uncertainty", "uncertainty-knn", "round-robin"),
    *("random", "egalitarian"),
)
Made = dict[tuple[str, int], pm.Prescription]


def rows(*, quick: bool, work: Path) -> Iterator[Row]:
    """Shares by screen and strategy, each decided by itself."""
    budgets = (10, 100) if quick else (100, 1000)
    source, target = pools(work, 400 if quick else 6000)
    shape = "2x64" if quick else "6x256"
    folder = fine_tuned(shape, work)
    told = "English, dev"
    yield Row(f"{shape}: accuracy", (accuracy(folder),), "share", told)
    whole = _chosen(folder, source, target, STRATEGIES, budgets)
    for screen, short in SCREENS.items():
        if why := missing(screen=screen):
            yield Row(f"{shape}: {short}", (), "share", why, "kept")
            continue
        alone = _chosen(folder, source, target, STRATEGIES, budgets, alone=screen)
        yield from _shares(f"{shape}: {short} screen alone", alone, whole)
        for name in STRATEGIES:
            decided = _chosen(folder, source, target, [name], budgets, screen=screen)
            what = f"{shape}: {short} screen and decide"
            yield from _shares(what, decided, whole, figure="kept")


def _chosen(
    folder: Path,
    source: pm.Pool,
    target: pm.Pool,
    strategies: Sequence[str],
    budgets: Sequence[int],
    *,
    alone: str | None = None,
    **options: Any,
) -> Made:
    model = pm.Model(folder, task=TASK, backend="torch")
    if alone is not None:
        model = low(model, alone, source)
    return select_many(model, source, target, budgets=budgets, strategies=strategies, **options)


def _shares(what: str, made: Made, whole: Made, figure: str | None = None) -> Iterator[Row]:
    """A row a strategy: the smaller of its budgets' shares, both in the note."""
    for strategy in dict.fromkeys(name for name, _ in made):
        shares = {
            budget: len({*made[name, budget].rows} & {*whole[name, budget].rows})
            / len(whole[name, budget])
            for name, budget in made
            if name == strategy
        }
        told = [f"{budget:,}: {100 * share:.4g} %" for budget, share in shares.items()]
        manifest = made[strategy, max(shares)].manifest
        screen = manifest.get("screen") or {}
        told += [f"{name} {screen[name]}" for name in SAID if name in screen]
        yield Row(f"{what}, {strategy}", (min(shares.values()),), "share", "; ".join(told), figure)
