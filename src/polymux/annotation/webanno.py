"""WebAnno TSV 3.3 as INCEpTION exports it, read only: sentences of words with spans in columns.

A sentence is the item that its `#Sentence.id` names; without an id that was issued it is the next
one in the order of the batch whose words make it up. So items of one text keep their order within a
file; between files only ids tell them apart. The layer is the tool's own one for the task
(`_LAYERS`), else the only one that is the user's. There is no state in this format: a sentence that
nobody looked at says that it holds no span.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from polymux.annotation.batch import Answer, Batch, Item
from polymux.annotation.told import code_points
from polymux.annotation.waiting import Waiting
from polymux.annotation.words import Span, labels_of, laid_out
from polymux.errors import InputError

# By whether words carry tags that make spans.
_LAYERS = {
    True: "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|value",
    False: "de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue",
}
_BUILT_IN = "de.tudarmstadt.ukp.dkpro.core.api."
_FORMAT = re.compile(r"#FORMAT=WebAnno TSV 3\.[23]")
_UNIT = re.compile(r"(\d+-\d+(?:\.\d+)?)\t(\d+)-(\d+)\t(.*)", re.DOTALL)
# A backslash hides the character after it; `->` is hidden as one.
_HIDDEN = re.compile(r"\\(->|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"}
_STACKED = re.compile(r"(?:[^\\|]|\\.)*\|", re.DOTALL)
_NUMBERED = re.compile(r"((?:[^\\]|\\.)*)\[(\d+)\]", re.DOTALL)
_NOTHING, _NO_VALUE = "_", "*"
# What the tool was given, where a project's export has a file an annotator.
_INITIAL = "INITIAL_CAS"
_AS_IT_IS = "export WebAnno TSV 3.3 from INCEpTION again, and leave it as it is"


@dataclass(slots=True)
class _Sentence:
    line: int
    id: str | None = None
    texts: list[str] = field(default_factory=list)
    units: list[tuple[int, str]] = field(default_factory=list)
    """Words and parts of words: their lines as they stand."""

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a sentence says, in code points."""

    words: tuple[str, ...]
    spans: list[Span]
    numbers: frozenset[str]
    """Of spans over several words: the same number is the same span."""
    error: InputError | None = None
    """What is wrong with it, where something is."""


def load(path: Path, batch: Batch) -> Iterator[Answer | InputError]:
    """An answer a sentence; a project's export (annotation/TEXT/WHO.tsv) tells the annotator.

    Raises:
        InputError: it is no WebAnno TSV 3.2 or 3.3, or several layers could be the answer.
    """
    try:
        columns, sentences = _parts(path, batch)
        column = _column(columns, tagged=batch.tagged)
    except InputError as error:
        raise InputError(error.what, error.hint, file=str(path), line=error.line) from error
    who = path.stem if path.parts[-3:-2] == ("annotation",) else None
    waiting = Waiting(batch)
    read = [_read(sentence, column, len(columns)) for sentence in sentences]
    seen = Counter(number for marks in read for number in marks.numbers)
    for sentence, marks in zip(sentences, read, strict=True):
        try:
            item = waiting.take(sentence.id, marks.words, sentence.text)
            if marks.error is not None:
                raise InputError(
                    f"{item.id}: {marks.error.what}", marks.error.hint, line=marks.error.line
                )
            if any(seen[number] > 1 for number in marks.numbers):
                raise InputError(
                    f"{item.id}: a span goes on into another sentence", "end it with the sentence"
                )
            yield _answer(sentence, marks, item, batch, who)
        except InputError as error:
            yield InputError(
                error.what, error.hint, file=str(path), line=error.line or sentence.line
            )


def _answer(
    sentence: _Sentence, marks: _Marks, item: Item, batch: Batch, who: str | None
) -> Answer:
    text = sentence.text
    # The words may stand in it with other spaces between than where they came from.
    as_here = replace(item, surface=text)
    if laid_out(as_here)[0] != text:
        # The check tells, and shows both versions.
        return Answer(item.id, {"tokens": text}, "labelled", None, who, None, sentence.line)
    label = labels_of(as_here, marks.spans, batch)
    return Answer(item.id, item.fields, "labelled", label, who, None, sentence.line)


def _parts(path: Path, batch: Batch) -> tuple[list[str], list[_Sentence]]:
    """The columns after the words (see `_declared`), and the sentences."""
    if batch.task != "token-classification":
        raise InputError("WebAnno TSV has labels of words only", "choose another format")
    if path.stem == _INITIAL:
        raise InputError(
            "this is what the tool was given, nobody's answer", "read the annotators' files"
        )
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8: {error.reason}", _AS_IT_IS) from error
    if not _FORMAT.fullmatch(lines[0].rstrip("\r")):
        raise InputError("the first line names no WebAnno TSV 3.2 or 3.3", _AS_IT_IS, line=1)
    columns: list[str] = []
    sentences: list[_Sentence] = []
    in_head = False
    for number, line in enumerate(lines[1:], start=2):
        line = line.rstrip("\r")
        if line.startswith(("#T_SP=", "#T_CH=", "#T_RL=")) and not sentences:
            columns += _declared(line)
        elif line.startswith(("#Text=", "#Sentence.")):
            if not in_head:
                sentences.append(_Sentence(number))
            _head(sentences[-1], line)
            in_head = True
            continue
        elif line and not line.startswith("#"):
            if not sentences:
                raise InputError("a word stands before all sentences", _AS_IT_IS, line=number)
            sentences[-1].units.append((number, line))
        in_head = False
    return columns, sentences


