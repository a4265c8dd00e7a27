"""A campaign of three rounds, answered through files: killed anywhere, it ends the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.worlds import Gold, answered, gold, write_treebanks, write_world
from tests.conftest import DEMO, corpora

from polymux.annotation import Answer
from polymux.annotation.canaries import PREFIX
from polymux.campaign import Control, Limits, Settings, advance, export, init, status, take
from polymux.campaign.card import facts_of
from polymux.campaign.ledger import Ledger
from polymux.campaign.state import ADJUDICATOR, Round, read_state
from polymux.cli import main
from polymux.errors import InputError, PolymuxError, UsageError
from polymux.folders import claimed
from polymux.readers import read
from polymux.records import Example
from polymux.report.rounds import learning

# Runs a campaign and dies right after the first thing that it leaves on the disk.
MORTAL = """
import os, signal, sys
from functools import partial
from pathlib import Path
from polymux.campaign import advance, steps
from polymux.campaign.ledger import Ledger
from polymux.cli import main
from polymux.annotation.canaries import PREFIX
from polymux.records import Prescription
from polymux.train.checkpoint import Checkpoint

marks = Path(sys.argv[2])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def mortal(owner, name, once=False):
    whole = getattr(owner, name)
    def act(*given, **named):
        result = whole(*given, **named)
        mark = marks / f"{name}-{len(list(marks.iterdir()))}"
        if once and any(marks.glob(f"{name}-*")):
            return result
        mark.touch()
        die()
        return result
    setattr(owner, name, act)

mortal(Ledger, "add")
mortal(Prescription, "write")
mortal(Checkpoint, "save", once=True)
steps.train = partial(steps.train, checkpoint_seconds=0.0)
mortal(steps, "train")
mortal(steps, "evaluate")
print(advance(sys.argv[1], partial="PARTIAL" in os.environ).finished)
"""


@dataclass(frozen=True)
class World:
    folder: Path
    settings: Settings
    known: Gold


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return World(folder, write_world(folder), gold())


@pytest.fixture(scope="module", params=corpora())
def each_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, world: World
) -> World:
    """The demo's utterances, and real treebanks where they are."""
    if request.param == DEMO:
        return world
    folder = tmp_path_factory.mktemp("treebanks")
    return World(folder, *write_treebanks(folder, Path(os.environ["POLYMUX_DATA"])))


def finished(world: World, run: Path) -> Path:
    """A campaign that nobody disturbed."""
    init(run, world.settings)
    while not advance(run).finished:
        export(run, run.parent / "round.jsonl", "jsonl", force=True)
        take(run, answered(run.parent / "round.jsonl", known=world.known), "jsonl")
    return run


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(world, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def each_whole(each_world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(each_world, tmp_path_factory.mktemp("each") / "run")


def events(run: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in event.items() if k not in ("at", "file")}
        for event in Ledger(run / "ledger.jsonl")
    ]


def models(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.glob("rounds/*/model/model.safetensors"))
    }


def test_the_budget_is_spent_in_equal_rounds_and_the_last_takes_the_remainder(
    each_whole: Path,
) -> None:
    told = status(each_whole)
    assert [one["labelled"] for one in told["rounds"]] == [3, 3, 5]
    assert (told["labelled"], told["left"]) == (11, 0)
    assert [one["round"] for one in told["scores"]] == [0, 1, 2, 3]
    assert len(models(each_whole)) == 3


def test_nothing_is_issued_twice_and_the_labels_are_those_that_were_given(
    each_world: World, each_whole: Path
) -> None:
    state = read_state(each_whole)
    tokens = Counter(example.fields["tokens"] for example in state.issued)
    assert set(tokens.values()) == {1}
    known = each_world.known
    assert [e.label for e in state.labelled] == [known[e.fields["tokens"]] for e in state.labelled]


def test_a_finished_campaign_does_nothing_more(whole: Path) -> None:
    before = events(whole)
    due = advance(whole)
    assert (due.done, due.finished) == ((), True)
    assert events(whole) == before


