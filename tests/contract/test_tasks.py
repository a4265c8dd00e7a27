"""What every task and every uncertainty measure promises; a new one joins by its table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoders.worlds import world
from tests.models import KINDS, LABELS, tiny_tokenizer

from polymux.errors import UsageError
from polymux.records import FIELDS, LABEL_FIELD
from polymux.tasks import TASKS, Task, measures, task_named
from polymux.tasks.probability import (
    Distributions,
    log_softmax,
    segment_log_softmax,
)

TOKENIZERS = {kind: tiny_tokenizer(kind) for kind in KINDS}
CASES = [(task, name) for task in TASKS for name in TASKS[task].MEASURES]
# Measures of a whole distribution, or of its two best: the release's and log margins among them.
GOLD: dict[str, Any] = {
    "token-classification": ("O", "B-PER"),
    "text-classification": "neutral",
    "question-answering": {"text": ["fox"], "answer_start": [4]},
}


def distributions(task: str, logits: np.ndarray) -> Distributions:
    """One unit a call: words x classes, one text x classes, or positions x (start, end)."""
    rows = len(logits)
    starts = np.arange(rows) if task == "text-classification" else np.array([0])
    log_p = (
        segment_log_softmax(logits, starts) if task == "question-answering" else log_softmax(logits)
    )
    return Distributions(log_p, starts, np.zeros(rows, dtype=int), np.ones(rows, dtype=bool))


def measure(task: str, name: str, logits: np.ndarray) -> np.ndarray:
    return TASKS[task].MEASURES[name](distributions(task, logits.astype(np.float32)))


def shaped(task: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = 1 if task == "text-classification" else int(rng.integers(2, 9))
    columns = 2 if task == "question-answering" else int(rng.integers(2, 6))
    return rng.normal(size=(rows, columns)) * rng.choice([0.1, 1, 5])


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_one_and_names_the_papers_measure_first(task: str) -> None:
    assert isinstance(TASKS[task], Task)
    assert set(TASKS) == set(FIELDS) == set(LABEL_FIELD)
    assert measures(task)[0] == TASKS[task].DEFAULT_MEASURE
    assert sorted(measures(task)) == sorted(TASKS[task].MEASURES)


def test_the_names_of_the_method_are_there() -> None:
    assert {task: set(measures(task)) for task in TASKS} == {
        "token-classification": {
            "margin-min",
            "margin-mean",
            "margin-max",
            "mnlp",
            "entropy-mean",
            "entropy-max",
            "least-confidence-mean",
            "log-margin-min",
        },
        "text-classification": {"margin", "log-margin", "entropy", "least-confidence"},
        "question-answering": {"span-prob", "span-joint", "span-margin", "entropy"},
    }
    assert [TASKS[t].DEFAULT_MEASURE for t in TASKS] == ["margin-min", "margin", "span-prob"]


def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="token-classification, text-classification"):
        task_named("pos")


@pytest.mark.parametrize(("task", "name"), CASES)
@given(seed=st.integers(0, 2**32), sharper=st.floats(1, 5))
def test_a_sharper_distribution_is_never_less_sure(
    task: str, name: str, seed: int, sharper: float
) -> None:
    logits = shaped(task, seed)
    before, after = measure(task, name, logits), measure(task, name, logits * sharper)
    if name == "span-joint":
        # The best valid span may be an unlikely one: sharpen towards it.
        start, end = logits[:, 0].copy(), logits[:, 1].copy()
        start[0], end[-1] = start.max() + 1, end.max() + 1
        logits = np.stack([start, end], axis=1)
        before, after = measure(task, name, logits), measure(task, name, logits * sharper)
    assert (after <= before + 1e-6).all()


@pytest.mark.parametrize(("task", "name"), CASES)
def test_a_coin_toss_is_less_sure_than_certainty(task: str, name: str) -> None:
    rows = 1 if task == "text-classification" else 4
    toss = np.zeros((rows, 2))
    sure = np.zeros((rows, 2))
    sure[0 if task == "question-answering" else slice(None), 0] = 9
    sure[0, 1] = 9 if task == "question-answering" else 0
    assert measure(task, name, toss)[0] > measure(task, name, sure)[0]


@pytest.mark.parametrize(("task", "name"), CASES)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_classes_and_words_changes_nothing(task: str, name: str, seed: int) -> None:
    if name == "span-joint":  # a span has a direction
        return
    logits = shaped(task, seed)
    rng = np.random.default_rng(seed)
    mixed = logits[rng.permutation(len(logits))][:, rng.permutation(logits.shape[1])]
    np.testing.assert_allclose(
        measure(task, name, mixed), measure(task, name, logits), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("task", "name"), CASES)
@given(seed=st.integers(0, 2**32), shift=st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_nothing(
    task: str, name: str, seed: int, shift: float
) -> None:
    logits = shaped(task, seed).round(2)
    np.testing.assert_allclose(
        measure(task, name, logits + round(shift)), measure(task, name, logits), atol=2e-5
    )


@pytest.mark.parametrize(("task", "name"), CASES)
def test_d7_an_exact_tie_is_finite_and_the_least_sure_margin(task: str, name: str) -> None:
    rows = 1 if task == "text-classification" else 3
    tie, extreme = np.zeros((rows, 3)), np.zeros((rows, 3))
    extreme[:, 0] = 1e4
    for logits in (tie, extreme):
        if task == "question-answering":
            logits = logits[:, :2]
        assert np.isfinite(measure(task, name, logits)).all()
    if "margin" in name and task != "question-answering":
        assert measure(task, name, tie)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_rows_are_what_they_say(task: str, kind: str) -> None:
    examples = world(task, 16)
    for windows in (False, True):
        features = TASKS[task].prepare(
            examples, TOKENIZERS[kind], max_length=64, stride=16, windows=windows
        )
        assert sorted({f.example for f in features}) == list(range(16))
        assert [f.example for f in features] == sorted(f.example for f in features)
        for feature in features:
            length = len(feature.input_ids)
            assert 0 < length <= 64
            assert len(feature.align) == len(feature.logits_at)
            assert sorted(set(feature.logits_at)) == list(feature.logits_at)
            assert feature.embed_at
            assert max(feature.embed_at + feature.logits_at) < length
            assert feature.lost >= 0
            assert feature.type_ids is None or len(feature.type_ids) == length


@pytest.mark.parametrize("task", TASKS)
def test_d9_no_label_and_no_language_enters_rows_numbers_or_predictions(task: str) -> None:
    bare = world(task, 8)
    told = [replace(e, label=GOLD[task], language="xx", extra={"text": "other"}) for e in bare]
    module, labels = TASKS[task], LABELS[task]
    features = module.prepare(bare, TOKENIZERS["bert"], max_length=64)
    assert module.prepare(told, TOKENIZERS["bert"], max_length=64) == features
    rng = np.random.default_rng(0)
    positions = sum(len(f.logits_at) for f in features)
    logits = rng.normal(size=(positions, len(labels) or 2)).astype(np.float32)
    means = rng.normal(size=(len(features), 4)).astype(np.float32)
    one = module.summarise(bare, features, means, logits, labels)
    other = module.summarise(told, features, means, logits, labels)
    assert (one[0] == other[0]).all()
    assert one[2] == other[2]
    for name in module.MEASURES:
        assert (one[1][name] == other[1][name]).all()


@pytest.mark.parametrize("task", TASKS)
def test_predictions_scored_against_themselves_are_perfect(task: str) -> None:
    examples = world(task, 8)
    module, labels = TASKS[task], LABELS[task]
    features = module.prepare(examples, TOKENIZERS["bert"], max_length=256, windows=True)
    positions = sum(len(f.logits_at) for f in features)
    logits = np.random.default_rng(1).normal(size=(positions, len(labels) or 2)) * 5
    told = module.predict(examples, features, logits.astype(np.float32), labels)
    gold = [t[LABEL_FIELD[task]] for t in told]
    if task == "token-classification":
        gold = [tuple(labels) for labels in gold]
    scores = module.score(gold, told)
    assert next(iter(scores.values())) == 1.0
    assert all(0 <= value <= 1 for value in scores.values())
    assert all("score" in t or len(t["scores"]) == len(t["labels"]) for t in told)
