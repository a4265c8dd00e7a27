"""Each row is answered by the teacher of its language, asked now or before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.distill.learning.worlds import ROWS, batch, masking, model

from polymux.distill.learning.cached import drawn, read_cache, write_cache
from polymux.distill.learning.held_out import check_diagonal
from polymux.distill.learning.losses import Dense, Sparse, mixed_loss, soft_cross_entropy
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.teachers import Live
from polymux.errors import UsageError, WorkError

MIXED = [(0, 1), (2, 3), (1, 0), (0, 4), (2, 0), (1, 7)]


def losses(teachers: Live, student, made) -> torch.Tensor:
    """By row: the mean soft loss of its hidden tokens."""
    with torch.no_grad():
        answer, _ = teachers(made)
        value = soft_cross_entropy(hidden_logits(student, made), answer)
    return torch.stack([value[made["row"] == i].mean() for i in range(len(MIXED))])


def test_a_row_of_a_mixed_batch_is_answered_by_its_own_teacher() -> None:
    models = [model(seed) for seed in (1, 2, 3)]
    made = batch(MIXED)
    told, _ = Live(models)(made)
    for place, (language, row) in enumerate(MIXED):
        alone = batch([(language, row)])
        wanted = hidden_logits(models[language], alone).softmax(-1)
        torch.testing.assert_close(told.p[made["row"] == place], wanted, rtol=1e-4, atol=1e-6)


def test_a_rows_loss_does_not_move_when_another_languages_teacher_changes() -> None:
    student, made = model(9), batch(MIXED)
    before = losses(Live([model(1), model(2), model(3)]), student, made)
    after = losses(Live([model(1), model(5), model(3)]), student, made)
    moved = (before - after).abs() > 1e-4
    assert moved.tolist() == [language == 1 for language, _ in MIXED]


def test_teachers_are_frozen_and_give_no_gradient() -> None:
    teacher = model(1).train()
    teachers = Live([teacher, model(2), model(3)])
    assert not teacher.training
    student = model(9).train()
    answer, _ = teachers(batch(MIXED))
    soft_cross_entropy(hidden_logits(student, batch(MIXED)), answer).mean().backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert any(p.grad is not None for p in student.parameters())


@pytest.mark.parametrize("passes", [0, 1, 2, 5])
def test_cached_and_live_losses_agree_when_every_word_is_kept(tmp_path: Path, passes: int) -> None:
    teachers = Live([model(seed) for seed in (1, 2, 3)])
    write_cache(
        tmp_path, teachers, ROWS, masking(2), kind="top-k", k=10_000, autocast=torch.float32
    )
    made, student = batch(MIXED, passes, repeats=2), model(9)
    logits = hidden_logits(student, made)
    live = soft_cross_entropy(logits, teachers(made)[0])
    cached = soft_cross_entropy(logits, read_cache(tmp_path)(made)[0])
    torch.testing.assert_close(cached, live, rtol=2e-3, atol=2e-3)


def test_a_cache_needs_masks_that_repeat(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="masks that repeat"):
        write_cache(
            tmp_path, Live([model(1)]), ROWS[:1], masking(), kind="top-k", k=3,
            autocast=torch.float32,
        )  # fmt: skip


def test_drawn_words_are_unbiased_and_the_renormalised_likeliest_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(4, 50, generator=generator).mul(1.5).softmax(-1)
    logits = torch.randn(4, 50, generator=generator)
    exact = soft_cross_entropy(logits, Dense(p))
    sampled = [soft_cross_entropy(logits, Sparse(*drawn(p, 8, seed), None)) for seed in range(600)]
    top = p.topk(8, dim=1)
    biased = soft_cross_entropy(
        logits, Sparse(top.indices, top.values / top.values.sum(1, keepdim=True), None)
    )
    near = (torch.stack(sampled).mean(0) - exact).abs()
    assert bool((near < 0.1).all())
    assert bool(((biased - exact).abs() > near).all())


def test_shuffled_teachers_show_off_the_diagonal() -> None:
    right = torch.tensor([[1.0, 3.0], [2.0, 1.5]])
    check_diagonal(right, ["te", "de"])
    with pytest.raises(WorkError, match="te is easier for the teacher of de"):
        check_diagonal(right.flip(0), ["te", "de"])


def test_the_mixture_weighs_words_and_teacher_by_language() -> None:
    logits = torch.randn(3, 7)
    p = torch.randn(3, 7).softmax(-1)
    gold = torch.tensor([1, 2, 3])
    log_q = logits.double().log_softmax(-1)
    soft = -(p.double() * log_q).sum(1)
    hard = -log_q[torch.arange(3), gold]
    alpha = torch.tensor([1.0, 0.0, 0.25])
    value = mixed_loss(logits, gold, Dense(p), alpha)
    torch.testing.assert_close(value.double(), alpha * soft + (1 - alpha) * hard, atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_soft_loss_and_its_gradient_are_those_of_the_formula(temperature: float) -> None:
    logits = torch.randn(5, 11, requires_grad=True)
    p = torch.randn(5, 11).softmax(-1)
    soft_cross_entropy(logits, Dense(p), temperature).mean().backward()
    ours, logits.grad = logits.grad, None
    log_q = (logits / temperature).log_softmax(-1)
    (-(p * log_q).sum(1) * temperature**2).mean().backward()
    torch.testing.assert_close(ours, logits.grad)


def test_what_lies_outside_the_likeliest_counts_as_one_word() -> None:
    logits = torch.tensor([[1.0, 0.5, -1.0, 0.0]])
    q = logits.softmax(-1)[0]
    target = Sparse(torch.tensor([[0, 2]]), torch.tensor([[0.5, 0.2]]), torch.tensor([0.3]))
    wanted = -(0.5 * q[0].log() + 0.2 * q[2].log() + 0.3 * (q[1] + q[3]).log())
    assert float(soft_cross_entropy(logits, target)) == pytest.approx(float(wanted), rel=1e-5)
