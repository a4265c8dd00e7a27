"""The example of docs/how-to/simulate.md works on a demo in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.demo.test_demo import SMALL

from polymux.demo import demo

ROOT = Path(__file__).parents[2]


def test_a_strategy_of_ones_own_takes_part_in_an_experiment(tmp_path: Path) -> None:
    pools = replace(SMALL.plan, pool={"hi": 60, "th": 60}, targets=("ne", "ur"))
    demo(tmp_path / "demo", settings=replace(SMALL, plan=pools))
    subprocess.run(
        [sys.executable, ROOT / "examples/experiment/own_strategy.py", tmp_path / "results"],
        env={**os.environ, "DEMO": str(tmp_path / "demo"), "PYTHONPATH": str(ROOT / "src")},
        check=True,
    )
    text = (tmp_path / "results" / "results.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    counted = dict.fromkeys(("untouched", "random", "knn-uncertainty", "middle"), 0)
    for row in rows:
        counted[row["strategy"]] = counted.get(row["strategy"], 0) + 1
    # Two seeds, two budgets, one and two languages; the untouched model once.
    assert counted == {
        "untouched": 3, "random": 12, "egalitarian": 12, "knn-uncertainty": 12, "middle": 12,
    }  # fmt: skip
    again = subprocess.run(
        [
            *(sys.executable, "-m", "polymux", "simulate", ROOT / "examples/experiment/slots.toml"),
            *("--out", tmp_path / "results"),
        ],
        env={**os.environ, "DEMO": str(tmp_path / "demo"), "PYTHONPATH": str(ROOT / "src")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "not in the rows, since nothing named them now: cells of middle" in again.stderr
    mine = {tuple(row["chosen"].items()) for row in rows if row["strategy"] == "middle"}
    assert all(sum(count for _, count in told) in (20, 80) for told in mine)
