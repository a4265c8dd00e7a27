"""CoNLL columns: a line a word, the label last, an empty line after each example.

Comments before an example tell what it is (`# id = ...`). Signs that would end a word or a line for
some reader are written by their number, in braces after a backslash and an x.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from polymux.annotation.batch import Answer, Batch, Item, State
from polymux.annotation.waiting import Waiting
from polymux.errors import InputError, UsageError

# What ends a word or a line for some reader; a backslash, so that escapes are told apart.
_ESCAPED = re.compile(r"[\s\\\x00-\x20\x85\u2028\u2029\ufeff]|^#|^-DOCSTART-")
_HIDDEN = re.compile(r"\\x\{(10[0-9a-f]{4}|(?!0*d[89a-f]..\})[0-9a-f]{1,5})\}")
_COMMENT = re.compile(r"#\s*(\w+)\s*=\s*(.*)")
_SPLIT = re.compile(r"[\t ]+")
# Nobody gave a label yet.
WAITS = "_"
STATES: dict[str, State] = {"skipped": "skipped", "rejected": "rejected"}


@dataclass(slots=True)
class _Sentence:
    """What a file says of one example."""

    line: int
    told: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)


def dump(batch: Batch) -> bytes:
    """Comments, then WORD TAB LABEL; without a label the column holds `_`.

    Raises:
        UsageError: a label that a column cannot hold.
    """
    for label in batch.labels:
        if label == WAITS or _SPLIT.search(label) or not label:
            raise UsageError(
                f"a column cannot hold the label {label!a}", "choose another --to, such as jsonl"
            )
    return "".join(map(_block, batch.items)).encode()


def _block(item: Item) -> str:
    lines = [f"# id = {_shown(item.id)}", f"# rank = {item.rank}"]
    if item.language is not None:
        lines.append(f"# language = {_shown(item.language)}")
    words = item.fields["tokens"]
    labels = item.label if isinstance(item.label, tuple) else (WAITS,) * len(words)
    rows = [f"{_shown(word)}\t{label}" for word, label in zip(words, labels, strict=True)]
    return "\n".join([*lines, *rows]) + "\n\n"


def _shown(text: str) -> str:
    return _ESCAPED.sub(lambda found: "".join(f"\\x{{{ord(c):x}}}" for c in found[0]), text)


def _plain(text: str) -> str:
    return _HIDDEN.sub(lambda found: chr(int(found[1], 16)), text)


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a sentence that has labels, or `# state = skipped` or `rejected`.

    Columns are apart by tabs or spaces, the word is the first and the label the last, so CoNLL-2003
    is read, too. A sentence without an id is found by its words, in the order of the batch.
    """
    waiting, issued = Waiting(batch), batch.by_id
    for sentence in _sentences(path):
        try:
            words = tuple(sentence.words)
            told_id = sentence.told.get("id")
            if told_id is not None and told_id not in issued:
                yield Answer(told_id, {"tokens": words}, "skipped", line=sentence.line)
                continue
            item = waiting.take(told_id, words, " ".join(words))
            told = sentence.told.get("state", "")
            state = STATES.get(told)
            if told and not state:
                raise InputError(
                    f"{item.id}: there is no state {told!a}", f"write one of: {', '.join(STATES)}"
                )
            if state is not None:
                yield Answer(item.id, {"tokens": words}, state, line=sentence.line)
            elif answer := _labelled(item, words, sentence):
                yield answer
        except InputError as error:
            yield InputError(error.what, error.hint, file=str(path), line=sentence.line)


def _labelled(item: Item, words: tuple[str, ...], sentence: _Sentence) -> Answer | None:
    known = [label for label in sentence.labels if label not in (None, WAITS)]
    if not known:
        return None
    if len(known) < len(words):
        missing = next(i for i, x in enumerate(sentence.labels) if x in (None, WAITS))
        raise InputError(
            f"{item.id}: word {missing + 1}, {words[missing]!r}, has no label",
            "give every word one (O: none of these), or write # state = skipped above",
        )
    return Answer(item.id, {"tokens": words}, "labelled", tuple(known), line=sentence.line)


def _sentences(path: Path) -> Iterator[_Sentence]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"it is not UTF-8: {error.reason}", "save it as UTF-8", file=str(path)
        ) from error
    sentence = _Sentence(1)
    for number, line in enumerate([*lines, ""], start=1):
        if not line.strip(" \t"):
            if sentence.words or sentence.told:
                yield sentence
            sentence = _Sentence(number + 1)
        elif line.startswith("#"):
            if found := _COMMENT.fullmatch(line):
                sentence.told[found[1]] = _plain(found[2])
        elif not line.startswith("-DOCSTART-"):
            cells = _SPLIT.split(line)
            sentence.words.append(_plain(cells[0]))
            sentence.labels.append(cells[-1] if len(cells) > 1 and cells[-1] else None)
