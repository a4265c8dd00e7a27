"""Label Studio: tasks with predictions as it imports them, and its exports JSON and JSON_MIN.

Offsets are code points. A region also tells its text, as the page showed it: spaces may be
collapsed and a line break be a backslash with an n (HumanSignal/label-studio#3078). So a region is
what its offsets say, and its text, white space aside, has to agree. The interface of `config` names
the controls that are read.
"""

from __future__ import annotations

import colorsys
import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from polymux.annotation import told as tool
from polymux.annotation.batch import LONGEST, Answer, Batch, Item, State, span_kinds
from polymux.annotation.words import Span, laid_out, spans_of
from polymux.errors import InputError, UsageError
from polymux.records import Label

Values = Mapping[str, Sequence[dict[str, Any]]]

# The controls; none may be called as a key of the data, beside which JSON_MIN puts them.
LABEL, ANSWER, UNANSWERABLE = "label", "answer", "unanswerable"
_MARK = "Answer"
_AS_IT_IS = "give Label Studio's export (JSON or JSON_MIN) as it is"
_BLANK = re.compile(r"(?:\s|\\n)+")

# Each line stands as its first strong letter says, right to left or left to right, and keeps its
# spaces, which the page would collapse otherwise. Versions differ in the class of a text.
_STYLE = (
    ".htx-text, .htx-richtext, [class*=richtext__line] "
    "{ white-space: pre-wrap; unicode-bidi: plaintext; text-align: start; } "
    "[class*=richtext__line] { width: 100%; box-sizing: border-box; }"
)
_BOTH_WAYS = "unicode-bidi: plaintext; text-align: start"
_VARIABLE = re.compile(r"\$[\w\[\].{}]", re.ASCII)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GOLDEN = 0.618034  # of a turn: hues that lie apart, however many there are


def dump(batch: Batch) -> bytes:
    """A JSON list of tasks, an item each; a label that there is goes along as a prediction."""
    return (json.dumps(tasks(batch), ensure_ascii=False, indent=1) + "\n").encode()


def tasks(batch: Batch) -> list[dict[str, Any]]:
    """The tasks of a batch as Label Studio imports them."""
    shown = _shown(batch)
    return [_task(item, batch, shown) for item in batch.items]


