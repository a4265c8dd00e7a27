"""Experiments: what a row says, that a killed run goes on to the same, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from tests.experiments.miniature import SIZES, TARGETS, told, without_seconds, write_experiment
from tests.experiments.miniature import write_corpora as write

import polymux as pm
from polymux.encoders import Model
from polymux.errors import InputError, UsageError
from polymux.evaluate import evaluate
from polymux.experiments import planned, simulate
from polymux.experiments.pools import Corpora
from polymux.experiments.settings import Experiment, read_experiment
from polymux.readers import read

POLYMUX = str(Path(sys.executable).parent / "polymux")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write(folder)
    return folder


STAGES: list[tuple[str, int, int | None]] = []


@pytest.fixture(scope="module")
def whole(corpora: Path) -> Path:
    """The experiment, run without a disturbance; `STAGES` has what it told of its progress."""
    out = corpora / "whole"

    def told(stage: str, done: int, total: int | None) -> None:
        STAGES.append((stage, done, total))

    simulate(write_experiment(corpora), out, workers=1, device="cpu", progress=told)
    return out


def corpora_of(whole: Path) -> Corpora:
    return Corpora(read_experiment(str(whole.parent / "miniature.toml"), ()), whole.parent)


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


def test_there_is_a_row_for_every_cell_and_language_and_one_for_the_untouched_model(whole) -> None:
    counts = Counter((r["config"], r["strategy"], r["language"]) for r in rows(whole))
    strategies = told()["strategies"]
    for config, languages in (("one", ["hi"]), ("both", ["hi", "ur"])):
        for language in languages:
            assert counts.pop((config, "untouched", language)) == 1
            for strategy in strategies:
                assert counts.pop((config, strategy, language)) == 2
    assert not counts


def test_long_stages_are_told_of_from_the_start_model_to_the_maps(whole) -> None:
    stages = {stage: (done, total) for stage, done, total in STAGES}
    trained = [(done, total) for stage, done, total in STAGES if stage.endswith(": training")]
    assert trained
    assert trained[-1][0] == trained[-1][1]
    done, total = stages["cells"]
    assert done == total
    assert {"map of one", "map of both"} <= stages.keys()
    assert f"{total} of {total} cells are to be made" in stages


def test_scores_are_those_of_the_labels_and_the_side_file_sums_up_to_them(whole) -> None:
    for row in rows(whole):
        parts = np.load(whole / row["counts"])[row["language"]]
        assert len(parts) == row["examples"] == 18
        assert row["score"] == pytest.approx(parts[:, 0].sum() / parts[:, 1].sum())
        assert row["score"] == row["scores"][row["metric"]]


def test_the_untouched_models_score_is_what_evaluate_says(whole, corpora) -> None:
    model = Model(whole / "models" / "tiny", task="token-classification", device="cpu")
    pool = read(str(corpora / "ur/test.conll"), task=model.task)
    said = evaluate(model, pool).average
    (row,) = [r for r in rows(whole) if r["strategy"] == "untouched" and r["language"] == "ur"]
    assert row["scores"] == pytest.approx(said)


def test_a_map_shows_pool_target_and_each_first_choice_as_the_start_model_sees_them(whole) -> None:
    for config in ("one", "both"):
        drawn = json.loads((whole / "maps" / "tiny" / f"{config}.json").read_text("utf-8"))
        assert sorted(drawn["chosen"]) == sorted(told()["strategies"])
        last = [r for r in rows(whole) if r["config"] == config and r["strategy"] != "untouched"]
        most = max(r["budget"] for r in last)
        assert {len(places) for places in drawn["chosen"].values()} == {most}
        assert drawn["pool"]
        assert drawn["target"]
        assert 0 < drawn["explained"][1] <= drawn["explained"][0] <= 1
        # The map keeps distances in the plane of most variance: of its own points, nothing else.
        cells = whole / "cells" / "tiny" / config
        ids = {
            name: json.loads((cells / name / f"c1-t1-b{most}.json").read_text("utf-8"))["chosen"]
            for name in drawn["chosen"]
        }
        setting = corpora_of(whole).setting(config)
        groups = [list(setting.source), list(setting.target)]
        chosen = list(dict.fromkeys(one for of in ids.values() for one in of))
        groups.append([setting.by_id[one] for one in chosen])
        model = Model(whole / "models" / "tiny", task="token-classification", device="cpu")
        seen = model.encode([one for group in groups for one in group]).embeddings
        centred = (seen - seen.mean(axis=0)).astype(np.float64)
        plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        places = np.array(drawn["pool"] + drawn["target"])
        assert np.abs(places) == pytest.approx(np.abs(plane[: len(places)]), abs=2e-3)
        at = dict(zip(chosen, plane[len(places) :], strict=True))
        for name, found in drawn["chosen"].items():
            wanted = np.array([at[one] for one in ids[name]])
            assert np.abs(found) == pytest.approx(np.abs(wanted), abs=2e-3)


def test_a_map_is_drawn_again_only_of_other_cells(corpora: Path, whole: Path) -> None:
    out = corpora / "grown"
    shutil.copytree(whole, out)
    file = out / "maps" / "tiny" / "one.json"
    before = file.read_bytes()
    os.utime(file, ns=(1, 1))
    simulate(write_experiment(corpora), out, workers=1, device="cpu")
    assert file.stat().st_mtime_ns == 1
    for broken in (b"{", b"[]"):
        file.write_bytes(broken)
        simulate(write_experiment(corpora), out, workers=1, device="cpu")
        assert file.read_bytes() == before
    simulate(write_experiment(corpora, budgets=[8, 9]), out, workers=1, device="cpu")
    drawn = json.loads(file.read_text("utf-8"))
    assert {len(found) for found in drawn["chosen"].values()} == {9}
    write_experiment(corpora)


def test_no_target_language_and_no_start_language_is_bought(whole) -> None:
    for row in rows(whole):
        assert sum(row["chosen"].values()) == row["labels"] == row["budget"]
        assert not set(row["chosen"]) & {"en", *(TARGETS if row["config"] == "both" else ["hi"])}


def test_what_is_chosen_is_what_select_chooses(whole, corpora) -> None:
    start = Model(whole / "models" / "tiny", task="token-classification", device="cpu")
    paths = [str(corpora / code / "train.conll") for code in ("es", "de", "fr")]
    source = read(*paths, task=start.task)
    target = read(str(corpora / "hi/dev.conll"), str(corpora / "ur/dev.conll"), task=start.task)
    chosen = pm.select(start, source, target, budget=8, strategy="average-dist", seed=1)
    (cell,) = (whole / "cells/tiny/both/average-dist").glob("c1-t1-b8.json")
    ids = json.loads(cell.read_text("utf-8"))["chosen"]
    corpus = Corpora(read_experiment(corpora / "miniature.toml"), corpora)
    by_id = corpus.setting("both").by_id
    assert [by_id[one].text for one in ids] == [pick.example.text for pick in chosen.picks]


def test_killed_again_and_again_it_goes_on_to_the_same_rows(whole, corpora) -> None:
    out = corpora / "killed"
    command = [POLYMUX, "simulate", str(corpora / "miniature.toml"), "--out", str(out)]
    kills, done = 0, set()
    while kills < 3:
        process = subprocess.Popen([*command, "--workers", "2", "--device", "cpu", "-q"])
        while process.poll() is None:
            now = set(out.glob("cells/**/*.json"))
            if len(now) > len(done) + 1:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                done = now
                break
            time.sleep(0.02)
        process.wait()
        if process.returncode == 0:
            break
    assert kills
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/**/*.json")}
    subprocess.run([*command, "--workers", "2", "--device", "cpu", "-q"], check=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert without_seconds(rows(out)) == without_seconds(rows(whole))
    assert not (out / "work").exists()


def test_a_second_run_makes_nothing_and_an_experiment_may_grow(whole, corpora, tmp_path) -> None:
    out = tmp_path / "grown"
    shutil.copytree(whole, out)
    file = write_experiment(corpora)
    assert simulate(file, out, workers=1, device="cpu").made == 0
    more = {"strategies": ["random", "knn-uncertainty", "average-dist", "uncertainty"]}
    grown = corpora / "grown.toml"
    grown.write_text(write_experiment(corpora, **more).read_text("utf-8"), encoding="utf-8")
    write_experiment(corpora)
    made = simulate(grown, out, workers=1, device="cpu")
    assert made.made == 4
    assert {r["strategy"] for r in made.rows} == {"untouched", *more["strategies"]}


def test_cells_of_other_settings_are_refused(whole, corpora, tmp_path) -> None:
    out = tmp_path / "other"
    shutil.copytree(whole, out)
    try:
        file = write_experiment(corpora, training={"epochs": 3, "lr": 1e-3, "batch_size": 4})
        with pytest.raises(UsageError, match=r"(?s)made with other settings.*another folder"):
            simulate(file, out, workers=1, device="cpu")
    finally:
        write_experiment(corpora)


@pytest.mark.parametrize("continued", [False, True])
def test_in_rounds_the_model_of_the_last_one_chooses_and_no_label_is_bought_twice(
    corpora, tmp_path, continued: bool
) -> None:
    here = tmp_path / "corpora"
    shutil.copytree(corpora, here, ignore=shutil.ignore_patterns("whole", "killed"))
    changes = {
        "rounds": True,
        "continued": continued,
        "budgets": [4, 8, 11],
        "strategies": ["knn-uncertainty", "gold"],
        "configurations": {"one": {"target": ["hi"]}},
        "choice_seeds": [1],
        "train_seeds": [1],
    }
    file = write_experiment(here, **changes)
    made = simulate(file, tmp_path / "out", workers=1, device="cpu")
    chosen = {}
    for path in (tmp_path / "out/cells/tiny/one").glob("*/*.json"):
        cell = json.loads(path.read_text("utf-8"))
        chosen[cell["rows"][0]["strategy"], cell["rows"][0]["round"]] = cell["chosen"]
    for strategy in changes["strategies"]:
        for number, budget in enumerate(changes["budgets"], start=1):
            ids = chosen[strategy, number]
            assert len(set(ids)) == len(ids) == budget
            if number > 1:
                assert ids[: changes["budgets"][number - 2]] == chosen[strategy, number - 1]
    assert {one.split("/")[0] for one in chosen["gold", 3]} == {"hi"}
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "out", again)
    # As after a kill in round 3, with the model of round 2 gone.
    for left in again.glob("cells/tiny/one/*/c1-t1-b11.*"):
        left.unlink()
    (again / "results.jsonl").unlink()
    repeated = simulate(file, again, workers=1, device="cpu")
    assert repeated.made == 2
    assert without_seconds(repeated.rows) == without_seconds(made.rows)


def test_rounds_go_on_with_all_labels_once_a_pool_runs_out(corpora, tmp_path) -> None:
    here = tmp_path / "corpora"
    shutil.copytree(corpora, here, ignore=shutil.ignore_patterns("whole", "killed"))
    changes = {
        "rounds": True,
        "budgets": [10, 20, 30],
        "strategies": ["random", "gold"],
        "configurations": {"one": {"target": ["hi"], "source": ["fr"]}},
        "choice_seeds": [1],
        "train_seeds": [1],
    }
    made = simulate(write_experiment(here, **changes), tmp_path / "out", workers=1, device="cpu")
    labels = {(row["strategy"], row["round"]): row["labels"] for row in made.rows}
    assert [labels["random", number] for number in (1, 2, 3)] == [10, 20, 20]
    assert [labels["gold", number] for number in (1, 2, 3)] == [10, 14, 14]


def test_a_choice_copied_by_its_languages_has_their_counts(corpora, tmp_path) -> None:
    here = tmp_path / "corpora"
    shutil.copytree(corpora, here, ignore=shutil.ignore_patterns("whole", "killed"))
    changes = {
        "strategies": ["knn-uncertainty", "copy", "plan", "near"],
        "variants": {
            "copy": {"strategy": "same-distribution", "like": "knn-uncertainty"},
            "near": {"strategy": "knn-uncertainty", "candidates": 1.0},
        },
        "configurations": {"one": {"target": ["hi"], "plan": {"es": 3, "fr": 1}}},
        "choice_seeds": [1],
        "train_seeds": [1],
    }
    made = simulate(write_experiment(here, **changes), tmp_path / "out", workers=1, device="cpu")
    chosen = {row["strategy"]: row["chosen"] for row in made.rows}
    assert chosen["copy"] == chosen["knn-uncertainty"]
    assert chosen["plan"] == {"es": 6, "fr": 2}


def test_what_would_be_done_is_counted_without_a_model(corpora) -> None:
    plan = planned(write_experiment(corpora))
    assert plan["trainings"] == 2 * 3 * 2
    assert plan["configurations"]["both"]["source"] == SIZES["es"] + SIZES["de"] + SIZES["fr"]
    assert plan["configurations"]["both"]["test"] == {"hi": 18, "ur": 18}
    assert plan["start"] == {"tiny": SIZES["en"]}


def test_targets_are_carved_from_train_mixed_in_or_given(corpora) -> None:
    configurations = {
        "carved": {"target": ["hi"], "carved": 5, "mixed": 1.0},
        "named": {"target": ["hi"], "carved": 4, "source": ["hi", "de"]},
        "given": {"target": ["ur"], "sample": "hi/dev.conll", "source": ["es"]},
    }
    experiment = Experiment.model_validate(told(configurations=configurations))
    corpus = Corpora(experiment, corpora)
    carved = corpus.setting("carved")
    sample = {one.id for one in carved.target}
    assert len(sample) == 5
    assert all(name.startswith("hi/") for name in sample)
    own = {one.id for one in carved.source if one.language == "hi"}
    assert len(own) == 14 - 5
    assert not own & sample
    named = corpus.setting("named")
    assert {one.language for one in named.source} == {"de", "hi"}
    assert not {one.id for one in named.source} & {one.id for one in named.target}
    given = corpus.setting("given")
    assert {one.language for one in given.source} == {"es"}
    assert len(list(given.target)) == 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategies": ["best-of-all"]}, "no strategy 'best-of-all'"),
        ({"best": "uncertainty"}, "not among the strategies"),
        ({"budgets": [8, 4]}, "from small to large"),
        ({"choice_seeds": [1]}, "as many choice_seeds as train_seeds"),
        ({"chooser": "large"}, "not among the models"),
        ({"budget": 5}, "did you mean budgets"),
        ({"budgets": ["many"]}, "hint: budgets: Labels. In one round"),
        ({"configurations": {"../up": {"target": ["hi"]}}}, r"configurations\.\.\./up"),
        ({"variants": {"random": {"strategy": "uncertainty"}}}, "has the name of something else"),
        ({"variants": {"copy": {"strategy": "same-distribution"}}}, "same-distribution needs like"),
        (
            {
                "strategies": ["knn-uncertainty", "copy"],
                "variants": {"copy": {"strategy": "same-distribution", "like": "knn-uncertainty"}},
                "rounds": True,
            },
            "in rounds no choice is copied",
        ),
        ({"strategies": ["plan", "knn-uncertainty"]}, r"needs configurations\.one\.plan"),
        (
            {"strategies": ["mine", "random"], "variants": {"mine": {"strategy": "plan"}}},
            r"the strategy mine needs configurations\.one\.plan",
        ),
    ],
)
def test_what_cannot_be_is_told_by_its_key(corpora, tmp_path, changes, said) -> None:
    with pytest.raises(InputError, match=said):
        read_experiment(write_experiment(tmp_path, **changes))


def test_a_start_model_that_was_made_otherwise_is_refused(whole, corpora, tmp_path) -> None:
    out = tmp_path / "other"
    shutil.copytree(whole, out)
    models = told()["models"]
    models["tiny"]["training"]["epochs"] = 3
    try:
        with pytest.raises(UsageError, match=r"models\.tiny was made otherwise"):
            simulate(write_experiment(corpora, models=models), out, workers=1, device="cpu")
    finally:
        write_experiment(corpora)


def test_a_misspelt_preset_of_a_start_model_is_no_reason_to_delete_anything(
    corpora, tmp_path
) -> None:
    models = told()["models"]
    models["tiny"]["training"]["preset"] = "smal"
    try:
        file = write_experiment(corpora, models=models)
        with pytest.raises(UsageError, match="no preset 'smal'") as raised:
            simulate(file, tmp_path / "out", workers=1, device="cpu")
    finally:
        write_experiment(corpora)
    assert "delete" not in raised.value.hint


@pytest.mark.parametrize("more", ["plan", "same-distribution", "best-of-all"])
def test_strategies_that_are_named_besides_are_checked_like_those_of_the_file(
    corpora, more: str
) -> None:
    with pytest.raises(UsageError, match=f"{more} cannot take part"):
        read_experiment(corpora / "miniature.toml", [more])


def test_renamed_rows_have_their_new_name(whole, corpora, tmp_path) -> None:
    out = tmp_path / "renamed"
    shutil.copytree(whole, out)
    try:
        made = simulate(write_experiment(corpora, corpus="other"), out, workers=1, device="cpu")
    finally:
        write_experiment(corpora)
    assert made.made == 0
    assert {row["task"] for row in made.rows} == {"other"}


def test_languages_go_by_the_names_of_the_file_not_of_the_paths(corpora) -> None:
    changes = told(configurations={"one": {"target": ["hindi"]}})
    changes["data"] |= {"names": {"hindi": "hi", "english": "en"}, "without": ["english"]}
    corpus = Corpora(Experiment.model_validate(changes), corpora)
    assert corpus.languages == ("de", "es", "fr", "hindi", "ur")
    assert {one.language for one in corpus.setting("one").source} == {"de", "es", "fr", "ur"}


def test_a_variable_that_is_not_set_is_named(corpora, monkeypatch) -> None:
    monkeypatch.delenv("POLYMUX_NOWHERE", raising=False)
    changes = told()
    changes["data"] |= {"train": "$POLYMUX_NOWHERE/{language}/train.conll"}
    with pytest.raises(InputError, match=r"POLYMUX_NOWHERE is not set"):
        _ = Corpora(Experiment.model_validate(changes), corpora).languages


def test_a_choice_that_no_seed_decides_goes_by_the_first_seed(corpora) -> None:
    experiment = Experiment.model_validate(told(strategies=["random", "knn-uncertainty"]))
    assert experiment.pairs("random", 12) == ((1, 1), (2, 2))
    assert experiment.pairs("knn-uncertainty", 12) == ((1, 1), (1, 2))
    crossed = experiment.model_copy(update={"seeds": "crossed"})
    assert len(crossed.pairs("random", 12)) == 4
    assert crossed.pairs("coverage", 12) == ((1, 1), (1, 2))
    assert len(crossed.pairs("coverage", 1001)) == 4


def test_languages_that_are_not_there_are_told(corpora) -> None:
    wrong = {"one": {"target": ["hi"], "source": ["es", "xx"]}}
    experiment = Experiment.model_validate(told(configurations=wrong))
    with pytest.raises(UsageError, match=r"(?s)names xx.*de, es, fr"):
        Corpora(experiment, corpora).setting("one")


def test_a_misspelt_setting_is_named_before_the_one_that_it_leaves_missing(corpora: Path) -> None:
    without = {name: value for name, value in told().items() if name != "budgets"}
    path = corpora / "misspelt.toml"
    path.write_text(tomli_w.dumps({**without, "budget": [8]}), encoding="utf-8")
    with pytest.raises(InputError, match="budget: there is no such setting") as raised:
        read_experiment(str(path))
    assert "did you mean budgets?" in str(raised.value)


def test_the_strategy_named_before_is_asked_for_only_where_one_is_named(corpora: Path) -> None:
    path = write_experiment(corpora, strategies=["random"])
    assert read_experiment(str(path)).strategies == ("random",)
    path = write_experiment(corpora, strategies=["random"], best="average-dist")
    with pytest.raises(InputError, match="best names average-dist") as raised:
        read_experiment(str(path))
    assert "{" not in str(raised.value)
    write_experiment(corpora)


def test_a_model_that_is_not_there_is_told_before_anything_runs(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = told()["models"]
    models["tiny"]["path"] = "runs/encoder/1"
    path = write_experiment(corpora, models=models)
    try:
        with pytest.raises(InputError, match=r"no model folder /.*runs/encoder/1"):
            planned(path)
        # What lies where somebody stands is not what lies beside the file.
        (tmp_path / "start").mkdir()
        monkeypatch.chdir(tmp_path)
        models["tiny"]["path"] = "start"
        with pytest.raises(InputError, match="relative to the experiment's file"):
            planned(write_experiment(corpora, models=models))
        models["tiny"]["path"] = "FacebookAI/xlm-roberta-base"
        plan = planned(write_experiment(corpora, models=models))
        assert plan["models"] == {"tiny": "FacebookAI/xlm-roberta-base"}
    finally:
        write_experiment(corpora)
