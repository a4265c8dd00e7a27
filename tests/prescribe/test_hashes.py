"""Sets of content hashes behave like sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polymux.prescribe.hashes import HashSet

# Few distinct words, so that hashes meet in the first word, in the second, and in both.
words = st.integers(0, 3)
batches = st.lists(st.lists(st.tuples(words, words), max_size=12), max_size=6)


def as_hashes(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


@given(batches=batches, asked=st.lists(st.tuples(words, words), max_size=20))
def test_it_answers_as_a_set_of_pairs_would(
    batches: list[list[tuple[int, int]]], asked: list[tuple[int, int]]
) -> None:
    ours, theirs = HashSet(), set()
    for batch in batches:
        expected = []
        for pair in batch:
            expected.append(pair not in theirs)
            theirs.add(pair)
        assert ours.add(as_hashes(batch)).tolist() == expected
    assert len(ours) == len(theirs)
    assert ours.contains(as_hashes(asked)).tolist() == [pair in theirs for pair in asked]