def test_killed_after_everything_it_writes_a_campaign_ends_as_if_undisturbed(
    each_world: World, each_whole: Path, tmp_path: Path
) -> None:
    run, marks = tmp_path / "run", tmp_path / "marks"
    marks.mkdir()
    init(run, each_world.settings)
    killed = 0
    for _ in range(80):
        ended = subprocess.run(
            [sys.executable, "-c", MORTAL, str(run), str(marks)], capture_output=True, check=False
        )
        if ended.returncode == 0:
            if ended.stdout.split() == [b"True"]:
                break
            export(run, tmp_path / "round.jsonl", "jsonl", force=True)
            sheet = answered(tmp_path / "round.jsonl", known=each_world.known)
            take(run, sheet, "jsonl")
            continue
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        killed += 1
    kinds = Counter(mark.name.split("-")[0] for mark in marks.iterdir())
    # Three choices, trainings and scores (the start model too), one training in its middle.
    assert kinds == {"add": 6, "write": 3, "train": 3, "evaluate": 4, "save": 1}
    assert killed == sum(kinds.values())
    assert events(run) == events(each_whole)
    assert models(run) == models(each_whole)


def test_what_cannot_be_labelled_is_replaced_and_partial_labels_are_enough_if_asked(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    assert advance(run).waiting == 3
    export(run, sheet, "jsonl", force=True)
    shutil.copy(sheet, tmp_path / "first.jsonl")
    taken = take(run, answered(sheet, {0: "skipped", 1: "rejected", 2: None}), "jsonl")
    assert len(taken.answers) == 2
    assert take(run, sheet, "jsonl").known == 2
    due = advance(run)
    assert due.waiting == 3
    assert export(run, sheet, "jsonl", force=True) == 3
    assert advance(run).waiting == 3
    take(run, answered(sheet, {0: None, 1: None}), "jsonl")
    assert advance(run).waiting == 2
    partial = advance(run, partial=True)
    state = read_state(run)
    assert [len(one.labelled) for one in state.rounds] == [1, 0]
    assert state.rounds[0].closed
    assert partial.waiting == len(state.rounds[1].issued) == 3
    tokens = Counter(example.fields["tokens"] for example in state.issued)
    assert set(tokens.values()) == {1}
    assert status(run)["overrun"] is None
    file = run / "run.toml"
    file.write_text(file.read_text("utf-8").replace("budget = 11", "budget = 3"), "utf-8")
    # Labels that come late count too, for their own round.
    assert len(take(run, answered(tmp_path / "first.jsonl"), "jsonl").answers) == 3
    assert "1 label more than the budget" in (status(run)["overrun"] or "")
    late = read_state(run)
    assert [len(one.labelled) for one in late.rounds] == [4, 0]
    # What the curve stands over is what the model learned from.
    assert [turn["trained"] for turn in facts_of(late)["turns"]] == [0, 1, None]
    drawn = learning(facts_of(late))
    assert drawn is not None
    assert [tick["label"] for tick in drawn["across"]][-1] == "1"


def test_label_studio_gets_its_interface_and_its_export_comes_back(
    world: World, tmp_path: Path
) -> None:
    run, tasks = tmp_path / "run", tmp_path / "round.json"
    init(run, world.settings)
    advance(run)
    export(run, tasks, "label-studio", force=True)
    assert "<Labels" in (tmp_path / "round.config.xml").read_text("utf-8")
    told = json.loads(tasks.read_text("utf-8"))
    for number, task in enumerate(told):
        task["id"] = number
        task["annotations"] = [{"completed_by": 1, "was_cancelled": False, "result": []}]
    tasks.write_text(json.dumps(told), "utf-8")
    taken = take(run, tasks, "label-studio")
    assert taken.refused == ()
    assert {answer.label for answer in taken.answers} == {
        ("O",) * len(answer.label) for answer in taken.answers
    }
    assert "another label" in taken.note
    # What the model says goes along as a suggestion.
    assert all(task["predictions"][0]["result"] is not None for task in told)
    with pytest.raises(UsageError, match="is only read"):
        export(run, tasks, "argilla", force=True)


def test_a_pool_that_is_used_up_ends_the_campaign(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    small = tmp_path / "pool.conll"
    lines = (world.folder / "es/pool.conll").read_text("utf-8").split("\n\n")[:6]
    small.write_text("\n\n".join(lines) + "\n\n", "utf-8")
    settings = {"source": (str(small),), "budget": 6, "rounds": 1, "language": None, "test": ()}
    init(run, world.settings.model_copy(update=settings))
    assert advance(run).waiting == 6
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet, {0: "rejected"}), "jsonl")
    due = advance(run)
    assert due.finished
    assert status(run)["labelled"] == 5


