"""What a command costs besides encoding: its start, and the main job on a filled store."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from corpora import TASK, drawn, sentences, written
from figures import Row
from networks import untrained

POLYMUX = (sys.executable, "-c", "from polymux.cli import main; main()")
REPEATS = 7


def seconds(*command: str) -> float:
    """Wall time of one run."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def rows(*, quick: bool, work: Path) -> Iterator[Row]:
    """`--help`, `import polymux`, and `select` over 10,000 sentences."""
    starts: dict[str, tuple[str, ...]] = {
        "polymux --help": (*POLYMUX, "--help"),
        "import polymux": (sys.executable, "-c", "import polymux"),
        "python alone": (sys.executable, "-c", "pass"),
    }
    times: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(2 if quick else REPEATS):
        for name, command in starts.items():
            times[name].append(seconds(*command))
    for name, values in times.items():
        figure = "help" if name == "polymux --help" else None
        yield Row(name, tuple(values), "s", figure=figure)
    yield from _select(quick=quick, work=work)


def _select(*, quick: bool, work: Path) -> Iterator[Row]:
    """Besides encoding: the same job when the store holds every encoding already."""
    size = 300 if quick else 10_000
    model = untrained("2x64" if quick else "1x768", work)
    source = written(drawn(size), work / f"source-{size}.jsonl")
    target = written(sentences("ur", "dev"), work / "target-None.jsonl")
    about = f"knn-uncertainty, {size:,} UD sentences, {model.name}"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = (
            *(*POLYMUX, "select", str(model), "--task", TASK, "--offline", "--quiet", "--force"),
            *("--source", str(source), "--target", str(target), "--budget", "100"),
            *("--store", str(Path(folder) / "store"), "--out", str(out)),
        )
        first = seconds(*command)
        stages = _stages(out)
        encoding = sum(spent for stage, spent in stages.items() if stage.startswith("encode"))
        yield Row("select, whole", (first,), "s", f"{about}; {_told(stages)}")
        yield Row("select, whole, less its two stages of encoding", (first - encoding,), "s")
        again = tuple(seconds(*command) for _ in range(1 if quick else 3))
        yield Row("select, whole, on a filled store", again, "s", _told(_stages(out)), "overhead")


def _stages(out: Path) -> dict[str, float]:
    stages: dict[str, float] = json.loads((out / "selection.json").read_text("utf-8"))["seconds"]
    return stages


def _told(stages: dict[str, float]) -> str:
    return ", ".join(f"{stage} {spent:.2f} s" for stage, spent in stages.items())
