"""Bytes to lines of text: decompression by content, encodings by byte order mark or detection."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import regex

# What the libraries raise for a compressed file that is cut or damaged.
DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error)
COMPRESSED = (".gz", ".xz", ".zst", ".bz2")

_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAMPLE = 1 << 18
# An encoding is sure when every rival that reads other text is this much worse, and the text is not
# in Latin script: cp1250, cp1252 and cp1257 all read that well.
_LEAD = 0.1
_LATIN = regex.compile(r"(?V1)[\p{Latin}--[A-Za-z]]")
_OTHER = regex.compile(r"(?V1)[\p{L}--\p{Latin}]")
_ASCII = bytes(range(32, 127)) + b"\n\t"


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A line that is not text in the encoding of its file."""

    number: int
    position: int
    """The byte in the line, from 1; 0 where a byte order mark promised something else."""
    byte: int
    guesses: tuple[str, ...]
    """Encodings that would read it, none of them surely."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """From here on the text is read in this encoding."""

    name: str
    reason: str


@contextmanager
def decompressed(buffered: io.BufferedReader) -> Iterator[io.BufferedReader]:
    """The content of a file that may be compressed; its first bytes decide, not its name."""
    with buffered:
        head = buffered.peek(8)
        kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
        if kind == "":
            yield buffered
        else:
            with io.BufferedReader(_DECOMPRESS[kind](buffered)) as stream:
                yield stream


def _zstandard(stream: io.BufferedReader) -> Any:
    # zstandard's own stream ends without a word where a file was cut; Arrow's complains.
    import pyarrow as pa

    return pa.input_stream(stream, compression="zstd")


_DECOMPRESS: dict[str, Callable[..., Any]] = {
    "gz": partial(gzip.open, mode="rb"),
    "bz2": partial(bz2.open, mode="rb"),
    "xz": partial(lzma.open, mode="rb"),
    "zst": _zstandard,
}


def decoded(stream: io.BufferedReader) -> Iterator[tuple[int, str] | Undecodable | Encoding]:
    """Lines with their number from 1 and their line end; only a line feed ends a line."""
    head = stream.peek(4)
    mark = next((name for bom, name in _MARKS.items() if head.startswith(bom)), "")
    if mark:
        yield Encoding(mark.upper(), "its byte order mark says so")
        yield from _wide(stream, mark)
    else:
        if head.startswith(codecs.BOM_UTF8):
            stream.read(len(codecs.BOM_UTF8))
        yield from _narrow(stream)


def _wide(
    stream: io.BufferedReader, encoding: str
) -> Iterator[tuple[int, str] | Undecodable | Encoding]:
    number = 0
    text = io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    try:
        for line in text:
            number += 1
            yield number, line
    except UnicodeDecodeError as error:
        yield Undecodable(number + 1, 0, error.object[error.start], (encoding,))
    finally:
        text.detach()  # or it would close a file that is not its own


def _narrow(stream: io.BufferedReader) -> Iterator[tuple[int, str] | Undecodable | Encoding]:
    encoding, number = "utf-8", 0
    candidates: tuple[str, ...] = ()
    plain = True  # so far nothing but ASCII, which reads the same in every candidate
    lines: Iterator[bytes] = iter(stream)
    while raw := next(lines, b""):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            if not plain:
                number += 1
                yield Undecodable(number, error.start + 1, raw[error.start], candidates)
                continue
            plain = False
            ahead = raw + stream.read(_SAMPLE) + stream.readline()
            lines = chain(io.BytesIO(ahead), stream)
            sure, candidates = guess(ahead)
            if sure is not None:
                encoding = sure
                yield Encoding(encoding, "detected from its bytes, which are not UTF-8")
            continue
        number += 1
        plain = plain and raw.isascii()
        yield number, text


def guess(sample: bytes) -> tuple[str | None, tuple[str, ...]]:
    """The encoding of a sample if one is sure, and those that may be it, best first."""
    from charset_normalizer import CharsetMatch, from_bytes

    def merit(match: CharsetMatch) -> float:
        return match.coherence - match.chaos

    matches = [
        match
        for match in from_bytes(sample)
        if _ASCII.decode(match.encoding, "replace") == _ASCII.decode()
    ]
    if not matches:
        return None, ()
    matches.sort(key=merit, reverse=True)
    best = matches[0]
    rivals = [match for match in matches if str(match) != str(best)]
    lead = min((merit(best) - merit(match) for match in rivals), default=1.0)
    names = tuple(dict.fromkeys(match.encoding for match in (best, *rivals[:2])))
    latin = len(_LATIN.findall(str(best))) >= len(_OTHER.findall(str(best)))
    return (best.encoding if lead >= _LEAD and not latin else None), names
