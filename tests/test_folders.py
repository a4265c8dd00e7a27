"""Result folders: complete or not there."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from polymux.errors import UsageError
from polymux.folders import (
    ESTIMATE,
    check_free,
    check_new,
    claimed,
    replaced,
    write_text,
    write_texts,
    written,
)


def lines(*texts: str):
    return lambda: iter(texts)


def breaks() -> Iterator[str]:
    yield "half a line"
    raise OSError(28, "No space left on device")


def test_all_files_are_there_after_a_write(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    write_texts(out, {"a.txt": lines("x\n", "y\n"), "b/c.txt": lines("é\n")}, force=False)
    assert (out / "a.txt").read_text() == "x\ny\n"
    assert (out / "b/c.txt").read_bytes() == "é\n".encode()
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        write_texts(tmp_path / "out", {"a": lines("x"), "b": breaks}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_forced_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_texts(out, {"a": lines("old"), "selection.json": lines("{}")}, force=False)
    with pytest.raises(OSError, match="No space"):
        write_texts(out, {"a": breaks, "selection.json": lines("new")}, force=True)
    assert (out / "a").read_text() == "old"
    assert (out / "selection.json").read_text() == "{}"


def test_a_folder_that_holds_anything_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    with pytest.raises(UsageError, match=r"thesis\.docx") as refused:
        write_texts(tmp_path, {"a": lines("x")}, force=False)
    assert "--force" in refused.value.hint
    assert not (tmp_path / "a").exists()


def test_force_replaces_its_own_files_and_keeps_all_others(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    (tmp_path / "a").write_text("old")
    (tmp_path / "rejected.jsonl").write_text("of the run before")
    write_texts(tmp_path, {"a": lines("new"), "rejected.jsonl": None}, force=True)
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "thesis.docx").read_text() == "precious"
    assert not (tmp_path / "rejected.jsonl").exists()


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_texts(tmp_path / "out", {"a": lines("x")}, force=False)
    assert (tmp_path / "out" / "a").read_text() == "x"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="is a file"):
        write_texts(tmp_path / "out", {"a": lines("x")}, force=True)


def test_of_two_writers_at_once_the_first_to_finish_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def slow() -> Iterator[str]:
        write_texts(out, {"a": lines("first")}, force=False)
        yield "second"

    with pytest.raises(UsageError, match="not empty"):
        write_texts(out, {"a": slow}, force=False)
    assert (out / "a").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / ".out.0123456789ab.part").mkdir()
    (tmp_path / ".out.0123456789ab.part/half.txt").write_text("x")
    (tmp_path / ".out.0123456789ab.part.lock").touch()
    (tmp_path / ".outer.0123456789ab.part").mkdir()
    (tmp_path / ".outer.0123456789ab.part.lock").touch()
    with written(out, force=False) as first:
        (first / "a.txt").write_text("first")
        with written(out, force=True) as second:
            drafts = {path.name for path in tmp_path.iterdir() if path.is_dir()}
            assert drafts == {first.name, second.name, ".outer.0123456789ab.part"}
            (second / "b.txt").write_text("second")
        (out / "b.txt").unlink()
    assert [path.name for path in out.iterdir()] == ["a.txt"]
    outer = {".outer.0123456789ab.part", ".outer.0123456789ab.part.lock"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", *outer}


def test_a_claimed_folder_is_refused_to_a_second_process_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out), pytest.raises(UsageError, match="another polymux"), claimed(out):
        pass
    with claimed(out):
        assert not out.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_forced_write_of_nested_folders_removes_their_manifests_first(tmp_path: Path) -> None:
    def files(text: str):
        return {"a/selection.json": lines(text), "a/x": lines(text), "b/x": lines(text)}

    write_texts(tmp_path / "out", files("old"), force=False)
    (tmp_path / "out" / "training.json").write_text("of a model")
    write_texts(tmp_path / "out", files("new"), force=True)
    assert (tmp_path / "out/a/selection.json").read_text() == "new"
    assert (tmp_path / "out/training.json").read_text() == "of a model"


def test_a_folder_with_an_estimate_alone_is_free(tmp_path: Path) -> None:
    (tmp_path / ESTIMATE).write_text("{}", encoding="utf-8")
    check_free(tmp_path, force=False)
    write_texts(tmp_path, {"a.txt": lambda: ["a"]}, force=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", ESTIMATE]
    with pytest.raises(UsageError):
        check_free(tmp_path, force=False)


def test_a_file_is_written_whole_and_never_over_another_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "plan.csv"
    write_text(file, "é,1\n", force=False)
    assert file.read_bytes() == "é,1\n".encode()
    with pytest.raises(UsageError, match="is there already"):
        write_text(file, "new", force=False)
    write_text(file, "new", force=True)
    assert file.read_text() == "new"
    assert [p.name for p in file.parent.iterdir()] == ["plan.csv"]


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    write_text(file, "old", force=False)
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "half \ud800", force=True)
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.csv"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path, force: bool) -> None:
    with pytest.raises(UsageError, match="is there already"):
        check_new(tmp_path, force=force)


def test_a_folder_is_claimed_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    for path in (Path(), Path("../out"), tmp_path / "link"):
        with claimed(tmp_path / "out"), pytest.raises(UsageError, match="another"), claimed(path):
            pass
        with claimed(path):
            pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "out"]


def test_the_folder_that_a_shell_stands_in_stays_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    write_texts(Path(), {"a": lines("x"), "selection.json": lines("{}")}, force=False)
    assert tmp_path.stat().st_ino == before
    assert Path("a").read_text() == "x"


def test_a_lock_that_was_taken_away_while_one_waited_for_it_is_none(tmp_path: Path) -> None:
    mark = tmp_path / ".out.lock"
    with mark.open("w") as before:
        fcntl.flock(before, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another"), claimed(tmp_path / "out"):
            pass
        # Its holder ends: away with the file, and a third process makes the next one.
        mark.unlink()
        with claimed(tmp_path / "out"), pytest.raises(UsageError), claimed(tmp_path / "out"):
            pass
    with monkeypatched_open(mark) as opened, claimed(tmp_path / "out"):
        assert len(opened) == 2


@contextmanager
def monkeypatched_open(mark: Path) -> Iterator[list[int]]:
    """Between opening and locking the first time, the file goes."""
    opened: list[int] = []
    lock = fcntl.flock

    def away_first(file: IO[str], how: int) -> None:
        opened.append(how)
        if len(opened) == 1:
            mark.unlink()
        lock(file, how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fcntl, "flock", away_first)
        yield opened


def test_a_draft_that_cannot_be_finished_goes(tmp_path: Path) -> None:
    def half() -> None:
        with replaced(tmp_path / "new/file") as draft:
            draft.write_text("half")
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        half()
    assert not any((tmp_path / "new").iterdir())
