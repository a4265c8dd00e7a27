"""Formats of annotation tools: what goes to people, what comes back, and the proof that it fits.

`FORMATS` is the table; an entry point of the group `polymux.formats` adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from polymux.annotation import (
    argilla,
    conll,
    csv_sheet,
    doccano,
    jsonl,
    label_studio,
    label_studio_server,
    prodigy,
    squad,
    webanno,
    xlsx_sheet,
)
from polymux.annotation.batch import Answer, Batch, Item, Sent, State, span_kinds
from polymux.annotation.check import checked
from polymux.errors import InputError, UsageError
from polymux.progress import Progress

__all__ = [
    "FORMATS",
    "Answer",
    "Batch",
    "Format",
    "Item",
    "Sent",
    "Server",
    "State",
    "checked",
    "format_named",
    "format_of",
    "refuse_other",
    "span_kinds",
]

Dump = Callable[[Batch], bytes]
# Answers as they stand in a file; a bad one is an error in their place, and the rest is read on.
Load = Callable[[Path, Batch], Iterator[Answer | InputError]]
# A batch, the address of the server, the project there.
Send = Callable[[Batch, str, str, Progress | None], Sent]
# The address of the server and the project there; where the answers are, for people, and a reader.
Fetch = Callable[[str, str], tuple[str, Callable[[Batch], Iterator[Answer | InputError]]]]


@dataclass(frozen=True, slots=True)
class Server:
    """A tool's server: what goes there and comes back without files."""

    send: Send
    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Format:
    """One tool's files."""

    about: str
    suffix: str
    load: Load
    dump: Dump | None = None
    """None: it is only read."""
    suggests: bool = False
    """Whether it tells what a model says apart from what a person said."""
    tasks: tuple[str, ...] = ()
    """Those it has a place for; none named: all."""
    beside: tuple[str, Callable[[Batch], str]] | None = None
    """What the tool is set up with: the end of its file's name, and its text."""
    server: Server | None = None


FORMATS: dict[str, Format] = {
    "jsonl": Format("a JSON object a line, polymux's own", ".jsonl", jsonl.load, jsonl.dump),
    "csv": Format("a sheet to fill in, for every program", ".csv", csv_sheet.load, csv_sheet.dump),
    "xlsx": Format("a sheet to fill in, for Excel", ".xlsx", xlsx_sheet.load, xlsx_sheet.dump),
    "label-studio": Format(
        "Label Studio's tasks and exports",
        ".json",
        label_studio.load,
        label_studio.dump,
        suggests=True,
        beside=(".config.xml", label_studio.config),
        server=Server(label_studio_server.send, label_studio_server.fetch),
    ),
    "doccano": Format(
        "doccano's JSON lines, and its zip of them",
        ".jsonl",
        doccano.load,
        doccano.dump,
        tasks=("token-classification", "text-classification"),
    ),
    "prodigy": Format("Prodigy's tasks", ".jsonl", prodigy.load, prodigy.dump, suggests=True),
    "conll": Format(
        "CoNLL columns, a line a word",
        ".conll",
        conll.load,
        conll.dump,
        tasks=("token-classification",),
    ),
    "squad": Format("SQuAD v2", ".json", squad.load, squad.dump, tasks=("question-answering",)),
    "argilla": Format("records of Argilla 2", ".json", argilla.load),
    "webanno": Format(
        "WebAnno TSV 3.3 of INCEpTION", ".tsv", webanno.load, tasks=("token-classification",)
    ),
}


def format_named(name: str) -> Format:
    """A format by its name."""
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", f"choose one of: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: Path) -> str:
    """The format that the end of a file's name tells; of several, polymux's own.

    Raises:
        UsageError: it tells none, or several tools write such files.
    """
    names = [name for name, one in FORMATS.items() if one.suffix == path.suffix.lower()]
    if len(names) == 1 or "jsonl" in names:
        return names[0]
    what = f"files called *{path.suffix} may be {' or '.join(names)}" if names else "it tells none"
    raise UsageError(
        f"the name of {path} does not tell its format: {what}",
        f"give the format, one of: {', '.join(names or FORMATS)}",
    )


def refuse_other(path: Path, name: str) -> None:
    """Refuse a file that is not there, or plainly is of another format than the one named."""
    if not path.is_file():
        there = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, there, n=1, cutoff=0.8)
        meant = f"did you mean {path.parent / near[0]}? " if near else ""
        raise InputError(
            "there is no such file", f"{meant}give the file that the tool saved", file=str(path)
        )
    if name != "xlsx" and xlsx_sheet.is_workbook(path):
        raise InputError(f"a workbook, no {name}", "use --from xlsx", file=str(path))
