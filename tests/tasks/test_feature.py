"""Frames: the special tokens around texts are those of a plain call."""

from __future__ import annotations

import pytest
from tests.models import KINDS, tiny_tokenizer
from tokenizers import Regex, normalizers
from tokenizers.models import BPE

from polymux.errors import ModelError
from polymux.tasks.feature import CHUNK, frame_of, subwords


@pytest.mark.parametrize("family", [*KINDS, "word"])
@pytest.mark.parametrize("pair", [False, True])
def test_a_frame_puts_back_what_a_plain_call_puts_around(family: str, pair: bool) -> None:
    word_level = family == "word"
    tokenizer = tiny_tokenizer("bert", family="word") if word_level else tiny_tokenizer(family)
    frame = frame_of(tokenizer, pair=pair)
    first, second = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the fox", "old dog")
    )
    ids, types = frame.around(first, second if pair else ())
    plain = tokenizer("the fox", "old dog" if pair else None)
    assert list(ids) == plain["input_ids"]
    assert (None if types is None else list(types)) == plain.get("token_type_ids")
    assert frame.size == len(ids) - len(first) - (len(second) if pair else 0)


def test_a_tokenizer_without_an_unknown_token_is_seen_by_its_own_words() -> None:
    tokenizer = tiny_tokenizer("bert", family="word")
    specials = tokenizer.get_added_vocab()
    letters = {letter: len(specials) + i for i, letter in enumerate("домрека")}
    tokenizer.backend_tokenizer.model = BPE({**specials, **letters}, merges=[])
    assert not tokenizer("a", add_special_tokens=False)["input_ids"]
    frame = frame_of(tokenizer, pair=True)
    assert frame.before == (tokenizer.cls_token_id,)
    assert frame.between == frame.after == (tokenizer.sep_token_id,)


def test_subwords_come_in_order_beyond_one_chunk() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = [f"fox {i}" for i in range(CHUNK + 3)]
    pieces = [encoding.ids for encoding in subwords(tokenizer, texts)]
    assert pieces == [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]


def test_a_tokenizer_that_gives_nothing_is_refused() -> None:
    tokenizer = tiny_tokenizer("bert", family="word")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex("."), "")
    tokenizer.split_special_tokens = True
    with pytest.raises(ModelError, match="no token for any text"):
        frame_of(tokenizer, pair=False)
