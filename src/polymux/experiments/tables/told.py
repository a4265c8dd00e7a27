"""What is said of results in sentences, and what a page draws of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from polymux.experiments.tables.gains import BEST, Gain
from polymux.experiments.tables.grid import BASELINES, GOLD, Cell, Grid
from polymux.experiments.tables.rows import RANDOM, UNTOUCHED, Row, title
from polymux.experiments.tables.sheets import bounds
from polymux.experiments.tables.wins import AFTERWARDS, ALL, FEW, Wins
from polymux.report.table import Section, signed

if TYPE_CHECKING:
    from polymux.report.results.record import Bar, Forest, Line, Panel, Plane, Record, Role, Stack

# Key of a sheet: its heading, and how to read it.
SECTIONS: Mapping[str, tuple[str, str]] = {
    "wins": (
        "Win rates",
        (
            "The share of cells (task, model, target, labels) in which a strategy scores higher, "
            "as a mean over seeds, and its 95 % interval: clusters of cells that share task and "
            "target are drawn with replacement (where all cells agree, Clopper and Pearson's over "
            "clusters). The best baseline of a cell is picked after seeing the scores, so that it "
            "has the advantage; gold and same-distribution are no baselines."
        ),
    ),
    "scores": (
        "Scores",
        (
            "Points of 100: the mean over seeds of the mean over the target's languages, ± the "
            "sample standard deviation over trainings."
        ),
    ),
    "paper": (
        "Beside the paper",
        (
            "The paper's figures where task, target and strategy have the same name. Another "
            "model, other data or another budget differ for their own reasons: compare the gains."
        ),
    ),
    "curves": (
        "Whole learning curves",
        (
            "Area: the mean height over the logarithm of the labels, in points; its interval is "
            "Student's over seeds. The goal is what random choice has at its largest budget; the "
            "labels to reach it are read between budgets by their logarithm."
        ),
    ),
    "unsure": (
        "Cells whose spread exceeds the gain",
        (
            "Here two trainings of one strategy differ by more (one standard deviation, the larger "
            "of the two) than the strategy and the best baseline do: the cell decides nothing."
        ),
    ),
    "luck": (
        "The luck of choosing and of training",
        (
            "Standard deviations in points, by a random-effects decomposition of trainings nested "
            "in choices, pooled over targets; p is that of the F test that choices do not differ."
        ),
    ),
    "languages": (
        "Languages chosen",
        "At the last budget of each target, the mean over choices.",
    ),
    "maps": (
        "Where choices lie",
        (
            "The choice of each strategy with the first seed at its last budget (coloured), among "
            "a sample of the pool (grey) and of the target (black): the first two principal "
            "components of the embeddings of the model that chose first, and the share of the "
            "variance that they show."
        ),
    ),
    "differences": (
        "Every difference",
        (
            "Points, with 95 % intervals: by the paired bootstrap over test examples nested in "
            "seeds where the examples' counts are kept, else by Student's t over seeds. Three "
            "seeds show two thirds of the seeds' variance in a bootstrap, so that its intervals "
            "are somewhat narrow."
        ),
    ),
}


def lead(
    ordered: Grid, found: Sequence[Wins], apart: Sequence[Gain], named: str | None
) -> list[str]:
    """Who wins by how much, and how sure that is."""
    judged = [one for one in found if one.judges]
    settings = dict.fromkeys(one.setting for one in judged)
    sentences = [
        f"{setting}: {sentence}" if len(settings) > 1 else sentence
        for setting in settings
        for sentence in _verdict([w for w in judged if w.setting == setting], ordered, named)
    ]
    nothing = ["Nothing here can be compared with a baseline."]
    return [*(sentences or nothing), *_sure(ordered, apart, named), *_few(ordered)]


def _verdict(found: Sequence[Wins], ordered: Grid, named: str | None) -> Iterator[str]:
    against_best = {w.strategy: w for w in found if w.against == BEST}
    rivals = [one for name, one in against_best.items() if name in ordered.rivals]
    if not rivals:
        return
    if named in against_best:
        first, how = against_best[named], "named before the run"
    elif len(rivals) == 1:
        first, how = rivals[0], "the only strategy that is no baseline"
    else:
        first = max(rivals, key=lambda one: one.gain.value)
        how = f"of {len(rivals)} strategies the one with the largest mean gain"
    yield (
        f"{first.strategy}, {how}, beats the best baseline in {_rate(first)}; its mean "
        f"difference is {_gain(first)} points{_over_random(found, first.strategy)}."
    )
    if named not in against_best and len(rivals) > 1:
        yield (
            "No strategy was named before the run (--best NAME), so that this one was picked after "
            "seeing the scores and its numbers flatter it."
        )
    if afterwards := against_best.get(AFTERWARDS):
        yield (
            "The best strategy of each cell, picked after seeing the scores, beats the best "
            f"baseline in {_rate(afterwards)}."
        )


def _rate(one: Wins) -> str:
    share = f"{one.won} of {one.rate.cells} cells ({100 * one.rate.value:.0f} %"
    if not one.told:
        return f"{share}; all share task and target, so that no interval can be given)"
    low, high = 100 * one.rate.low, 100 * one.rate.high
    return f"{share}, 95 % interval {low:.0f} to {high:.0f})"


def _gain(one: Wins) -> str:
    return signed(one.gain.value) + (bounds(one.gain.low, one.gain.high) if one.told else "")


def _over_random(found: Sequence[Wins], strategy: str) -> str:
    one = next((w for w in found if w.against == RANDOM and w.strategy == strategy), None)
    return f", from random {_gain(one)}" if one else ""


def _sure(ordered: Grid, apart: Sequence[Gain], named: str | None) -> Iterator[str]:
    """How many single cells decide anything: of the strategy named before, or of all."""
    asked = [named] if named in ordered.rivals else ordered.rivals
    against = [
        one for one in apart if one.strategy in asked and one.other == one.cell.best_baseline
    ]
    if not against:
        return
    better = sum(one.is_sure and one.value > 0 for one in against)
    worse = sum(one.is_sure and one.value < 0 for one in against)
    known = sum(one.low is not None for one in against)
    within = sum(one.is_within_spread for one in against)
    best = Counter(cell.best_baseline for cell in ordered.cells if cell.best_baseline)
    each = ", ".join(f"{name} in {n}" for name, n in best.most_common())
    who = f"{asked[0]} is" if len(asked) == 1 else "a strategy is"
    yield (
        f"Cell by cell, {who} better beyond its 95 % interval in {better} of {len(against)} "
        f"comparisons with the best baseline, worse in {worse}"
        + ("" if known == len(against) else f" ({len(against) - known} have no interval)")
        + f"; in {within} the spread between seeds exceeds the difference. The best baseline is "
        f"{each}."
    )


def _few(ordered: Grid) -> Iterator[str]:
    """Intervals over clusters that nobody should lean on."""
    targets = {cell.target for cell in ordered.cells}
    if 1 < len(targets) < FEW:
        yield (
            f"There are {len(targets)} clusters of task and target only: intervals over them are "
            "too narrow."
        )


def limits(ordered: Grid) -> Iterator[str]:
    """What the rows do not allow."""
    trainings = [len(of) for cell in ordered.cells for s, of in cell.runs.items() if s != UNTOUCHED]
    if trainings and max(trainings) < 2:
        yield "One seed each: no spread, and no interval tells what another training would change."
    elif trainings and min(trainings) < 3:
        yield "Some strategies have fewer than three trainings: their spread is hardly known."
    targets = {cell.target for cell in ordered.cells}
    if len(targets) == 1:
        yield "All cells share one task and target: no interval says what another target would do."
    budgets = max((len(cells) for cells in ordered.places.values()), default=0)
    if budgets < 2:
        yield "One budget each: there are no learning curves."
    if any(cell.budget == 0 for cell in ordered.cells):
        yield "Some rows tell no budget."
    short = [row for row in _all_rows(ordered) if 0 < sum(row.chosen.values()) < row.budget]
    if short:
        first = short[0]
        yield (
            f"{len(short)} rows have fewer labels than their budget, for want of examples: "
            f"{first.strategy} for {first.config} {sum(first.chosen.values())} of {first.budget}."
        )
    whole = len(ordered.cells)
    if dull := sum(_is_level(one, max(one.runs, key=one.mean), UNTOUCHED) for one in ordered.cells):
        yield (
            f"In {dull} of {whole} cells nothing that was bought, gold neither, lifts the score "
            f"above that of {UNTOUCHED} by more than its spread: the labels are too few or the "
            "start model is too weak to tell one choice from another."
        )
    if level := sum(_is_level(cell, GOLD, RANDOM) for cell in ordered.cells):
        yield (
            f"In {level} of {whole} cells labels of the target's own language (gold) are worth no "
            f"more than {RANDOM} ones, within their spread: there is nothing to find by choosing."
        )
    if any(_is_still(cell, name) for cell in ordered.cells for name in cell.runs):
        yield (
            "± 0.0 is no stability: where all trainings of a strategy come out the same, its "
            "choices were the same, and so small that they are one batch whatever the seed."
        )


def _all_rows(ordered: Grid) -> Iterator[Row]:
    for cell in ordered.cells:
        for runs in cell.runs.values():
            for run in runs.values():
                yield from run.values()


def _is_level(cell: Cell, name: str, other: str) -> bool:
    there = name in cell.runs and other in cell.runs
    return there and cell.mean(name) - cell.mean(other) <= (cell.spread(name) or 0)


def _is_still(cell: Cell, name: str) -> bool:
    return name != UNTOUCHED and cell.spread(name) == 0


def record(
    title: str,
    version: str,
    said: Sequence[str],
    ordered: Grid,
    found: Sequence[Wins],
    chosen: Mapping[tuple[Cell, str], Mapping[str, float]],
    planes: Sequence[Plane],
    sections: Sequence[Section],
) -> Record:
    """All that the page says and draws."""
    return {
        "title": title,
        "polymux": version,
        "lead": said,
        "rivals": ordered.rivals,
        "forests": _forests(found),
        "panels": _panels(ordered),
        "stacks": _stacks(chosen),
        "planes": planes,
        "sections": sections,
    }


def _forests(found: Sequence[Wins]) -> list[Forest]:
    forests: list[Forest] = []
    judged = [one for one in found if one.judges]
    for setting in dict.fromkeys(one.setting for one in judged):
        for against in (BEST, RANDOM):
            of = [one for one in judged if (one.setting, one.against) == (setting, against)]
            bars = [_bar(one) for one in sorted(of, key=lambda one: -one.gain.value)]
            if bars:
                which = "all budgets" if of[0].budget == ALL else "last budget"
                forests.append(
                    {
                        "key": f"gains{len(forests)}",
                        "title": title(setting, which),
                        "against": f"the {against}" if against == BEST else against,
                        "bars": bars,
                    }
                )
    return forests


def _bar(one: Wins) -> Bar:
    return {
        "name": "best, picked afterwards" if one.strategy == AFTERWARDS else one.strategy,
        "value": 100 * one.gain.value,
        "low": 100 * one.gain.low if one.told else None,
        "high": 100 * one.gain.high if one.told else None,
        "won": f"{one.won}/{one.rate.cells}",
    }


def _panels(ordered: Grid) -> list[Panel]:
    panels: list[Panel] = []
    for place, cells in ordered.places.items():
        counted = [cell for cell in cells if cell.budget > 0]
        if len(counted) < 2:
            continue
        lines = [
            _line(name, counted)
            for name in dict.fromkeys(name for cell in counted for name in cell.runs)
        ]
        setting, task, model, config = place
        languages = ", ".join(cells[0].languages)
        panels.append(
            {
                "key": f"curve{len(panels)}",
                "title": title(f"{config} ({languages})", task, model, setting),
                "metric": ordered.metrics[task],
                "lines": lines,
            }
        )
    return panels


def _line(name: str, cells: Sequence[Cell]) -> Line:
    points = [
        (cell.budget, 100 * cell.mean(name), None if (s := cell.spread(name)) is None else 100 * s)
        for cell in cells
        if name in cell.runs
    ]
    return {"name": name, "role": _role(name, cells[0]), "points": points}


def _role(name: str, cell: Cell) -> Role:
    if name == UNTOUCHED:
        return "untouched"
    if name == RANDOM:
        return "random"
    if name in BASELINES:
        return "baseline"
    return "rival" if name in cell.strategies else "reference"


def _stacks(chosen: Mapping[tuple[Cell, str], Mapping[str, float]]) -> list[Stack]:
    rows: dict[Cell, dict[str, Mapping[str, float]]] = {}
    for (cell, strategy), counts in chosen.items():
        rows.setdefault(cell, {})[strategy] = counts
    return [
        {
            "key": f"languages{number}",
            "title": title(*cell.place, f"{cell.budget} labels"),
            "rows": of,
        }
        for number, (cell, of) in enumerate(rows.items())
    ]
