"""Relations between positions: nothing for equal models, the formula for others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.distill.learning.test_network import KINDS
from tests.distill.learning.worlds import LENGTH, batch, model, tokenizer
from torch import Tensor, nn

from polymux.distill.learning import network
from polymux.distill.learning.relations import listened, projections, relation_loss
from polymux.errors import UsageError


def vectors(width: int, seed: int, rows: int = 2, length: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, length, width, generator=generator) for _ in range(3)]


def written_out(student: list[Tensor], teacher: list[Tensor], heads: int) -> float:
    """The mean of KL(teacher || student), one position at a time in double precision."""

    def relation(vectors: Tensor, row: int, head: int, position: int) -> Tensor:
        size = vectors.shape[2] // heads
        part = vectors[row, :, head * size : (head + 1) * size].double()
        scores = torch.stack([part[position] @ other for other in part]) / size**0.5
        return scores.exp() / scores.exp().sum()

    values = []
    for own, asked in zip(student, teacher, strict=True):
        for row in range(own.shape[0]):
            for head in range(heads):
                for at in range(own.shape[1]):
                    p, q = (relation(v, row, head, at) for v in (asked, own))
                    values.append(float((p * (p / q).log()).sum()))
    return sum(values) / len(values)


@pytest.mark.parametrize("heads", [1, 4, 8])
def test_the_loss_is_the_mean_divergence_from_the_teachers_relations(heads: int) -> None:
    narrow, wide = vectors(16, 1), vectors(32, 2)
    wanted = written_out(narrow, wide, heads)
    assert float(relation_loss(narrow, wide, heads)) == pytest.approx(wanted, rel=1e-4)
    assert float(relation_loss(wide, narrow, heads)) != pytest.approx(wanted, rel=1e-2)


def test_equal_relations_cost_nothing_and_give_no_gradient() -> None:
    own = [x.requires_grad_() for x in vectors(32, 3)]
    value = relation_loss(own, [x.detach() for x in own])
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert all(float(x.grad.abs().max()) < 1e-6 for x in own)


def test_padding_changes_no_relation() -> None:
    own, asked = vectors(16, 4, rows=1), vectors(32, 5, rows=1)
    bare = relation_loss(own, asked)
    longer = [
        [torch.cat([x, torch.full((1, 3, x.shape[2]), 7.0)], dim=1) for x in side]
        for side in (own, asked)
    ]
    attention = torch.tensor([[1] * 5 + [0] * 3])
    torch.testing.assert_close(relation_loss(*longer, attention_BS=attention), bare)
    assert float(relation_loss(*longer)) != pytest.approx(float(bare), rel=1e-2)


def test_a_width_without_equal_parts_is_refused() -> None:
    with pytest.raises(UsageError, match="12 has no 8 equal parts"):
        relation_loss(vectors(12, 1), vectors(32, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_queries_keys_and_values_of_the_last_layer_are_heard_of_each_kind(kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    rows = batch([(0, 1), (1, 2)])
    with torch.no_grad(), listened(made) as heard:
        network.hidden_logits(made, rows)
    assert [tuple(x.shape) for x in heard] == [(2, LENGTH, 16)] * 3
    found = projections(made)
    names = {id(module): name for name, module in made.named_modules()}
    assert all(".1." in names[id(module)] for module in found), "not of the last of two layers"
    assert len(found) in (1, 3)
    assert all(not module._forward_hooks for module in found)


def test_what_is_heard_are_queries_keys_and_values_in_this_order() -> None:
    made = network.new("bert", KINDS["bert"], tokenizer(), LENGTH, seed=1).eval()
    last = made.base_model.encoder.layer[-1].attention.self
    assert projections(made) == [last.query, last.key, last.value]
    together = model(1)
    assert projections(together) == [together.base_model.layers[-1].attn.Wqkv]
    rows = batch([(0, 1)])
    with torch.no_grad(), listened(together) as heard:
        network.hidden_logits(together, rows)
        inside: list[Tensor] = []
        handle = together.base_model.layers[-1].attn.Wqkv.register_forward_hook(
            lambda module, given, output: inside.append(output)
        )
        network.hidden_logits(together, rows)
        handle.remove()
    torch.testing.assert_close(torch.cat(heard[:3], -1), inside[0])


def test_the_same_model_has_the_same_relations_and_another_has_not() -> None:
    def last(asked: Any) -> list[Tensor]:
        with torch.no_grad(), listened(asked) as heard:
            network.hidden_logits(asked, batch([(0, 1), (2, 3)]))
        return list(heard)

    assert float(relation_loss(last(model(1)), last(model(1)), 4)) == pytest.approx(0, abs=1e-6)
    assert float(relation_loss(last(model(1)), last(model(2)), 4)) > 1e-5


def test_a_model_of_unknown_parts_is_refused() -> None:
    with pytest.raises(UsageError, match="where Sequential makes its queries is not known"):
        projections(nn.Sequential(nn.Linear(2, 2)))
