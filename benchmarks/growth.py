"""The cost of work as it grows: pools, rounds of a campaign, cells of an experiment, shards.

Every curve ends in a row that tells its slope: by how much the cost grows where the work grows
tenfold, a straight line through the logarithms of all points. 10 x is linear, 1 x costs nothing
more. Work inside this process is timed without the start of a command, which does not grow.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median
from typing import Final

import memory
from figures import Row

TASK: Final = "text-classification"
SHARDS = (10, 100, 1_000)
PER_SHARD = 64
ROUNDS = (1, 5, 10, 25, 50)
BATCH = 4
# The steps of `polymux next` that grow with the labels by nature, and what a table calls them.
TRAININGS = {"trained": "the model", "judged": "judging"}
STRATEGIES = ("random", "egalitarian", "uncertainty", "average-dist", "knn-uncertainty")
BUDGETS = (4, 8, 12, 16, 20)
CELLS = (50, 200, 500)
FEW = 50
SHORT = {"epochs": 1, "lr": 1e-3, "batch_size": 4}
MIB = 2**20

Points = dict[int, tuple[float, ...]]


def rows(*, quick: bool, million: bool) -> Iterator[Row]:
    """All curves; those of whole commands first, while this process is small."""
    sizes: tuple[int, ...] = (500, 2_000) if quick else memory.SIZES
    if million and not quick:
        sizes = (*sizes, memory.MILLION)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        model, target = work / "model", work / "target.jsonl"
        # In another process: what this one held would count as the peak of those it starts.
        subprocess.run([sys.executable, memory.__file__, str(model)], check=True)
        target.write_text("".join(memory.texts(memory.TARGET, seed=1)), "utf-8")
        yield from _pools(model, target, work, sizes)
        _alone()
        repeats = 1 if quick else 3
        yield from _stores(model, target, work, (4, 12) if quick else SHARDS, repeats)
        yield from _campaign(model, work / "rounds", (1, 3) if quick else ROUNDS)
        yield from _experiment(model, work / "cells", (10, 20) if quick else CELLS, repeats)


def _alone() -> None:
    """One thread: such small matrices gain nothing by more, and wait for each other's."""
    import torch

    torch.set_num_threads(1)


# Curves


def _curve(
    what: str, of: str, unit: str, points: Points, notes: Mapping[int, str] | None = None
) -> Iterator[Row]:
    """A row a point, and the slope of their medians where there are two."""
    for size, values in points.items():
        yield Row(f"{what}, {size:,} {of}", values, unit, (notes or {}).get(size, ""))
    if len(points) < 2:
        return
    middles = {size: median(values) for size, values in points.items()}
    yield Row(f"{what}: per 10 x {of}", (tenfold(middles),), "x", _last_step(middles, of))


def tenfold(points: Mapping[int, float]) -> float:
    """By how much the cost grows where the size grows tenfold, from all points."""
    sizes = [math.log10(size) for size in points]
    costs = [math.log10(cost) for cost in points.values()]
    return float(10 ** linear_regression(sizes, costs).slope)


def _last_step(points: Mapping[int, float], of: str) -> str:
    """What is constant flattens a whole curve: its last step shows best what grows."""
    *_, before, last = points
    told = f"{min(points):,} to {max(points):,} {of}"
    if len(points) == 2:
        return told
    steepest = tenfold({before: points[before], last: points[last]})
    return f"{told}; {steepest:.3g} x by the step from {before:,} to {last:,} alone"


# Pools: `polymux select` in a process of its own


@dataclass(frozen=True, slots=True)
class _Selected:
    """One `polymux select`."""

    peak: float
    seconds: float
    stages: Mapping[str, float]

    @property
    def encoding(self) -> float:
        """Seconds of reading both pools through the model, or from the store."""
        return sum(spent for name, spent in self.stages.items() if name.startswith("encode"))

    @property
    def inside(self) -> float:
        """Seconds of all stages: without the start of the command."""
        return sum(self.stages.values())

    @property
    def told(self) -> str:
        """The whole command and its stages."""
        stages = ", ".join(f"{name} {spent:.2f} s" for name, spent in self.stages.items())
        return f"whole command {self.seconds:.2f} s; {stages}"


