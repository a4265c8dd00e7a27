"""Who updates which weights, by which rule, and that a stopped training goes on the same."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polymux.distill.learning import network
from polymux.encoders import probe
from polymux.train import Recipe, fit
from polymux.train.optimizers import OPTIMIZERS, Together
from polymux.train.recipe import OPTIMIZERS as NAMES


class Vocabulary:
    """What `network.new` asks of a tokenizer."""

    pad_token_id = bos_token_id = cls_token_id = eos_token_id = sep_token_id = 0

    def __len__(self) -> int:
        return 20


def masked_lm(kind: str, seed: int = 1) -> Any:
    settings = {
        "modernbert": network.modernbert(2, 16, 2, 24),
        "bert": {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 24,
        },
    }[kind]
    return network.new(kind, settings, Vocabulary(), 8, seed=seed)


def owners(model: nn.Module, optimizer: Any) -> dict[str, str]:
    """By weight: the class that updates it."""
    named = {id(weight): name for name, weight in model.named_parameters()}
    parts = optimizer.parts if isinstance(optimizer, Together) else [optimizer]
    return {
        named[id(weight)]: type(part).__name__
        for part in parts
        for group in part.param_groups
        for weight in group["params"]
    }


def test_every_name_of_a_recipe_is_an_optimizer() -> None:
    assert tuple(OPTIMIZERS) == NAMES


@pytest.mark.parametrize("kind", ["modernbert", "bert"])
def test_muon_has_the_hidden_matrices_and_adamw_tables_heads_biases_and_norms(kind: str) -> None:
    model = masked_lm(kind)
    found = owners(model, OPTIMIZERS["muon"](model, 1e-3, 0.1, (0.9, 0.98)))
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, weight in model.named_parameters():
        is_matrix = weight.ndim == 2 and "embeddings" not in name and "decoder" not in name
        assert found[name] == ("Muon" if is_matrix else "AdamW"), name
    assert {"Muon", "AdamW"} == set(found.values())
    assert sum("embeddings" in name for name in found) > 0


def test_a_head_that_is_not_tied_is_a_table_too() -> None:
    settings = network.modernbert(1, 16, 2, 24) | {"tie_word_embeddings": False}
    model = network.new("modernbert", settings, Vocabulary(), 8, seed=1)
    head = model.get_output_embeddings().weight
    assert head is not model.get_input_embeddings().weight
    told = owners(model, OPTIMIZERS["muon"](model, 1e-3, 0.1, (0.9, 0.98)))
    assert told["decoder.weight"] == "AdamW"


@pytest.mark.parametrize("name", NAMES)
def test_every_trained_weight_has_one_owner_and_a_frozen_one_none(name: str) -> None:
    model = masked_lm("modernbert")
    model.model.layers[0].requires_grad_(False)
    made = OPTIMIZERS[name](model, 1e-3, 0.1, (0.9, 0.98))
    owned = [id(weight) for group in made.param_groups for weight in group["params"]]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(weight) for weight in model.parameters() if weight.requires_grad}


@pytest.mark.parametrize("name", NAMES)
def test_biases_and_gains_never_decay_and_all_else_does(name: str) -> None:
    model = masked_lm("bert")
    made = OPTIMIZERS[name](model, 1e-3, 0.1, (0.9, 0.98))
    for group in made.param_groups:
        for weight in group["params"]:
            assert group["weight_decay"] == (0.1 if weight.ndim >= 2 else 0.0)
        assert group["lr"] == 1e-3
        if "betas" in group:
            assert group["betas"] == (0.9, 0.98)


def test_a_rate_set_on_the_whole_is_set_on_both_parts() -> None:
    made = OPTIMIZERS["muon"](masked_lm("bert"), 1e-3, 0.0, (0.9, 0.98))
    for group in made.param_groups:
        group["lr"] = 0.5
    assert isinstance(made, Together)
    assert {g["lr"] for part in made.parts for g in part.param_groups} == {0.5}
    assert [type(part).__name__ for part in made.parts] == ["Muon", "AdamW"]


def test_a_step_of_muon_turns_in_all_directions_alike_and_is_as_long_as_one_of_adamw() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(100, 16))
    before = net[0].weight.detach().clone()
    # A gradient that is a thousand times stronger in some directions than in others.
    net[0].weight.grad = torch.randn(16, 100) * torch.logspace(-3, 0, 16)[:, None]
    OPTIMIZERS["muon"](net, 0.01, 0.0, (0.9, 0.98)).step()
    step = before - net[0].weight.detach()
    strengths = torch.linalg.svdvals(step)
    # Five steps of Newton and Schulz bring them near one, times 0.2 sqrt(100) and the rate.
    assert float(strengths.max() / strengths.median()) < 2
    assert float(strengths.median()) == pytest.approx(0.01 * 0.2 * 100**0.5, rel=0.35)
    # The same length, a weight, as a first step of AdamW (its sign times the rate): 0.2 of it.
    assert 0.1 < float(step.pow(2).mean().sqrt()) / 0.01 < 0.3


def newton_schulz(gradient: Tensor) -> Tensor:
    """Five steps from Jordan's coefficients, in double precision (wide matrices only)."""
    found = gradient.double() / gradient.double().norm()
    for _ in range(5):
        gram = found @ found.T
        found = 3.4445 * found + (-4.775 * gram + 2.0315 * gram @ gram) @ found
    return found


