"""`kill -9` at random moments: each command, killed and run again, gives the undisturbed result."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaign import worlds as campaigns
from tests.distill import worlds as distillations
from tests.experiments import miniature

from polymux.campaign import advance, export, init, take

POLYMUX = [sys.executable, "-m", "polymux"]
# What may differ between two undisturbed runs, wherever it stands in a file: clocks, memory, and
# whether a training was taken up again.
CLOCKS = {"at", "seconds", "peak_memory_mb", "resumed_at"}
# Pages show what stands in the files beside them, and clocks.
_NUMBERS = re.compile(rb"[0-9][0-9.,]*")
SMALL = distillations.changed(
    distillations.CONFIG,
    model={"layers": 1, "hidden": 16, "intermediate": 16},
    training={"tokens": 4_000},
    teachers={"tokens": 4_000},
    evaluate={"sentences": 20},
    systems={"hl": {"loss": "hard"}, "student": {"loss": "soft"}},
)


@dataclass(frozen=True)
class World:
    """A folder before the command, and the command, which is run in a copy of it."""

    folder: Path
    command: tuple[str, ...]
    complete: str = ""
    """What shows that the work was done, of a command that then refuses to be run again."""


@dataclass(frozen=True)
class Killed:
    """What came of killing one command so many times."""

    command: str
    kills: int
    after_a_write: int
    """Kills that found something of the command's on the disk."""
    seconds: float
    """Of the undisturbed run."""
    bad: tuple[str, ...]
    """What was not as in the undisturbed run, one line a kill."""


def select_world(folder: Path) -> World:
    """The demo's sentences, a store that is empty."""
    told = campaigns.write_world(folder)
    paths = [str(Path(path).relative_to(folder)) for path in (*told.source, *told.target)]
    sources = [part for path in paths[:-1] for part in ("--source", path)]
    return World(
        folder,
        (
            *("select", "start", "--task", told.task, *sources, "--target", paths[-1]),
            *("--language", "folder", "--budget", "10", "--store", "store", "--out", "out"),
            *("--device", "cpu", "--offline"),
        ),
        "out/selection.json",
    )


def next_world(folder: Path) -> World:
    """A campaign whose first round came back: it trains, scores and chooses the second."""
    told = campaigns.write_world(folder)
    run = folder / "run"
    init(run, told)
    advance(run)
    export(run, folder / "round.jsonl", "jsonl", force=True)
    take(run, campaigns.answered(folder / "round.jsonl"), "jsonl")
    return World(folder, ("next", "run"))


def distill_world(folder: Path) -> World:
    """Two languages, two teachers, the student and its rivals, probes and the report."""
    folder.mkdir(parents=True)
    distillations.write_world(folder, SMALL)
    return World(folder, ("distill", "distill.toml", "--device", "cpu"))


def simulate_world(folder: Path) -> World:
    """Two configurations, two strategies, one seed."""
    miniature.write_corpora(folder)
    few = {"strategies": ["random", "knn-uncertainty"], "choice_seeds": [1], "train_seeds": [1]}
    miniature.write_experiment(folder, **few)
    command = ("simulate", "miniature.toml", "--out", "out", "--workers", "1", "--device", "cpu")
    return World(folder, command)


WORLDS: dict[str, Callable[[Path], World]] = {
    "select": select_world,
    "next": next_world,
    "distill": distill_world,
    "simulate": simulate_world,
}


def killed(name: str, kills: int, folder: Path, *, seed: int = 0, workers: int = 2) -> Killed:
    """Kill the command so many times, each time in a fresh copy, and compare what then comes."""
    world = WORLDS[name](folder / "world")
    whole = folder / "whole"
    seconds = whole_run(world, whole)
    whole_run(world, folder / "twin")
    assert not (found := list(differences(whole, folder / "twin"))), found
    draws = random.Random(seed)
    moments = [draws.uniform(0, seconds) for _ in range(4 * kills)]

    def once(number: int) -> tuple[bool, str] | None:
        place = folder / f"killed-{number}"
        shutil.copytree(world.folder, place)
        wrote = _kill(world, place, moments[number])
        if wrote is None:
            shutil.rmtree(place)
            return None
        if not wrote and not any(differences(world.folder, place)):
            # As before the command: to run it again is to run it undisturbed.
            shutil.rmtree(place)
            return False, ""
        whole_already = world.complete and (place / world.complete).exists()
        told = "" if whole_already else again(world, place)
        told = told or "; ".join(differences(whole, place))
        if not told:
            shutil.rmtree(place)
        return wrote, told and f"killed after {moments[number]:.2f} s: {told}"

    came: list[tuple[bool, str]] = []
    with ThreadPoolExecutor(workers) as runs:
        for one in runs.map(once, range(len(moments))) if kills else ():
            came += [one] if one else []
            if len(came) >= kills:
                runs.shutdown(wait=True, cancel_futures=True)
                break
    came = came[:kills]
    bad = tuple(told for _, told in came if told)
    return Killed(name, len(came), sum(wrote for wrote, _ in came), seconds, bad)


def _run(world: World, place: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*POLYMUX, *world.command], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def whole_run(world: World, place: Path) -> float:
    shutil.copytree(world.folder, place)
    begun = time.monotonic()
    told = again(world, place)
    assert not told, told
    return time.monotonic() - begun


def again(world: World, place: Path) -> str:
    """Run the command to its end; empty, or what it said where it failed."""
    process = _run(world, place)
    said = process.communicate()[1].decode(errors="replace")
    return f"exit {process.returncode}: {said[-2000:]}" if process.returncode else ""


def _kill(world: World, place: Path, after: float) -> bool | None:
    """Kill the command after so many seconds; whether it had written, None where it had ended."""
    before = set(place.rglob("*"))
    process = _run(world, place)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return bool(set(place.rglob("*")) - before)
    return None


def differences(one: Path, other: Path) -> Iterator[str]:
    """What is not the same in two folders, but for clocks and the locks of who was killed."""
    sides = [
        {path.relative_to(side): path for path in side.rglob("*") if path.is_file()}
        for side in (one, other)
    ]
    for side in sides:
        for path in [path for path in side if path.suffix == ".lock"]:
            del side[path]
    for name in sorted(set(sides[0]) ^ set(sides[1])):
        yield f"{name} is in one folder alone"
    for name in sorted(set(sides[0]) & set(sides[1])):
        if _content(sides[0][name], one) != _content(sides[1][name], other):
            yield f"{name} differs"


def _content(path: Path, folder: Path) -> Any:
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl", ".html", ".md", ".toml"):
        data = data.replace(str(folder).encode(), b"HERE")
    if path.suffix == ".json":
        return _without_clocks(json.loads(data))
    if path.suffix == ".jsonl":
        return [_without_clocks(json.loads(line)) for line in data.splitlines()]
    return _NUMBERS.sub(b"", data) if path.suffix in (".html", ".md") else data


def _without_clocks(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _without_clocks(v) for name, v in told.items() if name not in CLOCKS}
    return [_without_clocks(one) for one in told] if isinstance(told, list) else told
