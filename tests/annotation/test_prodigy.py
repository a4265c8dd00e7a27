"""Prodigy's tasks: what is written to the letter, and what of an answer is taken or refused."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import CLASSES, NER, POS, wild_texts

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.prodigy import dump, load
from polymux.errors import InputError

ADA = Item(
    "p#1",
    {"tokens": ("🚀", "Ada", "Lovelace", "spoke", ".")},
    rank=3,
    surface="🚀  Ada Lovelace spoke.",
    language="en",
    label=("O", "B-PER", "I-PER", "O", "O"),
    score=0.5,
)
ENTITIES = Batch("token-classification", NER, (ADA,))
PARTS = Batch("token-classification", POS, (Item("w#1", {"tokens": ("我", "去")}, surface="我去"),))
CLASSED = Batch(
    "text-classification", ("yes", "no"), (Item("c#1", {"text": "Naïve?"}, label="no"),)
)
PAIRED = Batch(
    "text-classification",
    CLASSES,
    (Item("q#1", {"text": "A — b", "text_pair": "C\n————————\nd"}),),
)
ASKED = Batch(
    "question-answering",
    (),
    (Item("a#1", {"question": "Where?", "context": "🏳️‍🌈 in Rome, in Rome."}),),
)


def tasks(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dump(batch).decode().rstrip("\n").split("\n")]


def back(tmp_path: Path, batch: Batch, *done: dict[str, Any]) -> list[Answer | InputError]:
    path = tmp_path / "back.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in done), encoding="utf-8")
    return list(checked(batch, load(path, batch), path))


def one_back(tmp_path: Path, batch: Batch, **changed: Any) -> Answer:
    (answer,) = back(tmp_path, batch, tasks(batch)[0] | {"answer": "accept"} | changed)
    assert isinstance(answer, Answer), answer
    return answer


def refused(tmp_path: Path, batch: Batch, **changed: Any) -> str:
    (error,) = back(tmp_path, batch, tasks(batch)[0] | {"answer": "accept"} | changed)
    assert isinstance(error, InputError), error
    assert (error.file, error.line) == (str(tmp_path / "back.jsonl"), 1)
    return error.what


def test_a_sentence_goes_with_its_words_and_their_spans() -> None:
    (task,) = tasks(ENTITIES)
    assert task == {
        "text": "🚀  Ada Lovelace spoke.",
        "tokens": [
            {"text": "🚀", "start": 0, "end": 1, "id": 0, "ws": True},
            {"text": "Ada", "start": 3, "end": 6, "id": 1, "ws": True},
            {"text": "Lovelace", "start": 7, "end": 15, "id": 2, "ws": True},
            {"text": "spoke", "start": 16, "end": 21, "id": 3, "ws": False},
            {"text": ".", "start": 21, "end": 22, "id": 4, "ws": False},
        ],
        "spans": [{"start": 3, "end": 15, "token_start": 1, "token_end": 2, "label": "PER"}],
        "meta": {"polymux_id": "p#1", "rank": 3, "language": "en", "score": 0.5},
    }


def test_a_text_goes_with_the_classes_as_options() -> None:
    (task,) = tasks(CLASSED)
    assert task == {
        "text": "Naïve?",
        "options": [{"id": "yes", "text": "yes"}, {"id": "no", "text": "no"}],
        "accept": ["no"],
        "meta": {"polymux_id": "c#1", "rank": 0},
    }


def test_a_pair_is_read_with_a_rule_that_is_longer_than_any_in_it() -> None:
    (task,) = tasks(PAIRED)
    assert task["text"] == "A — b\n—————————\nC\n————————\nd"
    assert task["meta"]["text"] == "A — b"
    assert task["meta"]["text_pair"] == "C\n————————\nd"


def test_a_question_stands_in_meta_and_its_answers_are_marked() -> None:
    labelled = Item(
        "a#1", ASKED.items[0].fields, label={"text": ["Rome", "in"], "answer_start": [8, 5]}
    )
    (task,) = tasks(Batch("question-answering", (), (labelled,)))
    assert task == {
        "text": "🏳️‍🌈 in Rome, in Rome.",
        "spans": [
            {"start": 8, "end": 12, "label": "ANSWER"},
            {"start": 5, "end": 7, "label": "ANSWER"},
        ],
        "meta": {"polymux_id": "a#1", "rank": 0, "question": "Where?"},
    }


def test_an_export_of_prodigy_is_read(tmp_path: Path) -> None:
    """Retyped from the tests of explosion's prodigy-evaluate, with our id."""
    item = Item("f#1", {"tokens": ("My", "name", "is", "Freya", ".")}, surface="My name is Freya.")
    batch = Batch("token-classification", ("O", "B-PERSON", "I-PERSON"), (item,))
    task = {
        "text": "My name is Freya.",
        "meta": {"polymux_id": "f#1"},
        "_input_hash": 896529854,
        "_task_hash": -1486695581,
        "tokens": [
            {"text": "My", "start": 0, "end": 2, "id": 0, "ws": True},
            {"text": "name", "start": 3, "end": 7, "id": 1, "ws": True},
            {"text": "is", "start": 8, "end": 10, "id": 2, "ws": True},
            {"text": "Freya", "start": 11, "end": 16, "id": 3, "ws": True},
            {"text": ".", "start": 16, "end": 17, "id": 4, "ws": True},
        ],
        "_view_id": "ner_manual",
        "spans": [{"start": 11, "end": 16, "token_start": 3, "token_end": 3, "label": "PERSON"}],
        "answer": "accept",
        "_timestamp": 1707211049,
        "_annotator_id": "2024-02-06_10-17-19",
        "_session_id": "2024-02-06_10-17-19",
    }
    label = ("O", "O", "O", "B-PERSON", "O")
    assert back(tmp_path, batch, task) == [
        Answer("f#1", item.fields, "labelled", label, "2024-02-06_10-17-19", None, 1)
    ]


