"""Lines, encodings and compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from polymux.errors import InputError
from polymux.readers import read
from polymux.readers.streams import guess

RUSSIAN = "Однажды весною, в час небывало жаркого заката, в Москве появились два гражданина.\n"
FRENCH = "L'élève a été très étonné de découvrir où était caché le goûter préparé par sa mère.\n"


def texts(path: Path, **options: str) -> list[str]:
    return [str(e.fields["text"]) for e in read(path, task="text-classification", **options)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding: str, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("ایک\nदो\n😀\n".encode(encoding))
    assert texts(path) == ["ایک", "दो", "😀"]


def test_utf_16_is_told(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("ایک\n".encode("utf-16"))
    pool = read(path, task="text-classification")
    list(pool)
    assert f"{path}: read as UTF-16: its byte order mark says so" in pool.notes


@pytest.mark.parametrize(("text", "encoding"), [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r")])
def test_an_encoding_that_is_sure_is_used_and_told(text: str, encoding: str, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(("ASCII first\n" + text * 4).encode(encoding))
    pool = read(path, task="text-classification")
    assert [e.fields["text"] for e in pool] == ["ASCII first", *[text.strip()] * 4]
    assert [note for note in pool.notes if "detected from its bytes" in note] == [
        f"{path}: read as {encoding}: detected from its bytes, which are not UTF-8"
    ]


def test_an_encoding_that_is_not_sure_is_refused_with_line_and_byte(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(("plain\n" + FRENCH).encode("cp1252"))
    with pytest.raises(InputError, match=r"byte 3 of the line \(0xE9\) is not UTF-8") as error:
        texts(path)
    assert (error.value.file, error.value.line) == (str(path), 2)
    assert "iconv -f" in error.value.hint
    assert "cp1252" in error.value.hint


def test_a_bad_byte_in_a_file_that_is_utf_8_leaves_one_line_out(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("ایک\n".encode() + b"caf\xe9\n" + "दो\n".encode())
    pool = read(path, task="text-classification", on_error="skip")
    assert [(e.id, e.line, e.fields["text"]) for e in pool] == [
        ("a.txt#1", 1, "ایک"),
        ("a.txt#3", 3, "दो"),
    ]
    assert [bad.line for bad in pool.rejected] == [2]


def test_a_bad_byte_takes_its_whole_sentence_with_it(tmp_path: Path):
    path = tmp_path / "a.bio"
    path.write_bytes("ایک\tO\n\n".encode() + b"one\tO\ncaf\xe9\tO\nmore\tO\n\nlast\tO\n")
    pool = read(path, task="token-classification", on_error="skip")
    assert [e.fields["tokens"] for e in pool] == [("ایک",), ("last",)]
    assert [bad.line for bad in pool.rejected] == [4]


def test_a_bad_byte_takes_its_row_of_a_table_with_it(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        "text,label\nایک,a\n".encode() + b'caf\xe9,b\nthree,c\n"four\ncaf\xe9\nfour",d\nfive,e\n'
    )
    pool = read(path, task="text-classification", on_error="skip")
    assert [e.fields["text"] for e in pool] == ["ایک", "three", "five"]
    assert [bad.line for bad in pool.rejected] == [3, 6]


def test_utf_16_without_its_mark_is_refused_with_the_way_out(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("plain\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="NUL") as error:
        texts(path)
    assert "UTF-16LE" in error.value.hint


def test_utf_16_that_is_cut_is_refused(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("one\ntwo\n".encode("utf-16")[:-1])
    with pytest.raises(InputError, match="not UTF-16"):
        texts(path)


def test_only_a_line_feed_ends_a_line(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\u0085c\x0bd\x1ce\r\nf\n".encode())
    assert texts(path) == ["a\u2028b\u0085c\x0bd\x1ce", "f"]


def test_line_ends_of_old_macintosh_are_refused(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\rtwo\rthree\r")
    with pytest.raises(InputError, match="carriage return") as error:
        texts(path)
    assert "tr" in error.value.hint


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_file_that_is_cut_never_passes(pack: Callable[[bytes], bytes], tmp_path: Path):
    path = tmp_path / "a.txt.xz"
    whole = pack("".join(f"line {i * 7919 % 10007}\n" for i in range(5000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read to its end"):
        texts(path)


def test_compression_is_seen_by_content_and_not_by_name(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert texts(path) == ["one", "two"]


def test_frames_of_zstandard_are_read_one_after_the_other(tmp_path: Path):
    path = tmp_path / "a.txt.zst"
    path.write_bytes(zstandard.compress(b"one\n") + zstandard.compress(b"two\n"))
    assert texts(path) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Η Τουρκία περιβάλλεται από θάλασσες στις τρεις πλευρές της.", "cp1253"),
        ("تحيط بتركيا البحار من ثلاث جهات: بحر إيجه إلى الغرب.", "cp1256"),
        ("ประเทศตุรกีล้อมรอบด้วยทะเลสามด้าน", "cp874"),
        ("土耳其三面环海：西临爱琴海，北临黑海，南临地中海。" * 3, "gb18030"),
    ],
)
def test_scripts_that_one_encoding_alone_can_be(text: str, encoding: str):
    assert guess(text.encode(encoding))[0] == encoding


@pytest.mark.parametrize("encoding", ["cp1250", "cp1252", "cp1254", "latin-1"])
def test_latin_script_is_never_sure(encoding: str):
    assert guess((FRENCH * 3).encode(encoding, "ignore"))[0] is None


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.txt"
    path.write_text("x")

    opened = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="cannot be opened: Permission denied") as error:
        texts(path)
    assert error.value.file == str(path)