def _selected(model: Path, source: Path, target: Path, work: Path) -> _Selected:
    """Select with the store below `work`, which an earlier run may have filled."""
    out = work / f"out-{source.stem}"
    shutil.rmtree(out, ignore_errors=True)
    peak, seconds = memory.measure(model, source, target, work)
    stages = json.loads((out / "selection.json").read_text("utf-8"))["seconds"]
    return _Selected(peak, seconds, stages)


def _pools(model: Path, target: Path, work: Path, sizes: Sequence[int]) -> Iterator[Row]:
    """Encoding, and all but encoding: the same command again on the store that it filled."""
    first: dict[int, _Selected] = {}
    again: dict[int, _Selected] = {}
    for size in sizes:
        place = work / f"pool-{size}"
        place.mkdir()
        source = place / f"{size}.jsonl"
        with source.open("w", encoding="utf-8") as out:
            out.writelines(memory.texts(size, seed=2))
        first[size] = _selected(model, source, target, place)
        again[size] = _selected(model, source, target, place)
        shutil.rmtree(place)
    notes = {size: one.told for size, one in first.items()}
    encoding: Points = {size: (one.encoding,) for size, one in first.items()}
    yield from _curve("select, encoding", "examples", "s", encoding, notes)
    peaks: Points = {size: (one.peak,) for size, one in first.items()}
    yield from _curve("select, peak memory", "examples", "MiB", peaks)
    notes = {size: one.told for size, one in again.items()}
    rest: Points = {size: (one.inside,) for size, one in again.items()}
    yield from _curve("select, all but encoding", "examples", "s", rest, notes)
    whole: Points = {size: (one.seconds,) for size, one in again.items()}
    yield from _curve("select on a filled store, whole command", "examples", "s", whole)
    peaks = {size: (one.peak,) for size, one in again.items()}
    yield from _curve("select on a filled store, peak memory", "examples", "MiB", peaks)


# Shards


def _stores(
    model: Path, target: Path, work: Path, counts: Sequence[int], repeats: int
) -> Iterator[Row]:
    """Stores of small shards, a file each: what a shard costs, whatever it holds."""
    read: Points = {}
    listed: Points = {}
    checked: Points = {}
    chosen: Points = {}
    for count in counts:
        place = work / f"shards-{count}"
        source = place / "pool"
        source.mkdir(parents=True)
        for number in range(count):
            lines = "".join(memory.texts(PER_SHARD, seed=10 + number))
            (source / f"{number}.jsonl").write_text(lines, "utf-8")
        asked = partial(_choose, model, source, target, place / "store")
        asked()
        read[count], listed[count], checked[count] = _looked_at(place / "store")
        chosen[count] = _times(repeats, asked)
        shutil.rmtree(place)
    about = dict.fromkeys(counts, f"{PER_SHARD} examples a shard")
    yield from _curve("store, opening it and reading one shard", "shards", "ms", read, about)
    yield from _curve("store, listing it (store ls)", "shards", "s", listed)
    yield from _curve("store, checking it (store verify)", "shards", "s", checked)
    yield from _curve("select that finds all in the store", "shards", "s", chosen, about)


def _choose(model: Path, source: Path, target: Path, store: Path) -> None:
    """What `polymux select` does, from files to the folder of the choice."""
    import polymux as pm

    choice = pm.select(
        pm.Model(model, task=TASK, device="cpu"),
        pm.read(str(source), task=TASK),
        pm.read(str(target), task=TASK),
        budget=FEW,
        store=store,
    )
    with tempfile.TemporaryDirectory() as folder:
        choice.write(Path(folder) / "out")


