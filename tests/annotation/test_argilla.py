"""Argilla's records: what is an answer, whose it is, and both ways of counting after an emoji."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import NER, accepted, bare, batches

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.argilla import load
from polymux.annotation.words import laid_out, spans_of
from polymux.errors import InputError

ADA, BO = "5e7d9a3c-0000-4000-8000-000000000001", "5e7d9a3c-0000-4000-8000-000000000002"
COLOGNE = Item(
    "p-17", {"tokens": ("Sie", "wohnt", "in", "Köln", "🚀", ".")}, surface="Sie wohnt in Köln 🚀."
)
ENTITIES = Batch("token-classification", ("O", "B-LOC", "I-LOC", "B-PER", "I-PER"), (COLOGNE,))
CLASSED = Batch("text-classification", ("yes", "no"), (Item("c#1", {"text": "So?"}),))
ASKED = Batch(
    "question-answering",
    (),
    (Item("a#1", {"question": "Where?", "context": "Here 🏳️‍🌈 or there, or here."}),),
)


def back(folder: Path, batch: Batch, *records: Any, lines: bool = False) -> list[Any]:
    path = folder / "records.json"
    told = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    path.write_text(told, encoding="utf-8")
    return list(checked(batch, load(path, batch), path))


def record(item: Item, *responses: Any, question: str = "label", **told: Any) -> dict[str, Any]:
    """The shape of `Record.to_dict()`, retyped from Argilla's SDK."""
    fields: dict[str, Any] = dict(item.fields)
    if "tokens" in fields:
        fields = {"text": laid_out(item)[0]}
    return {
        "id": item.id,
        "fields": fields,
        "metadata": {"round": 1},
        "suggestions": {},
        "responses": {
            question: [
                one if isinstance(one, dict) and "value" in one else {"value": one, "user_id": ADA}
                for one in responses
            ]
        },
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    } | told


def taken(folder: Path, batch: Batch, *responses: Any, question: str = "label") -> Answer:
    (answer,) = back(folder, batch, record(batch.items[0], *responses, question=question))
    assert isinstance(answer, Answer), answer
    return answer


def refused(folder: Path, batch: Batch, *responses: Any, question: str = "label") -> str:
    (error,) = back(folder, batch, record(batch.items[0], *responses, question=question))
    assert isinstance(error, InputError), error
    assert error.file == str(folder / "records.json")
    assert error.hint
    return error.what


def span(start: int, end: int, label: str = "LOC") -> dict[str, Any]:
    return {"label": label, "start": start, "end": end}


def test_a_record_of_the_sdk_is_read(tmp_path: Path) -> None:
    sdk = {
        "id": "p-17",
        "fields": {"text": "Sie wohnt in Köln 🚀."},
        "metadata": {"round": 1},
        "suggestions": {
            "entities": {"value": [span(0, 3)], "score": [0.61], "agent": "xlmr@r1"},
        },
        "responses": {"entities": [{"value": [span(13, 17)], "user_id": ADA}]},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }
    label = ("O", "O", "O", "B-LOC", "O", "O")
    expected = Answer("p-17", COLOGNE.fields, "labelled", label, ADA, None, None)
    assert back(tmp_path, ENTITIES, sdk) == [expected]


def test_a_flattened_record_of_the_sdk_is_read(tmp_path: Path) -> None:
    """The keys are those of the test of `GenericIO.to_list(flatten=True)` in Argilla's SDK."""
    flat = {
        "id": "c#1",
        "status": "pending",
        "_server_id": None,
        "text": "So?",
        "key": "value",
        "q1.responses": ["yes", "no", "yes", "no"],
        "q1.responses.users": [ADA, BO, "c", "d"],
        "q1.responses.status": ["submitted", None, "discarded", "draft"],
        "q2.responses": None,
        "q1.suggestion": "no",
        "q1.suggestion.score": 0.1,
        "q1.suggestion.agent": "test",
    }
    found = back(tmp_path, CLASSED, flat)
    assert [(one.state, one.label, one.annotator) for one in found] == [
        ("labelled", "yes", ADA),
        ("labelled", "no", BO),
        ("skipped", None, "c"),
    ]


def test_suggestions_are_no_answers(tmp_path: Path) -> None:
    told = record(CLASSED.items[0], suggestions={"label": {"value": "yes", "score": 1.0}})
    assert back(tmp_path, CLASSED, told) == []
    assert back(tmp_path, CLASSED, told | {"responses": {}}) == []