def test_start_and_end_count_and_not_the_tokens(tmp_path: Path) -> None:
    span = {"start": 7, "end": 15, "token_start": 2, "token_end": 3, "label": "LOC"}
    assert one_back(tmp_path, ENTITIES, spans=[span]).label == ("O", "O", "B-LOC", "O", "O")


@pytest.mark.parametrize("spans", [[], None])
def test_no_span_is_an_answer_where_words_carry_tags(tmp_path: Path, spans: Any) -> None:
    assert one_back(tmp_path, ENTITIES, spans=spans).label == ("O",) * 5


def test_words_without_a_class_are_refused_where_each_has_one(tmp_path: Path) -> None:
    told = refused(tmp_path, PARTS, spans=[{"start": 0, "end": 1, "label": "NOUN"}])
    assert told == "w#1: word 2, '去', has no label"


def test_the_three_answers_of_prodigy_and_the_one_that_waits(tmp_path: Path) -> None:
    (task,) = tasks(CLASSED)
    states = [
        [one.state for one in back(tmp_path, CLASSED, task | answer) if isinstance(one, Answer)]
        for answer in ({"answer": "accept"}, {"answer": "reject"}, {"answer": "ignore"}, {})
    ]
    assert states == [["labelled"], ["rejected"], ["skipped"], []]


def test_a_rejected_task_gives_no_label(tmp_path: Path) -> None:
    assert one_back(tmp_path, CLASSED, answer="reject").label is None
    assert one_back(tmp_path, ENTITIES, answer="ignore").label is None


def test_each_annotator_has_an_answer_and_none_has_two(tmp_path: Path) -> None:
    task = tasks(CLASSED)[0] | {"answer": "accept"}
    ada, bo = task | {"_annotator_id": "x-ada"}, task | {"_annotator_id": "x-bo", "accept": ["yes"]}
    first, second, third = back(tmp_path, CLASSED, ada, bo, ada)
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.annotator, first.label) == ("x-ada", "no")
    assert (second.annotator, second.label) == ("x-bo", "yes")
    assert isinstance(third, InputError)
    assert third.what == "c#1: a second answer of x-ada"


def test_offsets_in_utf_16_are_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, ENTITIES, spans=[{"start": 4, "end": 16, "label": "PER"}])
    assert told == "p#1: the span 'da Lovelace' cuts 'Ada Lovelace'"


def test_a_span_that_tells_another_text_is_refused(tmp_path: Path) -> None:
    span = {"start": 16, "end": 21, "label": "PER", "text": "Spoke"}
    told = refused(tmp_path, ENTITIES, spans=[span])
    assert told == "p#1: the span 16 to 21 (PER) tells 'Spoke', but 'spoke' stands there"
    assert one_back(tmp_path, ENTITIES, spans=[span | {"text": "spoke"}]).label is not None


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([{"start": 3, "end": 5, "label": "PER"}], "p#1: the span 'Ad' cuts 'Ada'"),
        ([{"start": 3, "end": 6, "label": "ORG"}], "p#1: nobody may give the label 'B-ORG'"),
        (
            [{"start": 3, "end": 6, "label": "PER"}, {"start": 3, "end": 15, "label": "LOC"}],
            "p#1: two spans overlap at 'Ada'",
        ),
        ([{"start": 3, "end": 6}], '{"start": 3, "end": 6} is no span'),
        ([{"start": True, "end": 6, "label": "PER"}], "is no span"),
        ("PER", "the spans are no list"),
    ],
)
def test_a_span_that_does_not_fit_is_refused(tmp_path: Path, spans: Any, told: str) -> None:
    assert told in refused(tmp_path, ENTITIES, spans=spans)


@pytest.mark.parametrize("accept", [[], ["yes", "no"], None, "yes"])
def test_not_one_choice_is_refused(tmp_path: Path, accept: Any) -> None:
    told = refused(tmp_path, CLASSED, accept=accept)
    assert told == f"c#1: it was accepted with {accept!a} chosen"


