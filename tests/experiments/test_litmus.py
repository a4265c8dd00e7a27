"""Plans learned from results of made-up worlds, in which the best plan is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_model import polymux
from tests.experiments.worlds import TEXT, lines, only_one_helps, outcomes, pool, write
from tests.models import tiny_model

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.experiments.litmus import litmus
from polymux.prescribe import select
from polymux.prescribe.plan import read_plan

TESTED = ("hi", "ur", "fa", "fi")
SOURCE = {"hi": 400, "fa": 400, "de": 400, "fi": 400}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tiny_model(tmp_path_factory.mktemp("start"), TEXT)
    return Model(folder, task=TEXT, device="cpu", backend="torch")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty plans in a world where only Persian helps."""
    made = outcomes(only_one_helps("fa"), TESTED, tuple(SOURCE), plans=60)
    return write(tmp_path_factory.mktemp("results") / "results.jsonl", lines(made))


def test_the_plan_buys_mostly_what_alone_helps(model: Model, results: Path) -> None:
    plan = litmus([results], model, pool(SOURCE), pool({"ur": 30}, "target"), budget=200)
    assert plan.counts["fa"] >= 150
    assert plan.record["warnings"] == []