def test_a_refused_answer_shows_both_versions_and_the_good_part_is_kept(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    export(run, sheet, "jsonl", force=True)
    lines = [json.loads(line) for line in answered(sheet).read_text("utf-8").splitlines()]
    sent = lines[2]["tokens"][0]
    lines[2]["tokens"][0] = "CHANGED"
    sheet.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    taken = take(run, sheet, "jsonl")
    assert len(taken.answers) == 2
    (refused,) = taken.refused
    assert "CHANGED" in refused.what
    assert repr(sent) in refused.what
    assert (refused.file, refused.line) == (str(sheet), 3)


def test_changes_of_budget_and_strategy_count_from_then_on_and_are_recorded(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    file = run / "run.toml"
    changed = file.read_text("utf-8").replace("budget = 11", "budget = 21")
    file.write_text(changed.replace("knn-uncertainty", "average-dist"), "utf-8")
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    assert advance(run).waiting == 7
    told = [event for event in events(run) if event["event"] == "changed"]
    assert [event["settings"]["strategy"] for event in told] == ["average-dist"]
    (choice,) = run.glob("rounds/02/*/selection.json")
    assert json.loads(choice.read_text("utf-8"))["strategy"] == "average-dist"


def test_two_processes_do_not_work_on_one_campaign(world: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    init(run, world.settings)
    with claimed(run), pytest.raises(UsageError, match="another polymux is working"):
        advance(run)
    assert advance(run).waiting == 3


def test_what_a_campaign_cannot_begin_with_is_told_before_anything_is_written(
    world: World, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for change, said in (
        ({"budget": 1000}, "100 different examples for a budget of 1,000"),
        ({"source": (str(tmp_path / "none.conll"),)}, "none.conll"),
        ({"model": str(tmp_path / "nowhere")}, "nowhere"),
        ({"strategy": "knn-uncertanty"}, "did you mean knn-uncertainty"),
        ({"strategy": "gold"}, "no place for what the strategy gold needs"),
        ({"limits": Limits(without=("ess",))}, "no example of ess\n.*did you mean es"),
        ({"limits": Limits(at_least={"fr": 2})}, "no example of fr"),
        ({"limits": Limits(without=("es",)), "language": None}, "tells of none"),
        ({"budget": 2}, "2 is too small for 3 rounds"),
    ):
        with pytest.raises(PolymuxError, match=said):
            init(run, world.settings.model_copy(update=change))
        assert not run.exists()
    init(run, world.settings)
    with pytest.raises(UsageError, match="is a campaign already") as told:
        init(run, world.settings)
    assert f"`polymux status {run}`" in told.value.hint
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    with pytest.raises(UsageError, match="not empty") as told:
        init(tmp_path / "full", world.settings)
    assert "--" not in told.value.hint
    with pytest.raises(InputError, match="is no campaign"):
        advance(tmp_path)
    text = (run / "run.toml").read_text("utf-8")
    (run / "run.toml").write_text(text + "\n[more]\n", "utf-8")
    with pytest.raises(InputError, match="more: there is no such setting"):
        advance(run)


def test_a_half_written_line_of_the_ledger_was_never_said(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    path = tmp_path / "run/ledger.jsonl"
    before = events(tmp_path / "run")
    with path.open("ab") as file:
        file.write('{"event": "answers", "round": 3, "an é'.encode()[:-1])
    assert events(tmp_path / "run") == before
    Ledger(path).add("closed", round=3, why="a\u2028b\x85c\r\n")
    assert events(tmp_path / "run")[:-1] == before
    assert events(tmp_path / "run")[-1]["why"] == "a\u2028b\x85c\r\n"


def test_a_choice_ahead_is_given_out_while_the_model_is_still_to_be_trained(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    due = advance(run, ahead=True)
    assert due.done == ("round 2: chosen ahead for 3 labels",)
    assert advance(run, ahead=True).done == ()
    # The first round goes out first.
    first = read_state(run).rounds[0].waiting
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    assert export(run, sheet, "jsonl", force=True) == 3
    state = read_state(run)
    given = state.rounds[1].waiting
    assert (len(state.rounds), state.ahead) == (2, None)
    assert not set(given) & set(first)
    assert advance(run).done == ("round 1: closed", "round 1: trained", "round 1: scored")
    take(run, answered(sheet), "jsonl")
    assert advance(run).done[-1] == "round 3: chosen for 5 labels"
    assert [len(one.labelled) for one in read_state(run).rounds] == [3, 3, 0]


def test_a_choice_ahead_that_was_not_given_out_is_made_anew_by_the_trained_model(
    world: World, whole: Path, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    while not advance(run).finished:
        advance(run, ahead=True)
        # What waits goes out before it; then the model is trained, and chooses.
        export(run, sheet, "jsonl", force=True)
        take(run, answered(sheet), "jsonl")
    kept = [event for event in events(run) if event["event"] != "ahead"]
    assert kept == events(whole)
    assert models(run) == models(whole)


def test_labels_come_in_while_another_process_trains(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    with claimed(run):
        export(run, sheet, "jsonl", force=True)
        assert len(take(run, answered(sheet), "jsonl").answers) == 3
    with claimed(run / "exchange"), pytest.raises(UsageError, match="another polymux"):
        take(run, sheet, "jsonl")


def test_two_files_that_name_nobody_are_one_person_and_that_is_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    lines = [json.loads(line) for line in sheet.read_text("utf-8").splitlines()]
    ours = [one for one in lines if not one["id"].startswith(PREFIX)]
    ours[0]["labels"] = ["O"] * len(ours[0]["tokens"])
    ours[1]["labels"] = ["B-person"] * len(ours[1]["tokens"])
    sheet.write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
    again = take(run, sheet, "jsonl")
    assert again.nameless == again.corrected >= 1
    take(run, sheet, "jsonl", annotator="bob")
    assert status(run)["agreement"]


def test_answers_after_the_last_round_are_learned_from_once(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings.model_copy(update={"budget": 4, "rounds": 1}))
    assert advance(run).waiting == 4
    export(run, sheet, "jsonl", force=True)
    shutil.copy(sheet, tmp_path / "late.jsonl")
    take(run, answered(sheet, {0: None, 1: None}), "jsonl")
    assert advance(run, partial=True).finished
    first = status(run)
    assert (first["rounds"][0]["trained"], first["scores"][-1]["round"]) == (2, 1)
    assert len(take(run, answered(tmp_path / "late.jsonl"), "jsonl").answers) == 2
    assert "polymux next" in status(run)["due"]
    judged = run / "rounds/01/control/control.json"
    judged.parent.mkdir(exist_ok=True)
    judged.write_text("{}", "utf-8")
    due = advance(run)
    assert due.done == ("round 1: trained", "round 1: scored")
    # It was of the model before.
    assert not judged.exists()
    assert due.finished
    assert status(run)["rounds"][0]["trained"] == 4
    assert advance(run).done == ()
    # What it learned from is a training file for anybody.
    kept = list(read(run / "rounds/01/labels.jsonl", task=world.settings.task))
    assert [(one.fields, one.label) for one in kept] == [
        (one.fields, one.label) for one in read_state(run).labelled
    ]
    with pytest.raises(UsageError, match="nothing waits for labels"):
        export(run, sheet, "jsonl", force=True)


def test_a_training_that_was_killed_begins_anew_when_labels_or_settings_changed(
    world: World, tmp_path: Path
) -> None:
    run, sheet, marks = tmp_path / "run", tmp_path / "round.jsonl", tmp_path / "marks"
    marks.mkdir()
    init(run, world.settings)
    advance(run)
    export(run, sheet, "jsonl", force=True)
    shutil.copy(sheet, tmp_path / "late.jsonl")
    take(run, answered(sheet, {0: None}), "jsonl")
    ended = subprocess.run(
        [sys.executable, "-c", MORTAL.replace('mortal(Ledger, "add")', ""), str(run), str(marks)],
        capture_output=True,
        check=False,
        env={**os.environ, "PARTIAL": "1"},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert [mark.name for mark in marks.iterdir()] == ["save-0"]
    assert (run / "rounds/01/.model.training/state.pt").is_file()
    # A label that comes in late, and another rate.
    take(run, answered(tmp_path / "late.jsonl"), "jsonl")
    file = run / "run.toml"
    file.write_text(file.read_text("utf-8").replace("lr = 0.001", "lr = 0.002"), "utf-8")
    assert "round 1: trained" in advance(run).done
    assert not list((run / "rounds/01").glob(".model*"))
    told = json.loads((run / "rounds/01/model/training.json").read_text("utf-8"))
    assert told["examples"] == 3


def test_a_round_that_nobody_has_seen_is_not_closed(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    assert advance(run, partial=True).waiting == 3
    assert advance(run, partial=True).waiting == 3
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet, {0: None}), "jsonl")
    assert advance(run, partial=True).done[0] == "round 1: closed in part"
    # Said once more, as after a kill, it closes nothing that was chosen since.
    assert advance(run, partial=True).done == ()
    assert [one.closed for one in read_state(run).rounds] == [True, False]


def test_a_ranking_of_before_is_not_used_again(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    advance(run, ahead=True)
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet, {0: "skipped"}), "jsonl")
    # The replacement is what stood first ahead; ahead is chosen anew without it.
    advance(run, ahead=True)
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    export(run, sheet, "jsonl", force=True)
    tokens = Counter(example.fields["tokens"] for example in read_state(run).issued)
    assert set(tokens.values()) == {1}
    assert len(tokens) == 7


def test_what_went_out_while_a_round_was_chosen_stays_what_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polymux.campaign import choose

    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    advance(run, ahead=True)
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    ahead = read_state(run).ahead
    assert ahead is not None
    whole = choose._ranked

    def slow(*given: Any) -> Any:
        made = whole(*given)
        # Meanwhile somebody takes the batch that was chosen ahead.
        assert export(run, sheet, "jsonl", force=True) == 3
        return made

    monkeypatch.setattr(choose, "_ranked", slow)
    assert advance(run).waiting == 3
    assert list(read_state(run).rounds[1].issued) == ahead["ids"]


def test_what_nobody_could_label_leaves_the_model_of_before(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    small = tmp_path / "pool.conll"
    lines = (world.folder / "es/pool.conll").read_text("utf-8").split("\n\n")[:4]
    small.write_text("\n\n".join(lines) + "\n\n", "utf-8")
    settings = {"source": (str(small),), "budget": 4, "rounds": 2, "language": None, "test": ()}
    init(run, world.settings.model_copy(update=settings))
    while advance(run).waiting:
        export(run, sheet, "jsonl", force=True)
        take(run, answered(sheet, dict.fromkeys(range(4), "skipped")), "jsonl")
    due = advance(run)
    assert due.finished
    assert str(world.folder / "start") in due.say


def test_who_decides_can_take_a_label_away() -> None:
    one = Round(1, issued={"a": Example("a", "f", 1, {"tokens": ("x",)})})
    for who in ("ada", "bo"):
        one.answers.setdefault("a", {})[who] = Answer("a", {}, "labelled", ("O",), who)
    assert one.settled.labels == {"a": ("O",)}
    one.answers["a"][ADJUDICATOR] = Answer("a", {}, "rejected", None, ADJUDICATOR)
    assert one.settled.labels == {}
    assert one.unusable == ["a"]


def test_sheets_of_two_people_are_told_apart_by_name(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    export(run, sheet, "jsonl", force=True)
    answered(sheet)
    for who in ("ada", "bo"):
        assert len(take(run, sheet, "jsonl", annotator=who).answers) == 3
    assert {tuple(given) for given in read_state(run).rounds[0].answers.values()} == {("ada", "bo")}


def test_what_annotators_disagree_about_waits_for_one_who_decides(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    for who, wrong in (("ada", False), ("bo", True)):
        export(run, sheet, "jsonl", force=True) if who == "ada" else None
        lines = [json.loads(line) for line in answered(sheet).read_text("utf-8").splitlines()]
        for told in lines:
            told["annotator"] = who
        if wrong:
            lines[-1]["labels"] = ["O"] * len(lines[-1]["tokens"])
        sheet.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        take(run, sheet, "jsonl")
    told = status(run)
    assert told["rounds"][0]["conflicts"] == 1
    assert told["rounds"][0]["labelled"] == 2
    # It was paid, whatever comes of it.
    assert (told["spent"], told["left"]) == (3, 8)
    assert [one["annotators"] for one in told["agreement"].values()] == [2] * len(told["agreement"])
    due = advance(run)
    assert not due.finished
    assert "1 example was labelled in different ways: polymux export" in due.say
    known = gold()
    assert export(run, tmp_path / "conflicts.csv", "csv", conflicts=True, force=True) == 1
    assert "annotator,by ada,by bo" in (tmp_path / "conflicts.csv").read_text("utf-8-sig")
    assert export(run, sheet, "jsonl", conflicts=True, force=True) == 1
    asked = json.loads(sheet.read_text("utf-8").rstrip("\n").split("\n")[-1])
    right = list(known[tuple(asked["tokens"])])
    assert asked["said"] == [
        {"annotator": "ada", "labels": right},
        {"annotator": "bo", "labels": ["O"] * len(right)},
    ]
    take(run, answered(sheet), "jsonl", decides=True)
    state = read_state(run)
    assert [e.label for e in state.labelled] == [known[e.fields["tokens"]] for e in state.labelled]
    assert "round 1: trained" in advance(run).done


def test_status_tells_what_is_due_and_the_command_for_it(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings.model_copy(update={"control": Control(share=0.5)}))
    assert status(run)["due"] == f"polymux next {run} scores the start model"
    stages: list[str] = []
    advance(run, progress=lambda stage, done, total: stages.append(stage))
    assert stages
    assert all(stage.startswith(("start model: ", "round 1: ")) for stage in stages)
    told = status(run)
    assert told["due"].startswith("3 examples of round 1 wait for labels: polymux export")
    assert told["drawn"] == {"labels": 0, "least": 10}
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet, {0: None}), "jsonl")
    assert status(run)["due"].startswith("1 example of round 1 waits for labels")
    export(run, sheet, "jsonl", force=True)
    take(run, answered(sheet), "jsonl")
    told = status(run)
    assert told["due"] == f"polymux next {run} trains on the labels of round 1"
    assert told["drawn"]["labels"] == 2
    assert told["agreement"] == {}


def test_an_import_says_in_one_line_what_it_took(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    main(["export", str(run), "--out", str(sheet)])
    shutil.copy(sheet, tmp_path / "again.jsonl")
    answered(sheet, {0: "skipped", 1: None})
    capsys.readouterr()
    main(["import", str(run), str(sheet)])
    told = capsys.readouterr()
    assert told.out == "1 answer taken, 1 skipped, 1 still waiting\n"
    assert told.err == "--from jsonl, as the file is called\n"
    main(["import", str(run), str(answered(tmp_path / "again.jsonl", {1: None})), "-q"])
    assert (
        capsys.readouterr().out == "1 answer taken, 1 corrected, 1 known before, 1 still waiting\n"
    )


def test_a_file_that_cannot_be_one_of_this_round_is_one_error(world: World, tmp_path: Path) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.csv"
    init(run, world.settings)
    advance(run)
    export(run, sheet, "csv", force=True)
    with pytest.raises(InputError, match="nothing in it is JSON") as told:
        take(run, sheet, "jsonl")
    assert "--from csv" in told.value.hint
    with pytest.raises(InputError, match="no such file") as told:
        take(run, tmp_path / "ruond.csv", "csv")
    assert f"did you mean {sheet}?" in told.value.hint
    export(run, tmp_path / "round.xlsx", "xlsx", force=True)
    with pytest.raises(InputError, match="a workbook, no csv") as told:
        take(run, tmp_path / "round.xlsx", "csv")
    assert told.value.hint == "use --from xlsx"
    lines = [{"id": f"other#{n}", "tokens": ["x"], "labels": ["O"]} for n in range(3)]
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with pytest.raises(InputError, match="none of its 3 ids is of this campaign"):
        take(run, other, "jsonl")


def test_canaries_that_were_touched_name_the_command_that_goes_without(
    world: World, tmp_path: Path
) -> None:
    run, sheet = tmp_path / "run", tmp_path / "round.jsonl"
    init(run, world.settings)
    advance(run)
    export(run, sheet, "jsonl", with_canaries=False, force=True)
    assert PREFIX not in sheet.read_text("utf-8")
    export(run, sheet, "jsonl", force=True)
    lines = [json.loads(line) for line in answered(sheet).read_text("utf-8").splitlines()]
    emptied = [
        {**told, "labels": None} if told["id"].startswith(PREFIX) else told for told in lines
    ]
    sheet.write_text("".join(json.dumps(told) + "\n" for told in emptied), "utf-8")
    assert "came back with its label" in take(run, sheet, "jsonl").note
    lines[0]["tokens"][1] = "Adda"
    sheet.write_text("".join(json.dumps(told) + "\n" for told in lines), "utf-8")
    with pytest.raises(InputError, match="the tool changed what it was given") as told:
        take(run, sheet, "jsonl")
    assert f"polymux export {run} --no-canaries writes the round" in told.value.hint
