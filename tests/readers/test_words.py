"""Texts to words."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.errors import InputError, UsageError
from polymux.readers import read
from polymux.readers.words import load, spaceless, unicode_words

TOKENS = "token-classification"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't stop, it's 3.14!", ["don't", "stop", ",", "it's", "3.14", "!"]),
        ("اُردو زبان، ہے۔", ["اُردو", "زبان", "،", "ہے", "۔"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
        ("👩‍👩‍👧 ok 👍🏽", ["👩‍👩‍👧", "ok", "👍🏽"]),
        ("e\u0301t\u00a0=a\tb", ["e\u0301t", "=", "a", "b"]),
    ],
)
def test_unicode_word_boundaries(text: str, words: list[str]):
    assert unicode_words(text) == words


def test_scripts_without_spaces_are_seen():
    assert [spaceless(text) for text in ("สวัสดี", "你好", "こんにちは", "ລາວ", "မြန်မာ", "བོད")]
    assert all(spaceless(text) for text in ("สวัสดี", "你好", "こんにちは", "ລາວ", "မြန်မာ", "བོད"))
    assert not any(spaceless(text) for text in ("한국어 단어", "हिन्दी", "عربي", "Việt", "አማርኛ"))


def write(folder: Path, *texts: str) -> Path:
    (folder / "a.txt").write_text("\n".join(texts) + "\n", "utf-8")
    return folder / "a.txt"


def test_plain_text_is_split_for_words_and_that_is_told(tmp_path: Path):
    pool = read(write(tmp_path, "don't stop", "", "  ", "สวัสดีครับ"), task=TOKENS)
    examples = list(pool)
    assert examples[0].fields == {"tokens": ("don't", "stop")}
    assert [(e.line, e.id, e.text) for e in examples] == [
        (1, "a.txt#1", "don't stop"),
        (4, "a.txt#2", "สวัสดีครับ"),
    ]
    assert any(note.endswith("by Unicode word boundaries: 2") for note in pool.notes)
    assert any("--words FUNCTION" in note and note.endswith(": 1") for note in pool.notes)


def test_texts_in_records_are_split_too_and_their_label_is_not_one_of_words(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"utterance": "a b", "label": "x", "labels": "y"}\n')
    [example] = read(tmp_path / "a.jsonl", task=TOKENS, fields={"text": "utterance"})
    assert (example.fields["tokens"], example.label) == (("a", "b"), None)


def test_a_function_of_the_users_own_splits(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def halves(text):\n    return [text[:2], text[2:]]\n")
    path = write(tmp_path, "สวัสดี")
    for words in (f"{tmp_path / 'mine.py'}:halves", lambda text: [text[:2], text[2:]]):
        pool = read(path, task=TOKENS, words=words)
        assert [e.fields["tokens"] for e in pool] == [("สว", "ัสดี")]
        assert any("by the function given" in note for note in pool.notes)
    assert load("shlex:split")("a 'b c'") == ["a", "b c"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("split", "names no function"),
        ("no.such.module:f", "cannot be imported"),
        ("nowhere.py:f", "cannot be imported"),
        ("shlex:divide", "has no function divide"),
        ("shlex:__name__", "has no function __name__"),
        ("..shlex:split", "names no function"),
    ],
)
def test_a_function_that_is_not_there_is_refused(name: str, what: str, tmp_path: Path):
    with pytest.raises(UsageError, match=what):
        read(write(tmp_path, "a"), task=TOKENS, words=name)


def test_a_file_with_an_error_of_syntax_is_refused_with_its_line(tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text("import re\ndef f(text:\n")
    with pytest.raises(UsageError, match=rf"{file}:2: "):
        read(write(tmp_path, "a"), task=TOKENS, words=f"{file}:f")


@pytest.mark.parametrize("words", [[], ["a", ""]])
def test_a_function_that_makes_no_words_is_refused_with_the_line(words: list[str], tmp_path: Path):
    with pytest.raises(InputError, match='no words, or empty ones, of "x"') as error:
        list(read(write(tmp_path, "", "x"), task=TOKENS, words=lambda _: words))
    assert error.value.line == 2
