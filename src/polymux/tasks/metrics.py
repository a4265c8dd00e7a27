"""Scores of predictions, all in [0, 1]: entities, tags, classes, answers (DeMuX 4).

Entities equal seqeval, classes scikit-learn; answers equal SQuAD's script on plain English.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import regex
from jaxtyping import Float

from polymux.errors import InputError

_PREFIXES = ("B-", "I-", "E-", "S-", "L-", "U-")
# BILOU's letters in terms of IOBES, which is what seqeval knows.
_LETTERS = {"L": "E", "U": "S"}
_ARTICLES = {"a", "an", "the"}
_DROPPED = regex.compile(r"[\p{P}!-/:-@\[-`{-~]")
# A character of a script that writes no spaces is a word by itself, with the marks on it.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORDS = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[^\s{_UNSPACED}]+")


def tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Entity F1, precision, recall, accuracy; without prefixes accuracy and macro F1.

    The gold labels alone say which, so that models that say other labels have the same scores.
    `paper_compat_f1` is what the paper reports for parts of speech: seqeval on tags without
    prefixes, which strips their first letter and merges neighbours.
    """
    truth = [label for labels in gold for label in labels]
    told = [label for labels in predicted for label in labels]
    _comparable(truth, told, [len(a) for a in gold], [len(b) for b in predicted])
    accuracy = sum(a == b for a, b in zip(truth, told, strict=True)) / len(truth)
    if _marks_entities(truth):
        f1, precision, recall = _entity_scores(gold, predicted, _LETTERS)
        return {"f1": f1, "precision": precision, "recall": recall, "accuracy": accuracy}
    macro, _ = _class_f1(truth, told)
    compat, _, _ = _entity_scores(gold, predicted, {})
    return {"accuracy": accuracy, "macro_f1": macro, "paper_compat_f1": compat}


def classes(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 over the classes that occur: plain mean, and weighted by their number."""
    _comparable(gold, predicted, [], [])
    accuracy = sum(a == b for a, b in zip(gold, predicted, strict=True)) / len(gold)
    macro, weighted = _class_f1(gold, predicted)
    return {"accuracy": accuracy, "macro_f1": macro, "weighted_f1": weighted}


def answers(gold: Sequence[Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """F1 over words and exact match, each the best over the answers given; none given = empty."""
    _comparable(gold, predicted, [], [])
    exact = [
        max(answer_words(text) == answer_words(told) for text in texts or [""])
        for texts, told in zip(gold, predicted, strict=True)
    ]
    f1 = answer_counts(gold, predicted)[:, 0]
    return {"f1": float(f1.mean()), "exact_match": sum(exact) / len(gold)}


def tag_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> Float[np.ndarray, "sentences 2"]:
    """A sentence's part of the first score of `tags`: twice the right entities, and all of both.

    Without prefixes the right words, and all words. The score is the ratio of the sums.
    """
    if not _marks_entities([label for labels in gold for label in labels]):
        right = [
            sum(a == b for a, b in zip(truth, told, strict=True))
            for truth, told in zip(gold, predicted, strict=True)
        ]
        return np.array([right, [len(truth) for truth in gold]], dtype=np.float64).T
    counts = [_entity_counts(*pair, _LETTERS) for pair in zip(gold, predicted, strict=True)]
    return np.array([(2 * right, found + there) for right, found, there in counts], np.float64)


def _marks_entities(gold: Sequence[str]) -> bool:
    """Whether labels mark spans of words; if they say nothing but O, they could."""
    return set(gold) == {"O"} or any(label.startswith(_PREFIXES) for label in gold)


def answer_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[str]
) -> Float[np.ndarray, "questions 2"]:
    """The F1 over words of each question, and 1: the F1 of all is the ratio of the sums."""
    f1 = [
        max(_overlap(answer_words(text), answer_words(told)) for text in texts or [""])
        for texts, told in zip(gold, predicted, strict=True)
    ]
    return np.array([f1, [1.0] * len(f1)], dtype=np.float64).T


def answer_words(text: str) -> list[str]:
    """The words of an answer that count: lower case, no punctuation, no English article."""
    plain = _DROPPED.sub("", unicodedata.normalize("NFC", text).lower())
    return [word for word in _WORDS.findall(plain) if word not in _ARTICLES]


def entities(labels: Sequence[str], letters: dict[str, str]) -> Iterator[tuple[str, int, int]]:
    """(type, first word, last word) of every entity, as seqeval's default mode finds them."""
    before, kind_before, begin = "O", "O", 0
    for i, label in enumerate([*labels, "O"]):
        letter = letters.get(label[0], label[0])
        kind = label[1:].split("-", maxsplit=1)[-1] or "_"
        ends = (
            before in "ES"
            or (before in "BI" and letter in "BSO")
            or (before not in "O." and kind_before != kind)
        )
        if ends:
            yield kind_before, begin, i - 1
        begins = (
            letter in "BS"
            or (before in "ESO" and letter in "EI")
            or (letter not in "O." and kind_before != kind)
        )
        if begins:
            begin = i
        before, kind_before = letter, kind


def _entity_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], letters: dict[str, str]
) -> tuple[float, float, float]:
    counts = [_entity_counts(*pair, letters) for pair in zip(gold, predicted, strict=True)]
    right, found, there = (sum(column) for column in zip(*counts, strict=True))
    precision = right / found if found else 0.0
    recall = right / there if there else 0.0
    return 2 * right / (found + there) if right else 0.0, precision, recall


def _entity_counts(
    gold: Sequence[str], predicted: Sequence[str], letters: dict[str, str]
) -> tuple[int, int, int]:
    """How many entities are right, were found and are there."""
    true, guessed = set(entities(gold, letters)), set(entities(predicted, letters))
    return len(true & guessed), len(guessed), len(true)


def _class_f1(gold: Sequence[str], predicted: Sequence[str]) -> tuple[float, float]:
    """F1 of every class that occurs in either: their plain mean, and weighted by gold counts."""
    there, told = Counter(gold), Counter(predicted)
    right = Counter(a for a, b in zip(gold, predicted, strict=True) if a == b)
    names = sorted(there | told)
    f1 = np.array([2 * right[name] / (there[name] + told[name]) for name in names])
    weights = np.array([there[name] for name in names]) / len(gold)
    return float(f1.mean()), float(f1 @ weights)


def _overlap(gold: Sequence[str], predicted: Sequence[str]) -> float:
    if not gold or not predicted:
        return float(gold == predicted)
    common = sum((Counter(gold) & Counter(predicted)).values())
    return 2 * common / (len(gold) + len(predicted))


def _comparable(
    gold: Sequence[object], predicted: Sequence[object], words: list[int], told: list[int]
) -> None:
    if not gold:
        raise InputError("there is nothing to score", "give labelled examples")
    if len(gold) != len(predicted) or words != told:
        raise InputError(
            f"{len(gold)} gold labels stand against {len(predicted)} predictions",
            "score the predictions of the same examples, in the same order",
        )
