"""READERS: the formats that are read, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from polymux.errors import InputError, UsageError
from polymux.readers.arrow import arrow, hub, parquet
from polymux.readers.columns import columns
from polymux.readers.conllu import conllu
from polymux.readers.documents import array, jsonl, squad
from polymux.readers.fields import Record
from polymux.readers.source import Source
from polymux.readers.tables import table
from polymux.readers.text import text
from polymux.records import FIELDS

_WORDS_AND_TEXTS = ("token-classification", "text-classification")


@dataclass(frozen=True, slots=True)
class Reader:
    """A format: how its records are read, and what a person should know of it."""

    read: Callable[[Source, str, Mapping[str, str]], Iterator[Record | InputError]]
    """From a file, a task and `--field` names to records; a bad one is yielded as its error."""
    about: str
    suffixes: tuple[str, ...] = ()
    tasks: tuple[str, ...] = tuple(FIELDS)


READERS: dict[str, Reader] = {
    "conllu": Reader(
        conllu, "CoNLL-U: FORM and UPOS, or other columns", (".conllu",), _WORDS_AND_TEXTS
    ),
    "columns": Reader(
        columns,
        "CoNLL columns: a word and its tag a line (BIO, IOB1, BILOU, BIOES, none)",
        (".conll", ".bio", ".iob", ".iob2", ".txt", ".tsv"),
        _WORDS_AND_TEXTS,
    ),
    "squad": Reader(
        squad, "SQuAD v1 and v2, TyDiQA-GoldP: nested JSON", (".json",), ("question-answering",)
    ),
    "jsonl": Reader(jsonl, "JSON lines: an object a line", (".jsonl", ".ndjson", ".json")),
    "json": Reader(array, "JSON: an array of objects", (".json",)),
    "csv": Reader(
        table, "CSV and TSV with a header; delimiter and quotes are found", (".csv", ".tsv", ".txt")
    ),
    "parquet": Reader(parquet, "Parquet", (".parquet", ".pq")),
    "arrow": Reader(
        arrow, "Arrow and Feather files, folders of save_to_disk", (".arrow", ".feather", ".ipc")
    ),
    "hf": Reader(hub, "data sets of the Hugging Face hub: hf://name[/config][:split]"),
    "text": Reader(text, "plain text: an example a line", (".txt",), _WORDS_AND_TEXTS),
}


def known(name: str) -> bool:
    """Whether there is a format of that name, here or in an installed plug-in."""
    return name in READERS or bool(entry_points(group="polymux.readers", name=name))


def reader(name: str, task: str) -> Reader:
    """The format of that name, which must serve the task; plug-ins join when they are asked for."""
    if name not in READERS:
        for plugin in entry_points(group="polymux.readers", name=name):
            READERS[name] = plugin.load()
    if name not in READERS:
        raise UsageError(f"there is no format {name!r}", f"choose one of: {', '.join(READERS)}")
    found = READERS[name]
    if task not in found.tasks:
        fit = (other for other, entry in READERS.items() if task in entry.tasks)
        raise UsageError(
            f"the format {name} has no examples for {task}", f"formats that do: {', '.join(fit)}"
        )
    return found