def _task(item: Item, batch: Batch, shown: Sequence[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"polymux_id": item.id, "rank": item.rank}
    if item.language is not None:
        data["language"] = item.language
    if "tokens" in item.fields:
        data["text"] = tool.text_of(item)
    else:
        # A task without a key that the interface shows is not imported.
        data |= {name: item.fields.get(name, "") for name in shown}
    if item.label is None:
        return {"data": data}
    result = _result(item, item.label, batch)
    prediction: dict[str, Any] = {"model_version": "polymux", "result": result}
    if item.score is not None:
        prediction["score"] = item.score
    return {"data": data, "predictions": [prediction]}


def _shown(batch: Batch) -> list[str]:
    """The fields that some item has, in their order."""
    return list(dict.fromkeys(name for item in batch.items for name in item.fields))


def _result(item: Item, label: Label, batch: Batch) -> list[dict[str, Any]]:
    if isinstance(label, str):
        return [_choice(LABEL, "text", label)]
    if isinstance(label, tuple):
        text, places = laid_out(item)
        spans = spans_of(label, places, tagged=batch.tagged)
        return [_region(n, LABEL, "text", text, span) for n, span in enumerate(spans)]
    marks = zip(label["text"], label["answer_start"], strict=True)
    spans = [Span(start, start + len(text), _MARK) for text, start in marks]
    if not spans:
        return [_choice(UNANSWERABLE, "context", UNANSWERABLE)]
    context = tool.text_of(item)
    return [_region(n, ANSWER, "context", context, span) for n, span in enumerate(spans)]


def _choice(control: str, shown: str, label: str) -> dict[str, Any]:
    place = {"id": "0", "from_name": control, "to_name": shown}
    return place | {"type": "choices", "value": {"choices": [label]}}


def _region(number: int, control: str, shown: str, text: str, span: Span) -> dict[str, Any]:
    place = {"id": str(number), "from_name": control, "to_name": shown}
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end]}
    return place | {"type": "labels", "value": value | {"labels": [span.label]}}


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer an annotation; one that was cancelled is skipped, and predictions are none.

    JSON tells cancelled annotations, JSON_MIN leaves them out. Drafts are no answers.
    """
    return tool.answers(path, reading(batch))


def reading(batch: Batch) -> tool.Read:
    """What reads the annotations of one exported task."""
    return partial(_read, batch=batch, issued=batch.by_id)


def _read(
    told: dict[str, Any], line: int | None, batch: Batch, issued: Mapping[str, Item]
) -> Iterator[Answer | InputError]:
    # JSON_MIN has the data, the answers and who gave them on one level.
    data = told.get("data", told)
    name = data.get("polymux_id") if isinstance(data, dict) else None
    if not isinstance(name, str):
        raise InputError("the task has no polymux_id in its data", "import tasks as they were made")
    item = issued.get(name)
    fields = {} if item is None else tool.texts(_fields(data, item))
    for given in _annotations(told, name) if "data" in told else _flat(told):
        try:
            state: State = "skipped" if given.get("was_cancelled") else "labelled"
            label = None
            # What does not fit is told by the check, which shows both versions.
            if state == "labelled" and item is not None and fields == item.fields:
                label = _label(_values(given.get("result"), name), item, batch)
        except InputError as error:
            yield error
            continue
        who, seconds = _who(given.get("completed_by")), _seconds(given.get("lead_time"))
        yield Answer(name, fields, state, label, who, seconds, line)


def _fields(data: dict[str, Any], item: Item) -> tool.Fields:
    """The fields as they came back; a sentence that is another one in place of the words."""
    if "tokens" in item.fields:
        return tool.words_in(data.get("text"), item)
    return {name: data[name] for name in item.fields if data.get(name) is not None}


def _annotations(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = told.get("annotations") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{name}: the annotations are no list of objects", _AS_IT_IS)
    return found


def _flat(told: dict[str, Any]) -> list[dict[str, Any]]:
    """An entry of JSON_MIN as the annotation it was; none where nobody answered."""
    names = ("annotation_id", "annotator", LABEL, ANSWER, UNANSWERABLE)
    if all(told.get(name) is None for name in names):
        return []
    result = []
    for control, given in told.items():
        for value in given if isinstance(given, list) else [given]:
            value = value if isinstance(value, dict) else {"choices": [value]}
            result.append({"from_name": control, "value": value})
    return [
        {
            "completed_by": told.get("annotator"),
            "lead_time": told.get("lead_time"),
            "result": result,
        }
    ]


def _who(told: Any) -> str | None:
    """Who answered: a number, an address, or an object that has them."""
    if isinstance(told, dict):
        told = told.get("email") or told.get("id")
    return str(told) if isinstance(told, str | int) else None


def _seconds(told: Any) -> float | None:
    return float(told) if type(told) in (int, float) and 0 <= told < LONGEST else None


def _values(result: Any, name: str) -> Values:
    """What each control was given; relations and what belongs to no control are left out."""
    if not isinstance(result, list) or not all(isinstance(one, dict) for one in result):
        raise InputError(f"{name}: the result is no list of objects", _AS_IT_IS)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in result:
        control, value = one.get("from_name"), one.get("value")
        if isinstance(control, str) and isinstance(value, dict):
            found[control].append(value)
    for control, values in found.items():
        if control not in (LABEL, ANSWER) and any("labels" in value for value in values):
            raise InputError(
                f"{name}: the labels come from the control {control!a}",
                f"call it {LABEL}, or {ANSWER} for answers, as the interface that goes along does",
            )
    return found


def _label(values: Values, item: Item, batch: Batch) -> Label:
    if batch.task == "text-classification":
        return _only_choice(values, item.id)
    text = tool.text_of(item)
    if batch.task == "token-classification":
        spans = [_span(value, text, item.id, batch.unit) for value in values.get(LABEL, ())]
        return tool.label_of(item, spans, batch)
    spans = [_span(value, text, item.id, batch.unit) for value in values.get(ANSWER, ())]
    none = any(value.get("choices") for value in values.get(UNANSWERABLE, ()))
    if bool(spans) == none:
        raise InputError(
            f"{item.id}: it has {'an answer and' if none else 'no answer and not'} the mark "
            f"{UNANSWERABLE!r}",
            f"mark the answer in the context, or choose {UNANSWERABLE}",
        )
    return tool.label_of(item, spans, batch)


def _only_choice(values: Values, name: str) -> str:
    chosen = [value.get("choices") for value in values.get(LABEL, ())]
    flat = [one for choices in chosen if isinstance(choices, list) for one in choices]
    if len(flat) != 1 or not isinstance(flat[0], str):
        raise InputError(f"{name}: it was given {flat!a}", "choose one label, or skip the task")
    return flat[0]


def _span(value: dict[str, Any], text: str, name: str, unit: str) -> Span:
    """A region by its offsets, proved by the text that it tells."""
    start, end, labels = value.get("start"), value.get("end"), value.get("labels")
    if type(start) is not int or type(end) is not int or not isinstance(labels, list):
        shown = json.dumps(value)[:80]
        raise InputError(f"{name}: {shown} is no region with a start, an end and labels", _AS_IT_IS)
    if len(labels) != 1 or not isinstance(labels[0], str):
        raise InputError(
            f"{name}: the region {start} to {end} has the labels {labels!a}", "give it one label"
        )
    start, end = tool.in_points(text, start, end, unit)
    there = text[start:end] if 0 <= start <= end else ""
    told = value.get("text")
    if told is not None and _collapsed(str(told)) != _collapsed(there):
        raise InputError(
            f"{name}: the region {start} to {end} ({labels[0]}) tells {told!a}, but {there!a} "
            "stands there",
            "use the interface that goes along, and a Label Studio that counts code points",
        )
    return Span(start, end, labels[0])


def _collapsed(text: str) -> str:
    return _BLANK.sub(" ", text).strip()


def config(batch: Batch) -> str:
    """The labelling interface as XML, for Settings, Labeling Interface, Code.

    Raises:
        UsageError: Label Studio cannot show a label as it is called.
    """
    view = ET.Element("View")
    ET.SubElement(view, "Style").text = _STYLE
    if batch.task == "question-answering":
        ET.SubElement(view, "Header", value="$question", style=_BOTH_WAYS)
        _add_labels(view, ANSWER, "context", (_MARK,))
        _add_text(view, "context")
        _add_choices(view, UNANSWERABLE, "context", (UNANSWERABLE,), required=False)
    elif batch.task == "token-classification":
        _add_labels(view, LABEL, "text", span_kinds(batch.labels) or batch.labels)
        _add_text(view, "text")
    else:
        for name in _shown(batch) or ["text"]:
            _add_text(view, name)
        _add_choices(view, LABEL, "text", batch.labels, required=True)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def _add_text(view: ET.Element, name: str) -> None:
    # `word` would take in the punctuation beside a word, so that some words could not be marked
    # (HumanSignal/label-studio#3179, #4976). A server in secure mode takes a text for an address
    # and leaves it out of regions, unless told otherwise.
    ET.SubElement(
        view,
        "Text",
        name=name,
        value=f"${name}",
        granularity="symbol",
        valueType="text",
        saveTextResult="yes",
    )


def _add_labels(view: ET.Element, name: str, shown: str, labels: Sequence[str]) -> None:
    control = ET.SubElement(view, "Labels", name=name, toName=shown)
    for number, label in enumerate(labels):
        colour = colorsys.hls_to_rgb(number * _GOLDEN % 1, 0.7, 0.8)
        background = "#" + "".join(f"{round(part * 255):02x}" for part in colour)
        ET.SubElement(control, "Label", value=_showable(label), background=background)


def _add_choices(
    view: ET.Element, name: str, shown: str, labels: Sequence[str], *, required: bool
) -> None:
    told = str(required).lower()
    control = ET.SubElement(
        view, "Choices", name=name, toName=shown, choice="single", required=told
    )
    for label in labels:
        ET.SubElement(control, "Choice", value=_showable(label))


def _showable(label: str) -> str:
    if _VARIABLE.search(label):
        raise UsageError(
            f"Label Studio reads the label {label!a} as a variable", "call it something without $"
        )
    if _NOT_XML.search(label):
        raise UsageError(f"the label {label!a} cannot stand in XML", "take out what is invisible")
    return label
