"""Every text comes back as it was: cased, accents kept, nothing unknown."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.distill.text.tokenizer import (
    CLS,
    KINDS,
    MASK,
    PAD,
    SEP,
    SPACE,
    SPECIALS,
    UNK,
    describe,
    train_tokenizer,
)

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
SENTENCES = {
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "te": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar; IŞIK, ışık, İ, i.",
    "ur": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "emoji": "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇮🇳 1️⃣ ok",
    "joiners": "क्‍ष क्‌ष می‌روم \u200eab\u200f",
    "breaks": "one\u00a0two\u3000three\tfour\u2009five",
    "outside": "   lead and trail   ",
    "only spaces": "   ",
    "one space": " ",
    "nothing": "",
    "bytes by name": "<0x41> <0xE2>",
    "control": "a\x00b\x7f",
    "decomposed": "Tie\u0302\u0301ng Vie\u0323\u0302t \u1112\u1161\u11ab",
}
# Every script of the sentences, and what stands between words there.
SCRIPTS = {
    "hi": (0x0900, 0x097F), "te": (0x0C00, 0x0C7F), "vi": (0x1EA0, 0x1EF9), "ko": (0xAC00, 0xD7A3),
    "tr": (0x00C0, 0x017F), "ur": (0x0600, 0x06FF), "el": (0x0370, 0x03FF),
}  # fmt: skip
BETWEEN = " .,!?'\"()-0123456789aZ\u0301\u0323\u200c\u200d"
HARD = ["  two  spaces ", "tab\tand 👩‍👩‍👧 end", "İıŞş Ǆ", "1234,56", "𓀀 a", "e\u0301"]


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> Any:
    return train_tokenizer(list(TEXTS.values()) * 5, kind=request.param, vocabulary=600, length=64)


@pytest.mark.parametrize("text", [*TEXTS.values(), *SENTENCES.values(), *HARD])
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


@given(text=st.data(), script=st.sampled_from(sorted(SCRIPTS)))
def test_any_character_of_a_script_comes_back_also_one_never_trained_on(
    made: Any, text: st.DataObject, script: str
) -> None:
    low, high = SCRIPTS[script]
    letters = st.characters(min_codepoint=low, max_codepoint=high, exclude_categories=["Cn", "Cs"])
    given_ = text.draw(st.text(st.one_of(letters, st.sampled_from(BETWEEN)), max_size=40))
    ids = made(given_, add_special_tokens=False)["input_ids"]
    assert made.decode(ids) == unicodedata.normalize("NFC", given_)
    assert made.unk_token_id not in ids


@given(text=st.text(max_size=30))
def test_any_text_at_all_comes_back(made: Any, text: str) -> None:
    text = text.replace(SPACE, "")
    if unicodedata.normalize("NFC", text) != made.backend_tokenizer.normalizer.normalize_str(
        text
    ).replace(SPACE, " ").removeprefix(" "):
        # Tokenizers knows another version of Unicode than Python does.
        return
    ids = made(text, add_special_tokens=False)["input_ids"]
    assert made.decode(ids) == unicodedata.normalize("NFC", text)
    assert made.unk_token_id not in ids


def test_both_forms_of_an_accent_are_one_text(made: Any) -> None:
    for text in SENTENCES.values():
        apart, together = (unicodedata.normalize(form, text) for form in ("NFD", "NFC"))
        assert made(apart)["input_ids"] == made(together)["input_ids"]


@given(text=st.text("0123456789०१२३٤۵ xЙ.", min_size=1, max_size=12))
def test_a_digit_shares_its_token_with_nothing(made: Any, text: str) -> None:
    cut = made(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = set(cut["offset_mapping"])
    assert all(end - start == 1 for start, end in spans if any(map(str.isdigit, text[start:end])))


@pytest.mark.parametrize("language", TEXTS)
def test_words_given_one_by_one_are_cut_as_in_the_text_in_every_script(
    made: Any, language: str
) -> None:
    words = TEXTS[language].split()
    cut = made(words, is_split_into_words=True)
    assert cut["input_ids"] == made(TEXTS[language])["input_ids"]
    ids = cut.word_ids()
    assert ids[0] is ids[-1] is None
    assert sorted(set(ids[1:-1])) == list(range(len(words)))
    for i, word in enumerate(words):
        own = [token for token, at in zip(cut["input_ids"], ids, strict=True) if at == i]
        assert made.decode(own) == unicodedata.normalize("NFC", word)


def test_a_saved_tokenizer_cuts_the_same(made: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    made.save_pretrained(tmp_path)
    back = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*SENTENCES.values(), *HARD]:
        ids = made(text)["input_ids"]
        assert back(text)["input_ids"] == ids
        assert back.decode(ids, skip_special_tokens=True) == unicodedata.normalize("NFC", text)
    names = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")
    assert [getattr(back, f"{name}_id") for name in names] == [PAD, CLS, SEP, UNK, MASK]
    assert back.all_special_tokens == made.all_special_tokens


def test_a_vocabulary_has_its_size_at_most_with_special_tokens_first(made: Any) -> None:
    assert 5 + 256 < len(made) <= 600
    assert made.convert_ids_to_tokens([PAD, CLS, SEP, UNK, MASK]) == list(SPECIALS)
    assert set(made.all_special_ids) == {PAD, CLS, SEP, UNK, MASK}


def test_words_that_are_often_in_the_training_text_are_one_token_each() -> None:
    texts = ["the dog sleeps", "the cat sleeps", "die Katze schläft"] * 40
    made = train_tokenizer(texts, kind="bpe", vocabulary=330, length=64)
    tokens = made.convert_ids_to_tokens(made("the cat schläft", add_special_tokens=False).input_ids)
    assert tokens == [f"{SPACE}the", f"{SPACE}cat", f"{SPACE}schläft"]


def test_a_description_counts_by_hand(made: Any) -> None:
    lines = ["Мой брат", "𓀀"]
    cut = [made(line, add_special_tokens=False)["input_ids"] for line in lines]
    tokens = sum(map(len, cut))
    told = describe(made, lines)
    assert told["tokens_per_word"] == tokens / 3
    assert told["characters_per_token"] == 9 / tokens
    named = [name for ids in cut for name in made.convert_ids_to_tokens(ids)]
    assert named[-4:] == ["<0xF0>", "<0x93>", "<0x80>", "<0x80>"]
    assert told["bytes"] == sum(name.startswith("<0x") for name in named) / tokens
    assert describe(made, [])["round_trip"] == 0


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
