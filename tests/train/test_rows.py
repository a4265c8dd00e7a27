"""What a batch holds and what a loss is: Hugging Face's own losses are the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.worlds import world
from tests.models import KINDS, tiny_model
from tests.train.worlds import LABELS, example, pool, start

from polymux.encoders import Model, load_for_training
from polymux.records import Example
from polymux.tasks import TASKS, Feature
from polymux.train.rows import (
    LOSSES,
    Row,
    collate,
    labelled_rows,
    logits_of,
    units,
)

QA = "question-answering"


def rows_of(folder: Path, task: str, examples: list[Example], **options: int) -> list[Row]:
    model = Model(folder, task=task, device="cpu", **options)  # type: ignore[arg-type]
    features = model.prepare(examples)
    return labelled_rows(features, TASKS[task].gold(examples, features, model.labels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", tuple(LABELS))
def test_training_and_inference_see_the_same_logits_d20(
    task: str, kind: str, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path, task, kind=kind)
    examples = world(task)
    model = Model(folder, task=task, device="cpu", batch_tokens=200)
    network, tokenizer = load_for_training(folder, task=task)
    features = model.prepare(examples)
    _, at_inference = model.forward(features)
    batch = collate([(f, np.zeros(1, np.int64)) for f in features], padding=tokenizer.pad_token_id)
    with torch.no_grad():
        in_training = logits_of(network.eval(), batch).numpy()
    assert np.allclose(in_training, at_inference, atol=2e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("task", tuple(LABELS))
def test_the_loss_is_hugging_faces(task: str, tmp_path: Path) -> None:
    folder = start(tmp_path, task)
    rows = rows_of(folder, task, list(pool(task, 7)))
    network, tokenizer = load_for_training(folder, task=task)
    network.eval()
    batch = collate(rows, padding=tokenizer.pad_token_id)
    ours = LOSSES[task](network, batch)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    gold = batch["gold"]
    if task == "token-classification":
        labels = torch.full_like(inputs["input_ids"], -100)
        labels[batch["row"], batch["place"]] = gold
        theirs = network(**inputs, labels=labels).loss
    elif task == "text-classification":
        theirs = network(**inputs, labels=gold).loss
    else:
        ends = gold.view(-1, 2)
        # Theirs has padding in the softmax: one window at a time has none.
        alone = [collate([row], padding=0) for row in rows]
        theirs = torch.stack(
            [
                network(
                    one["input_ids"],
                    one["attention_mask"],
                    one["token_type_ids"],
                    start_positions=ends[i, :1],
                    end_positions=ends[i, 1:],
                ).loss
                for i, one in enumerate(alone)
            ]
        ).mean()
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("task", tuple(LABELS))
def test_a_batch_is_the_mean_of_its_rows_by_their_units(task: str, tmp_path: Path) -> None:
    folder = start(tmp_path, task)
    rows = rows_of(folder, task, list(pool(task, 6)))
    network, _ = load_for_training(folder, task=task)
    network.eval()
    whole = collate(rows, padding=0)
    parts = [collate([row], padding=0) for row in rows]
    summed = sum(float(LOSSES[task](network, part)) * units(part) for part in parts)
    assert sum(map(units, parts)) == units(whole)
    assert float(LOSSES[task](network, whole)) == pytest.approx(summed / units(whole), rel=1e-5)


def test_a_window_without_the_answer_points_at_its_first_position(tmp_path: Path) -> None:
    folder = start(tmp_path, QA)
    words = ["fox"] + ["dog"] * 40
    rows = rows_of(folder, QA, [example(1, QA, words)], max_length=24, stride=4)
    assert len(rows) > 2
    assert rows[0][1].tolist() != [0, 0]
    assert [gold.tolist() for _, gold in rows[1:]] == [[0, 0]] * (len(rows) - 1)


def test_rows_without_a_label_are_left_out() -> None:
    feature = Feature(0, (1, 2), None, (0,), (0, 1), (0, 1), 0)
    gold = [np.array([-100, -100]), np.array([-100, 2]), np.array([0, 1])]
    assert [g.tolist() for _, g in labelled_rows([feature] * 3, gold)] == [[-100, 2], [0, 1]]
