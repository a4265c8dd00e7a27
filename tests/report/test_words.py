import math

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from polymux.report import words


@given(st.text(max_size=60), st.integers(1, 20))
def test_a_cut_text_is_a_beginning_in_whole_graphemes(text, graphemes):
    shown = words.cut(text, graphemes)
    cleaned = words.cut(text, 1000)
    whole = regex.findall(r"\X", cleaned)
    if len(whole) <= graphemes:
        assert shown == cleaned
    elif len("".join(whole[:graphemes])) < 12 * graphemes:
        assert shown == "".join(whole[:graphemes]).rstrip() + "…"


def test_a_family_and_a_flag_are_never_cut_apart():
    assert words.cut("👩‍👩‍👧‍👦🇮🇳क्षि!", 2) == "👩‍👩‍👧‍👦🇮🇳…"
    assert words.cut("e\u0301e\u0301e\u0301", 2) == "e\u0301e\u0301…"
    assert words.cut("e\u0301e\u0301", 2) == "e\u0301e\u0301"


def test_a_tower_of_marks_is_lowered():
    assert words.cut("a" + "\u0301" * 40 + "b", 50) == "a" + "\u0301" * 8 + "b"
    assert words.cut("a" + "\u0301" * 100_000, 5) == "a" + "\u0301" * 8 + "…"


def test_what_html_or_utf8_cannot_hold_is_replaced():
    assert words.cut("a\x00b\ud800c\x1b\td\n", 50) == "a\ufffdb\ufffdc\ufffd\td\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.03456, "−0.0346"),
        (12.0, "12"),
        (12345.6, "12,346"),
        (-12345.6, "−12,346"),
        (math.nan, "not a number"),
        (-math.inf, "infinite"),
    ],
)
def test_numbers_have_three_digits_and_a_true_minus(value, shown):
    assert words.number(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0 %"),
        (0.001, "under 1 %"),
        (0.504, "50 %"),
        (0.9999, "99 %"),
        (1.0, "100 %"),
    ],
)
def test_only_nothing_is_0_and_only_all_is_100_percent(share, shown):
    assert words.percent(share) == shown


def test_counts_know_singular_and_plural():
    assert [words.count(n, "example") for n in (0, 1, 1234)] == [
        "0 examples",
        "1 example",
        "1,234 examples",
    ]
    assert words.count(1234) == "1,234"


@pytest.mark.parametrize(
    ("language", "tag"),
    [("ur", "ur"), ("zh-Hant", "zh-Hant"), ("English", ""), ('x" onload="', ""), (None, "")],
)
def test_only_what_looks_like_a_language_tag_is_one(language, tag):
    assert words.language_tag(language) == tag


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("positive", "positive"),
        (["O", "B-time"], "O B-time"),
        ({"label": "yes", "score": 0.9312}, "yes 0.931"),
        ([{"label": "yes", "score": 0.5}, {"label": "no", "score": 0.5}], "yes 0.5 no 0.5"),
        ({"labels": ["O", "B"], "scores": [0.5, 0.25]}, "O 0.5 · B 0.25"),
        ({"labels": ["O"], "scores": [0.5], "n": 1}, "O 0.5 · n: 1"),
        ({"text": ["کل"], "answer_start": [3]}, "text: کل, answer_start: 3"),
        (None, "null"),
        (True, "true"),
        ({}, ""),
    ],
)
def test_predictions_of_every_task_read_as_a_line(value, shown):
    assert words.prediction(value) == shown
