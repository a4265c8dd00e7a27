"""Scores equal seqeval, scikit-learn and SQuAD's own; answers in every script."""

from __future__ import annotations

import string
import unicodedata
from itertools import chain

import pytest
import sklearn.metrics as sk
from hypothesis import assume, given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from torchmetrics.functional.text import squad

from polymux.errors import InputError
from polymux.tasks import metrics

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
IOBES = (*BIO, "E-PER", "S-PER", "E-LOC", "S-LOC")
POS = ("NOUN", "VERB", "CCONJ", "SCONJ", "INTJ", "ADJ", "X", "PUNCT", "SYM")


def pairs(labels: tuple[str, ...]) -> st.SearchStrategy[list[tuple[list[str], list[str]]]]:
    one = st.lists(st.tuples(st.sampled_from(labels), st.sampled_from(labels)), min_size=1)
    sentence = one.map(lambda words: tuple(map(list, zip(*words, strict=True))))
    return st.lists(sentence, min_size=1, max_size=5)


def split(world: list[tuple[list[str], list[str]]]) -> tuple[list[list[str]], list[list[str]]]:
    return [gold for gold, _ in world], [told for _, told in world]


@given(st.one_of(pairs(BIO), pairs(IOBES)))
def test_entity_scores_equal_seqeval(world: list[tuple[list[str], list[str]]]) -> None:
    gold, told = split(world)
    assume(any(label != "O" for labels in gold + told for label in labels))
    scores = metrics.tags(gold, told)
    assert next(iter(scores)) == "f1"
    for name, reference in (
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ):
        assert scores[name] == pytest.approx(reference(gold, told, zero_division=0)), name


@pytest.mark.filterwarnings("ignore:.*seems not to be NE tag")
@given(pairs(POS))
def test_d8_tags_without_prefixes_are_scored_a_word_at_a_time(
    world: list[tuple[list[str], list[str]]],
) -> None:
    gold, told = split(world)
    flat_gold, flat_told = list(chain(*gold)), list(chain(*told))
    scores = metrics.tags(gold, told)
    assert next(iter(scores)) == "accuracy"
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(flat_gold, flat_told))
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(flat_gold, flat_told, average="macro"))
    assert scores["paper_compat_f1"] == pytest.approx(f1_score(gold, told, zero_division=0))


def test_d8_a_wrong_conjunction_is_wrong_except_in_the_papers_metric() -> None:
    gold, told = [["CCONJ", "NOUN", "VERB"]], [["SCONJ", "NOUN", "VERB"]]
    scores = metrics.tags(gold, told)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["paper_compat_f1"] == 1.0


def test_the_gold_labels_alone_say_how_a_model_is_scored() -> None:
    names, words, nothing = [["B-PER", "O"]], [["NOUN", "VERB"]], [["O", "O"]]
    entities, tokens = ["f1", "precision", "recall", "accuracy"], ["accuracy", "macro_f1"]
    for told in (names, words, nothing):
        assert list(metrics.tags(names, told)) == entities
        assert list(metrics.tags(nothing, told)) == entities
        assert list(metrics.tags(words, told))[:2] == tokens
    assert metrics.tag_counts(words, names).tolist() == [[0.0, 2.0]]


def test_bilou_counts_as_iobes() -> None:
    gold = [["B-PER", "L-PER", "U-LOC", "O"]]
    assert metrics.tags(gold, gold)["f1"] == 1.0
    assert metrics.tags(gold, [["B-PER", "I-PER", "U-LOC", "O"]])["f1"] == 1.0
    assert metrics.tags(gold, [["U-PER", "U-PER", "U-LOC", "O"]])["f1"] == pytest.approx(0.4)


def test_no_entity_anywhere_scores_nothing_but_accuracy() -> None:
    scores = metrics.tags([["O", "O"]], [["O", "O"]])
    assert scores == {"f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": 1.0}


@given(st.lists(st.tuples(*[st.sampled_from("abcd")] * 2), min_size=1))
def test_class_scores_equal_scikit_learn(world: list[tuple[str, str]]) -> None:
    gold, told = [a for a, _ in world], [b for _, b in world]
    scores = metrics.classes(gold, told)
    assert next(iter(scores)) == "accuracy"
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(gold, told))
    for kind in ("macro", "weighted"):
        expected = sk.f1_score(gold, told, average=kind, zero_division=0)
        assert scores[f"{kind}_f1"] == pytest.approx(expected)


