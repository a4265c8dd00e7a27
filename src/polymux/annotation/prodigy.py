"""Prodigy: a task a line, as its recipes read them and as `db-out` writes them.

Words go as `tokens` and `spans` (`ner.manual`), classes as `options` and `accept` (`choice`). Of a
pair the person reads both texts with a rule between; a question stands in `meta`, which Prodigy
shows below the context, where the answer is marked (`ner.manual --highlight-chars`). The id goes
and comes back as `meta.polymux_id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from polymux.annotation import told as tool
from polymux.annotation.batch import Answer, Batch, Item, State
from polymux.annotation.words import laid_out, spans_of
from polymux.errors import InputError
from polymux.readers import labels
from polymux.records import Label

STATES: dict[str, State] = {"accept": "labelled", "reject": "rejected", "ignore": "skipped"}
ANSWER = "ANSWER"


def dump(batch: Batch) -> bytes:
    """A task an item; a label that there is stands where the person would put it."""
    tasks = (_task(item, batch) for item in batch.items)
    return "".join(json.dumps(task, ensure_ascii=False) + "\n" for task in tasks).encode()


def _task(item: Item, batch: Batch) -> dict[str, Any]:
    meta: dict[str, Any] = {"polymux_id": item.id, "rank": item.rank}
    if item.language is not None:
        meta["language"] = item.language
    if item.score is not None:
        meta["score"] = item.score
    task: dict[str, Any]
    if batch.task == "token-classification":
        task = _words(item, batch)
    elif batch.task == "question-answering":
        meta["question"] = item.fields["question"]
        task = {"text": item.fields["context"], "spans": _marks(item)}
    else:
        if "text_pair" in item.fields:
            meta |= item.fields
        options = [{"id": label, "text": label} for label in batch.labels]
        accept = [] if item.label is None else [item.label]
        task = {"text": tool.pair_shown(item.fields), "options": options, "accept": accept}
    return task | {"meta": meta}


def _words(item: Item, batch: Batch) -> dict[str, Any]:
    text, places = laid_out(item)
    follows = [b[0] > a[1] for a, b in pairwise([*places, (len(text), len(text))])]
    tokens = [
        {"text": text[start:end], "start": start, "end": end, "id": number, "ws": ws}
        for number, ((start, end), ws) in enumerate(zip(places, follows, strict=True))
    ]
    first = {start: number for number, (start, _) in enumerate(places)}
    last = {end: number for number, (_, end) in enumerate(places)}
    given = item.label if isinstance(item.label, tuple) else ()
    spans = [
        {
            "start": span.start,
            "end": span.end,
            "token_start": first[span.start],
            # Prodigy counts the last token in.
            "token_end": last[span.end],
            "label": span.label,
        }
        for span in (spans_of(given, places, tagged=batch.tagged) if given else ())
    ]
    return {"text": text, "tokens": tokens, "spans": spans}


def _marks(item: Item) -> list[dict[str, Any]]:
    if not isinstance(item.label, dict):
        return []
    pairs = zip(item.label["text"], item.label["answer_start"], strict=True)
    return [{"start": s, "end": s + len(text), "label": ANSWER} for text, s in pairs]


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a task that was accepted (labelled), rejected or ignored (skipped).

    Spans are what their `start` and `end` say; `token_start` and `token_end` are not looked at,
    since writers differ in what they count.
    """
    return tool.answers(path, partial(_read, batch=batch, issued=batch.by_id))


def _read(
    told: dict[str, Any], line: int | None, batch: Batch, issued: Mapping[str, Item]
) -> list[Answer]:
    meta = told.get("meta")
    name = meta.get("polymux_id") if isinstance(meta, dict) else None
    if not isinstance(name, str):
        raise InputError(
            "there is no meta.polymux_id", "give Prodigy the file as it was exported, meta included"
        )
    decision = told.get("answer")
    if decision is None:
        return []
    if not isinstance(decision, str) or decision not in STATES:
        raise InputError(
            f"{name}: there is no answer {decision!r}", f"Prodigy writes {', '.join(STATES)}"
        )
    item, state = issued.get(name), STATES[decision]
    fields = {} if item is None else tool.texts(_fields(told, item, batch.task))
    # What does not fit is told by the check, which shows both versions.
    fits = item is not None and fields == item.fields
    label = _label(told, item, batch) if item is not None and fits and state == "labelled" else None
    who = told.get("_annotator_id")
    return [Answer(name, fields, state, label, who if isinstance(who, str) else None, None, line)]


def _fields(told: dict[str, Any], item: Item, task: str) -> tool.Fields:
    """The fields as they came back; a sentence that is another one in place of the words."""
    text = told.get("text")
    if not isinstance(text, str):
        raise InputError(f"{item.id}: there is no text", "give the tool's export as it is")
    if task == "token-classification":
        return tool.words_in(text, item)
    if task == "question-answering":
        return {"question": told["meta"].get("question"), "context": text}
    return tool.pair_in(text, item)


def _label(told: dict[str, Any], item: Item, batch: Batch) -> Label:
    if batch.task != "text-classification":
        # A task without a span comes back without the list.
        marked = told.get("spans")
        marked = [] if marked is None else marked
        found = tool.spans(marked, tool.text_of(item), item.id, batch.unit)
        return tool.label_of(item, found, batch)
    accepted = told.get("accept")
    if not isinstance(accepted, list) or len(accepted) != 1:
        raise InputError(
            f"{item.id}: it was accepted with {accepted!a} chosen",
            "choose one option, or ignore the task",
        )
    return labels.name(accepted[0])
