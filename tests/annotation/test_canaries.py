"""Canaries show what a tool does to texts: the file is repaired, or refused as a whole."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.tools import FINISH
from tests.annotation.worlds import TASKS, accepted, bare, batches

from polymux.annotation import FORMATS, Batch, Item, checked
from polymux.annotation.canaries import PREFIX, Reading, canaries, reading_of
from polymux.errors import InputError
from polymux.records import Label

WRITTEN = [name for name, made in FORMATS.items() if made.dump is not None]
PAIRS = [
    (name, kind)
    for name in WRITTEN
    for kind, (task, _) in TASKS.items()
    if not FORMATS[name].tasks or task in FORMATS[name].tasks
]
NFD, COLLAPSED = "NFD", "double spaces collapsed"
UTF_16 = "offsets in UTF-16 units"


# The command that a refusal names.
ANEW = "polymux export RUN --no-canaries"


def with_canaries(batch: Batch) -> Batch:
    return replace(batch, items=(*canaries(batch), *batch.items))


def as_marked(item: Item, reading: Reading) -> Label | None:
    """The label that a person gives who sees the texts as the tool shows them."""
    if not isinstance(item.label, dict):
        return item.label
    context = str(item.fields["context"])
    starts = [len(reading.change(context[:start])) for start in item.label["answer_start"]]
    return {"text": [reading.change(t) for t in item.label["text"]], "answer_start": starts}


def by_a_tool_that(name: str, batch: Batch, *changes: str) -> bytes:
    """What comes back from a tool that shows and tells changed texts."""
    reading = Reading(changes)
    sent = with_canaries(batch)
    shown = reading.view(sent)
    items = tuple(
        replace(one, label=as_marked(item, reading))
        for one, item in zip(shown.items, sent.items, strict=True)
    )
    shown = replace(shown, items=items, unit="code points")
    made = FORMATS[name]
    assert made.dump is not None
    return FINISH[name](made.dump(shown), shown)


def read_as(name: str, path: Path, batch: Batch) -> Reading:
    return reading_of(partial(FORMATS[name].load, path), str(path), batch, ANEW)


def taken(name: str, batch: Batch, path: Path) -> list[Any]:
    """Answers of a file, read as its canaries show."""
    read = partial(FORMATS[name].load, path)
    reading = reading_of(read, str(path), batch, ANEW)
    view = reading.view(with_canaries(batch))
    return [
        one if isinstance(one, InputError) else reading.back(batch, one)
        for one in checked(view, read(view), path)
        if isinstance(one, InputError) or not one.id.startswith(PREFIX)
    ]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(data=st.data())
def test_a_tool_that_keeps_texts_is_left_alone(
    name: str, kind: str, tmp_path_factory: pytest.TempPathFactory, data
) -> None:
    batch = data.draw(batches(kind))
    path = tmp_path_factory.mktemp("kept") / f"x{FORMATS[name].suffix}"
    path.write_bytes(by_a_tool_that(name, batch))
    assert read_as(name, path, batch) == Reading()
    assert bare(taken(name, batch, path)) == accepted(batch)


@pytest.mark.parametrize("changes", [(NFD,), ("NFC",), (COLLAPSED,), (NFD, COLLAPSED)], ids=str)
@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_changed_texts_are_repaired(
    name: str, kind: str, changes: tuple[str, ...], tmp_path: Path
) -> None:
    """Words and texts that the change reaches; of a question's answer, its place too."""
    text = "Zoë  sah 🚀 Müller\u0308 in é, e\u0301  dort"
    item = Item("a#1", {"text": text}, 1, None, None, "yes")
    if kind in ("ner", "pos"):
        words = tuple(text.split())
        label = ("O", "O", "O", "B-PER", *["O"] * 4) if kind == "ner" else ("NOUN",) * 8
        item = Item("a#1", {"tokens": words}, 1, text, None, label[: len(words)])
    elif kind == "pair":
        item = replace(item, fields={"text": text, "text_pair": "é  x"})
    elif kind == "qa":
        start = text.index("in")
        answer = {"text": ["in é,"], "answer_start": [start]}
        item = Item("a#1", {"question": "wo?", "context": text}, 1, None, None, answer)
    task, labels = TASKS[kind]
    batch = Batch(task, labels, (item,))
    path = tmp_path / f"x{FORMATS[name].suffix}"
    path.write_bytes(by_a_tool_that(name, batch, *changes))
    reading = read_as(name, path, batch)
    if reading.changes:
        assert "were undone" in reading.note
    assert bare(taken(name, batch, path)) == accepted(batch)


def in_utf_16(text: str, at: int) -> int:
    return len(text[:at].encode("utf-16-le")) // 2


def label_studio_in_utf_16(done: list[dict[str, Any]]) -> None:
    for task in done:
        text = task["data"].get("text") or task["data"].get("context")
        for region in task["annotations"][0]["result"]:
            value = region["value"]
            for edge in ("start", "end"):
                if edge in value:
                    value[edge] = in_utf_16(text, value[edge])


