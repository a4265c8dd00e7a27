"""Choices made with options that change how they are found are verified like all others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

import polymux as pm
from polymux.folders import write_texts
from polymux.prescribe import select_many
from polymux.prescribe.summary import summary_files

TASK = "token-classification"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    # A screen's bound holds with a confidence, so its world is the same each time: WordPiece, which
    # the other tests' models have, is trained to another vocabulary by each process.
    folder = tiny_model(tmp_path_factory.mktemp("model"), kind="roberta")
    return pm.Model(folder, task=TASK, device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ud")
    for language, count in (("en", 90), ("de", 80), ("hi", 70), ("ur", 30), ("zh", 40)):
        write_conllu(folder, language, count)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"prefilter": 60, "prefilter_sample": 0},
        {"prefilter": 60, "prefilter_sample": 50, "exclude_target": True},
        {"screen": "bfloat16"},
        {"screen": "bfloat16", "screen_only": True},
        {"screen": "int8"},
        {"screen": "int8", "screen_only": True},
        {"store_dtype": "float16"},
        {"prefilter": 120, "prefilter_sample": 0, "screen": "bfloat16"},
    ],
    ids=str,
)
def test_it_is_the_same_up_to_a_tie(model, files: Path, tmp_path: Path, options) -> None:
    source = pm.read(
        *(files / name / "train.conllu" for name in ("en", "de", "hi")),
        task=TASK,
        language="folder",
    )
    target = pm.read(files / "ur" / "train.conllu", task=TASK, name="target")
    gold = pm.read(files / "zh" / "train.conllu", task=TASK, name="gold")
    made = select_many(
        model, source, target, budgets=[15], gold=gold,
        strategies=["average-dist", "knn-uncertainty", "uncertainty", "random", "gold"], **options,
    )  # fmt: skip
    write_texts(tmp_path / "out", summary_files(made), force=False)
    verdict = pm.verify(tmp_path / "out")
    assert len(verdict.choices) == 5
    for choice in verdict.choices:
        assert choice.differences == (), (choice.strategy, choice.differences)
        drawn = choice.strategy in ("random", "gold")
        assert choice.verdict == "the same" or not drawn


def test_gold_from_the_source_itself_leaves_the_other_strategies_theirs(model, files: Path) -> None:
    source = pm.read(files / "en" / "train.conllu", task=TASK, language="folder")
    target = pm.read(files / "ur" / "train.conllu", task=TASK, name="target")
    made = select_many(
        model, source, target, budgets=[5], strategies=["random", "gold"], gold=source
    )
    assert set(made) == {("random", 5), ("gold", 5)}


def test_a_screen_that_decides_nothing_may_choose_fewer_than_asked(model, files: Path) -> None:
    source = pm.read(files / "en" / "train.conllu", task=TASK, language="folder")
    target = pm.read(files / "ur" / "train.conllu", task=TASK, name="target")
    made = select_many(
        model, source, target, budgets=[80], strategies=["average-dist"], near_duplicates=4.0,
        screen="bfloat16", screen_only=True,
    )  # fmt: skip
    assert len(made["average-dist", 80]) < 80
