"""How near languages are: sub-words counted by hand, tables read and refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models import tiny_tokenizer

from polymux.errors import InputError, UsageError
from polymux.experiments.litmus.relations import (
    by_distance,
    by_overlap,
    overlap,
    read_distances,
    read_sizes,
    texts_of,
)
from polymux.records import Example, Pool

TEXT = "text-classification"
# A word is a sub-word.
TOKENIZER = tiny_tokenizer("bert", family="word", sample=["a b c d e f g"])


def pool(*texts: tuple[str | None, str]) -> Pool:
    return Pool.of(
        [
            Example(f"#{i}", "f", i, {"text": text}, None, language)
            for i, (language, text) in enumerate(texts, 1)
        ],
        TEXT,
    )


def counts(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_overlap_is_the_share_of_running_sub_words_in_common() -> None:
    # 3/4 a, 1/4 b against 1/4 a, 2/4 b, 1/4 c: 1/4 of a and 1/4 of b.
    assert overlap(counts(3, 1, 0), counts(1, 2, 1)) == 0.5
    assert overlap(counts(3, 1, 0), counts(0, 0, 7)) == 0.0
    assert math.isnan(overlap(counts(0, 0), counts(1, 1)))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2).filter(
        lambda pairs: all(map(any, zip(*pairs, strict=True)))
    ),
    st.integers(1, 50),
)
def test_overlap_is_symmetric_and_knows_no_size_of_a_text(
    pairs: list[tuple[int, int]], times: int
) -> None:
    one, other = (counts(*side) for side in zip(*pairs, strict=True))
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, other) == pytest.approx(overlap(one * times, other), abs=1e-12)
    assert overlap(one, one * times) == pytest.approx(1.0)
    assert 0 <= overlap(one, other) <= 1 + 1e-12


def test_a_pool_is_counted_by_language_each_content_once() -> None:
    told = texts_of(
        pool(("x", "a b"), ("y", "c"), ("x", "a b"), (None, "d"), ("x", "a")), TOKENIZER
    )
    assert told.sizes == {"x": 2, "y": 1}
    assert told.nameless == 1
    seen = {
        name: {TOKENIZER.convert_ids_to_tokens(int(i)): int(n[i]) for i in np.flatnonzero(n)}
        for name, n in told.subwords.items()
    }
    assert seen == {"x": {"a": 2, "b": 1}, "y": {"c": 1}}


def test_both_texts_of_an_example_and_all_its_words_count() -> None:
    pair = Example("#1", "f", 1, {"text": "a b", "text_pair": "b c"}, None, "x")
    words = Example("#1", "f", 1, {"tokens": ("a", "b", "b", "c")}, None, "x")
    first, second = (
        texts_of(Pool.of([example], task), TOKENIZER).subwords["x"]
        for example, task in ((pair, TEXT), (words, "token-classification"))
    )
    assert first.tolist() == second.tolist()
    assert first.sum() == 4


def test_a_pool_without_languages_is_refused() -> None:
    with pytest.raises(UsageError, match="no example of pool has a language") as refused:
        texts_of(pool((None, "a"), (None, "b")), TOKENIZER)
    assert "--language" in refused.value.hint


def test_nearness_by_sub_words_takes_all_texts_of_a_language_together() -> None:
    source = texts_of(pool(("x", "a b"), ("y", "c d")), TOKENIZER)
    target = texts_of(pool(("x", "c d"), ("z", "a e")), TOKENIZER)
    near = by_overlap(source, target)
    # x is a b c d.
    assert near("x", "y") == near("y", "x") == 0.5
    assert near("x", "z") == 0.25
    assert near("y", "y") == 1.0
    assert math.isnan(near("x", "unheard"))


def test_nearness_by_distance_is_the_same_both_ways() -> None:
    near = by_distance({("hi", "ur"): 0.25})
    assert near("hi", "ur") == near("ur", "hi") == 0.75
    assert near("fi", "fi") == 1.0
    assert math.isnan(near("fi", "ur"))


def test_tables_are_read_with_and_without_a_header(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('\ufefflanguage,language,distance\nhi, ur,0.5\n\n"f,a",ur,1\n', "utf-8")
    assert read_distances(file) == {("hi", "ur"): 0.5, ("f,a", "ur"): 1.0}
    file.write_text("hi,1e9\nur,5\n", "utf-8")
    assert read_sizes(file) == {"hi": 1e9, "ur": 5.0}


@pytest.mark.parametrize(
    "line", ["hi,ur", "hi,ur,2", "hi,ur,-0.1", "hi,ur,far", "fa,ur,0.1", "ur,fa,0.1", ",ur,0.1"]
)
def test_a_line_that_is_no_distance_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(f"fa,ur,0.3\n{line}\n", "utf-8")
    with pytest.raises(InputError, match="not a line of this table") as refused:
        read_distances(file)
    assert refused.value.place == f"{file}:2"


@pytest.mark.parametrize("line", ["hi,0", "hi,inf", "hi,much", "fa,2", "hi,x,3", "hi"])
def test_a_line_that_is_no_size_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(f"fa,30\n{line}\n", "utf-8")
    with pytest.raises(InputError, match="not a line of this table") as refused:
        read_sizes(file)
    assert refused.value.place == f"{file}:2"


def test_a_table_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_sizes(tmp_path / "none.csv")
    (tmp_path / "t.csv").write_bytes(b"hi,\xff")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        read_sizes(tmp_path / "t.csv")


def test_a_cell_that_no_table_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("hi,30\n" + "x" * 200_000 + ",2\n", "utf-8")
    with pytest.raises(InputError, match="not a line of this table: field larger") as refused:
        read_sizes(tmp_path / "t.csv")
    assert refused.value.place == f"{tmp_path / 't.csv'}:2"
