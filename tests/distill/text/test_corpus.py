"""Text is read once, normalised, and split before anything learns from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.distill.text.corpus import SPLITS, Text, read_texts
from polymux.distill.text.overlap import overlap
from polymux.errors import InputError


def texts(
    folder: Path, split: str = "lines", block_lines: int = 2, **more: object
) -> dict[str, Text]:
    paths = {file.stem: str(file) for file in sorted(folder.glob("*.txt"))}
    options = {"held_out": {"dev": 0.2, "test": 0.2}, "largest": {}, "seed": 0} | more
    return read_texts(paths, split=split, block_lines=block_lines, **options)


def every(text: Text) -> list[str]:
    return [line for split in SPLITS for line in text.lines(split)]


def test_lines_are_normalised_and_one_that_stood_before_in_any_language_is_left_out(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.txt").write_text("e\u0301 one\n\u00e9 one\ntwo\nthree\nfour\n", "utf-8")
    (tmp_path / "b.txt").write_text("two\nsix\nseven\neight\nnine\n", "utf-8")
    made = texts(tmp_path)
    assert sorted(every(made["a"])) == ["four", "three", "two", "\u00e9 one"]
    assert sorted(every(made["b"])) == ["eight", "nine", "seven", "six"]
    assert (made["a"].read, made["a"].repeated, made["b"].repeated) == (5, 1, 1)


@pytest.mark.parametrize(
    ("split", "units"),
    [
        ("documents", {("a1", "a2"), ("b1",), ("c1", "c2", "c3"), ("d1",)}),
        ("blocks", {("a1", "a2"), ("b1", "c1"), ("c2", "c3"), ("d1",)}),
        ("lines", {("a1",), ("a2",), ("b1",), ("c1",), ("c2",), ("c3",), ("d1",)}),
    ],
)
def test_what_belongs_together_stays_together(
    tmp_path: Path, split: str, units: set[tuple[str, ...]]
) -> None:
    (tmp_path / "x.txt").write_text("a1\na2\n\nb1\n\n\nc1\nc2\nc3\n\nd1\n", "utf-8")
    made = texts(tmp_path, split)["x"]
    assert {tuple(unit) for part in SPLITS for unit in made.documents[part]} == units


def test_every_split_has_its_share_and_no_line_is_in_two(tmp_path: Path) -> None:
    lines = [f"line number {i:04}" for i in range(500)]
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n", "utf-8")
    made = texts(tmp_path)["x"]
    assert sorted(every(made)) == lines
    sizes = {split: len(list(made.lines(split))) for split in SPLITS}
    assert sizes == {"train": 300, "dev": 100, "test": 100}
    assert list(made.lines("train")) == list(texts(tmp_path)["x"].lines("train"))
    other = texts(tmp_path, seed=1)["x"]
    assert set(made.lines("test")) != set(other.lines("test"))


def test_a_language_is_cut_after_so_many_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("".join(f"{i:09}\n" for i in range(100)), "utf-8")
    made = texts(tmp_path, largest={"x": 205})["x"]
    assert len(list(made.lines("train"))) == 20


def test_too_little_text_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("one\ntwo\n", "utf-8")
    with pytest.raises(InputError, match="too short to be split") as error:
        texts(tmp_path)
    assert str(tmp_path / "x.txt") in str(error.value)


def test_sentences_are_found_whole_or_by_eight_words_in_a_row() -> None:
    text = ["Well, THE cat sat on the mat late yesterday evening and slept!", "Short one."]
    tested = [
        ["the", "cat", "sat", "on", "the", "mat", "late", "yesterday", "evening", "and", "died"],
        ["short", "one", "."],
        ["the", "cat", "sat"],
        ["nothing", "of", "this", "stands", "there", "at", "all", "not", "a", "word"],
    ]
    found = overlap(text, tested)
    assert (found.sentences, found.whole, found.partly) == (4, 1, 2)
    assert found.share == 0.5
