"""What teachers with words of their own are asked, and what they are compared on."""

from __future__ import annotations

import torch
from tests.distill.learning.worlds import ROWS, masking, model

from polymux.distill.learning.held_out import held_out_batches, held_out_loss
from polymux.distill.learning.vocabulary import Bridge
from polymux.distill.teaching import _asked, asked_of


def test_a_student_is_compared_with_a_teacher_on_the_tokens_it_was_asked_about() -> None:
    teacher, whole = model(1), held_out_batches(ROWS[0], 0, masking())
    gold = torch.cat([batch["gold"] for batch in whole])
    words = teacher.config.vocab_size
    known = torch.arange(words) % 2 == 0
    over = Bridge(torch.eye(words).to_sparse(), torch.arange(words), known, 0.5)
    losses = _asked(teacher, whole, over, torch.float32)
    assert torch.equal(losses.isnan(), ~known[gold])
    asked = asked_of(whole, over)
    assert torch.cat([batch["gold"] for batch in asked]).tolist() == gold[known[gold]].tolist()
    # The same model as teacher and student is no better than itself.
    torch.testing.assert_close(
        torch.tensor(held_out_loss(teacher, asked, torch.float32)), losses.nanmean()
    )
    assert held_out_loss(teacher, whole, torch.float32) != held_out_loss(
        teacher, asked, torch.float32
    )