def prodigy_in_utf_16(done: list[dict[str, Any]]) -> None:
    for task in done:
        for span in task.get("spans") or ():
            for edge in ("start", "end"):
                span[edge] = in_utf_16(task["text"], span[edge])


def squad_in_utf_16(done: list[dict[str, Any]]) -> None:
    for paragraph in done[0]["data"][0]["paragraphs"]:
        for answer in paragraph["qas"][0]["answers"]:
            answer["answer_start"] = in_utf_16(paragraph["context"], answer["answer_start"])


MOVED: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "label-studio": label_studio_in_utf_16,
    "prodigy": prodigy_in_utf_16,
    "squad": squad_in_utf_16,
}
OFFSETS = [(name, kind) for name, kind in PAIRS if name in MOVED and kind in ("ner", "qa")]


@pytest.mark.parametrize(("name", "kind"), OFFSETS)
@given(data=st.data())
def test_offsets_in_utf_16_units_are_seen_and_read_so(
    name: str, kind: str, tmp_path_factory: pytest.TempPathFactory, data
) -> None:
    batch = data.draw(batches(kind))
    path = tmp_path_factory.mktemp("moved") / f"x{FORMATS[name].suffix}"
    dumped = by_a_tool_that(name, batch)
    is_array, is_lines = dumped.startswith(b"["), name == "prodigy"
    parts = dumped.strip(b"\n").split(b"\n") if is_lines else [dumped]
    done = [json.loads(part) for part in parts]
    done = done[0] if is_array else done
    MOVED[name](done)
    written = [json.dumps(done)] if is_array else map(json.dumps, done)
    path.write_text("".join(f"{one}\n" for one in written), encoding="utf-8")
    assert read_as(name, path, batch).changes == (UTF_16,)
    assert bare(taken(name, batch, path)) == accepted(batch)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_nothing_explains_is_refused_as_a_whole(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, str | tuple[str, ...]] = {"text": "a", "text_pair": "b"}
    label: Label = "yes"
    if kind in ("ner", "pos"):
        fields, label = {"tokens": ("a",)}, ("O",) if kind == "ner" else ("NOUN",)
    elif kind == "qa":
        fields, label = {"question": "q", "context": "a"}, {"text": [], "answer_start": []}
    elif kind == "class":
        fields = {"text": "a"}
    task, labels = TASKS[kind]
    batch = Batch(task, labels, (Item("a#1", fields, 1, label=label),))
    path = tmp_path / f"x{FORMATS[name].suffix}"
    with monkeypatch.context() as patched:
        patched.setattr(Reading, "change", lambda self, text: text.replace("ovel", "OVEL"))
        path.write_bytes(by_a_tool_that(name, batch, "unknown"))
    with pytest.raises(InputError, match="the tool changed what it was given") as error:
        read_as(name, path, batch)
    assert PREFIX in error.value.what
    assert error.value.file == str(path)
    assert ANEW in error.value.hint


def test_a_file_without_canaries_is_read_and_that_is_said(tmp_path: Path) -> None:
    item = Item("a#1", {"text": "x"}, 1, label="yes")
    batch = Batch("text-classification", ("yes", "no"), (item,))
    path = tmp_path / "x.jsonl"
    dump = FORMATS["jsonl"].dump
    assert dump is not None
    path.write_bytes(dump(batch))
    reading = read_as("jsonl", path, batch)
    assert reading.changes == ()
    assert "no canary came back" in reading.note


def test_a_canary_that_was_labelled_otherwise_is_told_and_nothing_refused(tmp_path: Path) -> None:
    item = Item("a#1", {"text": "x"}, 1, label="yes")
    batch = Batch("text-classification", ("yes", "no"), (item,))
    path = tmp_path / "x.jsonl"
    done = by_a_tool_that("jsonl", batch).decode().replace('"label": "no"', '"label": "yes"')
    path.write_text(done, encoding="utf-8")
    assert "another label" in read_as("jsonl", path, batch).note
    assert bare(taken("jsonl", batch, path)) == accepted(batch)


def test_the_canaries_hold_what_tools_break() -> None:
    sent = canaries(Batch("text-classification", ("a", "b"), ()))
    text = "".join(str(item.fields["text"]) for item in sent)
    assert any(ord(letter) > 0xFFFF for letter in text)
    assert any(unicodedata.combining(letter) for letter in text)
    assert {unicodedata.bidirectional(letter) for letter in text} >= {"R", "AL", "NSM"}
    assert "  " in text
    assert "\n" in text
    for form in ("NFC", "NFD"):
        assert unicodedata.normalize(form, text) != text


def test_canaries_are_the_same_whatever_else_goes_along() -> None:
    alone = Batch("text-classification", ("yes", "no"), (Item("a#1", {"text": "a"}),))
    pair = Item("a#2", {"text": "a", "text_pair": "b"})
    assert canaries(alone) == canaries(replace(alone, items=(*alone.items, pair)))
