"""What teachers said beforehand is what they say now, whoever asks and in whatever order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.distill.learning.worlds import ROWS, batch, masking, model

from polymux.distill.learning.cached import Cache, drawn, likeliest, read_cache, write_cache
from polymux.distill.learning.losses import Dense, soft_cross_entropy
from polymux.distill.learning.masking import collate
from polymux.distill.learning.network import hidden_logits
from polymux.distill.learning.teachers import Batch, Live
from polymux.distill.text.blocks import Block, Rows

MIXED = [(0, 1), (2, 3), (1, 0), (0, 4), (2, 0), (1, 7)]
ALL = 10_000


@pytest.fixture(scope="module")
def teachers() -> Live:
    return Live([model(seed) for seed in (1, 2, 3)])


def written(
    folder: Path, teachers: Live, kind: str, k: int, rows: list[Rows] = ROWS, repeats: int = 2
) -> Cache:
    write_cache(folder, teachers, rows, masking(repeats), kind=kind, k=k, autocast=torch.float32)
    return read_cache(folder)


@pytest.fixture(scope="module")
def whole(teachers: Live, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return written(tmp_path_factory.mktemp("whole"), teachers, "top-k", ALL)


@pytest.mark.parametrize("passes", [0, 1, 2, 5])
def test_cached_and_live_losses_agree_when_every_word_is_kept(
    whole: Cache, teachers: Live, passes: int
) -> None:
    made, student = batch(MIXED, passes, repeats=2), model(9)
    logits = hidden_logits(student, made)
    live = soft_cross_entropy(logits, teachers(made)[0])
    cached = soft_cross_entropy(logits, whole(made)[0])
    torch.testing.assert_close(cached, live, rtol=2e-3, atol=2e-3)


def test_any_order_and_company_of_rows_reads_the_same_answers(whole: Cache) -> None:
    made = batch(MIXED, 1, repeats=2)
    told, _ = whole(made)
    for order in ([5, 4, 3, 2, 1, 0], [3, 0, 3], [2]):
        asked = batch([MIXED[i] for i in order], 1, repeats=2)
        again, _ = whole(asked)
        for place, i in enumerate(order):
            assert torch.equal(again.ids[asked["row"] == place], told.ids[made["row"] == i])
            assert torch.equal(again.p[asked["row"] == place], told.p[made["row"] == i])


def test_every_row_under_every_mask_is_read_back_as_its_own(whole: Cache, teachers: Live) -> None:
    for language, own in enumerate(ROWS):
        for passes in range(2):
            made = batch([(language, i) for i in range(len(own))], passes, repeats=2)
            target, live = whole(made)[0], teachers(made)[0]
            back = torch.zeros_like(live.p).scatter_(1, target.ids, target.p)
            torch.testing.assert_close(back, live.p, rtol=1e-3, atol=1e-6)


def test_rows_with_different_numbers_of_hidden_tokens_are_told_apart(
    tmp_path: Path, teachers: Live
) -> None:
    draw = np.random.default_rng(0)
    ends = np.cumsum(draw.integers(2, 14, 20))
    lines = replace(ROWS[0], stream=replace(ROWS[0].stream, ends=ends), packed=False)
    cache = written(tmp_path, teachers, "top-k", ALL, [lines])
    blocks = [Block(0, i, 1, lines[i]) for i in draw.permutation(len(lines)).tolist()]
    made = collate(blocks, masking=masking(2), rows=[lines])
    assert len(set(torch.bincount(made["row"]).tolist())) > 1
    target, live = cache(made)[0], teachers(made)[0]
    back = torch.zeros_like(live.p).scatter_(1, target.ids, target.p)
    torch.testing.assert_close(back, live.p, rtol=2e-3, atol=1e-5)


def test_the_bucket_holds_what_the_likeliest_words_leave(tmp_path: Path, teachers: Live) -> None:
    target = written(tmp_path, teachers, "top-k", 3)(batch(MIXED, repeats=2))[0]
    live = teachers(batch(MIXED, repeats=2))[0].p
    top = live.topk(3, dim=1)
    torch.testing.assert_close(target.p, top.values, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(live.gather(1, target.ids), top.values, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(target.rest, 1 - top.values.sum(1), rtol=0, atol=2e-3)


def test_drawn_answers_are_kept_without_a_bucket_and_differ_from_row_to_row(
    tmp_path: Path, teachers: Live
) -> None:
    cache = written(tmp_path, teachers, "sampled", 4)
    target = cache(batch(MIXED, repeats=2))[0]
    assert target.rest is None
    assert target.p.unique().tolist() == [0.25]
    (tmp_path / "again").mkdir()
    again = written(tmp_path / "again", teachers, "sampled", 4)(batch(MIXED, repeats=2))[0]
    assert torch.equal(again.ids, target.ids)
    uniform = torch.full((2, 1000), 1e-3)
    assert not torch.equal(drawn(uniform, 4, 0)[0], drawn(uniform, 4, 1)[0])


def test_words_are_drawn_as_often_as_the_teacher_believes_in_them() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1, 0.0], [0.0, 0.0, 0.0, 1.0]])
    ids, weights = drawn(p, 20_000, 3)
    for row in range(2):
        share = torch.bincount(ids[row], weights[row], minlength=4)
        torch.testing.assert_close(share.float(), p[row], atol=0.015, rtol=0)


@pytest.mark.parametrize("kind", ["top-k", "sampled"])
def test_a_teacher_that_is_silent_is_silent_in_the_cache_too(
    tmp_path: Path, teachers: Live, kind: str
) -> None:
    class HalfSilent(Live):
        def distributions(self, batch: Batch) -> tuple[Dense, list[torch.Tensor] | None]:
            told, heard = super().distributions(batch)
            return replace(told, known=batch["gold"] % 2 == 0), heard

    cache = written(tmp_path, HalfSilent(teachers.models), kind, 8)
    made = batch(MIXED, 1, repeats=2)
    cost = soft_cross_entropy(hidden_logits(model(9), made), cache(made)[0])
    even = made["gold"] % 2 == 0
    assert 0 < int(even.sum()) < len(even)
    assert bool((cost[even] > 0).all())
    assert cost[~even].tolist() == [0.0] * int((~even).sum())


def test_no_more_words_are_kept_than_there_are() -> None:
    p = torch.tensor([[0.1, 0.6, 0.3]])
    ids, kept = likeliest(p, 50, 0)
    assert ids.tolist() == [[1, 2, 0]]
    torch.testing.assert_close(kept.sum(1), torch.ones(1))


def test_a_word_kept_takes_four_bytes(tmp_path: Path, teachers: Live) -> None:
    cache = written(tmp_path, teachers, "top-k", 3)
    # Two masks of three of the ten tokens of each row.
    hidden = 2 * 3 * sum(map(len, ROWS))
    assert cache.size == hidden * 3 * 4
    assert cache.size == sum(f.stat().st_size for f in tmp_path.iterdir() if f.suffix != ".json")


def test_a_cache_in_half_precision_passes_is_near_the_live_teacher(
    tmp_path: Path, teachers: Live
) -> None:
    write_cache(tmp_path, teachers, ROWS, masking(1), kind="top-k", k=ALL, autocast=torch.bfloat16)
    made = batch(MIXED, repeats=1)
    target = read_cache(tmp_path)(made)[0]
    live: Dense = teachers(made)[0]
    back = torch.zeros_like(live.p).scatter_(1, target.ids, target.p)
    assert 0 < float((back - live.p).abs().sum(1).mean()) < 0.2
