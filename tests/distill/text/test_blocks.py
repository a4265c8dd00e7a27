"""Rows of one language and one length, and prefixes of a text by each unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.distill.text.blocks import UNITS, Rows, Stream, as_rows, stream_of
from polymux.distill.text.tokenizer import CLS, SEP, train_tokenizer

LINES = ["the old dog", "ο σκύλος", "a", "the dog runs to the old house by the river", "कुत्ता"]
PREMIUM = 2.0


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(LINES * 5, kind="bpe", vocabulary=320, length=12)


@pytest.fixture(scope="module")
def stream(tokenizer: Any) -> Stream:
    return stream_of(LINES, tokenizer, PREMIUM)


def rows(stream: Stream, lines: int | None = None, length: int = 8, packed: bool = True) -> Rows:
    return Rows(stream, len(stream.ends) if lines is None else lines, length, packed, CLS, SEP)


def test_a_stream_is_its_lines_in_order_with_a_separator_after_each(
    stream: Stream, tokenizer: Any
) -> None:
    start = 0
    for line, end in zip(LINES, stream.ends.tolist(), strict=True):
        ids = stream.ids[start:end].tolist()
        assert ids == [*tokenizer(line, add_special_tokens=False)["input_ids"], SEP]
        start = end
    assert start == len(stream.ids)


def test_text_in_thousands_of_lines_is_cut_as_if_at_once(tokenizer: Any) -> None:
    many = [f"line {i}" for i in range(1001)]
    whole = stream_of(many, tokenizer, 1.0)
    assert len(whole.ends) == 1001
    last = stream_of(many[-1:], tokenizer, 1.0)
    assert whole.ids[whole.ends[-2] :].tolist() == last.ids.tolist()


def test_sizes_count_line_ends_and_bytes_are_divided_by_the_premium(stream: Stream) -> None:
    assert stream.size("characters") == sum(len(line) + 1 for line in LINES)
    assert stream.size("bytes") == sum(len(line.encode()) + 1 for line in LINES) / PREMIUM
    assert stream.size("tokens") == len(stream.ids)
    assert stream.sizes["characters"].tolist()[:3] == [12, 21, 23]
    assert stream.sizes["bytes"].tolist()[:3] == [12 / 2, (12 + 16) / 2, (12 + 16 + 2) / 2]


@pytest.mark.parametrize(
    ("unit", "size", "lines"),
    [
        ("characters", 11.9, 1),
        ("characters", 12.0, 1),
        ("characters", 20.9, 1),
        ("characters", 21.0, 2),
        ("characters", 23.0, 3),
        ("bytes", 13.9, 1),
        ("bytes", 14.0, 2),
        ("bytes", 15.0, 3),
        ("bytes", 1e9, 5),
        ("bytes", 0.1, 1),
    ],
)
def test_a_prefix_is_the_most_lines_that_hold_no_more(
    stream: Stream, unit: str, size: float, lines: int
) -> None:
    assert stream.prefix(unit, size) == lines


@given(unit=st.sampled_from(UNITS), share=st.floats(0.0, 1.0))
def test_a_prefix_of_any_unit_fits_and_one_line_more_would_not(
    stream: Stream, unit: str, share: float
) -> None:
    size = share * stream.size(unit)
    lines = stream.prefix(unit, size)
    sizes = stream.sizes[unit]
    assert lines == 1 or sizes[lines - 1] <= size * (1 + 1e-6)
    assert lines == len(sizes) or sizes[lines] > size


def test_a_prefix_of_what_lines_hold_is_these_lines(stream: Stream) -> None:
    for unit in UNITS:
        for lines, size in enumerate(stream.sizes[unit].tolist(), start=1):
            # A size that went through a sum or a power still finds its line.
            assert stream.prefix(unit, size * (1 - 1e-12)) == lines


def test_what_was_saved_is_loaded(stream: Stream, tmp_path: Path) -> None:
    stream.save(tmp_path / "s.npz")
    back = Stream.load(tmp_path / "s.npz")
    assert back.ids.dtype == stream.ids.dtype == np.uint16
    np.testing.assert_array_equal(back.ids, stream.ids)
    np.testing.assert_array_equal(back.ends, stream.ends)
    assert set(back.sizes) == set(UNITS)
    for unit in UNITS:
        np.testing.assert_array_equal(back.sizes[unit], stream.sizes[unit])


@pytest.mark.parametrize("lines", [1, 2, 4, 5])
@pytest.mark.parametrize("length", [3, 8])
def test_packed_rows_are_full_and_lines_run_on_in_them(
    stream: Stream, lines: int, length: int
) -> None:
    made = rows(stream, lines, length)
    room = length - 2
    kept = stream.ids[: stream.ends[lines - 1]].tolist()
    assert made.tokens == len(kept)
    if len(kept) < room:
        assert [made[0].tolist()] == [[CLS, *kept, SEP]]
        assert len(made) == 1
        return
    assert len(made) == len(kept) // room
    cut = [made[i].tolist() for i in range(len(made))]
    assert {len(row) for row in cut} == {length}
    assert all(row[0] == CLS and row[-1] == SEP for row in cut)
    assert [token for row in cut for token in row[1:-1]] == kept[: len(made) * room]
    assert made.mean_tokens == room


def test_unpacked_rows_are_lines_with_their_ends_cut_off(stream: Stream, tokenizer: Any) -> None:
    made = rows(stream, length=8, packed=False)
    assert len(made) == len(LINES)
    cut = [tokenizer(line, add_special_tokens=False)["input_ids"][:6] for line in LINES]
    assert [made[i].tolist() for i in range(5)] == [[CLS, *ids, SEP] for ids in cut]
    assert made.mean_tokens == np.mean([len(ids) for ids in cut])
    fewer = rows(stream, 2, length=8, packed=False)
    assert (len(fewer), fewer.mean_tokens) == (2, np.mean([len(ids) for ids in cut[:2]]))


@given(index=st.integers(0, 200), lines=st.integers(1, 5), packed=st.booleans())
def test_no_row_has_a_token_of_a_line_that_is_not_kept(
    stream: Stream, index: int, lines: int, packed: bool
) -> None:
    marked = stream.ids.astype(np.int32).copy()
    marked[stream.ends[lines - 1] :] = 65_535
    made = rows(replace(stream, ids=marked), lines, packed=packed)
    assert 65_535 not in made[index % len(made)]


def test_scored_rows_have_special_tokens_and_are_cut(tokenizer: Any) -> None:
    cut = as_rows(LINES, tokenizer, 8, most=4)
    assert len(cut) == 4
    for line, row in zip(LINES, cut, strict=False):
        ids = tokenizer(line, add_special_tokens=False)["input_ids"]
        assert row == [CLS, *ids[:6], SEP]
    assert len(as_rows(LINES, tokenizer, 8)) == 5


def test_a_special_token_that_is_written_out_is_text(tokenizer: Any) -> None:
    line = "the <mask> of </s> and <s>"
    special = set(tokenizer.all_special_ids)
    stream = stream_of([line], tokenizer, 1.0)
    assert not set(stream.ids[:-1].tolist()) & special
    assert tokenizer.decode(stream.ids[:-1].tolist()) == line
    (row,) = as_rows([line], tokenizer, 400)
    assert not set(row[1:-1]) & special
