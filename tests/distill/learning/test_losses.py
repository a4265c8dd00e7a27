"""Losses equal their formulas written out with whole tables in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from polymux.distill.learning.cached import drawn, likeliest
from polymux.distill.learning.losses import (
    LOSSES,
    Dense,
    Sparse,
    loss_named,
    mixed_loss,
    soft_cross_entropy,
)
from polymux.errors import UsageError


def table(rows: int, words: int, seed: int, spread: float = 2.0) -> Tensor:
    return torch.randn(rows, words, generator=torch.Generator().manual_seed(seed)) * spread


def believed(rows: int, words: int, seed: int) -> Tensor:
    """A teacher's distribution, far from uniform."""
    return table(rows, words, seed).softmax(-1)


def written_out(logits: Tensor, p: Tensor, temperature: float = 1.0) -> Tensor:
    """-T^2 sum_v p(v) log q(v), word by word in double precision."""
    scores = (logits.double() / temperature).exp()
    q = scores / scores.sum(1, keepdim=True)
    return -(p.double() * q.log()).sum(1) * temperature**2


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_the_soft_loss_and_its_gradient_are_those_of_the_formula(temperature: float) -> None:
    logits, p = table(5, 11, 1).requires_grad_(), believed(5, 11, 2)
    weights = torch.tensor([0.1, 0.0, 3.0, 1.0, -2.0])
    ours = soft_cross_entropy(logits, Dense(p), temperature)
    (ours * weights).sum().backward()
    exact = logits.detach().double().requires_grad_()
    theirs = written_out(exact, p, temperature)
    (theirs * weights).sum().backward()
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("bucket", [True, False])
def test_the_loss_of_picked_words_and_its_gradient_are_those_of_the_formula(
    bucket: bool, temperature: float
) -> None:
    logits = table(5, 11, 1).requires_grad_()
    p = believed(5, 11, 2)
    if bucket:
        target = Sparse(*(top := p.topk(3, dim=1))[::-1], 1 - top.values.sum(1))
    else:
        # A word may be drawn twice.
        target = Sparse(torch.randint(4, (5, 6)), torch.full((5, 6), 1 / 6), None)
    weights = torch.tensor([0.1, 0.0, 3.0, 1.0, -2.0])
    ours = soft_cross_entropy(logits, target, temperature)
    (ours * weights).sum().backward()
    exact = logits.detach().double().requires_grad_()
    log_q = (exact / temperature).log_softmax(1)
    picked = log_q.gather(1, target.ids)
    theirs = -(target.p.double() * picked).sum(1)
    if target.rest is not None:
        theirs = theirs - target.rest.double() * (1 - picked.exp().sum(1)).log()
    theirs = theirs * temperature**2
    (theirs * weights).sum().backward()
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


def test_the_soft_gradient_is_what_finite_differences_give() -> None:
    logits, p = table(2, 4, 3).requires_grad_(), believed(2, 4, 4)
    soft_cross_entropy(logits, Dense(p)).sum().backward()
    for place in range(4):
        moved = logits.detach().double().clone()
        moved[1, place] += 1e-5
        slope = (written_out(moved, p) - written_out(logits.detach(), p))[1] / 1e-5
        assert logits.grad[1, place].item() == pytest.approx(slope.item(), abs=1e-4)


