"""How much of the fp32 choice is left after screening, and after screening and deciding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polymux as pm
from corpora import TASK, pools
from end_to_end import SCREENS, missing
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
    """Shares by model, screen and strategy.

    The small model decides a strategy at a time; the large one, where that would take an hour, all
    at once: what one strategy reads again then serves the others too.
    """
    budgets = (10, 100) if quick else (100, 1000)
    source, target = pools(work, 400 if quick else 6000)
    for shape in ["2x64"] if quick else ["6x256", "12x768"]:
        folder = fine_tuned(shape, work)
        told = "English, dev"
        yield Row(f"{shape}: accuracy", (accuracy(folder),), "share", told)
        whole = _chosen(folder, source, target, STRATEGIES, budgets, "off")
        for screen, short in SCREENS.items():
            if why := missing(screen=screen):
                yield Row(f"{shape}: {short}", (), "share", why, "kept")
                continue
            alone = _chosen(folder, source, target, STRATEGIES, budgets, screen, screen_only=True)
            yield from _shares(f"{shape}: {short} screen alone", alone, whole)
            at_once = shape == "12x768"
            for names in [STRATEGIES] if at_once else [(name,) for name in STRATEGIES]:
                decided = _chosen(folder, source, target, names, budgets, screen)
                what = f"{shape}: {short} screen and decide"
                yield from _shares(what, decided, whole, figure="kept")


def _chosen(
    folder: Path,
    source: pm.Pool,
    target: pm.Pool,
    strategies: Sequence[str],
    budgets: Sequence[int],
    screen: str,
    **options: Any,
) -> Made:
    told = options if screen == "off" else {"screen": screen, **options}
    model = pm.Model(folder, task=TASK, backend="torch")
    return select_many(model, source, target, budgets=budgets, strategies=strategies, **told)


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
        told += [f"{key} {value:.4g}" for key, value in _numbers(manifest.get("screen"))]
        yield Row(f"{what}, {strategy}", (min(shares.values()),), "share", "; ".join(told), figure)


def _numbers(told: Mapping[str, Any] | None) -> Iterator[tuple[str, float]]:
    """What a manifest says of a screen in numbers."""
    for key, value in (told or {}).items():
        if isinstance(value, int | float):
            yield key, value
