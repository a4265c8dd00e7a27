"""Lines of results as outcomes: what is kept, what is counted, what is refused where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.litmus.formulas import TEXT, lines, write
from tests.experiments.miniature import TASK, write_corpora, write_experiment

from polymux.errors import InputError, UsageError
from polymux.experiments import simulate
from polymux.experiments.litmus.outcomes import Outcome, read_outcomes

HINDI = Outcome("ur", 0.5, {"hi": 3})
UNTOUCHED = Outcome("ur", 0.25, {})


def test_what_was_bought_tested_and_scored_is_read_from_files_and_folders(tmp_path: Path) -> None:
    file = write(tmp_path / "results.jsonl", lines([HINDI, UNTOUCHED]))
    other = write(tmp_path / "more.jsonl", lines([Outcome("ترکی", 1.0, {"=x,\n": 1})]))
    told = read_outcomes([tmp_path, other], TEXT)
    assert told.rows == (HINDI, UNTOUCHED, Outcome("ترکی", 1.0, {"=x,\n": 1}))
    assert told.alike == {"task": TEXT, "model": "m", "metric": "accuracy"}
    assert told.rows[:2] == read_outcomes([file], TEXT).rows


def test_counts_of_zero_are_nothing_bought(tmp_path: Path) -> None:
    file = write(tmp_path / "r.jsonl", lines([Outcome("ur", 0.5, {"hi": 3, "fa": 0})]))
    assert read_outcomes([file], TEXT).rows == (HINDI,)


def test_other_tasks_and_labels_without_languages_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = lines([HINDI]) + lines([HINDI], task="question-answering")
    rows += [
        {**line, "chosen": chosen}
        for line in lines([HINDI])
        for chosen in (None, {}, {"hi": 0}, {"": 3})
    ]
    told = read_outcomes([write(tmp_path / "r.jsonl", rows)], TEXT)
    assert told.rows == (HINDI,)
    assert (told.read, told.other, told.nameless) == (6, 1, 4)


def test_the_kind_of_a_line_decides_where_it_is_told_and_task_names_the_corpus(
    tmp_path: Path,
) -> None:
    rows = lines([HINDI], task="topics", kind=TEXT)
    rows += lines([UNTOUCHED], task=TEXT, kind="token-classification")
    file = write(tmp_path / "r.jsonl", rows)
    told = read_outcomes([file], TEXT)
    assert (told.rows, told.other, told.alike["task"]) == ((HINDI,), 1, "topics")
    assert read_outcomes([file], "token-classification").rows == (UNTOUCHED,)


def test_of_several_corpora_of_one_kind_one_is_kept(tmp_path: Path) -> None:
    rows = lines([HINDI], task="topics", kind=TEXT) + lines([UNTOUCHED], task="tone", kind=TEXT)
    file = write(tmp_path / "r.jsonl", rows)
    with pytest.raises(UsageError, match="of several: task topics, tone"):
        read_outcomes([file], TEXT)
    assert read_outcomes([file], TEXT, {"task": "tone"}).rows == (UNTOUCHED,)


def test_what_a_simulation_writes_is_read(tmp_path: Path) -> None:
    write_corpora(tmp_path)
    experiment = write_experiment(
        tmp_path,
        strategies=["random"],
        best="random",
        choice_seeds=[1],
        train_seeds=[1],
        training={"epochs": 1},
    )
    made = simulate(experiment, tmp_path / "out", workers=1, device="cpu")
    read = read_outcomes(
        [write(tmp_path / "r.jsonl", [r | {"kind": TASK} for r in made.rows])], TASK
    )
    assert [(o.language, o.score, dict(o.chosen)) for o in read.rows] == [
        (row["language"], row["score"], row["chosen"]) for row in made.rows
    ]
    assert (len(read.rows), read.alike["task"]) == (6, "slots")


@pytest.mark.parametrize("name", ["model", "metric"])
def test_several_models_or_metrics_are_refused_until_one_is_named(
    tmp_path: Path, name: str
) -> None:
    rows = lines([HINDI], **{name: "one"}) + lines([UNTOUCHED], **{name: "two"})
    file = write(tmp_path / "r.jsonl", rows)
    with pytest.raises(UsageError, match=f"of several: {name} one, two") as refused:
        read_outcomes([file], TEXT)
    assert f"--only {name}=one" in refused.value.hint
    assert read_outcomes([file], TEXT, {name: "two"}).rows == (UNTOUCHED,)


def test_what_results_cannot_be_told_apart_by_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "r.jsonl", lines([HINDI]))
    with pytest.raises(UsageError, match="told apart by colour"):
        read_outcomes([file], TEXT, {"colour": "red"})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"score": 50}, "score is 50"),
        ({"score": None}, "score is null"),
        ({"score": float("nan")}, "score is NaN"),
        ({"score": True}, "score is true"),
        ({"language": ""}, 'language is ""'),
        ({"labels": -1}, "labels is -1"),
        ({"labels": 1.5}, r"labels is 1\.5"),
        ({"chosen": ["hi"]}, "chosen is .*hi"),
        ({"chosen": {"hi": -3}}, "chosen is .*-3"),
        ({"chosen": {"hi": "3"}}, 'chosen is .*"3"'),
        ({"chosen": 0}, "chosen is 0"),
    ],
)
def test_a_line_that_is_no_result_is_refused_with_its_place(
    tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    rows = [*lines([HINDI]), *({**line, **change} for line in lines([HINDI]))]
    file = write(tmp_path / "results.jsonl", rows)
    with pytest.raises(InputError, match=what) as refused:
        read_outcomes([tmp_path], TEXT)
    assert refused.value.place == f"{file}:2"


@pytest.mark.parametrize("line", ["[1]", "{", "word\tNOUN", "null"])
def test_a_line_that_is_no_object_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(lines([HINDI])[0]) + "\n\n" + line + "\n", "utf-8")
    with pytest.raises(InputError, match="not a result") as refused:
        read_outcomes([file], TEXT)
    assert refused.value.place == f"{file}:3"


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file of results"):
        read_outcomes([tmp_path], TEXT)
    (tmp_path / "r.jsonl").write_bytes(b"\xff{}")
    with pytest.raises(InputError, match="byte 0 is not UTF-8"):
        read_outcomes([tmp_path / "r.jsonl"], TEXT)