def test_no_rounding_of_a_forward_pass_reaches_the_loss() -> None:
    logits, p, gold = table(6, 400, 5), believed(6, 400, 6), torch.arange(6)
    alpha = torch.full((6,), 0.5)
    exact = mixed_loss(logits, gold, Dense(p), alpha, 2.0)
    with torch.autocast("cpu", torch.bfloat16):
        soft = soft_cross_entropy(logits, Dense(p), 2.0)
        mixed = mixed_loss(logits, gold, Dense(p), alpha, 2.0)
    assert soft.dtype == torch.float32
    torch.testing.assert_close(soft.double(), written_out(logits, p, 2.0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mixed, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_mixture_is_a_t2_soft_and_one_minus_a_hard_at_temperature_one(
    temperature: float,
) -> None:
    logits, p, gold = table(4, 7, 7), believed(4, 7, 8), torch.tensor([1, 2, 3, 0])
    alpha = torch.tensor([1.0, 0.0, 0.25, 0.5])
    hard = -logits.double().log_softmax(-1)[torch.arange(4), gold]
    wanted = alpha * written_out(logits, p, temperature) + (1 - alpha) * hard
    value = mixed_loss(logits, gold, Dense(p), alpha, temperature)
    torch.testing.assert_close(value.double(), wanted, atol=1e-5, rtol=0)


def test_without_a_teacher_the_loss_is_that_of_the_true_word_alone() -> None:
    logits, gold = table(3, 7, 9), torch.tensor([6, 0, 3])
    value = mixed_loss(logits, gold, None, torch.zeros(3), 2.0)
    torch.testing.assert_close(value, -logits.log_softmax(-1)[torch.arange(3), gold])


def test_soft_labels_alone_never_look_at_the_true_word() -> None:
    logits, p = table(3, 7, 10), believed(3, 7, 11)
    told = [
        mixed_loss(logits, torch.full((3,), word), Dense(p), torch.ones(3)) for word in range(7)
    ]
    assert all(torch.equal(value, told[0]) for value in told)


def test_where_the_teacher_has_no_word_nothing_is_lost_and_nothing_learned_from_it() -> None:
    logits, p = table(3, 7, 12).requires_grad_(), believed(3, 7, 13)
    known = torch.tensor([True, False, True])
    value = soft_cross_entropy(logits, Dense(p, known))
    value.sum().backward()
    assert value.detach().ne(0).tolist() == known.tolist()
    assert logits.grad.abs().sum(1).gt(0).tolist() == known.tolist()
    gold = torch.tensor([0, 1, 2])
    half = mixed_loss(logits.detach(), gold, Dense(p, known), torch.full((3,), 0.5))
    hard = -logits.detach().log_softmax(-1)[torch.arange(3), gold]
    assert float(half[1]) == pytest.approx(float(hard[1]) / 2, rel=1e-5)


@pytest.mark.parametrize("rest", [True, False])
def test_all_words_in_any_order_are_the_whole_distribution(rest: bool) -> None:
    logits, p = table(4, 9, 14).requires_grad_(), believed(4, 9, 15)
    ids = table(4, 9, 23).argsort(1)
    sparse = Sparse(ids, p.gather(1, ids), torch.zeros(4) if rest else None)
    (dense_slope,) = torch.autograd.grad(soft_cross_entropy(logits, Dense(p), 2.0).sum(), logits)
    value = soft_cross_entropy(logits, sparse, 2.0)
    (sparse_slope,) = torch.autograd.grad(value.sum(), logits)
    torch.testing.assert_close(value, soft_cross_entropy(logits, Dense(p), 2.0))
    torch.testing.assert_close(sparse_slope, dense_slope, rtol=1e-4, atol=1e-5)


def test_what_lies_outside_the_likeliest_counts_as_one_word() -> None:
    logits = torch.tensor([[1.0, 0.5, -1.0, 0.0]], requires_grad=True)
    target = Sparse(torch.tensor([[0, 2]]), torch.tensor([[0.5, 0.2]]), torch.tensor([0.3]))
    value = soft_cross_entropy(logits, target)
    exact = logits.detach().double().requires_grad_()
    q = exact.softmax(-1)[0]
    wanted = -(0.5 * q[0].log() + 0.2 * q[2].log() + 0.3 * (q[1] + q[3]).log())
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    value.sum().backward()
    wanted.backward()
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


def test_a_student_as_good_as_its_teacher_is_moved_by_the_bucket_nowhere() -> None:
    logits = table(4, 30, 16).requires_grad_()
    p = logits.detach().softmax(-1)
    ids, kept = likeliest(p, 5, 0)
    soft_cross_entropy(logits, Sparse(ids, kept, 1 - kept.sum(1))).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros(4, 30), atol=1e-5, rtol=0)
    renormalised = kept / kept.sum(1, keepdim=True)
    moved = logits.detach().requires_grad_()
    soft_cross_entropy(moved, Sparse(ids, renormalised, None)).sum().backward()
    assert float(moved.grad.abs().max()) > 0.02


def test_a_student_that_gives_nothing_to_the_bucket_has_a_finite_loss() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    target = Sparse(torch.tensor([[0]]), torch.tensor([[0.5]]), torch.tensor([0.5]))
    value = soft_cross_entropy(logits, target)
    value.sum().backward()
    assert value.item() == pytest.approx(-0.5 * torch.tensor(1e-7).log().item(), rel=1e-4)
    assert bool(logits.grad.isfinite().all())


def test_drawn_words_are_unbiased_and_the_renormalised_likeliest_are_not() -> None:
    p, logits = believed(4, 50, 17), table(4, 50, 18, 1.0)
    exact = soft_cross_entropy(logits, Dense(p))
    sampled = torch.stack(
        [soft_cross_entropy(logits, Sparse(*drawn(p, 8, seed), None)) for seed in range(800)]
    )
    error = sampled.std(0) / 800**0.5
    assert bool(((sampled.mean(0) - exact).abs() < 4 * error).all())
    top = p.topk(8, dim=1)
    renormalised = top.values / top.values.sum(1, keepdim=True)
    biased = soft_cross_entropy(logits, Sparse(top.indices, renormalised, None))
    assert bool(((biased - exact).abs() > 4 * error).any())


def test_the_gradient_of_drawn_words_is_unbiased_too() -> None:
    p, logits = believed(2, 20, 19), table(2, 20, 20, 1.0)
    slopes = []
    for seed in range(800):
        moved = logits.clone().requires_grad_()
        soft_cross_entropy(moved, Sparse(*drawn(p, 8, seed), None)).sum().backward()
        slopes.append(moved.grad)
    found = torch.stack(slopes)
    wanted = logits.softmax(-1) - p
    assert bool(((found.mean(0) - wanted).abs() < 5 * found.std(0) / 800**0.5 + 1e-6).all())


def test_each_name_stands_for_its_weights() -> None:
    told = {name: (loss.alpha, loss.temperature, loss.relations) for name, loss in LOSSES.items()}
    assert told == {
        "soft": (1.0, 1.0, False),
        "soft+hard": (0.5, 2.0, False),
        "soft+relation": (1.0, 1.0, True),
        "soft+hard+relation": (0.5, 2.0, True),
        "hard": (0.0, 1.0, False),
    }
    assert [name for name in LOSSES if not loss_named(name).asks_teachers] == ["hard"]
    with pytest.raises(UsageError, match=r"no loss 'softer'"):
        loss_named("softer")
