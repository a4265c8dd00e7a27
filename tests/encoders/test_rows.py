"""Rows on a device: nothing is lost, nothing is mixed up, padding is only padding."""

from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from polymux.encoders.rows import Rows, batches, in_batches
from polymux.tasks import Feature

CPU = torch.device("cpu")


def features(lengths: list[int], seed: int = 0) -> list[Feature]:
    """Rows of these lengths; about half of their positions asked for and embedded."""
    draw = random.Random(seed)
    made = []
    for number, length in enumerate(lengths):
        some = sorted(draw.sample(range(length), draw.randint(1, length)))
        ids = tuple(draw.randint(5, 99) for _ in range(length))
        kinds = tuple(draw.randint(0, 1) for _ in range(length))
        made.append(Feature(number, ids, kinds, tuple(some), tuple(some[::2]), (), 0))
    return made


def test_batches_hold_the_token_budget_and_every_row_once() -> None:
    lengths = np.array([120, 50, 30, 7, 7, 3, 1])
    found = list(batches(lengths, 64))
    assert found == [(0, 1), (1, 2), (2, 4), (4, 7)]
    for start, stop in found:
        assert (stop - start) * lengths[start] <= 64 or stop - start == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 40))
def test_what_a_model_sees_and_gives_belongs_to_its_feature(lengths: list[int], budget: int):
    """A model that gives back what it read shows every id, segment and position in its place."""
    made = features(lengths)
    rows = Rows.of(made, CPU)

    def run(start: int, stop: int):
        inputs, weights = rows.padded(start, stop, padding=0)
        ids, kinds = inputs["input_ids"], inputs["token_type_ids"]
        assert ((ids == 0) == (inputs["attention_mask"] == 0)).all()
        row, place = rows.asked(start, stop)
        hidden = torch.stack([ids, kinds, ids * 0 + 1], dim=-1).float()
        return [((weights[:, None, :] @ hidden)[:, 0], hidden[row, place])]

    ticks: list[int] = []
    means, logits = in_batches(rows, budget, run, ticks.append)
    assert ticks[-1] == len(made)
    for feature, mean in zip(made, means, strict=True):
        ids, kinds = np.array(feature.input_ids), np.array(feature.type_ids)
        at = list(feature.embed_at)
        np.testing.assert_allclose(mean, [ids[at].mean(), kinds[at].mean(), 1], rtol=1e-5)
    expected = [
        (f.input_ids[at], f.type_ids[at], 1) for f in made if f.type_ids for at in f.logits_at
    ]
    np.testing.assert_array_equal(logits, np.array(expected, dtype=np.float32))
