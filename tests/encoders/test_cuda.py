"""A CUDA device gives what the processor gives, and survives that its memory runs out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.worlds import same, world
from tests.models import tiny_model
from tests.prescribe.worlds import noisy_pool, pool

from polymux.encoders import Model
from polymux.prescribe import select_many
from polymux.selection import STRATEGIES
from polymux.tasks import TASKS

pytestmark = pytest.mark.cuda
SIZES = {"en": 400, "de": 350, "hi": 340, "zh": 330, "ur": 320}
NAMES = [n for n in STRATEGIES if n not in ("gold", "plan", "same-distribution")]


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "llama"])
@pytest.mark.parametrize("task", TASKS)
def test_the_device_gives_what_the_processor_gives(task: str, kind: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, task, kind=kind, sharpness=1.0)
    examples = world(task)
    usual = Model(folder, task=task, device="cpu").encode(examples)
    for tokens in (1, 200, 100_000):
        there = Model(folder, task=task, device="cuda", batch_tokens=tokens)
        same(usual, there.encode(examples))


def test_memory_that_runs_out_halves_batches_and_changes_nothing(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, dim=256, layers=4)
    examples = world("token-classification", 600)
    usual = Model(folder, task="token-classification", device="cuda", batch_tokens=2_000)
    expected = usual.encode(examples)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(120 * 2**20 / total)
    try:
        wide = Model(folder, task="token-classification", device="cuda", batch_tokens=10**6)
        same(expected, wide.encode(examples))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("out of memory" in note for note in wide.notes)


@pytest.mark.parametrize("screen", ["off", "bfloat16", "float16"])
def test_the_choice_is_the_processors(screen: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, dim=64)

    def chosen(device: str, screen: str):
        model = Model(folder, task="token-classification", device=device)
        return select_many(
            model, pool(SIZES), noisy_pool(40), budgets=[20, 100], strategies=NAMES, screen=screen
        )

    here, there = chosen("cpu", "off"), chosen("cuda", screen)
    for key, choice in here.items():
        # Short sentences of few words tie to the last digit: which of two is taken may differ.
        for field, off in (("uncertainty", 1e-4), ("distance", 1e-4)):
            ours, theirs = (
                sorted(getattr(pick, field) for pick in made.picks) for made in (choice, there[key])
            )
            np.testing.assert_allclose(ours, theirs, atol=off, err_msg=str(key))


def test_products_on_the_device_are_not_in_a_lower_precision(tmp_path: Path) -> None:
    """TF32 has 10 bits: its error would be a thousand times the tolerance."""
    folder = tiny_model(tmp_path, dim=256)
    task = "token-classification"
    examples = world(task)
    one, other = (Model(folder, task=task, device=d).encode(examples) for d in ("cpu", "cuda"))
    gap = np.linalg.norm(one.embeddings - other.embeddings, axis=1)
    assert (gap <= 1e-5 * np.linalg.norm(one.embeddings, axis=1)).all()
