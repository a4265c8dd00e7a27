"""PATHs: files, folders, globs, urls, and the ids that follow from them."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from polymux.errors import InputError, UsageError
from polymux.readers import read


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for place in ("de/train", "de/dev", "ur/train", "ur/deep/er/train"):
        path = tmp_path / "ud" / f"{place}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"text": "{place}"}}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(*paths: str | Path, **options: str) -> list[str]:
    return [e.id for e in read(*paths, task="text-classification", **options)]


def test_ids_of_a_file_begin_with_its_name(corpus: Path):
    assert ids("ud/de/train.jsonl") == ["train.jsonl#1"]
    assert ids(corpus / "ud/de/train.jsonl") == ["train.jsonl#1"]


def test_a_folder_is_searched_and_sorted(corpus: Path):
    expected = ["de/dev", "de/train", "ur/deep/er/train", "ur/train"]
    assert ids("ud") == ids("ud/") == ids("./ud") == [f"{place}.jsonl#1" for place in expected]
    assert next(e.file for e in read("ud", task="text-classification")) == "ud/de/dev.jsonl"


def test_a_glob_gives_ids_below_its_fixed_part(corpus: Path):
    assert ids("ud/*/train.jsonl") == ["de/train.jsonl#1", "ur/train.jsonl#1"]
    assert ids("ud/**/train.jsonl") == [
        "de/train.jsonl#1",
        "ur/deep/er/train.jsonl#1",
        "ur/train.jsonl#1",
    ]
    assert ids(f"{corpus}/ud/d*") == ["de/dev.jsonl#1", "de/train.jsonl#1"]
    assert ids("ud/../ud/de/*.jsonl") == ["dev.jsonl#1", "train.jsonl#1"]
    examples = read("ud/*/train.jsonl", task="text-classification", language="folder")
    assert [(e.file, e.language) for e in examples] == [
        ("ud/de/train.jsonl", "de"),
        ("ud/ur/train.jsonl", "ur"),
    ]


def test_a_name_with_the_marks_of_a_glob_is_a_name_first(corpus: Path):
    (corpus / "a[1].jsonl").write_text('{"text": "x"}\n')
    assert ids("a[1].jsonl") == ["a[1].jsonl#1"]


def test_ids_that_would_be_the_same_take_the_folder_before(corpus: Path):
    assert ids("ud/de/train.jsonl", "ud/ur/train.jsonl", "ud/de/dev.jsonl") == [
        "de/train.jsonl#1",
        "ur/train.jsonl#1",
        "dev.jsonl#1",
    ]
    assert ids("ud/ur", "ud/de") == [
        "deep/er/train.jsonl#1",
        "ur/train.jsonl#1",
        "dev.jsonl#1",
        "de/train.jsonl#1",
    ]


def test_d15_ids_do_not_depend_on_the_order_of_paths_or_on_hashing(corpus: Path):
    forward = ids("ud/de/train.jsonl", "ud/ur/train.jsonl")
    assert sorted(ids("ud/ur/train.jsonl", "ud/de/train.jsonl")) == forward


def test_a_file_named_twice_is_read_once_and_that_is_told(corpus: Path):
    pool = read("ud", "ud/de/train.jsonl", "ud/de", task="text-classification")
    assert len(list(pool)) == 4
    assert "ud/de/train.jsonl: named 3 times, read once" in pool.notes


def test_files_of_no_format_and_hidden_files_are_passed_over(corpus: Path):
    (corpus / "ud/README.md").write_text("# read me")
    (corpus / "ud/.cache.jsonl").write_text("{")
    pool = read("ud", task="text-classification")
    assert len(list(pool)) == 4
    assert "ud: 1 files of other kinds passed over (README.md)" in pool.notes


def test_several_formats_in_one_folder_are_refused(corpus: Path):
    (corpus / "ud/LICENSE.txt").write_text("All rights\nare wrong\n")
    with pytest.raises(InputError, match=r"text, and ud/de/dev.jsonl is jsonl") as error:
        ids("ud")
    assert "jsonl:ud" in error.value.hint
    assert len(ids("jsonl:ud")) == 4


@pytest.mark.parametrize(
    ("path", "what", "hint"),
    [
        ("ud/de/trian.jsonl", "no such file or folder", "did you mean train.jsonl?"),
        ("ud/*/test.jsonl", "nothing matches this glob", "quotes"),
        ("nowhere/at/all", "no such file or folder", "look at the path"),
        ("ud/{de,tr}/train.jsonl", "no such file or folder", "{a,b} is the shell's"),
        ("~nobody-of-that-name/x", "no such file or folder", "look at the path"),
    ],
)
def test_a_path_that_matches_nothing_is_named(corpus: Path, path: str, what: str, hint: str):
    with pytest.raises(InputError, match=what) as error:
        ids(path)
    assert error.value.file == path
    assert hint in error.value.hint
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (b"\xff.jsonl", ""),
        (b"\xff.jsonl", "*.jsonl"),
        (b"\xff.jsonl", "{0}"),
        (b"caf\xe9/train.jsonl", ""),
        (b"caf\xe9/train.jsonl", "*/train.jsonl"),
        (b"caf\xe9/train.jsonl", "{0}"),
    ],
)
def test_a_name_that_is_not_utf8_is_refused(name: bytes, given: str, tmp_path: Path):
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"text": "a"}\n')
    with pytest.raises(InputError, match="is not UTF-8") as error:
        ids(tmp_path / given.format(os.fsdecode(name)))
    assert "\\udc" in str(error.value.file)
    assert str(error.value).encode()


def test_an_empty_folder_lists_the_suffixes(tmp_path: Path):
    with pytest.raises(InputError, match="suffix") as error:
        ids(tmp_path)
    assert ".conllu" in error.value.hint


def test_a_pipe_is_refused_because_it_cannot_be_read_twice(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        ids(tmp_path / "pipe")


@pytest.fixture
def memory() -> str:
    system = fsspec.filesystem("memory")
    for place in ("de/train", "ur/train"):
        with system.open(f"/corpus/{place}.jsonl", "wb") as file:
            file.write(f'{{"text": "{place}"}}\n'.encode())
    return "memory://corpus"


def test_urls_are_files_folders_and_globs(memory: str):
    assert ids(f"{memory}/ur/train.jsonl") == ["train.jsonl#1"]
    assert ids(memory) == ["de/train.jsonl#1", "ur/train.jsonl#1"]
    examples = list(read(f"{memory}/*/train.jsonl", task="text-classification", language="folder"))
    assert [(e.id, e.file, e.language) for e in examples] == [
        ("de/train.jsonl#1", "memory://corpus/de/train.jsonl", "de"),
        ("ur/train.jsonl#1", "memory://corpus/ur/train.jsonl", "ur"),
    ]


def test_a_glob_stands_anywhere_in_a_chain_of_protocols(corpus: Path):
    chain = f"simplecache::file://{corpus}/ud/*/train.jsonl"
    examples = list(read(chain, task="text-classification", language="folder"))
    assert [(e.id, e.file, e.fields["text"]) for e in examples] == [
        (f"{code}/train.jsonl#1", chain.replace("*", code), f"{code}/train")
        for code in ("de", "ur")
    ]
    assert ids(f"simplecache::file://{corpus}/ud/de") == ["dev.jsonl#1", "train.jsonl#1"]
    for nothing in ("simplecache::none*.jsonl", f"simplecache::file://{corpus}/none*.jsonl"):
        with pytest.raises(InputError, match="nothing matches this glob"):
            ids(nothing)


def test_a_folder_whose_name_begins_with_http_is_no_address(corpus: Path):
    (corpus / "ud").rename(corpus / "http_ud")
    assert ids("http_ud/*/train.jsonl") == ["de/train.jsonl#1", "ur/train.jsonl#1"]


def test_an_archive_is_read_where_it_lies(corpus: Path):
    import zipfile

    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.write("ud/de/train.jsonl")
    assert ids("zip://ud/de/train.jsonl::all.zip", format="jsonl") == ["train.jsonl#1"]


@pytest.mark.parametrize("path", ["https://example.org/a.jsonl", "s3://bucket/a.jsonl"])
def test_offline_refuses_the_network(path: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="needs a network"):
        read(path, task="text-classification", offline=True)
    monkeypatch.setenv("POLYMUX_OFFLINE", "1")
    with pytest.raises(UsageError, match="needs a network"):
        read(path, task="text-classification")


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UsageError, match="cannot be opened"):
        ids("gopher://example.org/a.jsonl")


def test_links_to_files_are_followed_and_folders_that_loop_are_not(corpus: Path):
    (corpus / "ud/xx.jsonl").symlink_to(corpus / "ud/de/train.jsonl")
    (corpus / "ud/loop").symlink_to(corpus / "ud")
    assert [key for key in ids("ud") if "/" not in key] == ["xx.jsonl#1"]
    assert len(ids("ud")) == 5
    examples = read("ud/xx.jsonl", task="text-classification", language="file")
    assert [e.language for e in examples] == ["xx"]
    assert len(ids("ud/loop")) == 5
