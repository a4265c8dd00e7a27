"""Every text comes back as it was: cased, accents kept, nothing unknown."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.distill.text.tokenizer import KINDS, describe, train_tokenizer
from polymux.errors import UsageError

TEXTS = {
    "hi": "हिन्दी में लिखा हुआ यह वाक्य कहाँ से आया है, कृपया बताइए।",
    "te": "తెలుగు భాషలో రాసిన ఈ వాక్యం ఎక్కడ నుండి వచ్చింది?",
    "vi": "Tiếng Việt có nhiều dấu: ngã, hỏi, nặng, sắc, huyền.",
    "ko": "한국어로 쓴 이 문장은 어디에서 왔습니까?",
    "tr": "İstanbul'da ılık bir gün, çiçekler ve kuşlar ÇOK güzeldi.",
    "ur": "اردو میں لکھا ہوا یہ جملہ کہاں سے آیا ہے؟",
    "el": "Αυτή η πρόταση γράφτηκε στα Ελληνικά, Ώρα 12:30.",
    "ru": "Мой брат живёт в Йошкар-Оле.",
}
HARD = ["  two  spaces ", "tab\tand 👩‍👩‍👧 end", "İıŞş Ǆ", "1234,56", "𓀀 a", "e\u0301"]


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> Any:
    return train_tokenizer(list(TEXTS.values()) * 5, kind=request.param, vocabulary=600, length=64)


@pytest.mark.parametrize("text", [*TEXTS.values(), *HARD])
def test_what_is_encoded_decodes_to_itself(made: Any, text: str) -> None:
    ids = made(text, add_special_tokens=False)["input_ids"]
    assert made.decode(ids) == unicodedata.normalize("NFC", text)
    assert made.unk_token_id not in ids


@given(
    text=st.text(
        st.sampled_from(sorted(set("".join(TEXTS.values())) | set("Qq éñ\u0301"))), min_size=1
    )
)
def test_any_text_of_these_scripts_comes_back(made: Any, text: str) -> None:
    ids = made(text, add_special_tokens=False)["input_ids"]
    assert made.decode(ids) == unicodedata.normalize("NFC", text)


def test_case_and_accents_are_told_apart(made: Any) -> None:
    cut = [tuple(made(text)["input_ids"]) for text in ("Şehir", "şehir", "sehir", "Sehir")]
    assert len(set(cut)) == 4


def test_digits_stand_alone_and_rows_have_their_special_tokens(made: Any) -> None:
    tokens = made.convert_ids_to_tokens(made("x 123")["input_ids"])
    assert tokens[0] == "<s>"
    assert tokens[-1] == "</s>"
    assert not any("12" in token or "23" in token for token in tokens)


def test_words_given_one_by_one_are_cut_as_in_the_text(made: Any) -> None:
    whole = made("Мой брат живёт")["input_ids"]
    assert made(["Мой", "брат", "живёт"], is_split_into_words=True)["input_ids"] == whole


def test_a_description_tells_the_round_trip_and_what_is_written_in_bytes(made: Any) -> None:
    told = describe(made, [TEXTS["hi"], "𓀀"])
    assert told["round_trip"] == 1
    assert told["unknown"] == 0
    assert told["bytes"] > 0


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match="no room"):
        train_tokenizer(["a"], kind="bpe", vocabulary=200, length=8)
