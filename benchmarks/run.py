"""All benchmarks side by side, or the parts named; the table goes to `RESULTS.md` beside this file.

    POLYMUX_DATA=CORPORA python benchmarks/run.py [PART...] [--quick] [--work DIR]

Each part runs in a process of its own. `--quick` takes sizes that only show that everything works,
and keeps nothing unless `--out` names a folder.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from figures import Row
from parts import PARTS, Given
from results import HERE, keep, rows_of, table


def measured(name: str, arguments: Sequence[str]) -> list[Row] | None:
    """Run one part in a process of its own; None when it fails.

    This process stays small: what it held would count as the peak of those that the part starts.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, __file__, name, *arguments, "--inside", str(path)]
        if subprocess.run(command, check=False).returncode:
            return None
        return rows_of(json.loads(path.read_text("utf-8")))


def inside(name: str, given: Given, path: Path) -> None:
    """Measure here, and write the rows for the process that asked."""
    rows = []
    for row in PARTS[name].rows(given):
        rows.append(row)
        told = f"{row.middle:.4g} {row.unit}" if row.values else "not measured"
        print(f"  {row.what}: {told} {row.note}".rstrip(), flush=True)
    path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}), "utf-8")


def _machine() -> str:
    told = subprocess.run(
        [sys.executable, HERE / "machine.py"], check=True, capture_output=True, text=True
    )
    return told.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all but gpu, unless named")
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is kept")
    parser.add_argument("--repeats", type=int, default=3, help="of what is interleaved")
    parser.add_argument(
        "--literal-share",
        type=float,
        default=1.0,
        help="part of the pool that later repeats of the literal procedure read, scaled up",
    )
    parser.add_argument("--million", action="store_true", help="memory at 1,000,000 examples too")
    parser.add_argument("--work", type=Path, help="a folder that keeps the models")
    parser.add_argument("--out", type=Path, help="folder of the results; beside run.py by default")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Measure part after part; keep each as soon as it is there."""
    arguments = sys.argv[1:]
    asked = _parser().parse_args(arguments)
    default = Path(tempfile.gettempdir()) / "polymux-bench"
    work = (asked.work or default) / ("quick" if asked.quick else "full")
    given = Given(asked.quick, asked.repeats, asked.literal_share, asked.million, work)
    if asked.inside is not None:
        inside(asked.part[0], given, asked.inside)
        return
    options = [word for word in arguments if word not in PARTS]
    out = asked.out or (None if asked.quick else HERE)
    described, failed = _machine(), []
    for name in asked.part or [name for name, part in PARTS.items() if part.is_usual]:
        print(f"{name}: {PARTS[name].about}", flush=True)
        began = time.monotonic()
        rows = measured(name, options)
        if rows is None:
            failed.append(name)
            continue
        facts = {
            "about": PARTS[name].about,
            "date": time.strftime("%Y-%m-%d"),
            "machine": described,
            "command": shlex.join(["python", "benchmarks/run.py", name, *_told(options)]),
            "seconds": round(time.monotonic() - began, 1),
        }
        print("".join(table(rows)), flush=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            keep(name, rows, facts, out)
    if failed:
        sys.exit(f"parts that failed: {', '.join(failed)}")


def _told(options: Sequence[str]) -> list[str]:
    """The options without the places of this machine."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word in ("--work", "--out"):
            next(words, None)
        elif not word.startswith(("--work=", "--out=")):
            kept.append(word)
    return kept


if __name__ == "__main__":
    main()