def test_an_unknown_class_is_refused(tmp_path: Path) -> None:
    assert "the label 'maybe'" in refused(tmp_path, CLASSED, accept=["maybe"])


def test_a_text_that_changed_is_shown_in_both_versions(tmp_path: Path) -> None:
    told = refused(tmp_path, CLASSED, text="Naive?")
    assert told == "c#1: text changed on the way: 'Naïve?' was sent, 'Naive?' came back"
    told = refused(tmp_path, ENTITIES, text="🚀 Ada Lovelace spoke.")
    assert "Lovelace spoke .' was sent" in told
    assert "'🚀 Ada Lovelace spoke.' came back" in told


def test_a_text_of_a_pair_that_changed_is_shown_in_both_versions(tmp_path: Path) -> None:
    shown = tasks(PAIRED)[0]["text"]
    accepted = {"accept": ["yes"]}
    assert one_back(tmp_path, PAIRED, **accepted).fields == PAIRED.items[0].fields
    told = refused(tmp_path, PAIRED, text=shown + "!", **accepted)
    assert told.startswith("q#1: text_pair changed on the way: 'C\\n")
    told = refused(tmp_path, PAIRED, text="A — b", **accepted)
    assert "q#1: text_pair changed on the way" in told
    told = refused(tmp_path, PAIRED, text="no rule", **accepted)
    assert told == "q#1: text changed on the way: 'A — b' was sent, 'no rule' came back"


@given(text=wild_texts, text_pair=wild_texts, width=st.integers(1, 12))
def test_a_pair_that_looks_like_a_shown_one_comes_back(
    text: str, text_pair: str, width: int
) -> None:
    whole = f"{text}\n{'—' * width}\n{text_pair}"
    for fields in ({"text": whole, "text_pair": text}, {"text": text, "text_pair": whole}):
        batch = Batch("text-classification", CLASSES, (Item("x", fields, label="yes"),))
        with TemporaryDirectory() as folder:
            assert one_back(Path(folder), batch).fields == fields


def test_a_question_that_changed_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, ASKED, meta={"polymux_id": "a#1", "question": "Who?"})
    assert told == "a#1: question changed on the way: 'Where?' was sent, 'Who?' came back"


def test_white_space_at_the_ends_of_an_answer_does_not_count(tmp_path: Path) -> None:
    answer = one_back(tmp_path, ASKED, spans=[{"start": 15, "end": 21, "label": "ANSWER"}])
    assert answer.label == {"text": ["n Rome"], "answer_start": [15]}
    answer = one_back(tmp_path, ASKED, spans=[{"start": 7, "end": 12, "label": "ANSWER"}])
    assert answer.label == {"text": ["Rome"], "answer_start": [8]}


def test_no_mark_says_that_there_is_no_answer(tmp_path: Path) -> None:
    assert one_back(tmp_path, ASKED, spans=[]).label == {"text": [], "answer_start": []}


@pytest.mark.parametrize(("start", "end"), [(4, 5), (8, 99), (-4, -1), (8, 8), (12, 8)])
def test_a_mark_of_nothing_is_refused(tmp_path: Path, start: int, end: int) -> None:
    told = refused(tmp_path, ASKED, spans=[{"start": start, "end": end, "label": "ANSWER"}])
    assert told.startswith(f"a#1: the span {start} to {end} marks nothing")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"meta": {}}, "there is no meta.polymux_id"),
        ({"meta": None}, "there is no meta.polymux_id"),
        ({"answer": "maybe"}, "c#1: there is no answer 'maybe'"),
        ({"answer": ["accept"]}, "c#1: there is no answer ['accept']"),
        ({"text": None}, "c#1: there is no text"),
    ],
)
def test_a_task_that_lacks_something_is_refused(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    assert refused(tmp_path, CLASSED, **changed) == told


def test_a_bad_line_does_not_lose_the_others(tmp_path: Path) -> None:
    path = tmp_path / "back.jsonl"
    good = json.dumps(tasks(CLASSED)[0] | {"answer": "accept"}).encode()
    path.write_bytes(b"\xef\xbb\xbf" + good + b'\n{"text": \n\n\xff\n' + good + b"\n[1]\n")
    found = list(load(path, CLASSED))
    assert [getattr(one, "line", None) for one in found] == [1, 2, 4, 5, 6]
    assert [isinstance(one, Answer) for one in found] == [True, False, False, True, False]


def test_an_array_of_tasks_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "back.json"
    path.write_text(json.dumps([tasks(CLASSED)[0] | {"answer": "accept"}, 7]), encoding="utf-8")
    answer, error = load(path, CLASSED)
    assert isinstance(answer, Answer)
    assert (answer.label, answer.line) == ("no", None)
    assert isinstance(error, InputError)
    assert (error.what, error.line) == ("this is no JSON object", None)
