"""Tries to break polymux, and writes what came of it to `docs/reliability.md`.

    python -m tests.reliability [fuzz] [kills] [faults] [--quick]

Each part keeps what it found in `results.json` beside this file, so that one can be run again
alone. `--quick` only shows that everything works, and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.reliability.faults import CHECKS
from tests.reliability.fuzz import HANG_SECONDS, MOST_MEMORY_MB, fuzzed
from tests.reliability.kills import WORLDS, killed
from tests.reliability.page import page
from tests.reliability.targets import TARGETS

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs/reliability.md"
KILLS = {"select": 200, "next": 200, "distill": 30, "simulate": 30}
SECONDS = 300
Told = dict[str, Any]


def fuzz(folder: Path, *, quick: bool, only: list[str], workers: int) -> Iterator[tuple[str, Told]]:
    """Each target for as long, two at a time."""
    names = [name for name in TARGETS if not only or name in only]
    with ThreadPoolExecutor(workers) as runs:
        made = runs.map(lambda name: fuzzed(name, 5 if quick else SECONDS, folder), names)
        for one in made:
            yield one.target, asdict(one)


def kill(folder: Path, *, quick: bool, only: list[str], workers: int) -> Iterator[tuple[str, Told]]:
    """Each command as often as asked."""
    for name in WORLDS:
        if not only or name in only:
            made = killed(name, 2 if quick else KILLS[name], folder / name, workers=workers)
            yield name, asdict(made)


def fault(
    folder: Path, *, quick: bool, only: list[str], workers: int
) -> Iterator[tuple[str, Told]]:
    """Each check once."""
    for name, check in CHECKS.items():
        if not only or name in only:
            (folder / name).mkdir(parents=True)
            try:
                yield name, {"told": check(folder / name), "bad": []}
            except AssertionError as error:
                yield name, {"told": "", "bad": [str(error)]}


PARTS = {"fuzz": fuzz, "kills": kill, "faults": fault}


def main() -> None:
    """Run the parts that were asked for; keep each result as soon as it is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all, unless named")
    parser.add_argument("--quick", action="store_true", help="short; nothing is kept")
    parser.add_argument("--only", action="append", default=[], help="one target, command or check")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    found = 0
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for part in asked.part or PARTS:
            begun = time.monotonic()
            made = PARTS[part](
                Path(folder) / part, quick=asked.quick, only=asked.only, workers=asked.workers
            )
            for name, one in made:
                print(
                    f"{part}: {name}: {_line(one)} ({time.monotonic() - begun:.0f} s)", flush=True
                )
                found += len(one["bad"])
                print(*one["bad"], sep="\n", end="\n" if one["bad"] else "", flush=True)
                if not asked.quick:
                    results.setdefault(part, {})[name] = one
                    _keep(results)
    sys.exit(f"{found} found" if found else 0)


def _keep(results: dict[str, dict[str, Told]]) -> None:
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    limits = {"seconds": SECONDS, "hang": HANG_SECONDS, "memory": MOST_MEMORY_MB}
    PAGE.write_text(page(*(results.get(part, {}) for part in PARTS), **limits), "utf-8")


def _line(one: Told) -> str:
    if "inputs" in one:
        return f"{one['inputs']:,} inputs, {one['accepted']:,} accepted in part"
    if "kills" in one:
        return f"{one['kills']} kills, {one['after_a_write']} after it had written"
    return str(one["told"])


if __name__ == "__main__":
    main()