@pytest.mark.parametrize(("flags", "exact"), [(set(), True), ({"avx512_bf16"}, False)])
def test_muon_computes_in_float32_where_the_cpu_has_no_bfloat16(
    flags: set[str], exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_flags", lambda: flags)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(100, 16))
    before = net[0].weight.detach().clone()
    gradient = torch.randn(16, 100)
    net[0].weight.grad = gradient.clone()
    OPTIMIZERS["muon"](net, 0.01, 0.0, (0.9, 0.98)).step()
    step = (before - net[0].weight.detach()).double()
    error = (step / step.norm() - (told := newton_schulz(gradient)) / told.norm()).abs().max()
    # bfloat16 keeps eight bits.
    assert (float(error) < 1e-5) == exact
    assert float(error) < 1e-2
    assert torch.equal(net[0].weight.grad, gradient)


def test_zero_grad_forgets_the_gradients_of_both_parts() -> None:
    model = masked_lm("bert")
    made = OPTIMIZERS["muon"](model, 1e-3, 0.0, (0.9, 0.98))
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    made.zero_grad()
    assert all(weight.grad is None for weight in model.parameters())


class StoppedError(Exception):
    pass


def collate(rows: Sequence[int]) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(rows[0])
    return {"input_ids": torch.randint(1, 20, (len(rows), 8), generator=draw)}


def loss(model: nn.Module, batch: Any) -> Tensor:
    logits = model(input_ids=batch["input_ids"]).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1), batch["input_ids"].flatten())


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, name: str) -> None:
    recipe = Recipe(lr=0.01, batch_size=4, steps=6, optimizer=name, weight_decay=0.1, clip=1.0)

    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 4:
            raise StoppedError

    def learned(seed: int, **more: Any) -> tuple[Any, Any]:
        model = masked_lm("modernbert", seed)
        fitted = fit(model, range(24), collate, loss, recipe, device="cpu", **more)
        return fitted, torch.cat([w.detach().flatten() for w in model.parameters()])

    whole, wanted = learned(1)
    with pytest.raises(StoppedError):
        learned(1, checkpoint=tmp_path, checkpoint_seconds=0.0, progress=stop)
    # Other start weights: all that counts comes out of the checkpoint.
    resumed, found = learned(2, checkpoint=tmp_path, checkpoint_seconds=0.0, resume=True)
    assert resumed.resumed_at == 4
    assert torch.equal(found, wanted)
    assert resumed.losses == whole.losses
    assert whole.losses[-1] < whole.losses[0]


def test_the_state_of_both_parts_is_kept_apart_and_taken_back() -> None:
    def made(steps: int) -> tuple[Any, Together]:
        model = masked_lm("bert")
        optimizer = OPTIMIZERS["muon"](model, 0.01, 0.0, (0.9, 0.98))
        assert isinstance(optimizer, Together)
        for step in range(steps):
            optimizer.zero_grad()
            loss(model, collate([step, 1, 2])).backward()
            optimizer.step()
        return model, optimizer

    model, ahead = made(3)
    other, fresh = made(0)
    other.load_state_dict(model.state_dict())
    # Torch's optimizers share the tensors of a state that is loaded.
    fresh.load_state_dict(deepcopy(ahead.state_dict()))
    for both, optimizer in ((model, ahead), (other, fresh)):
        optimizer.zero_grad()
        loss(both.eval(), collate([7, 8, 9])).backward()
        optimizer.step()
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, rtol=0, atol=0, msg=name)
