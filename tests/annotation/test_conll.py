"""CoNLL files as tools and people write them, and what is wrong with some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from polymux.annotation import FORMATS, Answer, Batch, Item, checked
from polymux.errors import InputError, UsageError

NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
BATCH = Batch(
    "token-classification",
    NER,
    (
        Item("a#1", {"tokens": ("🚀", "Ada", "in", "Rome")}),
        Item("a#2", {"tokens": ("#Ada", "x\u00a0y")}, 2, None, "en"),
        Item("a#3", {"tokens": ("नमस्ते", "-DOCSTART-")}),
    ),
)


def back(tmp_path: Path, text: str | bytes) -> list[Answer | InputError]:
    path = tmp_path / "back.conll"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(checked(BATCH, FORMATS["conll"].load(path, BATCH), path))


def test_what_is_sent_out_waits_and_keeps_every_word(tmp_path: Path) -> None:
    dump = FORMATS["conll"].dump
    assert dump is not None
    text = dump(BATCH).decode()
    assert text.startswith("# id = a#1\n# rank = 0\n🚀\t_\nAda\t_\n")
    assert back(tmp_path, text) == []
    filled = text.replace("\t_", "\tO")
    answers = [one for one in back(tmp_path, filled) if isinstance(one, Answer)]
    assert [one.fields for one in answers] == [item.fields for item in BATCH.items]


def test_a_language_adds_no_line_of_its_own(tmp_path: Path) -> None:
    dump = FORMATS["conll"].dump
    assert dump is not None
    items = tuple(replace(item, language="en\nfoo\tO") for item in BATCH.items)
    told = dump(replace(BATCH, items=items)).decode().replace("\t_", "\tO")
    answers = [one for one in back(tmp_path, told) if isinstance(one, Answer)]
    assert [one.fields for one in answers] == [item.fields for item in BATCH.items]


def test_conll_2003_without_ids_is_found_by_its_words(tmp_path: Path) -> None:
    told = "-DOCSTART- -X- O\n\n🚀 -X- _ O\r\nAda -X- _ B-PER\r\nin -X- _ O\r\nRome -X- _ B-LOC\r\n"
    (answer,) = back(tmp_path, told)
    assert isinstance(answer, Answer)
    assert (answer.id, answer.label, answer.line) == ("a#1", ("O", "B-PER", "O", "B-LOC"), 3)


def test_a_sentence_can_be_skipped_or_wait(tmp_path: Path) -> None:
    told = "# id = a#1\n# state = rejected\n🚀\t_\nAda\t_\nin\t_\nRome\t_\n\n# id = a#3\n"
    first, *rest = back(tmp_path, told + "नमस्ते\n\\x{2d}DOCSTART-\n")
    assert isinstance(first, Answer)
    assert (first.id, first.state) == ("a#1", "rejected")
    assert all(isinstance(one, InputError) for one in rest)


@pytest.mark.parametrize(
    ("told", "line", "said"),
    [
        ("# id = a#1\n🚀\tO\nAda\t_\nin\tO\nRome\tO\n", 1, "word 2, 'Ada', has no label"),
        (
            "# id = a#1\n🚀\tO\nAda\tO\nin\tO\n",
            1,
            "word 4 (4 words were sent, 3 came) changed on",
        ),
        ("# id = a#1\n🚀\tO\nAda\tB-X\nin\tO\nRome\tO\n", 1, "'B-X'"),
        ("# id = b#9\nx\tO\n", 1, "was not issued"),
        (
            "# id = a#1\n# state = skip\n🚀\tO\nAda\tO\nin\tO\nRome\tO\n",
            1,
            "there is no state 'skip'",
        ),
        ("# id = a#1\n\\x{110000}\tO\nAda\tO\nin\tO\nRome\tO\n", 1, "word 1 changed"),
        ("# id = a#1\n\\x{d800}\tO\nAda\tO\nin\tO\nRome\tO\n", 1, "word 1 changed"),
        ("\n\nnobody\tO\nknows\tO\n", 3, "none that waits"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(
    told: str, line: int, said: str, tmp_path: Path
) -> None:
    (error,) = back(tmp_path, told)
    assert isinstance(error, InputError)
    assert said in error.what
    assert (error.line, error.file) == (line, str(tmp_path / "back.conll"))


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not UTF-8"):
        back(tmp_path, b"\xff\xfex")


@pytest.mark.parametrize("label", ["_", "B PER", ""])
def test_a_label_that_a_column_cannot_hold_is_refused(label: str) -> None:
    dump = FORMATS["conll"].dump
    assert dump is not None
    with pytest.raises(UsageError, match="cannot hold the label"):
        dump(Batch("token-classification", (label,), ()))
