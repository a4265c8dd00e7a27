"""PATHs to files: folders are searched, globs expanded, urls opened by fsspec."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches
from io import BufferedReader
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from polymux.errors import InputError, UsageError
from polymux.readers.arrow import INFO, SPLITS, STATE
from polymux.readers.remote import Remote, translated
from polymux.readers.source import Notes, Source
from polymux.readers.streams import COMPRESSED

_MAGIC = re.compile(r"[*?[]")
_HUB = "hf://"
_LOCAL = {"file", "local", "memory"}
_WEB = ("http://", "https://")  # where a ? begins what is asked


def find(path: str, notes: Notes, suffixes: Collection[str], *, offline: bool) -> list[Source]:
    """The files of one PATH, sorted; of a folder, those with one of the suffixes."""
    if path.startswith(_HUB) and not path.startswith(_HUB + "datasets/"):
        return [_hub(path, notes, offline=offline)]
    system, location = _system(path, offline=offline)
    try:
        with translated():
            return _found(system, path, location, notes, suffixes)
    except OSError as error:
        if "file" in system.protocol:
            raise
        raise InputError(
            f"it cannot be reached: {error}",
            "look at the address, the network and the credentials that its service needs",
            file=path,
        ) from error


def _found(
    system: Any, path: str, location: str, notes: Notes, suffixes: Collection[str]
) -> list[Source]:
    if system.isfile(location):
        return [_source(system, path, location, PurePosixPath(location).name, notes)]
    if system.isdir(location):
        return _folder(system, path, location, "", notes, suffixes)
    _, place, _ = _parts(path)
    if _MAGIC.search(place) and not place.startswith(_WEB):
        found = _glob(system, path, notes, suffixes)
        if found:
            return found
    if system.exists(location):
        raise InputError(
            "this is neither a file nor a folder",
            "save it as a file: polymux reads its input more than once",
            file=path,
        )
    raise _nothing(system, path, location)


def distinct(sources: Sequence[Source]) -> list[Source]:
    """Each file once, with keys that differ: parent folders are put before keys that do not."""
    once = list({source.location: source for source in reversed(sources)}.values())[::-1]
    named = Counter(source.location for source in sources)
    for source in once:
        if (times := named[source.location]) > 1:
            source.tell(f"named {times} times, read once")
    while True:
        keys = Counter(source.key for source in once)
        if len(keys) == len(once):
            return once
        longer = [_longer(source) if keys[source.key] > 1 else source for source in once]
        if longer == once:
            raise InputError(
                "two files cannot be told apart in the ids of their examples",
                "give the folder above them instead of the files",
                file=next(source.path for source in once if keys[source.key] > 1),
            )
        once = longer


def _longer(source: Source) -> Source:
    parts = [part for part in source.location.split("/") if part]
    return replace(source, key="/".join(parts[-len(source.key.split("/")) - 1 :]))


def _system(path: str, *, offline: bool) -> tuple[Any, str]:
    """The file system of a PATH and the place in it."""
    import fsspec

    if "://" not in path and "::" not in path:
        try:
            place = Path(path).expanduser()
        except RuntimeError:  # ~nobody/x, and there is nobody of that name
            place = Path(path)
        return fsspec.filesystem("file"), normpath(place.absolute().as_posix())
    target = path.rpartition("::")[2]
    protocol = target.partition("://")[0] if "://" in target else "file"
    if offline and protocol not in _LOCAL:
        raise UsageError(
            f"{path} needs a network, and polymux is offline", "copy it here, or drop --offline"
        )
    try:
        system, location = fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"{path} cannot be opened: {error}",
            "install what the message names, or copy the file here",
        ) from error
    return system, location


def _source(system: Any, path: str, location: str, key: str, notes: Notes) -> Source:
    local = "file" in system.protocol
    try:
        location.encode()
    except UnicodeEncodeError:
        raise InputError(
            "the name of this file is not UTF-8, and names become part of what is written",
            "rename it, or the folder that it is in",
            file=location.encode("utf-8", "backslashreplace").decode(),
        ) from None

    def opener(place: str) -> BufferedReader:
        if local:
            return Path(place).open("rb")
        with translated():
            return BufferedReader(Remote(system.open(place, "rb")))

    return Source(path, key, location, opener, notes)


def _folder(
    system: Any, path: str, location: str, key: str, notes: Notes, suffixes: Collection[str]
) -> list[Source]:
    """The files below a folder, each with `key` before its own; a saved data set counts as one."""
    location = location.rstrip("/")
    places = sorted(system.find(location))
    saved = _saved(path, places)
    inside = tuple(f"{folder}/" for folder in saved)
    found, left_out = [], []
    for place in (*saved, *places):
        rest = place[len(location) + 1 :]
        hidden = any(part.startswith(".") for part in rest.split("/"))
        if hidden or place.startswith(inside) or rest.endswith(SPLITS):
            continue
        own = key + rest if rest else key.rstrip("/") or PurePosixPath(place).name
        source = replace(
            _source(system, _join(path, rest), place, own, notes),
            folder=path,
            saved=place in saved,
        )
        if source.saved or source.suffix in suffixes:
            found.append(source)
        else:
            left_out.append(rest)
    if left_out:
        shown = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        notes.tell(f"{len(left_out)} files of other kinds passed over ({shown})", path)
    if not found:
        raise InputError(
            "no file in this folder has the suffix of a format",
            f"the suffixes are: {', '.join(sorted(suffixes))} (and {', '.join(COMPRESSED)} behind)",
            file=path,
        )
    return sorted(found, key=lambda source: source.key)


def _saved(path: str, places: Collection[str]) -> list[str]:
    """Folders that hold a data set of `save_to_disk`; one of several splits is to be named."""
    everything = set(places)
    folders = [place[: -len(STATE) - 1] for place in places if place.endswith(f"/{STATE}")]
    saved = [folder for folder in folders if f"{folder}/{INFO}" in everything]
    for place in places:
        if PurePosixPath(place).name == SPLITS:
            above = place[: -len(SPLITS)]
            splits = [folder[len(above) :] for folder in saved if folder.startswith(above)]
            if len(splits) > 1:
                raise InputError(
                    f"this data set has the splits {', '.join(splits)}",
                    f"give the folder of one: {_join(path, splits[0])}",
                    file=path,
                )
    return saved


def _glob(system: Any, path: str, notes: Notes, suffixes: Collection[str]) -> list[Source]:
    """What a glob matches: files, and the files below folders."""
    before, head, behind = _parts(path)
    parts = head.split("/")
    depth = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
    root = "/".join(parts[:depth])
    _, pattern = _system(path, offline=False)
    steps = len(parts) - depth
    base = pattern.rsplit("/", steps)[0] if "/" in pattern else ""
    found: list[Source] = []
    for place in sorted(system.glob(pattern)):
        rest = place[len(base) :].lstrip("/")
        shown = before + (f"{root}/{rest}" if depth else rest) + behind
        if system.isdir(place):
            found += _folder(system, shown, place, f"{rest}/", notes, suffixes)
        else:
            found.append(_source(system, shown, place, rest, notes))
    return found


def _hub(path: str, notes: Notes, *, offline: bool) -> Source:
    name = path.removeprefix(_HUB)

    def opener(place: str) -> BufferedReader:
        raise InputError("a data set is no file", "read it as hf://", file=place)

    return Source(path, name, path, opener, notes, offline=offline)


def _join(path: str, rest: str) -> str:
    before, head, behind = _parts(path)
    return before + (f"{head.rstrip('/')}/{rest}" if rest else head) + behind


def _parts(path: str) -> tuple[str, str, str]:
    """The place that a chain of protocols ends at, and what stands before and behind it.

    `simplecache::` names no place of its own; `zip://a.csv::all.zip` is a place in another.
    """
    links = path.split("::")
    at = next((number for number, link in enumerate(links) if "/" in link), len(links) - 1)
    before, behind = links[:at], links[at + 1 :]
    return "".join(f"{link}::" for link in before), links[at], "".join(f"::{x}" for x in behind)


def _nothing(system: Any, path: str, location: str) -> InputError:
    parent, _, name = location.rstrip("/").rpartition("/")
    near: list[str] = []
    if parent and system.isdir(parent):
        names = [PurePosixPath(place).name for place in system.ls(parent, detail=False)]
        near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "look at the path; a glob must be in quotes"
    if "{" in path:
        hint = "a glob has *, ? and [ab]; {a,b} is the shell's, outside quotes: name each PATH"
    what = "nothing matches this glob" if _MAGIC.search(path) else "there is no such file or folder"
    return InputError(what, hint, file=path)