def _looked_at(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Milliseconds of reading single shards; seconds of listing and of checking all of them."""
    from polymux.store import Store
    from polymux.store.upkeep import models, verify

    def one(path: Path) -> None:
        Store(folder).get(path.parent.name, path.stem)

    paths = sorted(folder.glob("*/*.parquet"))
    some = paths[:: max(1, len(paths) // 20)]
    # The first read of all imports what reads.
    one(some[0])
    read = tuple(1_000 * _timed(partial(one, path)) for path in some)
    return read, _times(3, partial(models, folder)), _times(3, partial(verify, folder))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _times(count: int, act: Callable[[], object]) -> tuple[float, ...]:
    return tuple(_timed(act) for _ in range(count))


# Rounds of a campaign


def _labelled(count: int, seed: int) -> Iterator[str]:
    """Texts with the label that gold says."""
    for line in memory.texts(count, seed):
        told = json.loads(line)
        yield json.dumps({**told, "label": _gold(told["text"])}) + "\n"


def _gold(text: str) -> str:
    """The label of a text: what its first word says."""
    return "abc"[int(text.split(maxsplit=1)[0][1:]) % 3]


@dataclass(slots=True)
class _Round:
    """What it took to have a round answered, and then to come to the next."""

    answering: float = 0.0
    """Export and import."""
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds of `polymux next` by what it did."""
    size: int = 0
    """Bytes of the campaign's folder afterwards."""
    parts: dict[str, int] = field(default_factory=dict)
    """The same by kind of content."""

    @property
    def rest(self) -> float:
        """Seconds of `polymux next` without trainings, of which judging has five or more."""
        return sum(spent for name, spent in self.steps.items() if name not in TRAININGS)


def _campaign(model: Path, work: Path, asked: Sequence[int]) -> Iterator[Row]:
    """A campaign of small batches, answered by gold; each point is the median of rounds near it."""
    # What the first round of a process imports is no part of it.
    _rounds(model, work / "first", 1)
    made = _rounds(model, work / "all", max(asked))
    near = {n: [made[at] for at in range(max(1, n - 2), n + 1)] for n in asked}
    rest: Points = {n: tuple(one.rest for one in some) for n, some in near.items()}
    notes = {n: _spent([one.steps for one in some]) for n, some in near.items()}
    yield from _curve("next without its trainings", "rounds", "s", rest, notes)
    notes = {n: f"{n * BATCH} labels" for n in asked}
    for step, name in TRAININGS.items():
        # The first rounds have too few labels that chance drew to be judged by.
        training: Points = {
            n: tuple(one.steps[step] for one in some)
            for n, some in near.items()
            if all(step in one.steps for one in some)
        }
        yield from _curve(f"next, trainings of {name}", "rounds", "s", training, notes)
    answering: Points = {n: tuple(one.answering for one in some) for n, some in near.items()}
    yield from _curve("export and import of a round", "rounds", "s", answering)
    size: Points = {n: (made[n].size / MIB,) for n in asked}
    notes = {n: _shares(made[n].parts) for n in asked}
    yield from _curve("folder of the campaign", "rounds", "MiB", size, notes)


def _spent(rounds: Sequence[Mapping[str, float]]) -> str:
    """The steps of `polymux next`, medians."""
    names = dict.fromkeys(name for steps in rounds for name in steps)
    told = {name: median(steps.get(name, 0.0) for steps in rounds) for name in names}
    return ", ".join(f"{name} {spent:.2f} s" for name, spent in told.items())


def _shares(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size / MIB:.3g} MiB" for name, size in parts.items())


def _rounds(model: Path, work: Path, count: int) -> dict[int, _Round]:
    """Begin a campaign and answer so many of its rounds."""
    from polymux import campaign

    work.mkdir(parents=True)
    for number, (name, size) in enumerate({"source": 1_000, "target": 100, "test": 100}.items()):
        (work / f"{name}.jsonl").write_text("".join(_labelled(size, seed=3 + number)), "utf-8")
    run = work / "run"
    settings = campaign.Settings(
        model=str(model),
        task=TASK,
        source=(str(work / "source.jsonl"),),
        target=(str(work / "target.jsonl"),),
        test=(str(work / "test.jsonl"),),
        # One round more than are answered: the last `next` chooses as those before it.
        budget=BATCH * (count + 1),
        rounds=count + 1,
        device="cpu",
        training=campaign.Training.model_validate(SHORT),
    )
    campaign.init(run, settings)
    _advanced(run)
    made: dict[int, _Round] = {}
    for number in range(1, count + 1):
        one = made[number] = _Round(_answered(run, work / "round.jsonl"), _advanced(run))
        one.parts = _sizes(run)
        one.size = sum(one.parts.values())
    return made


def _advanced(run: Path) -> dict[str, float]:
    """Seconds of `polymux next` by step, and of what follows the last."""
    from polymux.campaign import advance

    steps: dict[str, float] = {}
    last = time.perf_counter()

    def said(what: str) -> None:
        nonlocal last
        name, now = what.partition(": ")[2].split()[0], time.perf_counter()
        steps[name] = steps.get(name, 0.0) + now - last
        last = now

    advance(run, said=said)
    return {**steps, "end": time.perf_counter() - last}


def _answered(run: Path, file: Path) -> float:
    """Export what waits, label it, import it; seconds without the labelling."""
    from polymux.annotation.canaries import PREFIX
    from polymux.campaign import export, take

    exporting = _timed(partial(export, run, file, "jsonl"))
    asked = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for told in asked:
        if not told["id"].startswith(PREFIX):
            told["label"] = _gold(told["text"])
    file.write_text("".join(json.dumps(told) + "\n" for told in asked), "utf-8")
    return exporting + _timed(partial(take, run, file, "jsonl"))


def _sizes(run: Path) -> dict[str, int]:
    """Bytes of a campaign's folder: its models, its store, and all else."""
    found = {"models": 0, "store": 0, "else": 0}
    for path in run.rglob("*"):
        if path.is_file():
            within = path.relative_to(run).parts
            kind = "store" if within[0] == "store" else "models" if "model" in within else "else"
            found[kind] += path.stat().st_size
    return found


# Cells of an experiment


def _experiment(model: Path, work: Path, counts: Sequence[int], repeats: int) -> Iterator[Row]:
    """An experiment that grows by seeds in one folder; whole again after each growth."""
    from polymux.experiments import simulate
    from polymux.experiments.tables import tables

    _write_corpora(work)
    out, cells = work / "out", len(STRATEGIES) * len(BUDGETS)
    per_seed = cells if counts[0] >= cells else counts[0]
    few = min(FEW, counts[0])
    first: list[float] = []
    last: list[float] = []
    resumed: Points = {}
    told: Points = {}
    for count in counts:
        file = _write_experiment(work, model, count // per_seed, per_seed // len(STRATEGIES))
        moments = _moments(file, out)
        first = first or moments[:few]
        last = moments[-few:]
        resumed[count] = _times(repeats, partial(simulate, file, out, workers=1, device="cpu"))
        told[count] = _times(repeats, partial(tables, [out], work / "tables", force=True))
    yield Row(f"simulate, a cell of the first {few}", (median(first),), "s", f"of {counts[-1]}")
    yield Row(f"simulate, a cell of the last {few}", (median(last),), "s", f"of {counts[-1]}")
    over = median(last) / median(first)
    yield Row(f"simulate, a cell of the last {few} over the first", (over,), "x")
    yield from _curve("simulate, a finished run again", "cells", "s", resumed)
    yield from _curve("tables", "cells", "s", told)


def _moments(file: Path, out: Path) -> list[float]:
    """Seconds of each cell that a run makes, without what comes before the first."""
    from polymux.experiments import simulate

    moments: list[float] = []

    def seen(stage: str, done: int, total: int | None) -> None:
        if stage == "cells":
            moments.append(time.perf_counter())

    simulate(file, out, workers=1, device="cpu", progress=seen)
    return [after - before for before, after in pairwise(moments)]


def _write_corpora(work: Path) -> None:
    """Three languages to choose from, one that is wanted."""
    parts = {"la/train": 200, "lb/train": 200, "lc/train": 200, "lt/dev": 100, "lt/test": 100}
    for number, (name, size) in enumerate(parts.items()):
        path = work / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_labelled(size, seed=100 + number)), "utf-8")


def _write_experiment(work: Path, model: Path, seeds: int, budgets: int) -> Path:
    """The file of an experiment with so many seeds and budgets."""
    import tomli_w

    numbers = list(range(1, seeds + 1))
    told = {
        "corpus": "made up",
        "task": TASK,
        "setting": "growth",
        "strategies": list(STRATEGIES),
        "budgets": list(BUDGETS[:budgets]),
        "choice_seeds": numbers,
        "train_seeds": numbers,
        "models": {"tiny": {"path": str(model)}},
        "data": {
            "train": "{language}/train.jsonl",
            "target": "{language}/dev.jsonl",
            "test": "{language}/test.jsonl",
        },
        "configurations": {"one": {"target": ["lt"]}},
        "training": SHORT,
    }
    path = work / "experiment.toml"
    path.write_text(tomli_w.dumps(told), "utf-8")
    return path
