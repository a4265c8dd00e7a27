"""What is hidden depends on the row, its pass and the seed, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.distill.learning.worlds import ROWS, batch, masking

from polymux.distill.learning.masking import Masking, collate
from polymux.distill.text.blocks import Block


def test_the_share_is_exact_and_special_tokens_are_never_hidden() -> None:
    for place in range(len(ROWS[0])):
        block = Block(0, place, 0, ROWS[0][place])
        positions = masking().positions(block)
        assert len(positions) == 3
        assert not set(block.ids[positions]) & set(range(5))
        assert sorted(set(positions.tolist())) == positions.tolist()


def test_a_batch_changes_no_mask_and_a_new_pass_does() -> None:
    alone = batch([(1, 3)])
    among = batch([(0, 0), (1, 3), (2, 5)])
    assert alone["input_ids"][0].tolist() == among["input_ids"][1].tolist()
    assert batch([(1, 3)], passes=1)["place"].tolist() != alone["place"].tolist()
    again = [batch([(1, 3)], passes=p, repeats=2)["place"].tolist() for p in range(4)]
    assert again[0] == again[2] != again[1] == again[3]


def test_eight_of_ten_are_masked_one_is_random_of_the_language_and_one_stays() -> None:
    mask = replace(masking(), share=1.0)
    counts = np.zeros(3)
    own = set(ROWS[0].stream.ids.tolist())
    for passes in range(300):
        block = Block(0, 0, passes, ROWS[0][0])
        ids, positions = mask.hide(block, ROWS[0])
        now, before = ids[positions], block.ids[positions]
        counts += [(now == 4).sum(), ((now != 4) & (now != before)).sum(), (now == before).sum()]
        assert set(now.tolist()) - {4} <= own
    assert np.abs(counts / counts.sum() - [0.8, 0.1, 0.1]).max() < 0.03


def test_no_separator_stands_for_a_word() -> None:
    ids = ROWS[0].stream.ids.copy()
    ids[1::2] = 2
    rows = replace(ROWS[0], stream=replace(ROWS[0].stream, ids=ids))
    random = replace(masking(), share=1.0, random=1.0, kept=0.0)
    for passes in range(20):
        shown, positions = random.hide(Block(0, 0, passes, rows[0]), rows)
        assert not set(shown[positions]) & set(range(5))


def test_rows_of_different_length_are_padded_and_told_apart() -> None:
    lines = replace(ROWS[0], packed=False)
    blocks = [Block(0, i, 0, ids) for i, ids in enumerate((lines[0], lines[1][:7]))]
    made = collate(blocks, masking=masking(), rows=[lines])
    assert made["attention_mask"].sum(1).tolist() == [12, 7]
    assert made["input_ids"][1, 7:].tolist() == [0] * 5
    assert (made["place"][made["row"] == 1] < 7).all()


@given(
    share=st.floats(0.01, 0.99),
    ids=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    passes=st.integers(0, 5),
)
def test_the_number_hidden_is_the_share_of_what_is_not_special(
    share: float, ids: list[int], passes: int
) -> None:
    block = Block(1, 3, passes, np.array(ids))
    made = Masking(share, 4, 0, frozenset(range(5)), seed=1)
    positions = made.positions(block)
    open_ = [i for i, token in enumerate(ids) if token > 4]
    assert set(positions.tolist()) <= set(open_)
    assert len(positions) == len(set(positions.tolist()))
    # One at least, so that no row is read for nothing.
    assert len(positions) == min(len(open_), max(1, round(share * len(open_))))


@given(language=st.integers(0, 2), place=st.integers(0, 39), passes=st.integers(0, 9))
def test_hidden_text_is_the_row_but_for_its_positions(
    language: int, place: int, passes: int
) -> None:
    own = ROWS[language]
    block = Block(language, place, passes, own[place])
    before = block.ids.copy()
    ids, positions = masking().hide(block, own)
    assert np.array_equal(block.ids, before), "the row itself was changed"
    assert set(np.flatnonzero(ids != before).tolist()) <= set(positions.tolist())
    again, same = masking().hide(block, own)
    assert np.array_equal(again, ids)
    assert np.array_equal(same, positions)
    assert np.array_equal(masking().positions(block), positions)


def test_seed_language_row_and_pass_each_change_the_mask() -> None:
    block, mask = Block(0, 3, 1, np.arange(5, 105)), masking()
    first = mask.positions(block).tolist()
    others = [
        replace(mask, seed=8).positions(block),
        mask.positions(block._replace(language=1)),
        mask.positions(block._replace(place=4)),
        mask.positions(block._replace(passes=2)),
    ]
    assert all(other.tolist() != first for other in others)
    # What the words are does not.
    assert mask.positions(block._replace(ids=block.ids + 7)).tolist() == first


def test_every_word_is_hidden_as_often_as_any_other() -> None:
    ids = np.array([1, *range(10, 30), 2])
    counts = np.zeros(len(ids))
    for passes in range(1000):
        counts[masking().positions(Block(0, 0, passes, ids))] += 1
    assert counts[[0, -1]].tolist() == [0, 0]
    # 0.3 of 1000 with a spread of 14.5.
    assert np.abs(counts[1:-1] - 300).max() < 60


@pytest.mark.parametrize(("random", "kept"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.0)])
def test_shares_of_random_and_kept_are_those_asked_for(random: float, kept: float) -> None:
    mask = replace(masking(), share=0.99, random=random, kept=kept)
    masked = same = total = 0
    for place in range(40):
        block = Block(0, place, 0, ROWS[0][place])
        ids, positions = mask.hide(block, ROWS[0])
        masked += int((ids[positions] == 4).sum())
        same += int((ids[positions] == block.ids[positions]).sum())
        total += len(positions)
    assert masked / total == pytest.approx(1 - random - kept, abs=0.1)
    if kept == 1:
        assert same == total


def test_random_words_are_of_the_text_that_is_kept_and_as_frequent_as_there() -> None:
    stream = ROWS[0].stream
    ids = stream.ids.copy()
    ids[:20], ids[20:] = 300, 301
    ids[:5] = 299
    first_line = replace(ROWS[0], stream=replace(stream, ids=ids), lines=1)
    mask = replace(masking(), share=0.99, random=1.0, kept=0.0)
    seen = []
    for passes in range(200):
        made, positions = mask.hide(Block(0, 0, passes, np.arange(200, 220)), first_line)
        seen += made[positions].tolist()
    assert set(seen) == {299, 300}
    assert seen.count(299) / len(seen) == pytest.approx(0.25, abs=0.03)


def test_a_row_of_special_tokens_alone_hides_nothing() -> None:
    blocks = [Block(0, 0, 0, np.array([1, 2])), Block(0, 1, 0, ROWS[0][1])]
    made = collate(blocks, masking=masking(), rows=ROWS)
    assert made["row"].tolist() == [1, 1, 1]


def test_a_batch_tells_where_its_hidden_tokens_are_and_what_they_were() -> None:
    pairs = [(0, 1), (2, 3), (1, 0)]
    made = batch(pairs, passes=2)
    assert made["language"].tolist() == [0, 2, 1]
    assert made["index"].tolist() == [1, 3, 0]
    assert made["passes"].tolist() == [2, 2, 2]
    assert "attention_mask" not in made
    rows = np.stack([ROWS[language][place] for language, place in pairs])
    assert made["gold"].tolist() == rows[made["row"], made["place"]].tolist()
    back = made["input_ids"].numpy().copy()
    back[made["row"], made["place"]] = made["gold"]
    assert np.array_equal(back, rows)


@given(order=st.permutations(range(6)), repeats=st.integers(0, 3), passes=st.integers(0, 6))
def test_no_order_of_a_batch_changes_a_row(order: list[int], repeats: int, passes: int) -> None:
    pairs = [(0, 1), (2, 3), (1, 0), (0, 4), (2, 0), (1, 7)]
    made = batch(pairs, passes, repeats)
    turned = batch([pairs[i] for i in order], passes, repeats)
    for place, i in enumerate(order):
        assert turned["input_ids"][place].tolist() == made["input_ids"][i].tolist()
        mine = turned["place"][turned["row"] == place].tolist()
        assert mine == made["place"][made["row"] == i].tolist()