def test_each_user_has_an_answer_and_a_bad_one_does_not_lose_the_others(tmp_path: Path) -> None:
    told = record(
        CLASSED.items[0],
        {"value": None, "user_id": ADA},
        {"value": "no", "user_id": BO},
        {"value": "yes", "user_id": BO},
        {"value": "yes", "user_id": "None"},
    )
    first, second, third, fourth = back(tmp_path, CLASSED, told)
    assert first.what == "c#1: the response is None"
    assert (second.annotator, second.label) == (BO, "no")
    assert third.what == f"c#1: a second answer of {BO}"
    assert (fourth.annotator, fourth.label) == (None, "yes")


def test_the_status_of_a_response_says_what_it_is(tmp_path: Path) -> None:
    told = record(
        CLASSED.items[0],
        {"value": "yes", "user_id": "a", "status": "submitted"},
        {"value": None, "user_id": "b", "status": "discarded"},
        {"value": "no", "user_id": "c", "status": "draft"},
        {"value": "no", "user_id": "d", "status": "lost"},
    )
    first, second, third = back(tmp_path, CLASSED, told)
    assert (first.state, first.label) == ("labelled", "yes")
    assert (second.state, second.label) == ("skipped", None)
    assert third.what == "c#1: there is no status 'lost'"


def test_our_id_in_the_metadata_counts_before_the_records_own(tmp_path: Path) -> None:
    told = record(CLASSED.items[0], "yes", id="7", metadata={"polymux_id": "c#1"})
    assert [one.id for one in back(tmp_path, CLASSED, told)] == ["c#1"]
    flat = {"id": "7", "polymux_id": "c#1", "text": "So?", "label.responses": ["yes"]}
    assert [one.id for one in back(tmp_path, CLASSED, flat)] == ["c#1"]


def test_json_lines_are_read_and_tell_the_line(tmp_path: Path) -> None:
    good, bad = record(CLASSED.items[0], "yes"), record(CLASSED.items[0], ["yes", "no"])
    first, second = back(tmp_path, CLASSED, bad, good, lines=True)
    assert (first.what, first.line) == ("c#1: the response is ['yes', 'no']", 1)
    assert (second.label, second.line) == ("yes", 2)


@pytest.mark.parametrize(("value", "label"), [("yes", "yes"), (["no"], "no")])
def test_one_label_is_taken_alone_or_in_a_list(tmp_path: Path, value: Any, label: str) -> None:
    assert taken(tmp_path, CLASSED, value).label == label


@pytest.mark.parametrize("value", [None, [], ["yes", "no"], [["yes"]], ""])
def test_no_label_and_several_are_refused(tmp_path: Path, value: Any) -> None:
    assert refused(tmp_path, CLASSED, {"value": value, "user_id": ADA}).startswith(
        "c#1: the response is"
    )


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    assert "the label 'maybe'" in refused(tmp_path, CLASSED, "maybe")
    assert "the label 'B-ORG'" in refused(tmp_path, ENTITIES, [span(13, 17, "ORG")])


def test_the_question_is_the_one_named_like_the_label_or_the_only_one(tmp_path: Path) -> None:
    told = record(CLASSED.items[0], "yes")
    both = told | {"responses": told["responses"] | {"mood": [{"value": "x", "user_id": ADA}]}}
    assert [one.label for one in back(tmp_path, CLASSED, both)] == ["yes"]
    other = {"tone": both["responses"]["label"], "mood": both["responses"]["mood"], "empty": []}
    (error,) = back(tmp_path, CLASSED, told | {"responses": other})
    assert error.what == "c#1: there are responses to tone, mood, and to no question 'label'"


def test_a_text_that_changed_is_shown_in_both_versions(tmp_path: Path) -> None:
    told = record(CLASSED.items[0], "yes", fields={"text": "So!"})
    (error,) = back(tmp_path, CLASSED, told)
    assert error.what == "c#1: text changed on the way: 'So?' was sent, 'So!' came back"
    told = record(COLOGNE, [], fields={"text": "Sie wohnt in Koeln."})
    (error,) = back(tmp_path, ENTITIES, told)
    assert "Köln 🚀 .' was sent, 'Sie wohnt in Koeln.' came" in error.what


def test_a_record_that_was_not_issued_is_refused(tmp_path: Path) -> None:
    (error,) = back(tmp_path, CLASSED, record(COLOGNE, "yes"))
    assert error.what == "'p-17' was not issued in this batch"


@pytest.mark.parametrize(("start", "end"), [(14, 17), (13, 16), (4, 11)])
def test_a_span_that_cuts_a_word_is_refused(tmp_path: Path, start: int, end: int) -> None:
    assert " cuts '" in refused(tmp_path, ENTITIES, [span(start, end)])


