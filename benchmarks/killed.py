"""What `kill -9` costs: a real kill in the middle of encoding, and the same command again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from corpora import TASK, drawn, sentences, written
from figures import Row
from networks import untrained

FILES = 6


def rows(*, quick: bool, work: Path) -> Iterator[Row]:
    """Shards that were begun or done before the kill and had to be encoded after it."""
    size = 100 if quick else 400
    model = untrained("2x64" if quick else "6x256", work)
    examples = drawn(FILES * size)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for number in range(FILES):
            part = examples[number * size : (number + 1) * size]
            written(part, place / "source" / f"{number}.jsonl")
        written(sentences("ur", "dev"), place / "target.jsonl")
        whole = _select(model, place, "whole")
        _finished(whole)
        killed = _select(model, place, "killed")
        before = _killed_after(killed, place / "store-killed", 3)
        _finished(_select(model, place, "killed"))
        after = _shards(place / "store-killed")
        again = sum(after.get(name) != told for name, told in before.items())
        # Shards are encoded one after the other: beside those done, one was begun.
        yield Row(
            "shards lost", (again + 1.0,), "shards",
            f"killed with {len(before)} of {len(after)} shards stored, {again} of them made again, "
            "and the one that was begun", "killed",
        )  # fmt: skip
        files = [place / f"out-{name}" / "to_label.jsonl" for name in ("whole", "killed")]
        same = files[0].read_bytes() == files[1].read_bytes()
        yield Row("the choice afterwards is that of an undisturbed run", (float(same),), "share")


def _select(model: Path, place: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from polymux.cli import main; main()"),
            *("select", str(model), "--task", TASK, "--offline", "--quiet", "--budget", "50"),
            *("--source", str(place / "source"), "--target", str(place / "target.jsonl")),
            *("--store", str(place / f"store-{name}"), "--out", str(place / f"out-{name}")),
        ],
        stdout=subprocess.DEVNULL,
    )


def _finished(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        sys.exit(f"polymux select failed ({process.returncode})")


def _killed_after(process: subprocess.Popen[bytes], store: Path, count: int) -> dict[str, int]:
    """Kill as soon as so many shards are stored; those that are."""
    while len(_shards(store)) < count:
        if process.poll() is not None:
            sys.exit("polymux select ended before it could be killed")
        time.sleep(0.002)
    process.kill()
    process.wait()
    return _shards(store)


def _shards(store: Path) -> dict[str, int]:
    """The stored shards by name, and their inodes: one that is written again is another file.

    The time of change will not do: reading a shard renews it.
    """
    return {path.name: path.stat().st_ino for path in store.rglob("*.parquet")}
