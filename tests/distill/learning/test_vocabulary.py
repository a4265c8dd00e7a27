"""From a teacher's words to the student's: what is covered, and what is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymux.distill.learning.vocabulary import Bridge, bridge
from polymux.errors import ModelError

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


def test_what_has_nothing_in_common_is_refused() -> None:
    with pytest.raises(ModelError, match="no word in common"):
        made("match", {"x": 0}, {})


@pytest.mark.parametrize(
    ("kind", "teacher"), [("shared", TEACHER), ("subset", TEACHER), ("match", {"x": 0})]
)
def test_the_teacher_whose_words_do_not_fit_is_named(kind: str, teacher: dict[str, int]) -> None:
    with pytest.raises(ModelError, match=r"teachers/hi: "):
        bridge(kind, STUDENT, teacher, TEXT, unknown=1, specials={}, file="teachers/hi")


def test_specials_are_matched_by_what_they_do_and_not_by_their_names() -> None:
    over = made("match", TEACHER, SPECIALS)
    assert over is not None
    assert over.read(torch.tensor([[0, 1, 2]])).tolist() == [[0, 1, 2]]
    unnamed = made("match", TEACHER, {})
    assert unnamed is not None
    assert unnamed.read(torch.tensor([0, 1, 2])).tolist() == [1, 1, 1]


def test_what_is_carried_over_sums_to_one_and_its_mass_is_what_was_not_dropped() -> None:
    over = made("match", TEACHER, SPECIALS)
    assert over is not None
    p = torch.rand(6, 6, generator=torch.Generator().manual_seed(1)).softmax(-1)
    with torch.autocast("cpu", torch.bfloat16):
        told, mass = over.across(p)
    torch.testing.assert_close(mass, 1 - p[:, 5])
    torch.testing.assert_close(told.sum(1), torch.ones(6))
    torch.testing.assert_close(told[:, 3] / told[:, 4], p[:, 4] / p[:, 3])
    assert told[:, 5].tolist() == [0] * 6


def test_masked_knows_the_words_of_the_text_and_no_others() -> None:
    over = made("masked", STUDENT, {})
    assert over is not None
    assert over.known.tolist() == [False, False, False, True, True, True]
    assert over.coverage == 1
    fewer = bridge("masked", STUDENT, STUDENT, np.array([4, 4], np.uint16), unknown=1, specials={})
    assert fewer is not None
    assert fewer.known.tolist() == [False, False, False, False, True, False]
    with pytest.raises(ModelError, match="not the student's"):
        made("masked", TEACHER, SPECIALS)


def test_masked_hides_no_word_from_the_teacher_that_reads_it() -> None:
    # Its text has neither mask nor padding; a row has.
    over = made("masked", STUDENT, {})
    assert over is not None
    assert over.read(torch.arange(6)).tolist() == [0, 1, 2, 3, 4, 5]
