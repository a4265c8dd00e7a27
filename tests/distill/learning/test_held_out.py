"""Held-out text is masked once and for all, and tells whose teacher is whose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.distill.learning.worlds import ROWS, masking, model

from polymux.distill.learning.held_out import (
    check_diagonal,
    compared,
    held_out_batches,
    held_out_loss,
)
from polymux.distill.learning.masking import collate
from polymux.distill.learning.network import new
from polymux.distill.text.blocks import Block
from polymux.errors import WorkError


def test_held_out_text_is_hidden_the_same_way_every_time_and_as_in_no_training() -> None:
    first, again = (held_out_batches(ROWS[1], 1, masking())[0] for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    blocks = [Block(1, i, 0, ROWS[1][i]) for i in range(len(first["language"]))]
    trained = collate(blocks, masking=masking(), rows=ROWS)
    assert trained["gold"].tolist() != first["gold"].tolist()


def test_the_first_64_rows_are_asked_once_each() -> None:
    many = replace(ROWS[0], length=5)
    made = held_out_batches(many, 2, masking())
    assert len(many) > 64
    assert torch.cat([part["index"] for part in made]).tolist() == list(range(64))
    assert set(torch.cat([part["language"] for part in made]).tolist()) == {2}
    few = held_out_batches(ROWS[0], 0, masking())
    assert torch.cat([part["index"] for part in few]).tolist() == list(range(len(ROWS[0])))


def test_the_loss_is_a_mean_over_tokens_not_over_batches() -> None:
    asked = model(1)
    whole = held_out_batches(replace(ROWS[0], length=5), 0, masking())
    small = collate([Block(0, 0, 3, ROWS[0][0])], masking=masking(), rows=ROWS)
    parts = [*whole, small]
    total = count = 0.0
    with torch.no_grad():
        for part in parts:
            logits = asked(input_ids=part["input_ids"]).logits[part["row"], part["place"]].double()
            total -= float(logits.log_softmax(-1)[torch.arange(len(logits)), part["gold"]].sum())
            count += len(logits)
    assert held_out_loss(asked, parts, torch.float32) == pytest.approx(total / count, rel=1e-5)
    assert held_out_loss(asked, parts, torch.bfloat16) == pytest.approx(total / count, rel=0.05)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_asked_without_dropout_and_left_in_its_mode(training: bool) -> None:
    from tests.distill.learning.worlds import LENGTH, tokenizer

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    asked = new("bert", small | {"hidden_dropout_prob": 0.5}, tokenizer(), LENGTH, seed=1)
    asked.train(training)
    parts = held_out_batches(ROWS[0], 0, masking())
    assert held_out_loss(asked, parts, torch.float32) == held_out_loss(asked, parts, torch.float32)
    assert asked.training is training
    assert all(p.grad is None for p in asked.parameters())


def test_each_text_must_be_easiest_for_its_own_teacher() -> None:
    right = torch.tensor([[1.0, 3.0, 9.0], [2.0, 1.5, 9.0], [1.1, 8.0, 0.5]])
    check_diagonal(right, ["te", "de", "hu"])
    # A teacher may be best at every text but its own language's rival: columns are compared.
    check_diagonal(torch.tensor([[5.0, 6.0], [5.5, 5.9]]), ["te", "de"])


def test_both_languages_are_named_where_another_teacher_is_better() -> None:
    wrong = torch.tensor([[2.0, 1.4], [3.0, 1.5]])
    with pytest.raises(WorkError) as error:
        check_diagonal(wrong, ["te", "de"])
    told = str(error.value)
    assert "the text of de is easier for the teacher of te" in told
    assert "1.400" in told
    assert "1.500" in told
    shuffled = torch.tensor([[1.0, 3.0], [2.0, 1.5]]).flip(0)
    with pytest.raises(WorkError, match="te is easier for the teacher of de"):
        check_diagonal(shuffled, ["te", "de"])


def test_teachers_are_compared_over_the_tokens_that_both_have_words_for() -> None:
    no = float("nan")
    own, few = torch.tensor([1.0, 5.0, 3.0]), torch.tensor([2.0, no, no])
    # It meets the easy token only, and is worse there.
    assert float(few.nanmean()) < float(own.mean())
    table = compared([[own, torch.tensor([4.0, 6.0])], [few, torch.tensor([no, 2.0])]], blind=9.0)
    assert table == [[3.0, 6.0], [4.0, 2.0]]
    check_diagonal(torch.tensor(table), ["te", "de"])
    apart = compared([[own, torch.tensor([no])], [own * no, torch.tensor([2.0])]], blind=9.0)
    assert apart == [[3.0, 9.0], [9.0, 2.0]]
