"""Files to examples: `read` and the table of formats."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FunctionType

from polymux.errors import InputError, UsageError
from polymux.readers.detection import detect
from polymux.readers.fields import Record, examples
from polymux.readers.formats import READERS, Reader, known, reader
from polymux.readers.paths import distinct, find
from polymux.readers.plans import check
from polymux.readers.source import Notes, Source
from polymux.readers.words import Words, load
from polymux.records import FIELDS, Example, Pool, PoolFile

__all__ = ["READERS", "Reader", "Record", "Source", "anchored", "read"]

_PREFIX = re.compile(r"([\w-]+):(?!//)(.+)", re.DOTALL)


def read(
    *paths: str | os.PathLike[str],
    task: str,
    language: str | None = None,
    fields: Mapping[str, str] | None = None,
    format: str | None = None,
    on_error: str = "stop",
    name: str = "source",
    words: str | Words | None = None,
    offline: bool = False,
) -> Pool:
    """A pool of all examples of these paths, read lazily and as often as asked.

    Args:
        paths: files, folders (searched), globs, `FORMAT:PATH`, `hf://name[/config][:split]`, urls.
        task: a key of `polymux.records.FIELDS`.
        language: `folder`, `file` or the field that says the language of an example.
        fields: columns by field, where corpora use names of their own: `{"labels": "XPOS"}`.
        format: a key of `READERS`, for all paths; otherwise found from each file.
        on_error: `stop` at a bad example, or `skip` it (then `pool.rejected` counts it).
        name: what messages call the pool.
        words: splits a text into words: a function, `package.module:function`, `file.py:function`.
        offline: refuse whatever needs a network; also `POLYMUX_OFFLINE=1`.

    Raises:
        UsageError: an argument cannot be what was given.
        InputError: a path matches nothing, or a format is not clear. Bad lines raise theirs when
            the pool is read.
    """
    _check(paths, task, on_error, fields or {})
    notes = Notes()
    offline = offline or os.environ.get("POLYMUX_OFFLINE") == "1"
    sources = [
        source
        for path in paths
        for source in _sources(os.fspath(path), task, format, notes, offline=offline)
    ]
    split = load(words) if isinstance(words, str) else words
    columns = dict(fields or {})

    def read_file(source: Source, kind: str) -> Iterator[Example | InputError]:
        records = reader(kind, task).read(source, task, columns)
        return examples(source, records, task, fields=columns, language=language, split=split)

    files = _files(sources, task, on_error, read_file)
    pool = Pool(task, files, skip_bad=on_error == "skip", name=name)
    pool.notes = notes.lines
    pool.how = {
        "paths": [os.fspath(path) for path in paths],
        "language": language,
        "fields": columns,
        "format": format,
        "on_error": on_error,
        "words": _named(words),
    }
    return pool


def anchored(path: str, folder: str | os.PathLike[str]) -> str:
    """A PATH that was given in this folder, as it can be given in any other."""
    match = _PREFIX.fullmatch(path)
    if match is not None and known(match[1]):
        return f"{match[1]}:{anchored(match[2], folder)}"
    if "://" in path or "::" in path or path.startswith("~"):
        return path
    return str(Path(folder, path))


def _named(words: str | Words | None) -> str | None:
    """How a function that splits texts is given again, at least for a person who reads it."""
    if words is None or isinstance(words, str):
        return words
    kind = words if isinstance(words, FunctionType) else type(words)
    return f"{kind.__module__}:{kind.__qualname__}"


def _check(paths: Sequence[object], task: str, on_error: str, fields: Mapping[str, str]) -> None:
    for given, allowed, what in (
        (task, tuple(FIELDS), "task"),
        (on_error, ("stop", "skip"), "way to treat bad examples"),
    ):
        if given not in allowed:
            raise UsageError(
                f"there is no {what} {given!r}", f"choose one of: {', '.join(allowed)}"
            )
    if not paths:
        raise UsageError("no path to read was given", "give files, folders, globs or hf:// names")
    check(task, fields)


def _sources(
    path: str, task: str, format_name: str | None, notes: Notes, *, offline: bool
) -> list[Source]:
    """The files of one PATH, which may carry its format: `columns:mine.txt`."""
    match = _PREFIX.fullmatch(path)
    if match is not None and known(match[1]):
        format_name, path = match[1], match[2]
    wanted = [reader(format_name, task)] if format_name is not None else READERS.values()
    suffixes = {suffix for entry in wanted for suffix in entry.suffixes}
    found = find(path, notes, suffixes, offline=offline)
    return [replace(source, format=format_name or "") for source in found]


def _files(
    sources: Sequence[Source],
    task: str,
    on_error: str,
    read_file: Callable[[Source, str], Iterator[Example | InputError]],
) -> list[PoolFile]:
    """The files of a pool; in a folder that was searched all must have one format."""
    files = []
    kinds: dict[str, str] = {}
    for source in distinct(sources):
        try:
            kind = source.format or detect(source, task)
        except InputError as error:
            if on_error == "stop":
                raise
            files.append(PoolFile(source.path, partial(iter, [error])))
            continue
        first = kinds.setdefault(source.folder, kind) if source.folder else kind
        if first != kind:
            raise InputError(
                f"files of several formats in one folder: {first}, and {source.path} is {kind}",
                f"take one kind: {kind}:{source.folder}, or a glob in quotes",
                file=source.folder,
            )
        source.tell(f"read as {kind}")
        files.append(PoolFile(source.path, partial(read_file, source, kind)))
    return files