def _declared(line: str) -> list[str]:
    """LAYER|FEATURE of each column of a layer; "" of those that hold no label of a span."""
    kind, _, told = line.partition("=")
    layer, *features = told.split("|")
    named = [feature for feature in features if feature] or [""]
    if kind != "#T_SP":
        return ["" for _ in named]
    # Links have two columns: their roles, and what they link to.
    links = [feature.startswith("ROLE_") for feature in named]
    targets = [False, *links]
    return [
        "" if not feature or link or target else f"{layer}|{feature}"
        for feature, link, target in zip(named, links, targets, strict=False)
    ]


def _head(sentence: _Sentence, line: str) -> None:
    if line.startswith("#Text="):
        sentence.texts.append(_shown(line.removeprefix("#Text=")))
    elif line.startswith("#Sentence.id="):
        sentence.id = _shown(line.removeprefix("#Sentence.id="))


def _shown(escaped: str) -> str:
    return _HIDDEN.sub(lambda found: _CONTROLS.get(found[1], found[1]), escaped)


def _column(columns: Sequence[str], *, tagged: bool) -> int | None:
    """The column of the answer; None where the file holds no span that could be one."""
    if _LAYERS[tagged] in columns:
        return columns.index(_LAYERS[tagged])
    own = [i for i, name in enumerate(columns) if name and not name.startswith(_BUILT_IN)]
    if len(own) > 1:
        raise InputError(
            f"several layers could be the answer: {', '.join(columns[i] for i in own)}",
            f"annotate {_LAYERS[tagged]}, or one layer of your own with one feature",
        )
    return own[0] if own else None


def _read(sentence: _Sentence, column: int | None, columns: int) -> _Marks:
    words: list[str] = []
    spans: list[Span] = []
    numbered: dict[str, int] = {}
    text = sentence.text
    points = code_points(text)
    first: int | None = None
    error = None if sentence.units else InputError("it has no words", _AS_IT_IS)
    for line, told in sentence.units:
        try:
            found = _UNIT.fullmatch(told)
            if found is None:
                raise InputError("this is no line of a word", _AS_IT_IS)
            first = int(found[2]) if first is None else first
            start, stop = (points.get(int(found[i]) - first, -1) for i in (2, 3))
            shown, values = _cells(found[4], columns)
            _prove(text, start, stop, shown)
            if "." not in found[1]:
                words.append(text[start:stop])
            if column is not None:
                _mark(spans, numbered, values[column], start, stop)
        except InputError as wrong:
            error = error or InputError(wrong.what, wrong.hint, line=line)
    return _Marks(tuple(words), spans, frozenset(numbered), error)


def _cells(rest: str, columns: int) -> tuple[str, list[str]]:
    """The word and its values; INCEpTION ends a line with a tab, and hides none in a word."""
    cells = rest.split("\t")
    if len(cells) > columns + 1 and not cells[-1]:
        cells.pop()
    if len(cells) <= columns:
        raise InputError(f"there are {len(cells) - 1} values for {columns} columns", _AS_IT_IS)
    first = len(cells) - columns
    return "\t".join(cells[:first]), cells[first:]


def _prove(text: str, start: int, stop: int, shown: str) -> None:
    """Raise where a word does not stand where its offsets say."""
    there = text[start:stop] if 0 <= start <= stop else None
    if there not in (shown, _shown(shown)):
        raise InputError(
            f"the word {shown!a} does not stand where it should in {text[:120]!a}",
            "offsets are UTF-16 units from the first word of the first sentence on",
        )


def _mark(spans: list[Span], numbered: dict[str, int], value: str, start: int, stop: int) -> None:
    """Add the span of a word, or lengthen the one that has its number."""
    if value == _NOTHING:
        return
    if _STACKED.match(value):
        raise InputError(f"two spans lie over each other here: {value!a}", "keep one of them")
    found = _NUMBERED.fullmatch(value)
    told, number = (found[1], found[2]) if found else (value, None)
    if told == _NO_VALUE:
        raise InputError("a span has no label", "choose one")
    label = _shown(told)
    if number is not None and number in numbered:
        before = spans[numbered[number]]
        spans[numbered[number]] = Span(before.start, max(stop, before.end), before.label)
        return
    if number is not None:
        numbered[number] = len(spans)
    spans.append(Span(start, stop, label))
