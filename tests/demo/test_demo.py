"""The demo from beginning to end, as small as it can be."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from polymux.demo import DemoResult, Outcome, Plan, Settings, Shape, Training, demo
from polymux.demo.corpus import write_corpus
from polymux.demo.table import markdown
from polymux.errors import UsageError
from polymux.readers import read

PLAN = Plan(labelled=60, pool={"hi": 30, "th": 30}, targets=("ur",), sample=15, test=15, text=20)
SMALL = Settings(
    plan=PLAN,
    shape=Shape(vocabulary=400, hidden=16, layers=1, heads=2, updates=5),
    budget=10,
    seeds=(1, 2),
    start=Training(epochs=1, batch_size=32),
    further=Training(epochs=1, batch_size=8),
)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> DemoResult:
    out = tmp_path_factory.mktemp("work") / "demo"
    return demo(out, 3, lambda stage, done, total: told.append(stage), settings=SMALL)


def test_every_strategy_has_a_score_for_each_training_beside_the_untouched_model(
    made: DemoResult,
) -> None:
    assert set(made.outcomes) == {"slots", "intents"}
    for outcome in made.outcomes.values():
        assert list(outcome.after) == ["knn-uncertainty", "random", "egalitarian"]
        assert all(len(scores) == 2 for scores in outcome.after.values())
        for scores in (outcome.untouched, *(s for runs in outcome.after.values() for s in runs)):
            assert list(scores) == ["ur"]
            assert 0 <= scores["ur"] <= 1
    assert made.outcomes["slots"].score == "f1"
    assert made.outcomes["intents"].score == "accuracy"


def test_choices_come_from_the_source_languages_within_the_budget(made: DemoResult) -> None:
    for outcome in made.outcomes.values():
        for counts in outcome.chosen.values():
            assert set(counts) <= {"hi", "th"}
            assert sum(counts.values()) == 10
        assert outcome.chosen["egalitarian"] == {"hi": 5, "th": 5}


def test_labels_of_the_choices_are_those_of_the_templates(made: DemoResult) -> None:
    gold = {
        (e.language, e.fields["tokens"]): e.label
        for e in read(
            str(made.out / "data" / "*" / "pool.conll"),
            task="token-classification",
            language="folder",
        )
    }
    path = made.out / "slots" / "labelled" / "random.jsonl"
    labelled = list(read(str(path), task="token-classification"))
    assert len(labelled) == 10
    assert all(e.label == gold[e.language, e.fields["tokens"]] for e in labelled)


def test_the_target_sample_holds_no_labels_and_no_test_utterance(made: DemoResult) -> None:
    folder = made.out / "data" / "ur"
    assert "\t" not in (folder / "sample.conll").read_text("utf-8")
    assert "intent" not in (folder / "sample.conll").read_text("utf-8")
    sample, test = (
        {e.fields["tokens"] for e in read(str(folder / name), task="token-classification")}
        for name in ("sample.conll", "test.conll")
    )
    assert (len(sample), len(test), sample & test) == (15, 15, set())


def test_card_table_and_results_are_on_disk(made: DemoResult) -> None:
    assert made.card.is_file()
    assert made.card.parts[-4:] == ("chosen", "knn-uncertainty", "10", "report.html")
    assert (made.out / "table.md").read_text("utf-8") == made.table
    results = json.loads((made.out / "results.json").read_text("utf-8"))
    assert results["utterances"] == {"en": 60, "hi": 30, "th": 30, "ur": 30}
    assert results["slots"]["untouched"] == made.outcomes["slots"].untouched


def test_the_parts_count_what_is_there(made: DemoResult) -> None:
    assert made.parts.splitlines() == [
        "labelled: 60 utterances in English",
        "source pool: 60 utterances in 2 languages (hi 30, th 30)",
        "target: Urdu, 15 unlabelled utterances each, 15 others to score",
    ]


def test_progress_names_every_stage_of_both_tasks(made: DemoResult, told: list[str]) -> None:
    stages = list(dict.fromkeys(told))
    assert stages[0] == "pre-train a small encoder"
    for name in made.outcomes:
        assert [s for s in stages if s.startswith(name)] == [
            f"{name}: learn from en",
            f"{name}: encode target",
            f"{name}: encode source",
            f"{name}: train on the choices",
        ]


def test_the_commands_by_hand_are_commands_of_polymux_on_files_that_are_there(
    made: DemoResult,
) -> None:
    from polymux.cli import app

    names = {command.name for command in app.registered_commands}
    for line in made.commands:
        program, name, *rest = shlex.split(line)
        assert program == "polymux"
        assert name in names
        given = dict(pairwise(rest))
        for option in ("--train", "--source", "--target", "--test"):
            if option in given:
                assert list(Path("/").glob(given[option].removeprefix("/")))


def test_the_same_seed_gives_the_same_demo_in_place_of_the_earlier_one(made: DemoResult) -> None:
    first = json.loads((made.out / "results.json").read_text("utf-8"))
    again = demo(made.out, 3, settings=replace(SMALL, tasks=("slots",)))
    assert again.outcomes["slots"] == made.outcomes["slots"]
    assert json.loads((made.out / "results.json").read_text("utf-8"))["slots"] == first["slots"]
    assert not (made.out / "intents").exists()


def test_a_folder_that_holds_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        demo(tmp_path, settings=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_corpus_is_the_same_for_a_seed_and_another_for_another(tmp_path: Path) -> None:
    def texts(name: str, seed: int) -> list[str]:
        write_corpus(tmp_path / name, PLAN, seed=seed)
        paths = sorted((tmp_path / name).rglob("*.conll"))
        return [path.read_text("utf-8") for path in paths]

    assert texts("a", 0) == texts("b", 0) != texts("c", 1)


def test_the_table_shows_mean_and_spread_of_the_trainings() -> None:
    outcome = Outcome(
        score="f1",
        untouched={"ne": 0.25, "ur": 0.35},
        after={"random": ({"ne": 0.5, "ur": 0.6}, {"ne": 0.6, "ur": 0.9})},
        chosen={"random": {"hi": 7, "fa": 3}},
    )
    lines = markdown({"slots": outcome}, SMALL).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:] if line]
    assert cells[0] == ["strategy", "ne", "ur", "mean", "languages chosen"]
    assert cells[2] == ["untouched", "25.0", "35.0", "30.0", ""]
    assert cells[3] == ["random", "55.0 ± 7.1", "75.0 ± 21.2", "65.0 ± 14.1", "hi 7, fa 3"]
