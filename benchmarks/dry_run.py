"""How near `--dry-run` comes: what it says beside what the run then takes.

    python benchmarks/dry_run.py MODEL [--cap 300]

MODEL and the pool are those of prefilter.py; each run is a process of its own, so that its memory
is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

POLYMUX = str(Path(sys.executable).parent / "polymux")
NAMES = {
    "total_seconds": "seconds",
    "tokens": "sub-words",
    "disk_mb": "disk, MiB",
    "peak_memory_mb": "memory, MiB",
}
Row = dict[str, str | float]


def pool_in(folder: Path, data: Path, cap: int) -> Path:
    """The first sentences of every training file but English and Urdu, LANGUAGE/train.jsonl."""
    from polymux import read

    for path in sorted(data.glob("udpos/*/train.conllu.xz")):
        language = path.parent.name
        if language in ("en", "ur"):
            continue
        (folder / language).mkdir(parents=True)
        examples = islice(read(path, task="token-classification"), cap)
        lines = [json.dumps({"tokens": e.fields["tokens"]}, ensure_ascii=False) for e in examples]
        (folder / language / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def rows(estimate: Mapping[str, Any]) -> list[Row]:
    """A row a quantity of a manifest's `estimate`: said, true, and said / true."""
    made: list[Row] = []
    for name, told in NAMES.items():
        said, true = estimate["estimated"][name], estimate["true"][name]
        made.append({"what": told, "said": said, "true": true, "ratio": round(said / true, 2)})
    return made


def table(found: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| | estimated | true | ratio |", "|---|--:|--:|--:|"]
    lines += [
        f"| {row['what']} | {row['said']:,.0f} | {row['true']:,.0f} | {row['ratio']} |"
        for row in found
    ]
    return "\n".join(lines)


def measure(model: str, data: Path, cap: int, more: Sequence[str] = ()) -> list[Row]:
    """Estimate, run, and set one beside the other."""
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "out"
        job = [
            *(POLYMUX, "-q", "select", model, "--task", "token-classification", "--offline"),
            *("--source", str(pool_in(Path(work) / "pool", data, cap))),
            *("--target", str(data / "udpos/ur/dev.conllu.xz")),
            *("--budget", "200", "--out", str(out), "--store", str(Path(work) / "store"), *more),
        ]
        for step in ([*job, "--dry-run"], job):
            subprocess.run(step, check=True, stdout=subprocess.DEVNULL)
        told = [
            json.loads(path.read_text(encoding="utf-8"))["estimate"]
            for path in out.rglob("selection.json")
        ]
    # The choice that was made last knows what all of them took.
    last = max(told, key=lambda each: each["true"]["total_seconds"])
    print(json.dumps(last, indent=2), file=sys.stderr)
    return rows(last)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--cap", type=int, default=300)
    given = parser.parse_args()
    print(table(measure(given.model, Path(os.environ["POLYMUX_DATA"]), given.cap)))


if __name__ == "__main__":
    main()
