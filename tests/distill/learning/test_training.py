"""A training reads what was planned, learns from it, and drops what its teachers cannot teach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.distill.learning.worlds import LENGTH, ROWS, batch, masking, model, tokenizer
from torch import Tensor

from polymux.distill.learning import network, training
from polymux.distill.learning.held_out import held_out_batches, held_out_loss
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.relations import listened, relation_loss
from polymux.distill.learning.teachers import Live
from polymux.distill.learning.training import Lesson, Plan, Weak, learn, planned
from polymux.distill.text.blocks import UNITS, Rows, Stream
from polymux.distill.text.sampling import Mix
from polymux.train import Fitted, Recipe

MIXED = [(0, 1), (2, 3), (1, 0), (0, 4), (2, 0), (1, 7)]


def full_rows(count: int, length: int = 10) -> Rows:
    """So many full rows of `length`, special tokens included."""
    room = length - 2
    ids = np.full(count * room, 300, np.uint16)
    ends = np.arange(room, len(ids) + 1, room)
    return Rows(
        Stream(ids, ends, {unit: ends.astype(float) for unit in UNITS}), count, length, True, 1, 2
    )


def test_a_plan_spends_its_tokens_by_the_shares() -> None:
    rows = {"te": full_rows(10), "de": full_rows(30)}
    # Kept in bytes: 100 of te in 10 rows, 300 of de in 30: a row holds 10 of both.
    mix = Mix({"te": 100.0, "de": 300.0}, [(1.0, {"te": 0.5, "de": 0.5})])
    plan = planned(rows, mix, tokens=4000.0, batch_tokens=200, seed=0)
    assert (plan.rows_an_update, plan.updates) == (20, 20)
    assert plan.tokens == {"te": 2000, "de": 2000}
    assert plan.epochs == pytest.approx({"te": 200 / 10, "de": 200 / 30})
    assert plan.kept == {"te": 80, "de": 240}
    assert plan.record == {
        "updates": 20,
        "rows_an_update": 20,
        "tokens": 4000,
        "tokens_an_update": 200,
        "languages": {
            "te": {"kept_tokens": 80, "tokens": 2000, "share": 0.5, "epochs": 20.0},
            "de": {"kept_tokens": 240, "tokens": 2000, "share": 0.5, "epochs": 200 / 30},
        },
    }


def test_shares_are_of_what_languages_are_measured_by_not_of_rows() -> None:
    # A row of te holds 30 of its unit, a row of de 10: equal shares take three times as many of de.
    rows = {"te": full_rows(10), "de": full_rows(30)}
    mix = Mix({"te": 300.0, "de": 300.0}, [(1.0, {"te": 0.5, "de": 0.5})])
    plan = planned(rows, mix, tokens=4000.0, batch_tokens=200, seed=0)
    assert plan.tokens == {"te": 1000, "de": 3000}
    # Equal shares of all that is kept are then equal epochs.
    assert plan.epochs == pytest.approx({"te": 10.0, "de": 10.0})


def test_updates_do_not_depend_on_the_sampling_where_rows_are_full() -> None:
    rows = {"te": full_rows(10), "de": full_rows(30)}
    plans = [
        planned(
            rows,
            Mix({"te": 100.0, "de": 300.0}, [(1.0, {"te": share, "de": 1 - share})]),
            tokens=5000.0,
            batch_tokens=160,
            seed=seed,
        )
        for seed, share in enumerate((0.1, 0.5, 0.9))
    ]
    assert {(p.updates, p.rows_an_update, sum(p.tokens.values())) for p in plans} == {
        (31, 16, 4960)
    }


def test_phases_of_a_mix_are_phases_of_the_draw() -> None:
    rows = {"te": full_rows(10), "de": full_rows(10)}
    phases = [(0.5, {"te": 0.8, "de": 0.2}), (1.0, {"te": 0.2, "de": 0.8})]
    mix = Mix({"te": 1.0, "de": 1.0}, phases)
    plan = planned(rows, mix, tokens=2000.0, batch_tokens=100, seed=0)
    assert (plan.updates, plan.rows_an_update) == (20, 10)
    assert plan.draw.counts[[10, 20]].tolist() == [[80, 20], [100, 100]]


def test_short_rows_are_planned_by_their_mean_length() -> None:
    ends = np.array([3, 10, 14])  # 2, 6 and 3 tokens of text, a separator after each.
    stream = Stream(np.full(14, 300, np.uint16), ends, {unit: ends.astype(float) for unit in UNITS})
    rows = {"te": Rows(stream, 3, 20, False, 1, 2)}
    mix = Mix({"te": 14.0}, [(1.0, {"te": 1.0})])
    plan = planned(rows, mix, tokens=170.0, batch_tokens=34, seed=0)
    # (2 + 6 + 3) / 3 + 2 = 17 / 3 tokens a row.
    assert (plan.rows_an_update, plan.updates) == (6, 5)
    assert plan.tokens == {"te": 170}


def test_a_plan_has_an_update_and_a_row_at_least() -> None:
    rows = {"te": full_rows(10)}
    mix = Mix({"te": 1.0}, [(1.0, {"te": 1.0})])
    plan = planned(rows, mix, tokens=1.0, batch_tokens=1, seed=0)
    assert (plan.updates, plan.rows_an_update) == (1, 1)


def written_out(student: Any, teachers: list[Any], made: dict[str, Tensor], alpha: Tensor) -> float:
    """The mean over hidden tokens, one at a time."""
    total = 0.0
    with torch.no_grad():
        logits = student(input_ids=made["input_ids"]).logits.double()
        beliefs = [t(input_ids=made["input_ids"]).logits.double().softmax(-1) for t in teachers]
    for row, place, gold in zip(made["row"], made["place"], made["gold"], strict=True):
        log_q = logits[row, place].log_softmax(-1)
        language = int(made["language"][row])
        soft = -float((beliefs[language][row, place] * log_q).sum())
        weight = float(alpha[language])
        total += weight * soft + (1 - weight) * -float(log_q[gold])
    return total / len(made["gold"])


@pytest.mark.parametrize("alpha", [[1.0, 1.0, 1.0], [1.0, 0.0, 0.25], [0.0, 0.0, 0.0]])
def test_a_lesson_is_the_mean_over_hidden_tokens_weighed_by_language(alpha: list[float]) -> None:
    teachers, student, made = [model(s) for s in (1, 2, 3)], model(9), batch(MIXED)
    weights = torch.tensor(alpha)
    lesson = Lesson(weights, teaching=Live(teachers))
    with torch.no_grad():
        value = lesson(student, made)
    assert float(value) == pytest.approx(written_out(student, teachers, made, weights), rel=1e-4)


def test_more_of_the_same_rows_do_not_make_the_loss_larger() -> None:
    lesson = Lesson(torch.ones(3), teaching=Live([model(s) for s in (1, 2, 3)]))
    student = model(9)
    with torch.no_grad():
        once, thrice = lesson(student, batch(MIXED)), lesson(student, batch(MIXED * 3))
    torch.testing.assert_close(once, thrice, rtol=1e-4, atol=1e-5)


def test_without_teaching_a_lesson_is_masked_language_modelling() -> None:
    student, made = model(9), batch(MIXED)
    with torch.no_grad():
        value = Lesson(torch.zeros(3))(student, made)
        wanted = student(input_ids=made["input_ids"]).logits[made["row"], made["place"]]
    hard = torch.nn.functional.cross_entropy(wanted, made["gold"])
    torch.testing.assert_close(value, hard, rtol=1e-4, atol=1e-5)


def test_relations_come_on_top_by_their_weight() -> None:
    teachers, student, made = [model(s) for s in (1, 2, 3)], model(9), batch(MIXED)
    live = Live(teachers, relations=True)
    plain = Lesson(torch.ones(3), teaching=Live(teachers))
    with torch.no_grad():
        with listened(student) as own:
            hidden_logits(student, made)
        apart = relation_loss(own, live(made)[1], 4)
        values = [Lesson(torch.ones(3), 1.0, live, w, 4)(student, made) for w in (0.0, 2.0)]
        torch.testing.assert_close(values[0], plain(student, made))
    torch.testing.assert_close(values[1] - values[0], 2 * apart, rtol=1e-3, atol=1e-5)
    assert float(apart) > 0


def weak(folder: Path, teachers: dict[int, float], **more: Any) -> Weak:
    student = model(9)
    held = {language: held_out_batches(ROWS[language], language, masking()) for language in (0, 1)}
    lesson = Lesson(torch.full((3,), 0.5))
    return Weak(lesson, student, held, teachers, 100, torch.float32, folder / "w.json", **more)


def student_losses() -> list[float]:
    asked = model(9)
    return [
        held_out_loss(asked, held_out_batches(ROWS[i], i, masking()), torch.float32) for i in (0, 1)
    ]


def test_a_language_whose_teacher_is_no_better_learns_from_words_alone(tmp_path: Path) -> None:
    own = student_losses()
    made = weak(tmp_path, {0: own[0] - 0.1, 1: own[1] + 0.1})
    for update in range(10):
        made(update)
    assert made.lesson.alpha.tolist() == [0.5, 0.5, 0.5], "looked before a tenth was over"
    made(10)
    assert made.lesson.alpha.tolist() == [0.5, 0.0, 0.5]
    assert made.found == {"10": {"0": pytest.approx(own[0]), "1": pytest.approx(own[1])}}
    assert not made.model.training


def test_a_teacher_that_is_just_as_good_is_no_better(tmp_path: Path) -> None:
    own = student_losses()
    made = weak(tmp_path, {0: own[0], 1: own[1] - 1e-3})
    made(10)
    assert made.lesson.alpha.tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("resumed", [11, 20, 25])
def test_what_was_dropped_stays_dropped_over_a_resume(tmp_path: Path, resumed: int) -> None:
    own = student_losses()
    weak(tmp_path, {0: own[0] + 1, 1: own[1] - 1})(10)
    # The student has become worse than the teacher again: an undisturbed training would not mind.
    again = weak(tmp_path, {0: own[0] + 1, 1: own[1] - 1})
    with torch.no_grad():
        again.model.head.norm.weight.mul_(30.0)
    again(resumed)
    assert again.lesson.alpha.tolist() == [0.0, 0.5, 0.5]


def test_what_a_killed_training_found_later_is_not_known_yet(tmp_path: Path) -> None:
    own = student_losses()
    first = weak(tmp_path, {0: own[0] + 1, 1: own[1] - 1})
    first(10)
    first(20)
    again = weak(tmp_path, {0: own[0] + 1, 1: own[1] - 1})
    again(9)
    assert again.lesson.alpha.tolist() == [0.5, 0.5, 0.5]


PATTERN = (270, 280, 290, 300, 310)


def easy_rows(shift: int) -> Rows:
    """Text that repeats five words in turn: what is hidden can be told from what is not."""
    ids = np.array([PATTERN[(i + shift) % 5] for i in range(400)], np.uint16)
    ends = np.arange(20, 401, 20)
    return Rows(
        Stream(ids, ends, {unit: ends.astype(float) for unit in UNITS}), 20, LENGTH, True, 1, 2
    )


def small_plan(tokens: float) -> Plan:
    rows = {"a": easy_rows(0), "b": easy_rows(2)}
    mix = Mix({"a": 400.0, "b": 400.0}, [(1.0, {"a": 0.5, "b": 0.5})])
    return planned(rows, mix, tokens=tokens, batch_tokens=16 * LENGTH, seed=3)


def taught(
    student: Any,
    lesson: Lesson,
    folder: Path,
    tokens: float = 40.0 * 16 * LENGTH,
    progress: Callable[[str, int, int | None], None] | None = None,
    before: Callable[[int], None] | None = None,
) -> Fitted:
    plan = small_plan(tokens)
    recipe = Recipe(lr=5e-3, batch_size=8, steps=plan.updates, clip=1.0)
    return learn(
        student,
        plan,
        masking(),
        recipe,
        lesson,
        before=before,
        checkpoint=folder / "state",
        checkpoint_seconds=0.0,
        identity="x",
        device="cpu",
        progress=progress,
    )


def fresh(seed: int) -> Any:
    return network.new(
        "modernbert", network.modernbert(1, 32, 2, 48), tokenizer(), LENGTH, seed=seed
    )


def test_words_are_learned_and_then_taught_to_another_model(tmp_path: Path) -> None:
    teacher, student = fresh(1), fresh(2)
    held = held_out_batches(easy_rows(1), 0, masking())
    before = held_out_loss(teacher, held, torch.float32)
    fitted = taught(teacher, Lesson(torch.zeros(2)), tmp_path / "hard")
    assert fitted.losses[0] > 5 > 3 > fitted.losses[-1]
    assert held_out_loss(teacher, held, torch.float32) < before - 2
    lesson = Lesson(torch.ones(2), teaching=Live([teacher, teacher]))
    fitted = taught(student, lesson, tmp_path / "soft")
    assert fitted.losses[-1] < fitted.losses[0] - 2
    # It never saw a true word, and guesses them as its teacher does.
    assert held_out_loss(student, held, torch.float32) < before - 2


class StoppedError(Exception):
    pass


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 5:
            raise StoppedError

    lesson, tokens = (
        Lesson(torch.full((2,), 0.5), 2.0, Live([fresh(5), fresh(6)])),
        8.0 * 16 * LENGTH,
    )
    whole = fresh(1)
    taught(whole, lesson, tmp_path / "a", tokens)
    with pytest.raises(StoppedError):
        taught(fresh(1), lesson, tmp_path / "b", tokens, stop)
    resumed = fresh(2)
    fitted = taught(resumed, lesson, tmp_path / "b", tokens)
    assert fitted.resumed_at == 5
    for name, weight in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weight), name


def test_a_training_looks_ten_times_and_reads_each_planned_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int, int]] = []
    collate = training.collate

    def counted(blocks: Any, **options: Any) -> dict[str, Tensor]:
        read.extend((b.language, b.place, b.passes) for b in blocks)
        return collate(blocks, **options)

    monkeypatch.setattr(training, "collate", counted)
    looked: list[int] = []
    plan = small_plan(4.0 * 16 * LENGTH)
    taught(fresh(1), Lesson(torch.zeros(2)), tmp_path, 4.0 * 16 * LENGTH, before=looked.append)
    assert looked == [0, 1, 2, 3]
    wanted = [(b.language, b.place, b.passes) for u in range(4) for b in plan.draw(u)[0]]
    assert read == wanted
    assert len(set(read)) == len(read) == 64


def test_a_dropped_language_copies_no_relations_either() -> None:
    made, student, teachers = batch(MIXED), model(9), [model(seed) for seed in (1, 2, 3)]
    lesson = Lesson(torch.full((3,), 1.0), 1.0, Live(teachers, 1.0, (), True), 1.0, 2)
    other = Lesson(
        torch.full((3,), 1.0),
        1.0,
        Live([teachers[0], model(7), teachers[2]], 1.0, (), True),
        1.0,
        2,
    )
    assert lesson(student, made).item() != pytest.approx(other(student, made).item(), rel=1e-4)
    for one in (lesson, other):
        one.drop(1)
    assert lesson(student, made).item() == pytest.approx(other(student, made).item(), rel=1e-6)
    for one in (lesson, other):
        one.drop(0)
        one.drop(2)
    hard = Lesson(torch.zeros(3))
    assert lesson(student, made).item() == pytest.approx(hard(student, made).item(), rel=1e-6)
