"""doccano's JSON lines and zips: what is written to the letter, what is taken back or refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import CLASSES, NER, POS, accepted, bare, wild_texts

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.doccano import dump, load
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
PARTS = Batch(
    "token-classification",
    POS,
    (Item("w#1", {"tokens": ("𠮷", "去")}, surface="𠮷去", label=("NOUN", "VERB")),),
)
CLASSED = Batch(
    "text-classification", ("yes", "no"), (Item("c#1", {"text": "<b>Naïve</b>"}, label="no"),)
)
PAIRED = Batch(
    "text-classification",
    CLASSES,
    (Item("q#1", {"text": "A — b", "text_pair": "C\n————————\nd"}),),
)


def lines(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dump(batch).decode().rstrip("\n").split("\n")]


def told(batch: Batch, **changed: Any) -> dict[str, Any]:
    """A line of the export of the first item."""
    return {"id": 1} | lines(batch)[0] | {"Comments": []} | changed


def back(path: Path, batch: Batch, *done: dict[str, Any]) -> list[Answer | InputError]:
    path.write_text("\n".join(json.dumps(one) for one in done), encoding="utf-8")
    return list(checked(batch, load(path, batch), path))


def one_back(tmp_path: Path, batch: Batch, **changed: Any) -> Answer:
    (answer,) = back(tmp_path / "ada.jsonl", batch, told(batch, **changed))
    assert isinstance(answer, Answer), answer
    return answer


def refused(tmp_path: Path, batch: Batch, **changed: Any) -> str:
    path = tmp_path / "ada.jsonl"
    (error,) = back(path, batch, told(batch, **changed))
    assert isinstance(error, InputError), error
    assert (error.file, error.line) == (str(path), 1)
    assert batch.items[0].id in error.what
    return error.what


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_a_sentence_goes_with_its_spans_in_utf_16_units() -> None:
    assert lines(ENTITIES) == [
        {
            "text": "🚀  Ada Lovelace spoke.",
            "label": [[4, 16, "PER"]],
            "polymux_id": "p#1",
            "rank": 3,
            "language": "en",
        }
    ]
    assert lines(PARTS)[0]["label"] == [[0, 2, "NOUN"], [2, 3, "VERB"]]


def test_a_text_goes_with_its_class_and_without_one_where_there_is_none() -> None:
    assert lines(CLASSED) == [
        {
            "text": "<b>Naïve</b>",
            "label": ["no"],
            "polymux_id": "c#1",
            "rank": 0,
            # As doccano's tables want it: all lines have all keys.
            "language": None,
        }
    ]
    assert lines(PAIRED)[0]["label"] == []


def test_a_pair_is_shown_with_a_rule_that_is_longer_than_any_in_it() -> None:
    assert lines(PAIRED)[0]["text"] == "A — b\n—————————\nC\n————————\nd"


dashes = st.lists(st.sampled_from(["—", "————————", "—————————", "\n", "a"]), min_size=1).map(
    "".join
)


@given(text=dashes | wild_texts, pair=dashes | wild_texts)
def test_a_pair_comes_back_whatever_dashes_stand_in_it(text: str, pair: str) -> None:
    item = Item("q#1", {"text": text, "text_pair": pair}, label="yes")
    batch = Batch("text-classification", CLASSES, (item,))
    with TemporaryDirectory() as folder:
        same = back(Path(folder) / "all.jsonl", batch, told(batch))
        (error,) = back(
            Path(folder) / "all.jsonl", batch, told(batch, text=told(batch)["text"] + "!")
        )
    assert bare(same) == accepted(batch)
    assert isinstance(error, InputError)
    assert "text_pair changed on the way" in error.what


def test_an_export_is_read(tmp_path: Path) -> None:
    sent = "EU rejects German call to boycott British lamb ."
    item = Item("e#1", {"tokens": tuple(sent.split())})
    batch = Batch("token-classification", ("O", "B-ORG", "I-ORG", "B-MISC", "I-MISC"), (item,))
    line = {
        "id": 1,
        "text": sent,
        "rank": 0,
        "polymux_id": "e#1",
        "label": [[0, 2, "ORG"], [11, 17, "MISC"], [34, 41, "MISC"]],
        "Comments": ["sure?"],
    }
    assert back(tmp_path / "ada.jsonl", batch, line) == [
        Answer(
            "e#1",
            item.fields,
            "labelled",
            ("B-ORG", "O", "B-MISC", "O", "O", "O", "B-MISC", "O", "O"),
            "ada",
            line=1,
        )
    ]


def test_a_zip_tells_the_annotators_by_the_names_of_its_files(tmp_path: Path) -> None:
    one, other = json.dumps(told(CLASSED)), json.dumps(told(CLASSED, label=["yes"]))
    path = zipped(
        tmp_path / "export.zip",
        **{
            "ada.l@example.org.jsonl": one,
            "bo.json": f"[{other}]",
            "all.jsonl": one,
            "__MACOSX/._bo.json": "\x00",
            "readme.txt": "x",
        },
    )
    answers = list(checked(CLASSED, load(path, CLASSED), path))
    assert [(a.annotator, a.label) for a in answers if isinstance(a, Answer)] == [
        ("ada.l@example.org", "no"),
        ("bo", "yes"),
        (None, "no"),
    ]
    assert len(answers) == 3


def test_an_error_in_a_zip_names_the_file_and_the_rest_is_read(tmp_path: Path) -> None:
    good = json.dumps(told(CLASSED))
    path = zipped(tmp_path / "export.zip", **{"ada.jsonl": f"\n{{\n{good}", "bo.jsonl": good})
    error, *answers = load(path, CLASSED)
    assert isinstance(error, InputError)
    assert (error.file, error.line) == (f"{path}/ada.jsonl", 2)
    assert [one.annotator for one in answers if isinstance(one, Answer)] == ["ada", "bo"]


def spoilt(data: bytes, kind: str) -> bytes:
    changed = bytearray(data)
    if kind == "encrypted":
        changed[data.index(b"PK\x01\x02") + 8] |= 1
    elif kind == "packed otherwise":
        changed[data.index(b"PK\x01\x02") + 10] = 77
    elif kind == "named otherwise":
        start = data.index(b"PK\x01\x02")
        changed[start + 9] |= 8
        changed[start + 46] = 0xFF
    else:
        changed[data.index(b"polymux_id")] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("encrypted", "is encrypted"),
        ("spoilt", "Bad CRC-32"),
        ("empty", "no JSON lines"),
        ("packed otherwise", "compression method is not supported"),
        ("named otherwise", "can't decode byte 0xff"),
    ],
)
def test_a_zip_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str, expected: str) -> None:
    members = {} if kind == "empty" else {"ada.jsonl": json.dumps(told(CLASSED))}
    path = zipped(tmp_path / "export.zip", **members)
    if members:
        path.write_bytes(spoilt(path.read_bytes(), kind))
    (error,) = load(path, CLASSED)
    assert isinstance(error, InputError)
    assert error.file == str(path)
    assert expected in error.what


def test_right_to_left_text_counts_as_any_other(tmp_path: Path) -> None:
    item = Item("r#1", {"tokens": ("👩🏽‍🚀", "זוכרת", "את", "תל", "אביב", ".")})
    batch = Batch("token-classification", NER, (item,))
    answer = one_back(tmp_path, batch, label=[[17, 24, "LOC"]])
    assert answer.label == ("O", "O", "O", "B-LOC", "I-LOC", "O")


def test_a_sentence_without_a_span_has_none(tmp_path: Path) -> None:
    assert one_back(tmp_path, ENTITIES, label=[]).label == ("O",) * 5


def test_a_text_that_changed_is_refused_with_both_versions(tmp_path: Path) -> None:
    what = refused(tmp_path, ENTITIES, text="🚀 Ada Lovelace spoke.")
    assert "'🚀 Ada Lovelace" in what
    assert "'🚀 Ada Lovelace spoke.' came" in what
    what = refused(tmp_path, CLASSED, text="<b>Nai\u0308ve</b>")
    assert "'<b>Naïve</b>' was sent, '<b>Nai\u0308ve</b>' came back" in what
    assert "text changed on the way: 'A — b' was sent, nothing" in refused(
        tmp_path, PAIRED, text=None
    )


def test_what_was_added_to_a_text_is_no_second_text(tmp_path: Path) -> None:
    what = refused(tmp_path, CLASSED, text="<b>Naïve</b>\n————————\nmore")
    assert "text changed on the way" in what
    assert "more' came back" in what


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ([[4, 6, "PER"]], "the span 'Ad' cuts 'Ada'"),
        ([[1, 7, "PER"]], "or cuts a character"),
        ([[4, 99, "PER"]], "is not in the text"),
        ([[4, 16, "PER"], [8, 16, "LOC"]], "two spans overlap at 'Lovelace'"),
        ([[4, 7, "ORG"]], "nobody may give the label 'B-ORG'"),
        ([[4, 7]], "[4, 7] is no span"),
        ([[True, 7, "PER"]], "is no span"),
        ([{"id": 1, "label": "PER", "start_offset": 4, "end_offset": 7}], "is no span"),
        (["PER"], '"PER" is no span'),
        (None, "there is no list of labels"),
    ],
)
def test_spans_that_do_not_fit_are_refused(tmp_path: Path, label: Any, expected: str) -> None:
    assert expected in refused(tmp_path, ENTITIES, label=label)


def test_every_word_needs_its_one_class(tmp_path: Path) -> None:
    assert one_back(tmp_path, PARTS).label == ("NOUN", "VERB")
    assert "word 2, '去', has no label" in refused(tmp_path, PARTS, label=[[0, 2, "NOUN"]])


@pytest.mark.parametrize("label", [[], ["yes", "no"], [3]])
def test_a_text_needs_one_class(tmp_path: Path, label: list) -> None:
    assert "it was given [" in refused(tmp_path, CLASSED, label=label)


def test_an_unknown_class_is_refused(tmp_path: Path) -> None:
    assert "nobody may give the label 'perhaps'" in refused(tmp_path, CLASSED, label=["perhaps"])
