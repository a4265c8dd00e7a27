"""The settings of the paper, and what a training may not be asked for."""

from __future__ import annotations

import math

import pytest

from polymux.errors import UsageError
from polymux.train.presets import PRESETS, preset_of
from polymux.train.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "lr", "epochs", "batch_size", "max_length"),
    [
        ("xlm-r/udpos", 2e-5, 10, 64, 128),
        ("xlm-r/xnli", 5e-6, 10, 64, 128),
        ("infoxlm/tydiqa", 1e-5, 3, 32, 256),
        ("rembert/ner", 8e-6, 10, 64, 128),
        ("start/rembert/ner", 8e-6, 3, 64, 128),
        ("start/xlm-r/ner", 2e-5, 10, 64, 128),
        ("start/infoxlm/xnli", 5e-6, 2, 64, 128),
        ("start/xlm-r/tydiqa", 1e-5, 2, 32, 256),
    ],
)
def test_presets_are_those_of_the_paper(
    name: str, lr: float, epochs: int, batch_size: int, max_length: int
) -> None:
    preset = PRESETS[name]
    assert (preset.lr, preset.epochs) == (lr, epochs)
    assert (preset.batch_size, preset.max_length) == (batch_size, max_length)


def test_a_preset_trains_as_the_paper_says_with_what_was_asked_otherwise() -> None:
    recipe = PRESETS["xlm-r/udpos"].recipe(seed=22)
    assert recipe == Recipe(lr=2e-5, batch_size=64, epochs=10, seed=22)
    assert (recipe.warmup, recipe.weight_decay, recipe.clip) == (0.1, 0.0, None)
    assert (recipe.schedule, recipe.precision) == ("linear", "float32")
    asked = PRESETS["xlm-r/udpos"].recipe(lr=1e-3, epochs=1, batch_size=2, accumulation=3, seed=0)
    assert asked == Recipe(lr=1e-3, batch_size=2, epochs=1, accumulation=3)


def test_a_task_has_a_default_and_other_tasks_presets_are_refused() -> None:
    assert preset_of(None, "question-answering") == PRESETS["xlm-r/tydiqa"]
    assert preset_of("small", "question-answering") == PRESETS["small"]
    with pytest.raises(UsageError, match="no preset 'xlm-r/xnli' for token") as caught:
        preset_of("xlm-r/xnli", "token-classification")
    assert "xlm-r/udpos" in caught.value.hint
    assert "tydiqa" not in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 1, "lr": 0.0}, "lr is 0.0"),
        ({"epochs": 1, "lr": math.nan}, "lr is nan"),
        ({"epochs": 1, "lr": math.inf}, "lr is inf"),
        ({"epochs": 1, "batch_size": 0}, "batch size is 0"),
        ({"epochs": 1, "accumulation": 0}, "accumulation is 0"),
        ({"epochs": 1, "warmup": 1.5}, "warm-up is 1.5"),
        ({"epochs": 1, "seed": -1}, "seed is -1"),
        ({"epochs": 1, "seed": 2**63}, "seed is 9223372036854775808"),
        ({"epochs": 1, "schedule": "zigzag"}, "no schedule 'zigzag'"),
        ({"epochs": 1, "precision": "int1"}, "no precision 'int1'"),
        ({"epochs": 1, "steps": 1}, "either epochs or steps"),
        ({}, "either epochs or steps"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe(**({"lr": 0.1, "batch_size": 4} | settings))


def test_updates_count_every_batch() -> None:
    recipe = Recipe(lr=0.1, batch_size=4, epochs=3, accumulation=2)
    assert [recipe.updates(rows) for rows in (1, 8, 9, 16, 17)] == [3, 3, 6, 6, 9]
    assert Recipe(lr=0.1, batch_size=4, steps=7).updates(1000) == 7
