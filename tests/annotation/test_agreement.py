"""Agreement against published examples and against its definition; what is settled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import NER, POS, tags

from polymux.annotation import Answer, Batch, Item
from polymux.annotation.agreement import (
    Agreement,
    Settled,
    agreement,
    alpha,
    majority,
    settle,
)
from polymux.records import Label
from polymux.tasks import metrics

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": A, B and C.
MEG, OWEN = "0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"
BEN, GERRY = "a a b b d c c c e d d a", "b a b b b c c c e d d d"
FOUR = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def units(*observers: str) -> list[list[str]]:
    rows = [told.split() for told in observers]
    return [[value for value in unit if value != "."] for unit in zip(*rows, strict=True)]


def of(name: str, *labels: Label | None) -> list[Answer]:
    """Answers of a, b, c ... to one item; None: skipped."""
    return [
        Answer(name, {}, "skipped" if label is None else "labelled", label, chr(ord("a") + i))
        for i, label in enumerate(labels)
    ]


def classes(*languages: str | None) -> Batch:
    items = tuple(Item(f"c#{i}", {"text": "x"}, language=lang) for i, lang in enumerate(languages))
    return Batch("text-classification", ("1", "2", "3", "4", "5"), items)


def sentences(labels: tuple[str, ...], *lengths: int) -> Batch:
    items = tuple(Item(f"s#{i}", {"tokens": ("w",) * n}) for i, n in enumerate(lengths))
    return Batch("token-classification", labels, items)


@pytest.mark.parametrize(
    ("observers", "published"), [((MEG, OWEN), 0.095), ((BEN, GERRY), 0.692), (FOUR, 0.743)]
)
def test_published_examples(observers: tuple[str, ...], published: float) -> None:
    assert alpha(units(*observers)) == pytest.approx(published, abs=5e-4)


def test_the_published_example_by_hand() -> None:
    # Of its 40 pairable values 9, 13, 10, 5 and 3 are the numbers 1 to 5; units 2 and 8 hold one
    # value that three others do not share, unit 6 four different ones, and in the rest all agree.
    disagreement = (2 * 3 / 3) + (12 / 3) + (2 * 3 / 3)
    expected = (40 * 40 - (9**2 + 13**2 + 10**2 + 5**2 + 3**2)) / 39
    assert alpha(units(*FOUR)) == pytest.approx(1 - disagreement / expected, abs=1e-12)


def by_definition(values: Sequence[Sequence[int]]) -> float | None:
    """Every ordered pair of values of two people: within units, and of all units."""
    pairable = [unit for unit in values if len(unit) > 1]
    flat = [value for unit in pairable for value in unit]
    within = sum((a != b) / (len(unit) - 1) for unit in pairable for a, b in permutations(unit, 2))
    across = sum(a != b for a, b in permutations(flat, 2))
    if not across:
        return None
    return 1 - (within / len(flat)) / (across / (len(flat) * (len(flat) - 1)))


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=8))
def test_alpha_is_what_its_definition_says(values: list[list[int]]) -> None:
    expected = by_definition(values)
    found = alpha(values)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_alpha_of_perfect_agreement_is_one_and_of_none_is_below_zero() -> None:
    assert alpha([["x", "x"], ["y", "y", "y"]]) == 1.0
    assert alpha([["x", "y"], ["y", "x"]]) == pytest.approx(-0.5)


def test_alpha_of_chance_is_nought() -> None:
    # Each of the four ways that two people can choose among two, equally often, of many units.
    units_ = [[a, b] for a in "xy" for b in "xy"] * 500
    assert alpha(units_) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("values", [[], [["x"]], [["x"], ["y"]], [[], []], [["x", "x"]] * 3])
def test_alpha_is_none_where_nothing_can_be_said(values: list[list[str]]) -> None:
    assert alpha(values) is None


def test_figures_are_told_by_language_of_what_two_labelled() -> None:
    batch = classes("ur", "ur", None, "zh", "ur")
    given_ = {
        "c#0": of("c#0", "1", "1", None),
        "c#1": of("c#1", "2", "1"),
        "c#2": of("c#2", "1", "1"),
        "c#3": of("c#3", "1"),
        "c#4": of("c#4", None, "1", "1"),
        "not of this batch": of("z", "1", "2"),
    }
    assert agreement(given_, batch) == {
        "ur": Agreement(3, 3, pytest.approx(0.0), None),
        None: Agreement(1, 2, None, None),
    }


def test_the_published_example_through_answers_with_missing_ones() -> None:
    batch = classes(*[None] * 12)
    columns = zip(*(told.split() for told in FOUR), strict=True)
    given_ = {
        f"c#{i}": [one for one in of(f"c#{i}", *column) if one.label != "."]
        for i, column in enumerate(columns)
    }
    (figures,) = agreement(given_, batch).values()
    assert (figures.items, figures.annotators) == (11, 4)
    assert figures.alpha == pytest.approx(0.743, abs=5e-4)


def test_words_are_the_units_of_sentences() -> None:
    batch = sentences(POS, 2, 1)
    given_ = {
        "s#0": of("s#0", ("NOUN", "VERB"), ("NOUN", "NOUN")),
        "s#1": of("s#1", ("VERB",), ("VERB",)),
    }
    (figures,) = agreement(given_, batch).values()
    words = [["NOUN", "NOUN"], ["VERB", "NOUN"], ["VERB", "VERB"]]
    assert figures == Agreement(2, 2, pytest.approx(by_definition(words)), None)


def test_spans_are_compared_pair_by_pair() -> None:
    batch = sentences(NER, 4)
    a = ("B-PER", "I-PER", "O", "B-LOC")
    b = ("B-PER", "I-PER", "O", "O")
    c = ("B-PER", "O", "O", "B-LOC")
    (figures,) = agreement({"s#0": of("s#0", a, b, c)}, batch).values()
    # a and b share 1 of 2 + 1, a and c share 1 of 2 + 2, b and c share 0 of 1 + 2.
    assert figures.span_f1 == pytest.approx(2 * 2 / 10)


def test_without_any_span_there_is_no_figure_of_spans() -> None:
    (figures,) = agreement({"s#0": of("s#0", ("O",), ("O",))}, sentences(NER, 1)).values()
    assert figures == Agreement(1, 2, None, None)


@given(st.data())
def test_the_figure_of_spans_of_two_is_the_entity_f1_of_one_against_the_other(
    data: st.DataObject,
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    one, other = [[data.draw(tags(n)) for n in lengths] for _ in range(2)]
    batch = sentences(NER, *lengths)
    given_ = {f"s#{i}": of(f"s#{i}", *pair) for i, pair in enumerate(zip(one, other, strict=True))}
    (figures,) = agreement(given_, batch).values()
    expected = metrics.tags(one, other)["f1"]
    spans = any(label != "O" for labels in [*one, *other] for label in labels)
    assert figures.span_f1 == (pytest.approx(expected) if spans else None)


def marked(*answers: tuple[str, int]) -> dict[str, list[Any]]:
    return {"text": [text for text, _ in answers], "answer_start": [at for _, at in answers]}


def test_answers_to_a_question_are_compared_by_their_texts() -> None:
    items = tuple(Item(f"q#{i}", {"question": "?", "context": "x"}) for i in range(3))
    batch = Batch("question-answering", (), items)
    given_ = {
        "q#0": of("q#0", marked(("Rome", 3)), marked(("Rome", 40))),
        "q#1": of("q#1", marked(("a", 0), ("b", 2)), marked(("b", 2), ("a", 0))),
        "q#2": of("q#2", marked(), marked(("Rome", 3))),
    }
    texts = [[1, 1], [2, 2], [3, 1]]
    (figures,) = agreement(given_, batch).values()
    assert figures.alpha == pytest.approx(by_definition(texts))


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        (["x"], "x"),
        (["x", "y"], None),
        (["y", "x", "x"], "x"),
        (["x", "y", "z"], None),
        (["x", "x", "y", "y"], None),
        ([("O", "O"), ("O", "B-PER"), ("O", "B-PER")], ("O", "B-PER")),
        ([], None),
    ],
)
def test_a_majority_is_more_than_half(votes: list[Label], label: Label | None) -> None:
    assert majority(votes) == label


def test_what_most_agree_on_is_settled_and_the_rest_goes_to_a_person() -> None:
    given_ = {
        "c#0": of("c#0", "1", "2", "1"),
        "c#1": of("c#1", "2", "1"),
        "c#2": of("c#2", None, None),
        "c#3": of("c#3", None, "3"),
        "c#4": of("c#4", "1", "2", "2", "3"),
    }
    assert settle(given_) == Settled(
        {"c#0": "1", "c#3": "3"},
        ("c#1", "c#4"),
    )


def test_another_rule_settles_otherwise() -> None:
    given_ = {"c#0": of("c#0", "1", "2", "1"), "c#1": of("c#1", "2", "2")}

    def all_of_them(votes: Sequence[Label]) -> Label | None:
        return votes[0] if all(vote == votes[0] for vote in votes) else None

    assert settle(given_, all_of_them).labels == {"c#1": "2"}


def test_the_places_of_a_settled_answer_are_those_of_who_came_first() -> None:
    first, second = marked(("Rome", 3)), marked(("Rome", 40))
    assert settle({"q#0": of("q#0", marked(), first, second)}).labels == {"q#0": first}


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=7))
def test_a_settled_label_beats_all_others_together(votes: list[str]) -> None:
    label = majority(votes)
    beaten = [one for one in "xyz" if votes.count(one) > len(votes) - votes.count(one)]
    assert ([] if label is None else [label]) == beaten
