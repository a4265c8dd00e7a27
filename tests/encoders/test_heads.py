"""Models to train: bodies as they are, heads kept or drawn from the seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models import KINDS, tiny_model

from polymux.encoders import load_for_training
from polymux.errors import ModelError
from polymux.tasks import TASKS

TASK = "token-classification"
NEW = ("X", "Y", "Z", "V", "W")


def head(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    base = f"{model.base_model_prefix}."
    return {n: w for n, w in model.state_dict().items() if not n.startswith(base)}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_body_without_a_head_gets_one_from_the_seed(tmp_path: Path, task: str, kind: str) -> None:
    folder = tiny_model(tmp_path, "none", kind=kind)
    labels = () if task == "question-answering" else ("a", "b", "c")
    first, tokenizer = load_for_training(folder, task=task, labels=labels, seed=1)
    again, _ = load_for_training(folder, task=task, labels=labels, seed=1)
    other, _ = load_for_training(folder, task=task, labels=labels, seed=2)
    assert same(head(first), head(again))
    weights = {n for n, w in head(first).items() if w.ndim > 1}
    assert any(not torch.equal(head(first)[n], head(other)[n]) for n in weights)
    saved = load_file(folder / "model.safetensors")
    body = first.base_model.state_dict()
    shared = set(saved) & set(body)
    assert len(shared) > len(body) // 2
    assert all(torch.equal(saved[n], body[n]) for n in shared)
    if labels:
        assert [first.config.id2label[i] for i in range(3)] == ["a", "b", "c"]
    assert first.config.pad_token_id == tokenizer.pad_token_id is not None


def test_a_trained_head_that_knows_the_labels_is_kept(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    model, _ = load_for_training(folder, task=TASK, labels=("B-LOC", "O"), seed=5)
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(saved[n], w) for n, w in head(model).items())
    assert model.config.id2label[0] == "O"
    assert len(model.config.id2label) == 5
    assert next(model.parameters()).dtype == torch.float32


def test_labels_that_the_head_lacks_need_a_new_head(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    with pytest.raises(ModelError, match=r"does not know the labels X, Y") as caught:
        load_for_training(folder, task=TASK, labels=("O", "X", "Y"))
    assert "--labels" in caught.value.hint
    model, _ = load_for_training(folder, task=TASK, labels=("O", "X", "Y"), new_head=True)
    assert list(model.config.id2label.values()) == ["O", "X", "Y"]
    assert head(model)["classifier.weight"].shape[0] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_head_of_the_same_size_is_new(tmp_path: Path, kind: str) -> None:
    folder = tiny_model(tmp_path, kind=kind)
    model, _ = load_for_training(folder, task=TASK, labels=NEW, new_head=True, seed=3)
    again, _ = load_for_training(folder, task=TASK, labels=NEW, new_head=True, seed=3)
    saved = load_file(folder / "model.safetensors")
    for name, weight in head(model).items():
        if weight.ndim > 1:
            assert not torch.equal(saved[name], weight), name
    assert same(head(model), head(again))
    body = model.base_model.state_dict()
    prefix = f"{model.base_model_prefix}."
    assert all(torch.equal(saved[prefix + n], w) for n, w in body.items() if prefix + n in saved)


def test_loading_draws_nothing_from_the_global_generator(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "none")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    load_for_training(folder, task=TASK, labels=("a", "b"), seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_decoder_without_a_padding_token_gets_one(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "none", kind="llama", pad=False)
    model, tokenizer = load_for_training(
        folder, task="text-classification", labels=("a", "b"), seed=1
    )
    assert tokenizer.pad_token == tokenizer.eos_token
    assert model.config.pad_token_id == tokenizer.eos_token_id
