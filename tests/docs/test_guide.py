"""The guide works when it is followed line by line, on a demo in small."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.demo.test_demo import SMALL
from tests.docs.test_docs import blocks

from polymux.demo import demo

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/how-to/two-million.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Where every line was run, and what each printed."""
    folder = tmp_path_factory.mktemp("guide")
    pools = replace(SMALL.plan, pool={"hi": 60, "th": 60})
    demo(folder / "demo", settings=replace(SMALL, plan=pools))
    shutil.copytree(ROOT / "examples", folder / "examples")
    told: dict[str, str] = {}
    for line in "".join(blocks(GUIDE.read_text("utf-8"), "bash")).splitlines():
        if line.startswith("polymux demo"):
            continue
        program, *given = shlex.split(line)
        start = [sys.executable] if program == "python" else [sys.executable, "-m", "polymux"]
        ended = subprocess.run(
            [*start, *given],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        told[line] = ended.stdout
    return folder, told


def test_it_ends_with_a_model_a_card_and_a_verdict(followed: tuple[Path, dict[str, str]]) -> None:
    folder, told = followed
    assert (folder / "health/rounds/03/model/model.safetensors").is_file()
    assert "polymux campaign" in (folder / "health/report.html").read_text("utf-8")
    status = told["polymux status health"]
    assert "60 of 60 labels spent, 0 left" in status
    assert "judged by 15 labels drawn at random" in status
    assert "gain of 12 chosen labels over as many random ones" in status
    assert any(f"  {said}; 0 labels left" in status for said in (
        "go on", "stop", "change strategy", "cannot tell"
    ))  # fmt: skip
    (replayed,) = (out for line, out in told.items() if line.startswith("polymux replay"))
    assert "average-dist" in replayed


def test_nothing_was_refused_on_the_way(followed: tuple[Path, dict[str, str]]) -> None:
    _, told = followed
    assert told["polymux import health round.csv --from csv"].startswith("20 answers taken")
    assert told["python examples/campaign/annotator.py round.csv demo/data"] == (
        "22 sentences filled in, 2 of them canaries\n"
    )
