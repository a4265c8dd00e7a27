"""Texts and pairs: what is cut, which position stands for the whole, labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models import DECODERS, ENCODERS, KINDS, tiny_tokenizer

from polymux.errors import InputError
from polymux.records import Example
from polymux.tasks import text

TOKENIZERS = {kind: tiny_tokenizer(kind) for kind in KINDS}
LABELS = ("no", "yes", "maybe")


def one(body: str, pair: str | None = None, label: str | None = None) -> Example:
    fields = {"text": body} if pair is None else {"text": body, "text_pair": pair}
    return Example("f#1", "f.tsv", 1, fields, label=label)


@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(0, 40), st.integers(8, 60))
def test_rows_equal_a_plain_call_of_the_tokenizer(
    kind: str, first: int, second: int, max_length: int
) -> None:
    tokenizer = TOKENIZERS[kind]
    body, pair = " ".join(["fox"] * first), " ".join(["Köln"] * second) if second else None
    (feature,) = text.prepare([one(body, pair)], tokenizer, max_length=max_length)
    plain = tokenizer(body, pair, truncation=True, max_length=max_length)
    assert list(feature.input_ids) == plain["input_ids"]
    if feature.type_ids is not None:
        assert list(feature.type_ids) == plain["token_type_ids"]
    whole = tokenizer(body, pair)["input_ids"]
    assert feature.lost == len(whole) - len(feature.input_ids)


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_first_position_stands_for_the_text(kind: str) -> None:
    (feature,) = text.prepare([one("the fox")], TOKENIZERS[kind], max_length=50)
    assert feature.embed_at == feature.logits_at == (0,)


@pytest.mark.parametrize("kind", DECODERS)
def test_the_last_token_stands_for_the_text_of_a_decoder(kind: str) -> None:
    (feature,) = text.prepare([one("the fox")], TOKENIZERS[kind], max_length=50, pooled="last")
    assert feature.embed_at == feature.logits_at == (len(feature.input_ids) - 1,)


def test_a_padding_token_at_the_end_is_not_the_last_token() -> None:
    tokenizer = tiny_tokenizer("llama")
    tokenizer.pad_token = tokenizer.eos_token
    (feature,) = text.prepare([one("the fox</s></s>")], tokenizer, max_length=50, pooled="last")
    assert feature.input_ids[-2:] == (tokenizer.eos_token_id,) * 2
    assert feature.embed_at == (len(feature.input_ids) - 3,)


def test_a_text_that_gives_no_token_is_named() -> None:
    with pytest.raises(InputError, match=r"f\.tsv:1: the tokenizer makes nothing of this text"):
        text.prepare([one("")], TOKENIZERS["gpt2"], max_length=50)


def test_pairs_and_single_texts_may_be_mixed() -> None:
    tokenizer = TOKENIZERS["bert"]
    examples = [one("the fox"), one("the fox", "old dog"), one("house")]
    features = text.prepare(examples, tokenizer, max_length=50)
    for example, feature in zip(examples, features, strict=True):
        (alone,) = text.prepare([example], tokenizer, max_length=50)
        assert feature.input_ids == alone.input_ids
        assert feature.type_ids == alone.type_ids


def test_gold_is_the_number_of_the_label() -> None:
    examples = [one("a fox", label="maybe"), one("a fox")]
    features = text.prepare(examples, TOKENIZERS["bert"], max_length=50)
    assert [g.tolist() for g in text.gold(examples, features, LABELS)] == [[2], [-100]]
    with pytest.raises(InputError, match=r"f\.tsv:1: .*label perhaps\n.*no, yes, maybe"):
        text.gold([one("a", label="perhaps")], features[:1], LABELS)


def test_predictions_are_the_likeliest_labels_with_their_probability() -> None:
    logits = np.log(np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]], dtype=np.float32))
    told = text.predict([one("a"), one("b")], [], logits, LABELS)
    assert told == [{"label": "yes", "score": 0.7}, {"label": "no", "score": 0.5}]
    assert text.score(["yes", "yes"], told)["accuracy"] == 0.5
