"""What is hidden depends on the row, its pass and the seed, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.distill.learning.worlds import ROWS, batch, masking

from polymux.distill.learning.masking import collate
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


def test_rows_of_different_length_are_padded_and_told_apart() -> None:
    lines = replace(ROWS[0], packed=False)
    blocks = [Block(0, i, 0, ids) for i, ids in enumerate((lines[0], lines[1][:7]))]
    made = collate(blocks, masking=masking(), rows=[lines])
    assert made["attention_mask"].sum(1).tolist() == [12, 7]
    assert made["input_ids"][1, 7:].tolist() == [0] * 5
    assert (made["place"][made["row"] == 1] < 7).all()
