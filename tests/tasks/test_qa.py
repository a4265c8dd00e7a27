"""Questions: windows, spans, and uncertainty that no padding and no further window lowers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.models import KINDS, tiny_tokenizer

from polymux.errors import InputError, UsageError
from polymux.records import Example
from polymux.tasks import qa
from polymux.tasks.feature import Feature

TOKENIZERS = {kind: tiny_tokenizer(kind) for kind in KINDS}
CONTEXT = " ".join(["the old house by the river", "мой брат живёт", "niño come manzana"] * 6)


def asked(context: str, question: str = "where ?", label: Any = None) -> Example:
    return Example("f#1", "f.json", 1, {"question": question, "context": context}, label=label)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("max_length", "stride"), [(60, 0), (60, 20), (90, 30), (4000, 128)])
def test_windows_equal_a_plain_call_of_the_tokenizer(
    kind: str, max_length: int, stride: int
) -> None:
    tokenizer = TOKENIZERS[kind]
    features = qa.prepare([asked(CONTEXT)], tokenizer, max_length=max_length, stride=stride)
    plain = tokenizer(
        "where ?",
        CONTEXT,
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert [list(f.input_ids) for f in features] == plain["input_ids"]
    for i, feature in enumerate(features):
        sequence = plain.sequence_ids(i)
        expected = [
            place if s == 1 else None
            for place, s in zip(plain["offset_mapping"][i], sequence, strict=True)
        ]
        assert list(feature.align) == expected
        assert feature.logits_at == tuple(range(len(feature.input_ids)))
        if feature.type_ids is not None:
            assert list(feature.type_ids) == plain["token_type_ids"][i]
        assert feature.lost == 0


@pytest.mark.parametrize("context", ["", "   ", "\u200d\u200b"])
def test_d26_an_empty_context_is_named(context: str) -> None:
    with pytest.raises(InputError, match=r"f\.json:1: the context is empty"):
        qa.prepare([asked(context)], TOKENIZERS["bert"], max_length=60)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [10, 40, 300])
def test_d26_a_question_longer_than_the_model_reads_loses_its_end(kind: str, words: int) -> None:
    question = " ".join(["where is the old house"] * words)
    features = qa.prepare([asked(CONTEXT, question)], TOKENIZERS[kind], max_length=60, stride=128)
    asked_ids = TOKENIZERS[kind](question, add_special_tokens=False)["input_ids"]
    kept = sum(place is None for place in features[0].align)
    assert features[0].lost > 0
    assert all(f.lost == 0 for f in features[1:])
    assert len(asked_ids) - features[0].lost <= kept <= 60 // 2 + 4
    places = [place for f in features for place in f.align if place is not None]
    assert max(end for _, end in places) == len(CONTEXT)
    assert len(features) < 60, "windows hardly move"


def test_a_short_context_leaves_its_room_to_the_question() -> None:
    tokenizer = TOKENIZERS["bert"]
    question = " ".join(["where"] * 30)
    (feature,) = qa.prepare([asked("old fox", question)], tokenizer, max_length=60)
    plain = tokenizer(question, "old fox")["input_ids"]
    if len(plain) <= 60:
        assert list(feature.input_ids) == plain
        assert feature.lost == 0
    assert len(feature.input_ids) == min(60, len(plain))


# Uncertainty, on rows made by hand: a window is (question positions, context positions).


def row(example: int, question: int, context: int, first_char: int = 0) -> Feature:
    size = question + context
    align = (None,) * question + tuple((first_char + i, first_char + i + 1) for i in range(context))
    return Feature(example, tuple(range(size)), None, (0,), tuple(range(size)), align, 0)


def unsure(
    features: list[Feature], logits: np.ndarray, aggregate: str = "joint"
) -> dict[str, np.ndarray]:
    examples = [asked("x" * 400)] * (1 + max(f.example for f in features))
    means = np.zeros((len(features), 2), dtype=np.float32)
    return qa.summarise(
        examples, features, means, logits.astype(np.float32), (), aggregate=aggregate
    )[1]


def test_hand_sized_uncertainty() -> None:
    start, end = np.log([0.7, 0.2, 0.1]), np.log([0.1, 0.3, 0.6])
    logits = np.concatenate([[[9, 9]], np.stack([start, end], axis=1)])
    told = unsure([row(0, 1, 3)], logits)
    assert told["span-prob"][0] == pytest.approx(-np.log(0.7) - np.log(0.6), abs=1e-6)
    assert told["span-joint"][0] == pytest.approx(-np.log(0.7) - np.log(0.6), abs=1e-6)
    assert told["span-margin"][0] == pytest.approx(-(0.5 + 0.3), abs=1e-6)
    assert told["entropy"][0] == pytest.approx((0.8018186 + 0.8979457) / 2, abs=1e-6)


def test_span_joint_wants_a_start_before_its_end() -> None:
    start, end = np.log([0.1, 0.9]), np.log([0.8, 0.2])
    told = unsure([row(0, 0, 2)], np.stack([start, end], axis=1))
    assert told["span-prob"][0] == pytest.approx(-np.log(0.9) - np.log(0.8), abs=1e-6)
    assert told["span-joint"][0] == pytest.approx(-np.log(0.9) - np.log(0.2), abs=1e-6)


def test_d7_two_equal_best_positions_have_no_margin() -> None:
    told = unsure([row(0, 0, 3)], np.array([[2.5, 0.0], [2.5, 0.0], [1.0, 0.0]]))
    assert told["span-margin"][0] == 0


@pytest.mark.parametrize("aggregate", ["joint", "mean", "worst"])
def test_d6_question_special_tokens_and_padding_change_nothing(aggregate: str) -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(5, 2))
    bare = unsure([row(0, 0, 5)], context, aggregate)
    framed = unsure([row(0, 3, 5)], np.concatenate([np.full((3, 2), 8.0), context]), aggregate)
    for name in qa.MEASURES:
        assert framed[name] == pytest.approx(bare[name], abs=1e-6), name


def test_d6_a_window_without_an_answer_hides_a_hard_one_only_in_the_released_reading() -> None:
    """One window is hard (-6), the other points at its first token with certainty (-0.01)."""
    hard = np.zeros((21, 2))
    hard[0] = -20
    sure_of_nothing = np.full((21, 2), -8.0)
    sure_of_nothing[0] = 8
    easy = np.zeros((21, 2))
    easy[3] = 3
    features = [row(0, 1, 20), row(0, 1, 20, 20), row(1, 1, 20)]
    logits = np.concatenate([hard, sure_of_nothing, easy])
    released = unsure(features, logits, "surest")["span-prob"]
    assert released[0] < 0.02
    assert released[0] < released[1]
    for aggregate in ("joint", "worst"):
        told = unsure(features, logits, aggregate)["span-prob"]
        assert told[0] > told[1], aggregate


logit = st.floats(-8, 8, width=32)
windows = st.lists(st.tuples(logit, logit), min_size=2, max_size=8)


@given(st.lists(windows, min_size=1, max_size=3), windows)
def test_a_further_window_without_the_answer_never_makes_an_example_surer(
    there: list[Any], further: Any
) -> None:
    top = np.concatenate([np.array(w) for w in there]).max(axis=0)
    extra = np.minimum(np.array(further), top)
    features = [row(0, 0, len(w), 10 * i) for i, w in enumerate(there)]
    logits = np.concatenate([np.array(w) for w in there])
    before = unsure(features, logits)
    after = unsure([*features, row(0, 0, len(extra), 90)], np.concatenate([logits, extra]))
    for name in ("span-prob", "span-margin"):
        assert after[name][0] >= before[name][0] - 1e-6, name
    best_before, best_after = (
        max(e[i, 0] + e[j, 1] for e in w for i in range(len(e)) for j in range(i, len(e)))
        for w in ([np.array(w) for w in there], [extra])
    )
    if best_after <= best_before:
        assert after["span-joint"][0] >= before["span-joint"][0] - 1e-6
    worst = [
        unsure(f, x, "worst")["span-prob"][0]
        for f, x in (
            (features, logits),
            ([*features, row(0, 0, len(extra), 90)], np.concatenate([logits, extra])),
        )
    ]
    assert worst[1] >= worst[0]


def test_a_position_in_two_windows_counts_in_each() -> None:
    logits = np.array([[1.0, 1.0], [0.0, 0.0]])
    once = unsure([row(0, 0, 2)], logits)
    twice = unsure([row(0, 0, 2), row(0, 0, 2)], np.concatenate([logits, logits]))
    assert twice["span-prob"][0] == pytest.approx(once["span-prob"][0] + 2 * np.log(2), abs=1e-6)


def test_the_embedding_is_the_mean_over_windows() -> None:
    features = [row(0, 0, 2), row(0, 0, 2), row(1, 0, 2)]
    means = np.array([[1, 3], [3, 5], [7, 7]], dtype=np.float32)
    embeddings, _, _ = qa.summarise(
        [asked("x" * 9)] * 2, features, means, np.zeros((6, 2), dtype=np.float32), ()
    )
    assert embeddings.tolist() == [[2, 4], [7, 7]]


def test_an_unknown_way_to_put_windows_together_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'best'.*\n.*joint, surest, mean, worst"):
        unsure([row(0, 0, 2)], np.zeros((2, 2)), "best")


# Decoding.


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_text_of_the_best_span(kind: str) -> None:
    context = "the old house by the river , niño come una manzana roja"
    answer = "una manzana"
    begin = context.index(answer)
    label = {"text": [answer], "answer_start": [begin]}
    example = asked(context, label=label)
    features = qa.prepare([example], TOKENIZERS[kind], max_length=40, stride=10)
    gold = qa.gold([example], features, ())
    logits = np.zeros((sum(len(f.logits_at) for f in features), 2), dtype=np.float32)
    offset = 0
    for feature, (start, end) in zip(features, gold, strict=True):
        if (start, end) != (0, 0):
            logits[offset + start, 0] = logits[offset + end, 1] = 20
        offset += len(feature.logits_at)
    (told,) = qa.predict([example], features, logits, ())
    assert told["answers"] == label
    assert qa.score([label], [told]) == {"f1": 1.0, "exact_match": 1.0}


def test_no_answer_lies_in_the_question_or_runs_backwards() -> None:
    logits = np.array([[9, 9], [0, 5], [5, 0], [1, 1]], dtype=np.float32)
    (told,) = qa.predict([asked("abc")], [row(0, 1, 3)], logits, ())
    p = np.exp(logits[1:]) / np.exp(logits[1:]).sum(axis=0)
    assert told["score"] == pytest.approx(p[1, 0] * p[2, 1], abs=1e-4)
    assert told["answers"] == {"text": ["bc"], "answer_start": [1]}


# Gold.


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_gold_positions_cover_the_answer_where_it_stands(kind: str, data: st.DataObject) -> None:
    words = CONTEXT.split(" ")
    i = data.draw(st.integers(0, len(words) - 1))
    j = data.draw(st.integers(i, min(i + 4, len(words) - 1)))
    answer = " ".join(words[i : j + 1])
    begin = len(" ".join(words[:i])) + (i > 0)
    assume(CONTEXT[begin : begin + len(answer)] == answer)
    example = asked(CONTEXT, label={"text": [answer], "answer_start": [begin]})
    features = qa.prepare([example], TOKENIZERS[kind], max_length=60, stride=25)
    gold = qa.gold([example], features, ())
    held = 0
    for feature, (start, end) in zip(features, gold, strict=True):
        if (start, end) == (0, 0):
            continue
        held += 1
        text = CONTEXT[feature.align[start][0] : feature.align[end][1]]
        assert text.strip() == answer
    places = [[p for p in f.align if p is not None] for f in features]
    whole = sum(p[0][0] <= begin and p[-1][1] >= begin + len(answer) for p in places)
    assert held == whole


def test_a_wrong_answer_start_is_mended_to_the_nearest_place() -> None:
    context = "fox dog fox dog"
    examples = [
        asked(context, label={"text": ["dog"], "answer_start": [at]}) for at in (0, 5, 11, 99)
    ]
    features = qa.prepare(examples, TOKENIZERS["bert"], max_length=60)
    starts = [
        features[i].align[int(start)][0]
        for i, (start, _) in enumerate(qa.gold(examples, features, ()))
    ]
    assert starts == [4, 4, 12, 12]


def test_unanswerable_points_at_the_first_position_and_unlabelled_nowhere() -> None:
    examples = [asked("fox dog", label={"text": [], "answer_start": []}), asked("fox dog")]
    features = qa.prepare(examples, TOKENIZERS["bert"], max_length=60)
    gold = [g.tolist() for g in qa.gold(examples, features, ())]
    assert gold == [[0, 0], [-100, -100]]


def test_an_answer_that_is_nowhere_is_named() -> None:
    example = asked("fox dog", label={"text": ["cat"], "answer_start": [0]})
    features = qa.prepare([example], TOKENIZERS["bert"], max_length=60)
    with pytest.raises(InputError, match=r"f\.json:1: the answer 'cat' is not in the context"):
        qa.gold([example], features, ())
