"""Each row is answered by the teacher of its language, whoever else is in the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.distill.learning.worlds import LENGTH, ROWS, batch, masking, model, tokenizer

from polymux.distill.learning import network
from polymux.distill.learning.losses import soft_cross_entropy
from polymux.distill.learning.masking import collate
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.relations import listened
from polymux.distill.learning.teachers import Live, by_language
from polymux.distill.learning.vocabulary import Bridge, bridge
from polymux.distill.text.blocks import Block

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


def test_a_teacher_with_dropout_answers_the_same_twice() -> None:
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = network.new(
        "bert", settings | {"hidden_dropout_prob": 0.5}, tokenizer(), LENGTH, seed=1
    ).train()
    teachers, rows = Live([made]), batch([(0, 1), (0, 2)])
    first, again = (teachers(rows)[0].p for _ in range(2))
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert not any(p.requires_grad for p in made.parameters())


def test_the_order_of_a_batch_moves_no_answer() -> None:
    teachers = Live([model(1), model(2), model(3)])
    made, turned = batch(MIXED), batch(MIXED[::-1])
    told, again = teachers(made)[0].p, teachers(turned)[0].p
    for place in range(len(MIXED)):
        mine, theirs = told[made["row"] == place], again[turned["row"] == 5 - place]
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_batch_is_parted_without_losing_or_mixing_a_hidden_token() -> None:
    made = batch(MIXED)
    parts = list(by_language(made))
    assert [(language, rows.tolist()) for language, rows, _ in parts] == [
        (0, [0, 3]),
        (1, [2, 5]),
        (2, [1, 4]),
    ]
    for _, rows, part in parts:
        own = torch.isin(made["row"], rows)
        assert torch.equal(rows[part["row"]], made["row"][own])
        assert torch.equal(part["gold"], made["gold"][own])
        assert torch.equal(part["input_ids"], made["input_ids"][rows])
        seen = part["input_ids"][part["row"], part["place"]]
        assert torch.equal(seen, made["input_ids"][made["row"], made["place"]][own])


def test_rows_of_any_length_are_answered_as_if_alone() -> None:
    ends = np.cumsum([3, 9, 4, 8, 6, 3, 10, 5, 7, 4] * 2)
    lines = [replace(own, stream=replace(own.stream, ends=ends), packed=False) for own in ROWS]
    blocks = [Block(language, place, 0, lines[language][place]) for language, place in MIXED]
    teachers = Live([model(1), model(2), model(3)])
    made = collate(blocks, masking=masking(), rows=lines)
    assert "attention_mask" in made
    told = teachers(made)[0].p
    for place, block in enumerate(blocks):
        alone = collate([block], masking=masking(), rows=lines)
        wanted = teachers(alone)[0].p
        torch.testing.assert_close(told[made["row"] == place], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_answers_are_softened_by_the_temperature(temperature: float) -> None:
    asked, made = model(1), batch([(0, 1), (0, 2)])
    with torch.no_grad():
        logits = hidden_logits(asked, made).double()
    wanted = (logits / temperature).softmax(-1)
    told = Live([asked], temperature)(made)[0].p
    torch.testing.assert_close(told.double(), wanted, rtol=1e-4, atol=1e-6)


def test_the_last_layer_of_each_row_is_heard_from_its_own_teacher() -> None:
    models = [model(seed) for seed in (1, 2, 3)]
    _, heard = Live(models, relations=True)(batch(MIXED))
    assert heard is not None
    for place, (language, row) in enumerate(MIXED):
        with torch.no_grad(), listened(models[language]) as own:
            hidden_logits(models[language], batch([(language, row)]))
        for whole, alone in zip(heard, own, strict=True):
            torch.testing.assert_close(whole[place], alone[0], rtol=1e-4, atol=1e-5)
    assert Live(models)(batch(MIXED))[1] is None


def turned_around() -> Bridge:
    """To a teacher with the student's words in the other order, the last two of them missing."""
    words = {str(i): i for i in range(320)}
    theirs = {str(i): 317 - i for i in range(318)}
    over = bridge("match", words, theirs, np.array([300]), unknown=0, specials={})
    assert over is not None
    return over


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_another_vocabulary_is_read_and_answered_through_its_bridge(
    precision: torch.dtype,
) -> None:
    over, models = turned_around(), [model(1), model(2), model(3)]
    with torch.no_grad():
        # The teacher of language 1 is that of language 0 with its words in the other order.
        models[1].load_state_dict(models[0].state_dict())
        order = [*range(317, -1, -1), 318, 319]
        models[1].get_input_embeddings().weight.copy_(
            models[0].get_input_embeddings().weight[order]
        )
        models[1].get_output_embeddings().bias.copy_(models[0].get_output_embeddings().bias[order])
        models[1].get_output_embeddings().bias[318:] = -1e4
    made = batch([(1, place) for place in range(8)])
    there = (made["input_ids"] < 318).all(1)
    assert bool(there.any())
    teachers = Live(models, bridges=[None, over, None])
    smaller = models[1]
    original = smaller.forward
    smaller.forward = lambda **inputs: _cut(original(**inputs), 318)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        target, _ = teachers(made)
    with torch.no_grad():
        wanted = hidden_logits(models[0], made)
    wanted[:, 318:] = -torch.inf
    at = there[made["row"]]
    loose = {"rtol": 1e-4, "atol": 1e-6} if precision == torch.float32 else {"rtol": 1, "atol": 0.2}
    torch.testing.assert_close(target.p[at], wanted.softmax(-1)[at], **loose)
    torch.testing.assert_close(target.p.sum(1), torch.ones(len(at)))
    known = made["gold"] < 318
    assert (target.known is None) if bool(known.all()) else torch.equal(target.known, known)
    assert teachers.mass[1] == [len(at), pytest.approx(len(at), rel=1e-4)]


def _cut(output, words: int):
    output.logits = output.logits[..., :words]
    return output
