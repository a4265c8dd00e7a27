"""Words, spans of characters and the letters of tags, by hand."""

from __future__ import annotations

import pytest

from polymux.annotation import Batch, Item
from polymux.annotation.words import Span, labels_of, laid_out, spans_of
from polymux.errors import InputError

TASK = "token-classification"
ITEM = Item("p-1", {"tokens": ("Ada", "Lovelace", "in", "Rome")})


def batch(*labels: str) -> Batch:
    return Batch(TASK, labels, (ITEM,))


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        (("O", "B-PER", "I-PER", "B-LOC", "I-LOC"), ("B-PER", "I-PER", "O", "B-LOC")),
        (("O", "B-PER", "I-PER", "E-PER", "S-LOC"), ("B-PER", "E-PER", "O", "S-LOC")),
        (("O", "B-PER", "I-PER", "L-PER", "U-LOC"), ("B-PER", "L-PER", "O", "U-LOC")),
        (("O", "B-PER", "M-PER", "E-PER", "S-LOC"), ("B-PER", "E-PER", "O", "S-LOC")),
        (("O", "I-PER", "I-LOC"), ("I-PER", "I-PER", "O", "I-LOC")),
    ],
)
def test_spans_become_tags_of_the_scheme_that_the_labels_are_of(labels, tags) -> None:
    spans = [Span(0, 12, "PER"), Span(16, 20, "LOC")]
    assert labels_of(ITEM, spans, batch(*labels)) == tags
    _, places = laid_out(ITEM)
    assert spans_of(tags, places, tagged=True) == spans


def test_a_sentence_is_the_sources_own_where_its_words_stand_in_it() -> None:
    words = {"tokens": ("Wo", "ist", "er", "?")}
    assert laid_out(Item("a", words, surface="Wo ist er?")) == (
        "Wo ist er?",
        [(0, 2), (3, 6), (7, 9), (9, 10)],
    )
    for other in ("Wo ist sie?", "Wo ist er? Da.", "ist Wo er?"):
        assert laid_out(Item("a", words, surface=other))[0] == "Wo ist er ?"


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([Span(0, 2, "PER")], "'Ad' cuts 'Ada'"),
        ([Span(0, 3, "PER"), Span(0, 12, "LOC")], "two spans overlap at 'Ada'"),
        ([Span(0, 21, "PER")], "is not in the text of 20 characters"),
        ([Span(5, 5, "PER")], "is not in the text"),
        ([Span(3, 4, "PER")], "holds no word"),
    ],
)
def test_spans_that_fit_no_words_are_refused(spans, said) -> None:
    with pytest.raises(InputError, match=said):
        labels_of(ITEM, spans, batch("O", "B-PER", "I-PER", "B-LOC"))


def test_white_space_at_the_ends_of_a_span_does_not_count() -> None:
    tags = labels_of(ITEM, [Span(3, 13, "PER")], batch("O", "B-PER", "I-PER"))
    assert tags == ("O", "B-PER", "O", "O")


def test_where_every_word_has_a_class_none_may_lack_one() -> None:
    with pytest.raises(InputError, match="word 2, 'Lovelace', has no label"):
        labels_of(ITEM, [Span(0, 3, "NOUN")], batch("NOUN", "VERB"))
