"""The control slice is a random sample of the pool; what it judges was not trained on it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from tests.campaign.worlds import answered, write_world

from polymux.campaign import (
    Control,
    Settings,
    advance,
    export,
    hardly_trained,
    init,
    replay,
    report,
    status,
    take,
    too_few,
)
from polymux.campaign.control import OF_TARGET, slice_of
from polymux.campaign.judge import verdict
from polymux.campaign.ledger import Ledger
from polymux.campaign.settings import Limits, Training, as_toml, read_settings
from polymux.campaign.state import State, read_state
from polymux.campaign.steps import pool
from polymux.records import Example, Pool

# Runs until its judgement has written one of its files, then dies.
MORTAL = """
import os, signal, sys
from pathlib import Path
from polymux.campaign import advance, trial

marks = Path(sys.argv[2])

def mortal(name):
    whole = getattr(trial, name)
    def act(*given, **named):
        result = whole(*given, **named)
        (marks / f"{name}-{len(list(marks.iterdir()))}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(trial, name, act)

for name in sys.argv[3:]:
    mortal(name)
advance(sys.argv[1])
"""


@dataclass(frozen=True)
class World:
    folder: Path
    settings: Settings


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    settings = write_world(folder).model_copy(
        update={
            "budget": 48,
            "rounds": 2,
            "training": Training(epochs=1, lr=1e-3, batch_size=8),
            "control": Control(share=0.5, trainings=3),
        }
    )
    return World(folder, settings)


def round_of(run: Path, **but: Any) -> None:
    """One round, labelled in full."""
    advance(run)
    export(run, run.parent / "round.jsonl", "jsonl", force=True)
    take(run, answered(run.parent / "round.jsonl", **but), "jsonl")


@pytest.fixture(scope="module")
def labelled(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign whose first round is labelled, and nothing more."""
    run = tmp_path_factory.mktemp("labelled") / "run"
    init(run, world.settings)
    round_of(run)
    return run


@pytest.fixture(scope="module")
def judged(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(labelled, run)
    told = (run.parent / "progress.txt").open("a", encoding="utf-8")
    with told:
        advance(run, progress=lambda stage, done, total: print(stage, done, total, file=told))
    return run


def test_judging_is_one_line_of_progress(judged: Path) -> None:
    lines = (judged.parent / "progress.txt").read_text("utf-8").splitlines()
    first = lines.index("round 1: judging (labels can go out meanwhile) 0 9")
    assert lines[first:] == [
        f"round 1: judging (labels can go out meanwhile) {done} 9" for done in range(10)
    ]
    assert any(line.startswith("round 1: training ") for line in lines[:first])


def issued(run: Path) -> list[dict[str, Any]]:
    return [event for event in Ledger(run / "ledger.jsonl") if event["event"] == "issued"]


def test_the_slice_is_half_of_the_round_and_only_the_ledger_knows(labelled: Path) -> None:
    (event,) = issued(labelled)
    assert len(event["slice"]) == 12
    assert len(event["ids"]) == 24
    assert set(event["slice"]) <= set(event["ids"])
    for path in (labelled / "rounds/01/to_label.jsonl", labelled.parent / "round.jsonl"):
        assert "slice" not in path.read_text("utf-8")
    text = (labelled / "rounds/01/to_label.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    # Nothing tells one of the slice from one that was chosen.
    assert len({tuple(line) for line in lines}) == 1
    assert [line["rank"] for line in lines] == list(range(1, 25))
    places = [line["id"] in event["slice"] for line in lines]
    assert sum(a != b for a, b in pairwise(places)) > 1


def test_what_was_chosen_before_costs_the_slice_nothing(judged: Path, world: World) -> None:
    first, second = issued(judged)
    # The same order of the pool, further on: the first of it are those of the round before.
    state = read_state(judged)
    assert (len(state.slice_of(1)), len(state.slice_of(2))) == (12, 24)
    assert state.chance == set(first["slice"]) | (set(second["slice"]) & set(second["ids"]))
    free = set(second["slice"]) & set(first["ids"])
    assert free >= set(first["slice"])
    assert len(second["ids"]) == 24
    assert not set(second["ids"]) & set(first["ids"])


def test_every_example_of_the_pool_is_drawn_equally_often(world: World, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    draws = 300
    for seed in range(draws):
        settings = world.settings.model_copy(update={"seed": seed})
        state = State(tmp_path, settings, Ledger(tmp_path / "none"), (), [])
        drawn = slice_of(state, 20, pool(state, "source"), pool(state, "target"))
        assert len(drawn.fresh) == 10
        counts.update(example.id for example in drawn.fresh)
    size = len({example.fields["tokens"] for example in pool(state, "source")})
    low, high = binom.ppf([1e-4 / size, 1 - 1e-4 / size], draws, 10 / size)
    assert low <= min(counts.get(name, 0) for name in counts)
    assert max(counts.values()) <= high
    assert len(counts) == size


def test_copies_crowd_nobody_out_of_the_slice(world: World, tmp_path: Path) -> None:
    same = Example("a#0", "a", 1, {"tokens": ("OK",)})
    others = [Example(f"a#{n}", "a", n, {"tokens": (f"w{n}",)}) for n in range(1, 100)]
    source = Pool.of([*[same] * 50, *others], "token-classification")
    for seed in range(50):
        settings = world.settings.model_copy(update={"seed": seed})
        state = State(tmp_path, settings, Ledger(tmp_path / "none"), (), [])
        assert len(slice_of(state, 20, source, source).fresh) == 10


def test_of_each_group_the_slice_holds_one(world: World, tmp_path: Path) -> None:
    settings = world.settings.model_copy(update={"limits": Limits(one_of="number")})
    state = State(tmp_path, settings, Ledger(tmp_path / "none"), (), [])
    drawn = slice_of(state, 60, pool(state, "source"), pool(state, "target"))
    numbers = [example.id.split("#")[1] for example in drawn.fresh]
    assert len(set(numbers)) == len(numbers) == 30


def test_a_round_is_judged_once_its_model_is_there(judged: Path) -> None:
    (told,) = status(judged)["control"]
    assert told["labels"] == 12
    assert told["pool"]["n"] == 12
    assert told["gain"]["at"] == 8
    assert told["metric"] == "f1"
    for name in ("pool", "target"):
        assert 0 <= told[name]["low"] <= told[name]["high"] <= 1
    assert told["gain"]["low"] <= told["gain"]["value"] <= told["gain"]["high"]
    assert told["verdict"] in ("go on", "stop", "change strategy", "cannot tell")
    # Its trainings leave no models behind.
    left = sorted(path.name for path in (judged / "rounds/01/control").iterdir())
    names = [f"{side}-{n}.json" for side in ("chosen", "fold", "random") for n in (1, 2, 3)]
    assert left == sorted([*names, "control.json"])


def test_what_is_scored_out_of_fold_was_not_trained_on(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polymux.campaign import judge

    shutil.copytree(labelled, tmp_path / "run")
    seen: list[tuple[set[str], set[str]]] = []
    whole = judge.trial

    def noted(state: Any, out: Any, name: str, labels: Any, asked: Any, *rest: Any) -> Any:
        seen.append(({one.id for one in labels}, {one.id for one in asked}))
        return whole(state, out, name, labels, asked, *rest)

    monkeypatch.setattr(judge, "trial", noted)
    advance(tmp_path / "run")
    state = read_state(tmp_path / "run")
    first = {one.id for one in state.training(1)}
    (event, _) = issued(tmp_path / "run")
    drawn = set(event["slice"])
    assert all(not trained & asked for trained, asked in seen)
    folds, gains = seen[:3], seen[3:]
    assert set.union(*(asked for _, asked in folds)) == drawn
    assert all(trained == first - asked for trained, asked in folds)
    for (chosen, _), (random, _) in zip(gains[::2], gains[1::2], strict=True):
        assert len(chosen) == len(random) == 8
        assert chosen <= first - drawn
        assert random <= drawn


def test_killed_in_its_judgement_a_campaign_ends_as_if_undisturbed(
    labelled: Path, judged: Path, tmp_path: Path
) -> None:
    run, marks = tmp_path / "run", tmp_path / "marks"
    marks.mkdir()
    shutil.copytree(labelled, run)
    command = [sys.executable, "-c", MORTAL, str(run), str(marks), "fit"]
    for _ in range(2):
        ended = subprocess.run(command, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    advance(run)
    for path in sorted((judged / "rounds/01/control").iterdir()):
        assert (run / "rounds/01/control" / path.name).read_bytes() == path.read_bytes()


def test_a_slice_of_the_target_is_never_trained_on(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    control = Control(share=0.5, target=True, trainings=3)
    update = {"control": control, "budget": 40, "rounds": 1, "test": ()}
    init(run, world.settings.model_copy(update=update))
    advance(run)
    export(run, tmp_path / "round.jsonl", "jsonl", force=True)
    take(run, answered(tmp_path / "round.jsonl"), "jsonl")
    state = read_state(run)
    assert len(state.held) == 10
    assert all(name.startswith(OF_TARGET) for name in state.held)
    assert len(state.labelled) == 40
    assert len(state.training(1)) == 30
    due = advance(run)
    assert due.finished
    (told,) = status(run)["control"]
    assert (told["target"]["n"], told["gain"]["n"]) == (10, 10)
    model = json.loads((run / "rounds/01/model/training.json").read_text("utf-8"))
    assert model["examples"] == 30


def test_an_example_of_the_slice_that_nobody_can_label_is_drawn_anew(
    world: World, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    init(run, world.settings)
    advance(run)
    (event,) = issued(run)
    place = event["ids"].index(event["slice"][0])
    export(run, tmp_path / "round.jsonl", "jsonl", force=True)
    take(run, answered(tmp_path / "round.jsonl", {place: "skipped"}), "jsonl")
    advance(run)
    again = issued(run)[1]
    assert len(again["ids"]) == 1
    assert len(again["slice"]) == 12
    assert event["slice"][0] not in again["slice"]


def test_without_a_share_nothing_is_drawn_or_judged(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    update = {"control": Control(share=0.0), "budget": 20, "rounds": 1}
    init(run, world.settings.model_copy(update=update))
    round_of(run)
    assert advance(run).finished
    assert issued(run)[0]["slice"] == []
    assert status(run)["control"] == []


@pytest.mark.parametrize(
    ("budget", "share", "said"),
    [(24, 0.1, "share = 0.42, or 0"), (19, 0.5, "share = 0 to"), (100, 0.1, ""), (24, 0.0, "")],
)
def test_a_campaign_too_small_to_be_judged_is_warned_of(
    world: World, budget: int, share: float, said: str
) -> None:
    asked = world.settings.model_copy(update={"budget": budget, "control": Control(share=share)})
    told = too_few(asked)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("budget", "training", "said"),
    [
        (60, Training(), "10 updates for all 60 labels (batches of 64)"),
        (60, Training(preset="small"), ""),
        (60, Training(epochs=40), ""),
        (300, Training(), ""),
    ],
)
def test_a_campaign_that_hardly_trains_is_warned_of(
    world: World, budget: int, training: Training, said: str
) -> None:
    asked = world.settings.model_copy(update={"budget": budget, "training": training})
    told = hardly_trained(asked)
    assert said in told
    assert bool(told) == bool(said)


def test_a_replay_orders_what_was_bought_and_says_that_this_is_all(
    judged: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(judged, run)
    made = replay(run, ["average-dist"], seeds=2)
    assert (made.metric, made.labels, made.scored_on) == ("f1", 24, "the test set")
    assert [(row["order"], row["n"]) for row in made.rows] == [
        (order, n) for order in ("as bought", "average-dist", "random") for n in (6, 12, 18)
    ]
    assert all(len(row["scores"]) == 2 for row in made.rows)
    assert {"against_random" in row for row in made.rows if row["order"] != "random"} == {True}
    assert "orders of the 24 examples that were bought" in made.caution
    files = {path: path.stat().st_mtime_ns for path in (run / "replay").glob("*-*.json")}
    assert len(files) == 18
    # What was trained is not trained again, and the same comes out.
    assert replay(run, ["average-dist"], seeds=2) == made
    assert {path: path.stat().st_mtime_ns for path in files} == files
    # Without labelled target examples, the slice is what is scored, and is not ordered.
    settings = read_settings(run).model_copy(update={"test": ()})
    (run / "run.toml").write_text(as_toml(settings), "utf-8")
    made = replay(run, ["random"], seeds=1)
    assert (made.labels, made.scored_on) == (12, "the slice that chance drew")


def test_the_card_tells_what_the_status_tells(judged: Path) -> None:
    page = report(judged, judged.parent / "card.html").read_text("utf-8")
    (told,) = status(judged)["control"]
    assert told["verdict"] in page
    assert f"{100 * told['pool']['value']:.1f}" in page
    assert "24" in page


@pytest.mark.parametrize(
    ("gain", "last", "worth", "said"),
    [
        (None, None, 0.0, "cannot tell"),
        ((-0.05, -0.01), (0.01, 0.05), 0.0, "change strategy"),
        ((-0.02, 0.03), (0.01, 0.05), 0.0, "cannot tell"),
        ((0.01, 0.03), (0.01, 0.05), 0.0, "go on"),
        ((0.01, 0.03), (-0.01, 0.004), 0.005, "stop"),
        ((0.01, 0.03), (-0.01, 0.006), 0.005, "go on"),
        (None, (0.01, 0.05), 0.0, "go on"),
        (None, (-0.01, 0.05), 0.0, "cannot tell"),
        (None, (-0.05, -0.01), 0.0, "stop"),
    ],
)
def test_the_verdict_follows_from_the_intervals(
    gain: Any, last: Any, worth: float, said: str
) -> None:
    told = {
        name: {"low": one[0], "high": one[1]}
        for name, one in (("gain", gain), ("last", last))
        if one
    }
    assert verdict(told, worth) == said


def test_a_known_truth_is_in_the_interval_of_a_simulated_slice_as_often_as_it_says() -> None:
    """Naive Bayes on a pool whose labels are known: slices of 40, scored out of fold."""
    from sklearn.naive_bayes import GaussianNB

    from polymux.intervals import score_interval

    drawn = np.random.default_rng(5)
    y = drawn.integers(0, 3, 4000)
    x = drawn.normal(0, 1, (4000, 4)) + np.eye(3, 4)[y] * 1.5
    inside = 0
    runs = 600
    for _ in range(runs):
        order = drawn.permutation(4000)
        sliced, chosen = order[:40], order[40:100]
        right = np.zeros(40)
        models = []
        for fold in range(5):
            held = np.arange(40) % 5 == fold
            rows = [*chosen, *sliced[~held]]
            models.append(GaussianNB().fit(x[rows], y[rows]))
            right[held] = models[-1].predict(x[sliced[held]]) == y[sliced[held]]
        made = score_interval(np.stack([right, np.ones(40)], axis=1))
        truth = np.mean([(one.predict(x[order[100:]]) == y[order[100:]]).mean() for one in models])
        inside += made.low <= truth <= made.high
    assert inside / runs >= binom.ppf(1e-4, runs, 0.95) / runs
