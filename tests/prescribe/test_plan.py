"""Plans of counts per language: read, or refused with place and mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polymux.errors import InputError
from polymux.prescribe.plan import counts_of, read_plan


def test_a_plan_is_counts_by_language_header_or_not(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("language,count\nde,5\n\neu, 3\n", encoding="utf-8-sig")
    assert read_plan(path) == {"de": 5, "eu": 3}
    path.write_text("de,5\n", encoding="utf-8")
    assert read_plan(path) == {"de": 5}


@pytest.mark.parametrize("line", ["de", "de,many", "de,-1", "de,1,2", "ok,1", "de," + "9" * 5000])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(f"ok,1\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_plan(path)
    assert refused.value.place == f"{path}:2"


@pytest.mark.parametrize("data", [b"", b"language,count\n", b"\xff\xfe1,2\n", b"x" * 200_000])
def test_a_plan_of_nothing_or_that_is_no_csv_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "plan.csv"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_plan(path)


def test_a_plan_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "missing.csv")


@pytest.mark.parametrize("text", ["{broken", "[]", "{}", json.dumps({"languages": None})])
def test_a_manifest_without_languages_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "selection.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="no languages"):
        counts_of(tmp_path)


def test_a_folder_that_no_select_wrote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no selection\.json"):
        counts_of(tmp_path)
