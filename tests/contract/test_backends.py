"""What every backend promises: the same numbers whatever stands beside an example."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.encoders.worlds import same, world
from tests.models import tiny_model

from polymux.encoders import BACKENDS, Model
from polymux.records import Encodings
from polymux.tasks import TASKS

KINDS = ("bert", "xlm-roberta", "modernbert", "llama")


@pytest.fixture(scope="module", params=[(t, k) for t in TASKS for k in KINDS], ids="-".join)
def make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Model]:
    task, kind = request.param

    def model(backend: str, *, side: str = "right", **options: Any) -> Model:
        folder = tmp_path_factory.getbasetemp() / f"{task}-{kind}-{side}"
        if not folder.exists():
            tiny_model(folder, task, kind=kind, padding_side=side, sharpness=1.0)
        options = {"max_length": 64, "stride": 16, "device": "cpu"} | options
        return Model(folder, task=task, backend=backend, **options)

    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_of_one_and_of_all_give_the_same(make: Callable[..., Model], backend: str) -> None:
    examples = world(make(backend).task)
    usual = make(backend).encode(examples)
    for budget in (1, 200, 100_000):
        same(usual, make(backend, batch_tokens=budget).encode(examples))


@pytest.mark.parametrize("backend", BACKENDS)
def test_order_and_neighbours_decide_nothing(make: Callable[..., Model], backend: str) -> None:
    model = make(backend)
    examples = world(model.task)
    usual = model.encode(examples)
    order = np.random.default_rng(0).permutation(len(examples))
    same(usual.take(order), model.encode([examples[i] for i in order]))
    parts = [model.encode(examples[:5]), model.encode(examples[5:6]), model.encode(examples[6:])]
    same(usual, Encodings.concatenate(parts))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_side_a_tokenizer_pads_on_decides_nothing(
    make: Callable[..., Model], backend: str
) -> None:
    examples = world(make(backend).task, 8)
    left, right = (make(backend, side=side) for side in ("left", "right"))
    assert (left.tokenizer.padding_side, right.tokenizer.padding_side) == ("left", "right")
    same(left.encode(examples), right.encode(examples))


@pytest.mark.parametrize("backend", BACKENDS)
def test_ticks_count_the_rows(make: Callable[..., Model], backend: str) -> None:
    model = make(backend, batch_tokens=100)
    features = model.prepare(world(model.task, 8))
    heard: list[int] = []
    embeddings, logits = model.forward(features, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == len(features) == len(embeddings)
    assert len(logits) == sum(len(f.logits_at) for f in features)


def test_low_precision_is_near_and_is_another_fingerprint(tmp_path: Path) -> None:
    task = "text-classification"
    folder = tiny_model(tmp_path, task, kind="xlm-roberta")
    full = Model(folder, task=task, device="cpu")
    low = Model(folder, task=task, device="cpu", dtype="bfloat16")
    examples = world(task, 6)
    one, other = full.encode(examples), low.encode(examples)
    assert full.fingerprint != low.fingerprint
    assert other.embeddings.dtype == np.float32
    gap = np.linalg.norm(one.embeddings - other.embeddings, axis=1)
    assert (gap < 0.1 * np.linalg.norm(one.embeddings, axis=1)).all()
    assert (gap > 0).all()
