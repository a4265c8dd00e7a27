"""Sentences that are scored on are found in the text, however they are written there."""

from __future__ import annotations

import pytest

from polymux.distill.text.overlap import overlap

LONG = "big brown cats sat down near that old river"


def found(text: list[str], *sentences: str) -> tuple[int, int, float]:
    told = overlap(text, [sentence.split() for sentence in sentences])
    return told.whole, told.partly, told.share


def test_sentences_are_found_whole_or_by_eight_words_in_a_row() -> None:
    text = ["Well, THE cat sat on the mat late yesterday evening and slept!", "Short one."]
    tested = [
        ["the", "cat", "sat", "on", "the", "mat", "late", "yesterday", "evening", "and", "died"],
        ["short", "one", "."],
        ["the", "cat", "sat"],
        ["nothing", "of", "this", "stands", "there", "at", "all", "not", "a", "word"],
    ]
    told = overlap(text, tested)
    assert (told.sentences, told.whole, told.partly) == (4, 1, 2)
    assert told.share == 0.5


def test_eight_words_in_a_row_are_enough_and_seven_are_not() -> None:
    words = LONG.split()
    for start in (0, 1):
        assert found([" ".join(["x", *words[start : start + 8], "y"])], LONG) == (0, 1, 1)
    for start in range(3):
        assert found([" ".join(["x", *words[start : start + 7], "y"])], LONG) == (0, 0, 0)


def test_eight_words_that_do_not_follow_each_other_are_not_found() -> None:
    words = LONG.split()
    assert found([" ".join([*words[:4], "x", *words[4:]])], LONG) == (0, 0, 0)
    assert found([" ".join(words[:5]), " ".join(words[5:])], LONG) == (0, 0, 0)
    assert found([" ".join(reversed(words))], LONG) == (0, 0, 0)


def test_a_short_sentence_counts_only_as_a_line_of_its_own() -> None:
    assert found(["good morning friends"], "good morning") == (0, 0, 0)
    assert found(["good morning"], "good morning") == (1, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "BIG BROWN CATS SAT DOWN NEAR THAT OLD RIVER",
        "  big brown\tcats   sat down near that old river ",
        "big, brown cats; sat down - near that old river!",
        "(big brown cats sat down near “that old river”)",
    ],
)
def test_casing_spacing_and_punctuation_hide_nothing(line: str) -> None:
    assert found([line], LONG) == (1, 1, 1)


def test_both_forms_of_an_accent_are_the_same_word() -> None:
    assert found(["cafe\u0301 bien"], "caf\u00e9 bien") == (1, 1, 1)
    assert found(["cafe bien"], "caf\u00e9 bien") == (0, 0, 0)


@pytest.mark.parametrize("sentence", ["यह एक बहुत लंबा वाक्य नहीं है", "ఇది ఒక వాక్యం", "یہ ایک جملہ ہے"])
def test_words_of_other_scripts_are_found(sentence: str) -> None:
    assert found([sentence], sentence) == (1, 1, 1)
    assert found([sentence + " x"], sentence) == (0, 0, 0)


def test_a_sentence_counts_once_however_often_it_stands_there() -> None:
    assert found([LONG, LONG, LONG + " x"], LONG, "other words") == (1, 1, 0.5)
    # Each sentence of a test set counts, equal ones too.
    assert found(["good morning"], "good morning", "Good morning !") == (2, 2, 1)


def test_signs_alone_are_found_nowhere() -> None:
    assert found(["...", "!", "a word"], "?", ". . .") == (0, 0, 0)


def test_nothing_to_score_on_overlaps_with_nothing() -> None:
    assert found([LONG]) == (0, 0, 0)
    assert found([], LONG) == (0, 0, 0)
