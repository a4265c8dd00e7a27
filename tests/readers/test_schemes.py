"""Tag schemes against a slow obvious reference."""

from __future__ import annotations

from itertools import product

import pytest

from polymux.readers.schemes import detect, impossible, tag

# Entities of the sentence "w w w w" as (start, end, type), to all spellings of each scheme.
LETTERS = {
    "BIO": lambda n: ["B", *"I" * (n - 1)],
    "BILOU": lambda n: ["U"] if n == 1 else ["B", *"I" * (n - 2), "L"],
    "BIOES": lambda n: ["S"] if n == 1 else ["B", *"I" * (n - 2), "E"],
    "BMES": lambda n: ["S"] if n == 1 else ["B", *"M" * (n - 2), "E"],
}


def spellings(scheme: str, words: int) -> set[tuple[str, ...]]:
    """Every tag sequence that some set of entities spells in this scheme, types X and Y."""
    if words == 0:
        return {()}
    found = {("O", *rest) for rest in spellings(scheme, words - 1)}
    for length, kind in product(range(1, words + 1), "XY"):
        entity = [f"{letter}-{kind}" for letter in LETTERS[scheme](length)]
        found |= {(*entity, *rest) for rest in spellings(scheme, words - length)}
    return found


def iob1(tags: tuple[str, ...]) -> tuple[str, ...]:
    """BIO as IOB1: B becomes I unless the word before is of the same type."""
    out = []
    for i, text in enumerate(tags):
        touching = i > 0 and tags[i - 1][1:] == text[1:]
        out.append(text if touching else text.replace("B-", "I-"))
    return tuple(out)


@pytest.mark.parametrize("scheme", [*LETTERS, "IOB1"])
def test_exactly_what_entities_can_spell_is_possible(scheme: str):
    legal = (
        {iob1(tags) for tags in spellings("BIO", 4)} if scheme == "IOB1" else spellings(scheme, 4)
    )
    letters = sorted({text for tags in legal for text in tags})
    for tags in product(letters, repeat=4):
        assert (impossible(scheme, tags) is None) == (tags in legal), tags


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([["O", "O"]], None),
        ([["NOUN", "O", "B-X"], ["VERB", "DET"]], None),
        ([["B-X", "I-X"], ["I-Y"], ["O", "B-X"]], "BIO"),
        ([["I-X", "B-X"], ["O", "I-Y"]], "IOB1"),
        ([["B", "I", "O"]], "BIO"),
        ([["B-X", "I-X", "I-X", "L-X"]], "BILOU"),
        ([["S-X"]], "BIOES"),
        ([["B-X", "M-X", "E-X"]], "BMES"),
        ([], None),
    ],
)
def test_the_scheme_of_hand_sized_files(sentences: list[list[str]], scheme: str | None):
    assert detect(sentences) == scheme


def test_a_tag_is_a_letter_and_a_type():
    assert [tag(text) for text in ("O", "B-a-b/c", "I", "B-", "X-PER", "PER", "")] == [
        ("O", ""),
        ("B", "a-b/c"),
        ("I", ""),
        None,
        None,
        None,
        None,
    ]
