"""Text is read once, normalised, and split before anything learns from it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.distill.text.corpus import SPLITS, Text, read_texts
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


def test_a_block_ends_with_its_file(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        lines = "".join(f"{name} {i}\n" for i in range(5))
        (tmp_path / f"{name}.txt").write_text(lines, "utf-8")
    paths = {"xx": str(tmp_path / "*.txt")}
    options = {"held_out": {"dev": 0.2, "test": 0.2}, "largest": {}, "seed": 0}
    made = read_texts(paths, split="blocks", block_lines=4, **options)["xx"]
    sizes = [len(unit) for split in SPLITS for unit in made.documents[split]]
    assert sorted(sizes) == [1, 1, 1, 4, 4, 4]
    for split in SPLITS:
        for unit in made.documents[split]:
            assert len({line.split()[0] for line in unit}) == 1


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


def test_a_line_repeated_within_a_language_is_kept_once_wherever_it_stands(tmp_path: Path) -> None:
    lines = [f"line {i}" for i in range(30)]
    (tmp_path / "x.txt").write_text("\n".join(lines + lines[::-1] + [" line 3 "]) + "\n", "utf-8")
    made = texts(tmp_path)["x"]
    assert sorted(every(made)) == sorted(lines)
    assert (made.read, made.repeated) == (61, 31)


@given(
    first=st.lists(st.sampled_from("abcdefghij"), min_size=12, max_size=40),
    seed=st.integers(0, 1000),
    split=st.sampled_from(["lines", "blocks", "documents"]),
)
def test_no_line_is_in_two_splits_or_two_languages(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], seed: int, split: str
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    own = {"a": [*first, *map(str, range(9))], "b": [*reversed(first), *map(str, range(5, 20))]}
    for language, lines in own.items():
        (folder / f"{language}.txt").write_text("\n\n".join(lines) + "\n", "utf-8")
    made = texts(folder, split, seed=seed)
    found = [line for text in made.values() for line in every(text)]
    assert len(found) == len(set(found))
    assert set(found) == {*own["a"], *own["b"]}
    again = texts(folder, split, seed=seed)
    assert [list(made[x].lines(part)) for x in "ab" for part in SPLITS] == [
        list(again[x].lines(part)) for x in "ab" for part in SPLITS
    ]


def test_held_out_shares_are_of_characters_not_of_units(tmp_path: Path) -> None:
    lines = [f"{i:03}" * (1 if i % 10 else 100) for i in range(400)]
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n", "utf-8")
    made = texts(tmp_path, held_out={"dev": 0.1, "test": 0.3})["x"]
    total = sum(map(len, lines))
    for split, share in (("dev", 0.1), ("test", 0.3)):
        held = list(made.lines(split))
        assert share * total <= sum(map(len, held)) < share * total + 300


@pytest.mark.parametrize(
    ("suffix", "opened"), [("", open), (".gz", gzip.open), (".xz", lzma.open), (".bz2", bz2.open)]
)
def test_documents_of_a_packed_text_are_those_of_the_plain_one(
    tmp_path: Path, suffix: str, opened: object
) -> None:
    path = tmp_path / f"x.txt{suffix}"
    with opened(path, "wt", encoding="utf-8") as file:  # type: ignore[operator]
        file.write("a1\na2\n\nb1\n\nc1\nc2\n\nd1\n")
    made = read_texts(
        {"x": str(path)},
        split="documents",
        block_lines=1,
        held_out={"dev": 0.1, "test": 0.1},
        largest={},
        seed=0,
    )["x"]
    units = {tuple(unit) for part in SPLITS for unit in made.documents[part]}
    assert units == {("a1", "a2"), ("b1",), ("c1", "c2"), ("d1",)}


def test_each_record_of_another_format_is_a_document_of_its_lines(tmp_path: Path) -> None:
    told = [{"text": "a1\na2\n\na3"}, {"text": "b1"}, {"text": "c1\nc2"}, {"text": "d1"}]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in told), "utf-8")
    options = {"held_out": {"dev": 0.1, "test": 0.1}, "largest": {}, "seed": 0, "block_lines": 1}
    made = read_texts({"x": str(path)}, split="documents", **options)["x"]  # type: ignore[arg-type]
    units = {tuple(unit) for part in SPLITS for unit in made.documents[part]}
    assert units == {("a1", "a2", "a3"), ("b1",), ("c1", "c2"), ("d1",)}


def test_a_cut_counts_bytes_leaves_held_out_text_alone_and_keeps_one_document(
    tmp_path: Path,
) -> None:
    (tmp_path / "x.txt").write_text("".join(f"{i:04}\u0915\n" for i in range(100)), "utf-8")
    whole = texts(tmp_path)["x"]
    # Four digits, three bytes of a letter, a line end: 8 bytes a line.
    made = texts(tmp_path, largest={"x": 8 * 7})["x"]
    assert list(made.lines("train")) == list(whole.lines("train"))[:7]
    for split in ("dev", "test"):
        assert list(made.lines(split)) == list(whole.lines(split))
    assert len(list(texts(tmp_path, largest={"x": 55})["x"].lines("train"))) == 6
    assert len(list(texts(tmp_path, largest={"x": 1})["x"].lines("train"))) == 1
    assert list(texts(tmp_path, largest={"y": 1})["x"].lines("train")) == list(whole.lines("train"))


def test_languages_are_shuffled_apart(tmp_path: Path) -> None:
    for name in "ab":
        lines = [f"{name} {i}" for i in range(40)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    made = texts(tmp_path)
    held = [{line[2:] for line in made[name].lines("test")} for name in "ab"]
    assert held[0] != held[1]


def test_signs_that_look_alike_are_not_made_one(tmp_path: Path) -> None:
    lines = ["ﬁve ①", "five 1", "Ｆive", "İ", "i"]
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n", "utf-8")
    assert sorted(every(texts(tmp_path)["x"])) == sorted(lines)
