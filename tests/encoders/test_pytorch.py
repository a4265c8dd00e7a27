"""The torch backend against the slow, obvious way; what it does when memory or numbers fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.reference import Reference
from tests.encoders.worlds import world
from tests.models import KINDS, tiny_model

from polymux.encoders import Model, pytorch
from polymux.encoders.backends import by_length
from polymux.errors import UsageError, WorkError
from polymux.tasks import TASKS, Feature

CUT = {"token-classification": 48, "text-classification": 48, "question-answering": 96}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_batched_and_sorted_equals_one_example_at_a_time(
    tmp_path: Path, task: str, kind: str
) -> None:
    folder = tiny_model(tmp_path, task, kind=kind, sharpness=1.0)
    model = Model(folder, task=task, max_length=CUT[task], stride=16, device="cpu")
    reference = Reference(folder, task, kind, CUT[task], 16)
    examples = world(task)

    encodings = model.encode(examples)

    assert set(encodings.uncertainty) == set(TASKS[task].MEASURES)
    for i, example in enumerate(examples):
        embedding, uncertainty = reference(example)
        norm = np.linalg.norm(embedding)
        assert np.linalg.norm(encodings.embeddings[i] - embedding) < 1e-5 * norm, example.id
        for name, expected in uncertainty.items():
            told = float(encodings.uncertainty[name][i])
            assert told == pytest.approx(expected, abs=1e-5, rel=1e-5), (name, example.id)


@pytest.mark.parametrize("aggregate", ["joint", "surest", "mean", "worst"])
def test_windows_are_put_together_as_named(tmp_path: Path, aggregate: str) -> None:
    task = "question-answering"
    folder = tiny_model(tmp_path, task, kind="xlm-roberta", sharpness=1.0)
    model = Model(folder, task=task, max_length=72, stride=12, aggregate=aggregate, device="cpu")
    reference = Reference(folder, task, "xlm-roberta", 72, 12)
    examples = world(task, 12, seed=3)
    encodings = model.encode(examples)
    assert max(encodings.lengths) > 2 * 72, "no example has several windows"
    for i, example in enumerate(examples):
        _, uncertainty = reference(example, aggregate)
        for name, expected in uncertainty.items():
            told = float(encodings.uncertainty[name][i])
            assert told == pytest.approx(expected, abs=1e-5, rel=1e-5), (name, example.id)


def test_a_decoder_without_a_padding_token_reads_the_last_token(tmp_path: Path) -> None:
    task = "text-classification"
    folder = tiny_model(tmp_path, task, kind="llama", pad=False, sharpness=1.0)
    model = Model(folder, task=task, device="cpu")
    assert model.tokenizer.pad_token is None
    reference = Reference(folder, task, "llama", 128, 0)
    examples = world(task, 12)
    encodings = model.encode(examples)
    for i, example in enumerate(examples):
        embedding, uncertainty = reference(example)
        np.testing.assert_allclose(encodings.embeddings[i], embedding, atol=1e-5)
        assert encodings.uncertainty["margin"][i] == pytest.approx(uncertainty["margin"], abs=1e-5)


def test_d20_segments_are_read_the_same_way_in_a_batch_and_alone(tmp_path: Path) -> None:
    task = "text-classification"
    folder = tiny_model(tmp_path, task, kind="bert")
    model = Model(folder, task=task, device="cpu")
    pairs = [e for e in world(task) if "text_pair" in e.fields]
    features = model.prepare(pairs)
    batch = pytorch.batch_of(features, model.tokenizer.pad_token_id)
    for row, example in enumerate(pairs):
        plain = model.tokenizer(
            example.fields["text"], example.fields["text_pair"], truncation=True, max_length=128
        )
        length = len(plain["input_ids"])
        assert max(plain["token_type_ids"]) == 1
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            assert batch[name][row, :length].tolist() == plain[name]
        assert not batch["attention_mask"][row, length:].any()


def test_batches_hold_the_token_budget_and_every_row_once() -> None:
    lengths = np.array([3, 50, 7, 7, 120, 1, 30])
    batches = list(by_length(lengths, 64))
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert batches == [[4], [1], [6, 2], [3, 0, 5]]
    for batch in batches:
        assert len(batch) * lengths[batch].max() <= 64 or len(batch) == 1


@pytest.fixture
def words_model(tmp_path: Path) -> Model:
    return Model(tiny_model(tmp_path), task="token-classification", device="cpu", batch_tokens=512)


def test_out_of_memory_halves_the_batch_changes_nothing_and_is_told_once(
    words_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = world("token-classification")
    expected = words_model.encode(examples)
    real, sizes = pytorch._forward, []

    def small(loaded: pytorch.Loaded, features: list[Feature]) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(features))
        if len(features) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(loaded, features)

    monkeypatch.setattr(pytorch, "_forward", small)
    told = words_model.encode(examples)
    np.testing.assert_allclose(told.embeddings, expected.embeddings, rtol=1e-5, atol=1e-6)
    for one, other in zip(told.predictions, expected.predictions, strict=True):
        new, old = json.loads(one), json.loads(other)
        assert new["labels"] == old["labels"]
        # Rounded to four digits, scores of another batch may fall on the other side.
        np.testing.assert_allclose(new["scores"], old["scores"], atol=1.5e-4)
    assert max(sizes) > 2
    assert sum("out of memory" in note for note in words_model.notes) == 1


def test_out_of_memory_at_one_row_is_a_work_error(
    words_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr(pytorch, "_forward", none)
    with pytest.raises(WorkError, match="no memory for one row"):
        words_model.encode(world("token-classification"))


def test_another_runtime_error_is_not_taken_for_lack_of_memory(
    words_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(pytorch, "_forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        words_model.encode(world("token-classification"))


def test_no_layer_but_the_last_is_kept(words_model: Model) -> None:
    outputs = []
    model = words_model._loaded.model
    hook = model.register_forward_hook(lambda _m, _a, out: outputs.append(out))
    words_model.encode(world("token-classification", 3))
    hook.remove()
    assert outputs
    assert all(out.hidden_states is None for out in outputs)
    assert not model.training


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(UsageError, match="no device 'tpu'"):
        pytorch.device_named("tpu")
    assert pytorch.device_named("cpu") == "cpu"