def test_a_span_after_an_emoji_is_read_as_the_page_and_as_the_sdk_count(tmp_path: Path) -> None:
    item = Item("e#1", {"tokens": ("🚀", "rocket", "in", "Rome")})
    batch = Batch("token-classification", NER, (item,))
    label = ("O", "O", "O", "B-LOC")
    assert taken(tmp_path, batch, [span(12, 16)]).label == label  # code points
    assert taken(tmp_path, batch, [span(13, 17)]).label == label  # UTF-16
    assert " cuts '" in refused(tmp_path, batch, [span(13, 16)])


def test_a_span_that_fits_in_both_ways_of_counting_is_refused(tmp_path: Path) -> None:
    item = Item("z#1", {"tokens": ("🚀", "我", "爱", "你")}, surface="🚀我爱你")
    batch = Batch("token-classification", NER, (item,))
    told = refused(tmp_path, batch, [span(2, 3)])
    assert told == "z#1: its spans fit in code points and in UTF-16 units, and differ"
    # The last word is none in code points.
    assert taken(tmp_path, batch, [span(4, 5)]).label == ("O", "O", "O", "B-LOC")


def test_answers_are_marked_or_written(tmp_path: Path) -> None:
    here = {"text": ["Here"], "answer_start": [0]}
    assert taken(tmp_path, ASKED, [span(0, 5)]).label == here
    assert taken(tmp_path, ASKED, "Here").label == here
    assert taken(tmp_path, ASKED, []).label == {"text": [], "answer_start": []}
    told = refused(tmp_path, ASKED, "or")
    assert told == "a#1: the answer 'or' does not stand in the context exactly once"
    assert "does not stand" in refused(tmp_path, ASKED, "HERE")
    assert "and differ" in refused(tmp_path, ASKED, [span(12, 14)])


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"fields": {"text": "So?"}}, "the record has no id"),
        ({"id": 3}, "the record has no id"),
        ([], "this is no JSON object"),
        (
            {"id": "c#1", "text": "So?", "label.responses": ["yes"], "label.responses.users": []},
            None,
        ),
        (
            {
                "id": "c#1",
                "text": "So?",
                "label.responses": ["yes"],
                "label.responses.users": [1, 2],
            },
            "label.responses has not as many users and states as values",
        ),
        ({"id": "c#1", "text": "So?", "label.responses": 5}, "label.responses is no list"),
        (
            {"id": "c#1", "fields": {"text": "So?"}, "responses": {"label": {"value": "yes"}}},
            "c#1: the responses are no list of objects",
        ),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, told: Any, what: str | None) -> None:
    (found,) = back(tmp_path, CLASSED, told)
    assert getattr(found, "what", None) == what


Counted = Callable[[str], int]


def in_code_points(text: str) -> int:
    return len(text)


def in_utf_16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def written(batch: Batch, counted: Counted) -> list[dict[str, Any]]:
    """What annotators who agree with every label would leave, and suggestions that mislead."""
    made = []
    for item in batch.items:
        value: Any = item.label
        if batch.task == "token-classification":
            assert isinstance(item.label, tuple)
            text, places = laid_out(item)
            found = spans_of(item.label, places, tagged=batch.tagged)
            value = [
                span(counted(text[: one.start]), counted(text[: one.end]), one.label)
                for one in found
            ]
        elif isinstance(item.label, dict):
            context = str(item.fields["context"])
            value = [
                span(counted(context[:start]), counted(context[: start + len(text)]))
                for text, start in zip(item.label["text"], item.label["answer_start"], strict=True)
            ]
        made.append(record(item, {"value": value, "user_id": ADA}, question="what"))
    return made


@pytest.mark.parametrize("kind", ["class", "pair"])
@given(data=st.data(), lines=st.booleans())
def test_classes_come_back_whatever_the_text_is(
    kind: str, data: st.DataObject, lines: bool
) -> None:
    batch = data.draw(batches(kind))
    with TemporaryDirectory() as folder:
        found = back(Path(folder), batch, *written(batch, in_code_points), lines=lines)
    assert bare(found) == accepted(batch)


@pytest.mark.parametrize("counted", [in_code_points, in_utf_16])
@pytest.mark.parametrize("kind", ["ner", "pos", "qa"])
@given(data=st.data())
def test_spans_come_back_or_are_refused_where_both_ways_of_counting_fit(
    kind: str, counted: Counted, data: st.DataObject
) -> None:
    batch = data.draw(batches(kind))
    with TemporaryDirectory() as folder:
        found = back(Path(folder), batch, *written(batch, counted))
    assert len(found) == len(batch.items)
    for one, right in zip(found, accepted(batch), strict=True):
        shown = json.dumps(record(batch.by_id[right.id])["fields"], ensure_ascii=False)
        if isinstance(one, InputError):
            assert one.what.endswith("and differ")
            assert in_utf_16(shown) > len(shown)
        else:
            assert bare([one]) == [right]
