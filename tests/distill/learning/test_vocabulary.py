"""From a teacher's words to the student's: what is covered, and what is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymux.distill.learning.relations import relation_loss
from polymux.distill.learning.vocabulary import Bridge, bridge
from polymux.errors import ModelError, UsageError

STUDENT = {"<pad>": 0, "<unk>": 1, "<mask>": 2, "cat": 3, "dog": 4, "Katze": 5}
TEACHER = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "dog": 3, "cat": 4, "horse": 5}
SPECIALS = {"<pad>": "[PAD]", "<unk>": "[UNK]", "<mask>": "[MASK]"}
TEXT = np.array([3, 3, 4, 5], np.uint16)


def made(kind: str, teacher: dict[str, int], specials: dict[str, str]) -> Bridge | None:
    return bridge(kind, STUDENT, teacher, TEXT, unknown=1, specials=specials)


def test_the_same_vocabulary_needs_no_bridge_and_another_one_is_refused_as_shared() -> None:
    assert made("shared", STUDENT, {}) is None
    with pytest.raises(ModelError, match="not the student's"):
        made("shared", TEACHER, SPECIALS)


def test_matched_strings_carry_probability_over_and_tell_what_they_cover() -> None:
    over = made("match", TEACHER, SPECIALS)
    assert over is not None
    assert over.coverage == 0.75
    assert over.read(torch.tensor([3, 4, 5, 2])).tolist() == [4, 3, 1, 2]
    p, mass = over.across(torch.tensor([[0.0, 0.0, 0.0, 0.2, 0.3, 0.5]]))
    torch.testing.assert_close(p, torch.tensor([[0, 0, 0, 0.6, 0.4, 0]]))
    torch.testing.assert_close(mass, torch.tensor([0.5]))
    assert over.known.tolist() == [True, True, True, True, True, False]


def test_a_subset_must_be_one() -> None:
    smaller = {"[PAD]": 0, "[UNK]": 1, "[MASK]": 2, "dog": 3}
    over = made("subset", smaller, SPECIALS)
    assert over is not None
    assert over.across(torch.tensor([[0.0, 0, 0, 1]]))[0][0].tolist() == [0, 0, 0, 0, 1, 0]
    with pytest.raises(ModelError, match="horse"):
        made("subset", TEACHER, SPECIALS)


def test_masked_keeps_the_words_of_the_language_only() -> None:
    over = made("masked", STUDENT, {})
    assert over is not None
    p, mass = over.across(torch.tensor([[0.1, 0.1, 0.1, 0.3, 0.3, 0.1]]))
    assert p[0, :3].tolist() == [0, 0, 0]
    assert float(mass) == pytest.approx(0.7)


def test_what_has_nothing_in_common_or_no_name_is_refused() -> None:
    with pytest.raises(ModelError, match="no word in common"):
        made("match", {"x": 0}, {})
    with pytest.raises(UsageError, match="no vocabulary"):
        made("union", TEACHER, SPECIALS)


def test_equal_relations_cost_nothing_and_widths_may_differ() -> None:
    wide = [torch.randn(2, 5, 32) for _ in range(3)]
    assert float(relation_loss(wide, wide)) == pytest.approx(0, abs=1e-6)
    narrow = [torch.randn(2, 5, 16) for _ in range(3)]
    assert float(relation_loss(narrow, wide)) > 0
    with pytest.raises(UsageError, match="no 8 equal parts"):
        relation_loss([torch.randn(2, 5, 12)] * 3, wide)