ENGLISH = st.lists(
    st.sampled_from(["the", "a", "An", "fox", "Fox's", "U.S.", "$5", "(old)", "dog-house", "_"])
    | st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=6),
    min_size=0,
    max_size=6,
).map(" ".join)


@given(st.lists(st.tuples(st.lists(ENGLISH, min_size=1, max_size=3), ENGLISH), min_size=1))
def test_answer_scores_equal_squad_on_plain_english(world: list[tuple[list[str], str]]) -> None:
    scores = metrics.answers([gold for gold, _ in world], [told for _, told in world])
    expected = squad(
        [{"prediction_text": told, "id": str(i)} for i, (_, told) in enumerate(world)],
        [
            {"answers": {"text": gold, "answer_start": [0] * len(gold)}, "id": str(i)}
            for i, (gold, _) in enumerate(world)
        ],
    )
    assert list(scores) == ["f1", "exact_match"]
    assert 100 * scores["f1"] == pytest.approx(float(expected["f1"]), abs=1e-3)
    assert 100 * scores["exact_match"] == pytest.approx(float(expected["exact_match"]), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("«Привет», мир!", ["привет", "мир"]),
        ("北京市。", ["北", "京", "市"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("กรุงเทพ", ["ก", "รุ", "ง", "เ", "ท", "พ"]),
        ("١٩٩٥، القاهرة؟", ["١٩٩٥", "القاهرة"]),
        ("1947 में।", ["1947", "में"]),
        ("서울특별시", ["서울특별시"]),
        ("The Beatles", ["beatles"]),
        ("la a, der Hund", ["la", "der", "hund"]),
        ("„Straße“", ["straße"]),
    ],
)
def test_answers_are_compared_by_words_of_their_script(text: str, words: list[str]) -> None:
    assert metrics.answer_words(text) == words


def test_a_letter_with_its_accent_apart_is_no_english_article() -> None:
    apart = unicodedata.normalize("NFD", "á la")
    assert metrics.answer_words(apart) == ["á", "la"]
    assert metrics.answers([["á la"]], [apart])["exact_match"] == 1.0


def test_a_part_of_an_unspaced_answer_scores_in_part() -> None:
    assert metrics.answers([["北京市"]], ["北京"])["f1"] == pytest.approx(0.8)
    assert metrics.answers([["北京市"]], ["北京"])["exact_match"] == 0.0


def test_the_best_of_several_answers_counts_and_none_means_empty() -> None:
    assert metrics.answers([["x", "the fox"]], ["fox"]) == {"f1": 1.0, "exact_match": 1.0}
    assert metrics.answers([[]], [""]) == {"f1": 1.0, "exact_match": 1.0}
    assert metrics.answers([[]], ["fox"]) == {"f1": 0.0, "exact_match": 0.0}


@pytest.mark.parametrize(
    ("score", "gold", "told"),
    [
        (metrics.tags, [["O"], ["O"]], [["O", "O"]]),
        (metrics.tags, [["O", "O"]], [["O"]]),
        (metrics.classes, ["a", "b"], ["a"]),
        (metrics.answers, [["a"]], []),
    ],
)
def test_predictions_of_other_examples_are_refused(score, gold, told) -> None:
    with pytest.raises(InputError, match="stand against"):
        score(gold, told)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        metrics.tags([], [])


@given(st.one_of(pairs(BIO), pairs(IOBES), pairs(POS)))
def test_the_first_score_of_tags_is_the_ratio_of_their_counts(
    world: list[tuple[list[str], list[str]]],
) -> None:
    gold, told = split(world)
    right, total = metrics.tag_counts(gold, told).sum(axis=0)
    first = next(iter(metrics.tags(gold, told).values()))
    assert first == pytest.approx(right / total if total else 0.0)


@given(st.lists(st.tuples(st.lists(ENGLISH, min_size=0, max_size=3), ENGLISH), min_size=1))
def test_the_first_score_of_answers_is_the_ratio_of_their_counts(
    world: list[tuple[list[str], str]],
) -> None:
    gold, told = [texts for texts, _ in world], [text for _, text in world]
    right, total = metrics.answer_counts(gold, told).sum(axis=0)
    assert metrics.answers(gold, told)["f1"] == pytest.approx(right / total)
