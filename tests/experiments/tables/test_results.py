"""Reading results: what is there is taken, what is wrong is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.experiments.tables.worlds import write

from polymux.errors import InputError
from polymux.experiments.tables.results import read
from polymux.experiments.tables.rows import NO_SEED, UNTOLD

ROW = {
    "experiment": "e",
    "model": "m",
    "task": "udpos",
    "config": "LP",
    "setting": "rounds",
    "strategy": "random",
    "choice_seed": 2,
    "train_seed": 3,
    "budget": 100,
    "round": 1,
    "language": "ur",
    "metric": "accuracy",
    "score": 0.5,
    "chosen": {"hi": 60},
}


def lines(tmp_path: Path, *rows: object) -> Path:
    file = tmp_path / "results.jsonl"
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "theirs.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_row_is_taken_as_it_is(tmp_path: Path) -> None:
    file = lines(tmp_path, ROW | {"counts": "counts/a.npz"}, "")
    (row,) = read([file]).rows
    told = {name: getattr(row, name) for name in ROW}
    assert told == ROW
    assert row.counts == tmp_path / "counts/a.npz"
    assert (row.file, row.line) == (str(file), 1)


def test_a_folder_stands_for_its_results_and_the_same_row_twice_for_one(tmp_path: Path) -> None:
    lines(tmp_path, ROW, ROW)
    assert len(read([tmp_path, tmp_path]).rows) == 1


def test_what_was_never_drawn_has_no_seed(tmp_path: Path) -> None:
    start = ROW | {"strategy": "untouched", "choice_seed": None, "train_seed": None}
    (row,) = read([lines(tmp_path, start)]).rows
    assert (row.choice_seed, row.train_seed) == (NO_SEED, NO_SEED)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"score": 35.1}, "score is 35.1"),
        ({"score": "0.5"}, 'score is "0.5"'),
        ({"score": True}, "score is true"),
        ({"budget": -1}, "budget is -1"),
        ({"budget": 1.5}, "budget is 1.5"),
        ({"strategy": ""}, 'strategy is ""'),
        ({"choice_seed": "2"}, 'choice_seed is "2"'),
        ({"chosen": {"hi": "60"}}, "chosen is"),
        ({"chosen": {"hi": True}}, "chosen is"),
        ({"chosen": {"hi": -1}}, "chosen is"),
        ({"chosen": []}, "chosen is"),
        ({"counts": 3}, "counts is 3"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_its_line(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said) as error:
        read([lines(tmp_path, ROW, ROW | {"language": "hi"} | wrong)])
    assert error.value.line == 2


@pytest.mark.parametrize("name", ["model", "task", "config", "setting", "language", "score"])
def test_a_field_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is missing|score is missing"):
        read([lines(tmp_path, {k: v for k, v in ROW.items() if k != name})])


@pytest.mark.parametrize("line", ['{"score": 0.', "[1]", "nothing"])
def test_a_line_that_is_no_object_is_told(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="not a result") as error:
        read([lines(tmp_path, ROW, line)])
    assert error.value.line == 2


def test_two_scores_of_one_training_are_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0\.6 here, 0\.5 at .*results.jsonl:1") as error:
        read([lines(tmp_path, ROW, ROW | {"score": 0.6})])
    assert error.value.line == 2


def test_no_file_and_an_empty_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read([tmp_path / "no.jsonl"])
    with pytest.raises(InputError, match="no results in it"):
        read([lines(tmp_path)])


def test_a_table_with_two_columns_is_enough_and_what_it_lacks_is_told(tmp_path: Path) -> None:
    found = read([table(tmp_path, "strategy,score\nEN-FT,35.5\nrandom,40\n")])
    untouched, random = found.rows
    assert (untouched.strategy, untouched.score) == ("untouched", 0.355)
    assert (random.score, random.model, random.budget) == (0.4, UNTOLD, 0)
    said = " ".join(found.notes)
    assert "points of 100" in said
    assert "does not tell model, task, config, setting, language, budget, seed, round" in said
    assert "intervals over them cannot be given" in said


def test_a_name_keeps_its_spelling_unless_it_is_another_one_here(tmp_path: Path) -> None:
    given = ("MyName", "EN-FT", "Rand", "KNN-Uncertainty", "Gold", "İKİ", "egalitarian")
    found = read([table(tmp_path, "\n".join(["strategy,score", *(f"{n},40" for n in given)]))])
    assert [row.strategy for row in found.rows] == [
        *("MyName", "untouched", "random", "knn-uncertainty", "gold", "İKİ", "egalitarian")
    ]
    assert found.notes[-1] == (
        "theirs.csv: strategies were read under other names: EN-FT as untouched, Rand as random, "
        "KNN-Uncertainty as knn-uncertainty, Gold as gold."
    )


def test_nothing_is_said_of_names_that_were_kept(tmp_path: Path) -> None:
    found = read([table(tmp_path, "strategy,score\nrandom,40\nMyName,45\n")])
    assert not [note for note in found.notes if "names" in note]


def test_a_whole_table_is_read_by_its_header_in_any_order(tmp_path: Path) -> None:
    head = "score,Language,seed,budget,setting,config,task,model,strategy,round,mine"
    found = read([table(tmp_path, f'{head}\n0.5,ur,2,100,rounds,LP,ner,"a, b",gold,3,x\n')])
    (row,) = found.rows
    assert (row.score, row.language, row.choice_seed, row.budget) == (0.5, "ur", 2, 100)
    assert (row.config, row.task, row.model, row.strategy, row.round) == (
        *("LP", "ner", "a, b", "gold", 3),
    )
    assert "shares of 1" in found.notes[0]
    assert "columns not read: mine" in found.notes[-1]


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("model,score\nm,1\n", "no column strategy", 1),
        ("", "no column strategy", 1),
        ('"strategy,score\n', "not a table", 1),
        ("strategy,score,score\na,1,1\n", "two columns score", 1),
        ("strategy,score\nrandom,\n", "score is ''", 2),
        ("strategy,score\nrandom,1\nrandom,101\n", "score is '101'", 3),
        ("strategy,score\nrandom,nan\n", "score is 'nan'", 2),
        ("strategy,score\nrandom,40,1\n", "more or fewer cells", 2),
        ("strategy,score\nrandom\n", "more or fewer cells", 2),
        ("strategy,score\n,40\n", "strategy is empty", 2),
        ("strategy,score,budget\nrandom,40,ten\n", "budget is 'ten'", 2),
        pytest.param(
            f"strategy,score,budget\nrandom,40,{'1' * 5000}\n", "budget is '111", 2, id="digits"
        ),
        ('strategy,score\n"random"x,40\n', "not a table", 2),
        ("strategy,score\nrandom,40\nrandom,41\n", "two scores", 3),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, text: str, said: str, line: int
) -> None:
    with pytest.raises(InputError, match=said) as error:
        read([table(tmp_path, text)])
    assert error.value.line == line
    assert error.value.hint


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / name).write_bytes(b"strategy,score\nr\xffndom,1\n")
        with pytest.raises(InputError, match="byte 16 is not UTF-8"):
            read([tmp_path / name])


def test_what_a_simulation_writes_is_read_whole(tmp_path: Path) -> None:
    found = read([write(tmp_path / "world")])
    # Three languages untouched; four strategies, three budgets, three seeds in each.
    assert len(found.rows) == 3 + 3 * 4 * 3 * 3
    assert found.notes == []
