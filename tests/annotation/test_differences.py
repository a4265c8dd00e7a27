"""What changed on the way is shown as people read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.differences import both
from polymux.errors import InputError


@pytest.mark.parametrize(
    ("sent", "back", "said"),
    [
        ("नमस्ते", "नमस्कार", "'नमस्ते' was sent, 'नमस्कार' came back"),
        ("שלום", "", "'שלום' was sent, '' came back"),
        ("बुद्ध", "xxx", "'बुद्ध' was sent, 'xxx' came back"),
        ("gato", None, "'gato' was sent, nothing came back"),
        ("x", "x\u00a0", "'x' was sent, 'x\\xa0' came back"),
        ("a'\u202eb", "x", "'a\\'\\u202eb' was sent, 'x' came back"),
    ],
)
def test_only_what_would_not_be_seen_is_shown_as_code(sent: str, back: str, said: str) -> None:
    assert both(sent, back) == said


@pytest.mark.parametrize(
    ("sent", "back", "said"),
    [
        ("é", "e\u0301", "at sign 1 U+00E9 was sent, U+0065 U+0301 came"),
        ("a\u200db", "ab", "at sign 2 U+200D was sent, U+0062 came"),
        ("ab\u200d", "ab", "at sign 3 U+200D was sent, nothing came"),
        ("\u0430b", "ab", "at sign 1 U+0430 was sent, U+0061 came"),
    ],
)
def test_of_two_that_look_alike_the_code_points_are_said(sent: str, back: str, said: str) -> None:
    assert both(sent, back).endswith(f"came back (they look alike: {said})")


def test_long_texts_are_cut_to_where_they_differ() -> None:
    said = both("a" * 500 + "X" + "b" * 500, "a" * 500 + "Y" + "b" * 500)
    assert len(said) < 300
    assert "aaaX" in said
    assert "aaaY" in said


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (("un", "perro", "negro"), "s#1: word 2 changed on the way: 'gato' was sent, 'perro' came"),
        (("un", "gato"), "word 3 (3 words were sent, 2 came) changed on the way: 'negro' was sent"),
    ],
)
def test_a_changed_word_is_told_by_its_number(
    back: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    item = Item("s#1", {"tokens": ("un", "gato", "negro")})
    batch = Batch("token-classification", ("O",), (item,))
    answer = Answer("s#1", {"tokens": back}, "labelled", ("O",) * len(back))
    (error,) = checked(batch, [answer], tmp_path / "back.csv")
    assert isinstance(error, InputError)
    assert said in error.what
