"""Label Studio: what is written to the letter, the interface, and what of an export is taken."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.tools import label_studio
from tests.annotation.worlds import CLASSES, NER, POS, TASKS, accepted, bare, batches

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.label_studio import config, dump, load
from polymux.errors import InputError, UsageError

ADA = Item(
    "p#1",
    {"tokens": ("🚀", "Ada", "Lovelace", "spoke", ".")},
    rank=3,
    surface="🚀  Ada\nLovelace spoke.",
    language="en",
    label=("O", "B-PER", "I-PER", "O", "O"),
    score=0.5,
)
ENTITIES = Batch("token-classification", NER, (ADA,))
PARTS = Batch("token-classification", POS, (Item("w#1", {"tokens": ("我", "去")}, surface="我去"),))
CLASSED = Batch("text-classification", ("yes", "no"), (Item("c#1", {"text": "<b>Naïve</b> & co"}),))
PAIRED = Batch(
    "text-classification",
    CLASSES,
    (
        Item("q#1", {"text": "A", "text_pair": "B"}, label="no", score=0.25),
        Item("q#2", {"text": "C"}),
    ),
)
ASKED = Batch(
    "question-answering",
    (),
    (Item("a#1", {"question": "Where?", "context": "🏳️‍🌈 in Rome, in Rome."}),),
)


def region(start: int, end: int, *labels: str, control: str = "label", **more: Any) -> dict:
    return {
        "id": f"r{start}",
        "from_name": control,
        "to_name": "text",
        "type": "labels",
        "value": {"start": start, "end": end, "labels": list(labels), **more},
        "origin": "manual",
    }


def choice(*labels: str, control: str = "label") -> dict:
    return {
        "id": "k",
        "from_name": control,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": list(labels)},
        "origin": "manual",
    }


def annotation(*result: dict, who: Any = 3, **more: Any) -> dict:
    told = {"id": 5, "completed_by": who, "was_cancelled": False, "ground_truth": False}
    return told | {"lead_time": 8.2, "result": list(result)} | more


def exported(batch: Batch, *annotations: dict, **changed: Any) -> dict:
    """The export of the first item."""
    task = json.loads(dump(batch))[0]
    return {
        "id": 17,
        "data": task["data"] | changed,
        "annotations": list(annotations),
        "predictions": [4],
    }


def back(tmp_path: Path, batch: Batch, *told: Any) -> list[Answer | InputError]:
    path = tmp_path / "back.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return list(checked(batch, load(path, batch), path))


def one_back(tmp_path: Path, batch: Batch, *result: dict) -> Answer:
    (answer,) = back(tmp_path, batch, exported(batch, annotation(*result)))
    assert isinstance(answer, Answer), answer
    return answer


def refused(tmp_path: Path, batch: Batch, *result: dict, **changed: Any) -> str:
    (error,) = back(tmp_path, batch, exported(batch, annotation(*result), **changed))
    assert isinstance(error, InputError), error
    assert error.file == str(tmp_path / "back.json")
    assert batch.items[0].id in error.what
    return error.what


def test_a_sentence_goes_with_its_spans_as_a_prediction() -> None:
    assert json.loads(dump(ENTITIES)) == [
        {
            "data": {
                "polymux_id": "p#1",
                "rank": 3,
                "language": "en",
                "text": "🚀  Ada\nLovelace spoke.",
            },
            "predictions": [
                {
                    "model_version": "polymux",
                    "score": 0.5,
                    "result": [
                        {
                            "id": "0",
                            "from_name": "label",
                            "to_name": "text",
                            "type": "labels",
                            "value": {
                                "start": 3,
                                "end": 15,
                                "text": "Ada\nLovelace",
                                "labels": ["PER"],
                            },
                        }
                    ],
                }
            ],
        }
    ]


def test_a_pair_goes_with_both_texts_and_a_text_without_a_second_one_with_an_empty_one() -> None:
    first, second = json.loads(dump(PAIRED))
    assert first == {
        "data": {"polymux_id": "q#1", "rank": 0, "text": "A", "text_pair": "B"},
        "predictions": [
            {
                "model_version": "polymux",
                "score": 0.25,
                "result": [
                    {
                        "id": "0",
                        "from_name": "label",
                        "to_name": "text",
                        "type": "choices",
                        "value": {"choices": ["no"]},
                    }
                ],
            }
        ],
    }
    assert second == {"data": {"polymux_id": "q#2", "rank": 0, "text": "C", "text_pair": ""}}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"text": [], "answer_start": []}, [("unanswerable", {"choices": ["unanswerable"]})]),
        (
            {"text": ["Rome", "in Rome"], "answer_start": [17, 5]},
            [
                ("answer", {"start": 17, "end": 21, "text": "Rome", "labels": ["Answer"]}),
                ("answer", {"start": 5, "end": 12, "text": "in Rome", "labels": ["Answer"]}),
            ],
        ),
    ],
)
def test_a_question_goes_with_its_answers_or_with_the_choice_that_there_is_none(
    label: dict, expected: list
) -> None:
    item = Item("a#1", ASKED.items[0].fields, label=label)
    (task,) = json.loads(dump(Batch("question-answering", (), (item,))))
    assert task["data"] == {"polymux_id": "a#1", "rank": 0, **item.fields}
    (prediction,) = task["predictions"]
    assert [(one["from_name"], one["value"]) for one in prediction["result"]] == expected
    assert {one["to_name"] for one in prediction["result"]} == {"context"}


def test_each_annotation_is_an_answer_with_who_and_how_long(tmp_path: Path) -> None:
    task = exported(
        ENTITIES,
        annotation(region(3, 15, "PER", text="Ada\\nLovelace")),
        annotation(who={"id": 4, "email": "bo@example.org", "first_name": ""}, lead_time=None),
        annotation(region(3, 6, "LOC"), who=5, was_cancelled=True, lead_time=1),
        annotation(region(3, 6, "LOC"), who={"id": 6}, lead_time=float("nan")),
    )
    assert back(tmp_path, ENTITIES, task) == [
        Answer("p#1", ADA.fields, "labelled", ("O", "B-PER", "I-PER", "O", "O"), "3", 8.2),
        Answer("p#1", ADA.fields, "labelled", ("O",) * 5, "bo@example.org"),
        Answer("p#1", ADA.fields, "skipped", None, "5", 1.0),
        Answer("p#1", ADA.fields, "labelled", ("O", "B-LOC", "O", "O", "O"), "6"),
    ]


def test_predictions_are_no_answers(tmp_path: Path) -> None:
    (task,) = json.loads(dump(ENTITIES))
    assert task["predictions"]
    assert back(tmp_path, ENTITIES, task) == []
    assert back(tmp_path, ENTITIES, task | {"id": 17, "annotations": []}) == []


def test_json_min_is_read(tmp_path: Path) -> None:
    entry = {
        "polymux_id": "p#1",
        "rank": 3,
        "language": "en",
        "text": "🚀  Ada\nLovelace spoke.",
        "id": 17,
        "annotator": 3,
        "annotation_id": 5,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "updated_at": "2026-03-09T22:16:08.728378Z",
        "lead_time": 8.2,
    }
    marked = {"start": 3, "end": 6, "text": "Ada", "labels": ["PER"]}
    nobody = {"annotator": None, "annotation_id": None, "lead_time": None}
    told = [entry | {"label": [marked]}, entry | {"annotator": "bo@example.org"}, entry | nobody]
    assert back(tmp_path, ENTITIES, *told) == [
        Answer("p#1", ADA.fields, "labelled", ("O", "B-PER", "O", "O", "O"), "3", 8.2),
        Answer("p#1", ADA.fields, "labelled", ("O",) * 5, "bo@example.org", 8.2),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"unanswerable": "unanswerable"}, {"text": [], "answer_start": []}),
        (
            {"answer": [{"start": 8, "end": 12, "text": "Rome", "labels": ["Answer"]}]},
            {"text": ["Rome"], "answer_start": [8]},
        ),
    ],
)
def test_json_min_tells_answers_to_a_question(tmp_path: Path, given: dict, expected: dict) -> None:
    data = json.loads(dump(ASKED))[0]["data"]
    (answer,) = back(tmp_path, ASKED, data | given | {"id": 1, "annotator": 3})
    assert isinstance(answer, Answer), answer
    assert answer.label == expected


def flattened(task: dict) -> list[dict]:
    """What the converter makes of a task for JSON_MIN."""
    entries = []
    for one in task["annotations"]:
        controls: dict[str, Any] = {}
        for part in one["result"]:
            value = part["value"]
            if part["type"] == "choices":
                controls[part["from_name"]] = value["choices"][0]
            else:
                controls.setdefault(part["from_name"], []).append(value)
        told = {"id": task["id"], "annotator": one["completed_by"], "annotation_id": one["id"]}
        entries.append(task["data"] | told | controls | {"lead_time": one["lead_time"]})
    return entries


@pytest.mark.parametrize("kind", TASKS)
@given(data=st.data())
def test_json_min_gives_back_what_was_dumped(kind: str, data: st.DataObject) -> None:
    batch = data.draw(batches(kind))
    tasks = json.loads(label_studio(dump(batch), batch))
    with TemporaryDirectory() as folder:
        found = back(Path(folder), batch, *(one for task in tasks for one in flattened(task)))
    assert bare(found) == accepted(batch)


def test_right_to_left_text_counts_as_any_other(tmp_path: Path) -> None:
    item = Item("r#1", {"tokens": ("👩🏽‍🚀", "זוכרת", "את", "תל", "אביב", ".")})
    batch = Batch("token-classification", NER, (item,))
    answer = one_back(tmp_path, batch, region(14, 21, "LOC", text="תל אביב"))
    assert answer.label == ("O", "O", "O", "B-LOC", "I-LOC", "O")


@pytest.mark.parametrize("text", ["🚀 Ada", "🚀\u00a0Ada", "🚀\\nAda", "🚀  Ada", None])
def test_white_space_in_the_text_of_a_region_proves_nothing(
    tmp_path: Path, text: str | None
) -> None:
    answer = one_back(tmp_path, ENTITIES, region(0, 6, "PER", text=text))
    assert answer.label == ("B-PER", "I-PER", "O", "O", "O")


def test_a_region_that_tells_another_text_than_stands_there_is_refused(tmp_path: Path) -> None:
    # As versions counted that took an emoji for two.
    what = refused(tmp_path, ENTITIES, region(4, 7, "PER", text="Ada"))
    assert "'Ada'" in what
    assert "'da\\n'" in what


def test_a_text_that_changed_is_refused_with_both_versions(tmp_path: Path) -> None:
    what = refused(tmp_path, ENTITIES, region(0, 1, "PER"), text="🚀 Ada Lovelace spoke.")
    assert "'🚀 Ada Lovelace" in what
    assert "'🚀 Ada Lovelace spoke.' came" in what
    what = refused(tmp_path, CLASSED, choice("yes"), text="<b>Nai\u0308ve</b> & co")
    assert "'<b>Naïve</b> & co' was sent" in what
    assert "'<b>Nai\u0308ve</b> & co' came back" in what


def test_markup_in_a_text_is_text(tmp_path: Path) -> None:
    assert one_back(tmp_path, CLASSED, choice("yes")).label == "yes"
    assert json.loads(dump(CLASSED))[0]["data"]["text"] == "<b>Naïve</b> & co"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([region(3, 5, "PER")], "the span 'Ad' cuts 'Ada'"),
        ([region(3, 15, "PER"), region(7, 15, "LOC")], "two spans overlap at 'Lovelace'"),
        ([region(3, 6, "ORG")], "nobody may give the label 'B-ORG'"),
        ([region(3, 6, "PER", "LOC")], "has the labels ['PER', 'LOC']"),
        ([region(3, 6)], "has the labels []"),
        ([region(3, 99, "PER")], "is not in the text"),
        ([region(-3, 5, "PER", text="x")], "stands there"),
        ([region(1, 3, "PER")], "holds no word"),
        ([region(3, 6, "PER", control="ner")], "come from the control 'ner'"),
        ([{"from_name": "label", "value": {"labels": ["PER"]}}], "is no region"),
        ([{"from_name": "label", "value": {"start": "3", "end": 6, "labels": []}}], "no region"),
        (["PER"], "the result is no list of objects"),
    ],
)
def test_a_region_that_does_not_fit_is_refused(tmp_path: Path, result: list, expected: str) -> None:
    assert expected in refused(tmp_path, ENTITIES, *result)


def test_relations_and_other_controls_are_left_out(tmp_path: Path) -> None:
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    note = {"from_name": "note", "type": "textarea", "value": {"text": ["unsure"]}}
    answer = one_back(tmp_path, ENTITIES, region(3, 6, "PER"), relation, note)
    assert answer.label == ("O", "B-PER", "O", "O", "O")


def test_every_word_needs_its_one_class(tmp_path: Path) -> None:
    parts = [region(0, 1, "NOUN"), region(1, 2, "VERB")]
    assert one_back(tmp_path, PARTS, *parts).label == ("NOUN", "VERB")
    assert "word 2, '去', has no label" in refused(tmp_path, PARTS, parts[0])


@pytest.mark.parametrize("result", [[], [choice("yes", "no")], [choice("yes"), choice("no")]])
def test_a_text_needs_one_class(tmp_path: Path, result: list) -> None:
    assert "it was given [" in refused(tmp_path, CLASSED, *result)


def test_an_unknown_class_is_refused(tmp_path: Path) -> None:
    assert "nobody may give the label 'perhaps'" in refused(tmp_path, CLASSED, choice("perhaps"))


def test_a_question_needs_an_answer_or_the_word_that_there_is_none(tmp_path: Path) -> None:
    marked = region(4, 13, "Answer", control="answer")
    none = choice("unanswerable", control="unanswerable")
    assert one_back(tmp_path, ASKED, marked).label == {"text": ["in Rome,"], "answer_start": [5]}
    assert one_back(tmp_path, ASKED, none).label == {"text": [], "answer_start": []}
    assert "an answer and the mark 'unanswerable'" in refused(tmp_path, ASKED, marked, none)
    assert "no answer and not the mark 'unanswerable'" in refused(tmp_path, ASKED)


def test_a_bad_annotation_leaves_the_others(tmp_path: Path) -> None:
    good = annotation(region(3, 6, "PER"), who=4)
    task = exported(ENTITIES, annotation() | {"result": 3}, good)
    error, answer = back(tmp_path, ENTITIES, task | {"id": 1})
    assert isinstance(error, InputError)
    assert isinstance(answer, Answer)
    assert answer.annotator == "4"


def test_annotations_that_are_no_list_are_refused(tmp_path: Path) -> None:
    (error,) = back(tmp_path, ENTITIES, exported(ENTITIES) | {"annotations": {"result": []}})
    assert isinstance(error, InputError)
    assert "p#1: the annotations are no list" in error.what


def controls(xml: str, tag: str) -> list[dict[str, str]]:
    return [dict(one.attrib) for one in ET.fromstring(xml).iter(tag)]


def test_the_interface_for_entities_has_each_kind_once_in_a_colour_of_its_own() -> None:
    xml = config(ENTITIES)
    assert controls(xml, "Labels") == [{"name": "label", "toName": "text"}]
    assert [one["value"] for one in controls(xml, "Label")] == ["PER", "LOC"]
    assert len({one["background"] for one in controls(xml, "Label")}) == 2
    assert controls(xml, "Text") == [
        {
            "name": "text",
            "value": "$text",
            "granularity": "symbol",
            "valueType": "text",
            "saveTextResult": "yes",
        }
    ]
    style = ET.fromstring(xml).findtext("Style") or ""
    assert "white-space: pre-wrap" in style
    assert "unicode-bidi: plaintext" in style
    # The page escapes what could be markup.
    assert not set("<>&") & set(style)


def test_the_interface_for_classes_of_words_has_them_all() -> None:
    xml = config(Batch("token-classification", ("NOUN", "PRP$", "$", "``", "."), ()))
    assert [one["value"] for one in controls(xml, "Label")] == ["NOUN", "PRP$", "$", "``", "."]


def test_the_interface_for_a_pair_shows_both_texts() -> None:
    xml = config(PAIRED)
    assert [one["value"] for one in controls(xml, "Text")] == ["$text", "$text_pair"]
    assert controls(xml, "Choices") == [
        {"name": "label", "toName": "text", "choice": "single", "required": "true"}
    ]
    assert [one["value"] for one in controls(xml, "Choice")] == list(CLASSES)
    assert [one["value"] for one in controls(config(CLASSED), "Text")] == ["$text"]


def test_the_interface_for_a_question_marks_answers_in_the_context() -> None:
    xml = config(ASKED)
    assert controls(xml, "Header")[0]["value"] == "$question"
    assert controls(xml, "Labels") == [{"name": "answer", "toName": "context"}]
    assert [one["value"] for one in controls(xml, "Text")] == ["$context"]
    assert controls(xml, "Choices")[0]["name"] == "unanswerable"
    assert controls(xml, "Choice") == [{"value": "unanswerable"}]


shown = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="$"), min_size=1
) | st.sampled_from(
    ['"/><Choice value="x', "]]>", "&amp;", "<!-- -->", "'", "a\tb\nc\rd", "$", "A$"]
)


@pytest.mark.parametrize("task", ["token-classification", "text-classification"])
@given(labels=st.lists(shown, min_size=1, unique=True).map(tuple))
def test_labels_stand_in_the_interface_as_they_are_called(task: str, labels: tuple) -> None:
    xml = config(Batch(task, ("O", *(f"B-{one}" for one in labels)), ()))
    if task == "token-classification":
        assert [one["value"] for one in controls(xml, "Label")] == list(labels)
    else:
        assert [one["value"] for one in controls(xml, "Choice")[1:]] == [f"B-{x}" for x in labels]


@pytest.mark.parametrize("label", ["$text", "US$.", "a\x00b", "\ufffe"])
def test_a_label_that_the_tool_would_change_is_an_error(label: str) -> None:
    with pytest.raises(UsageError, match=r"variable|XML") as raised:
        config(Batch("text-classification", ("yes", label), ()))
    assert ascii(label) in raised.value.what
