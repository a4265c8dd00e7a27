"""`polymux select` as it is typed."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

from polymux.cli import choose, main
from polymux.prescribe import select_many

POLYMUX = str(Path(sys.executable).parent / "polymux")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, source/LANGUAGE/train.conllu and target/ur/train.conllu."""
    folder = tmp_path_factory.mktemp("world")
    tiny_model(folder / "model", "token-classification")
    for language, count in {"en": 60, "de": 50, "hi": 40}.items():
        write_conllu(folder / "source", language, count)
    write_conllu(folder / "target", "ur", 30)
    return folder


def arguments(world: Path, out: Path, *more: str) -> list[str]:
    return [
        "select", str(world / "model"), "--task", "token-classification",
        "--source", str(world / "source"), "--target", str(world / "target"),
        "--budget", "10", "--out", str(out), "--store", "off", *more,
    ]  # fmt: skip


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): p.read_text(encoding="utf-8")
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_one_strategy_and_budget_write_straight_into_out(world, tmp_path, capsys) -> None:
    main(arguments(world, tmp_path / "out", "--language", "folder"))
    told = capsys.readouterr().out
    assert sorted(files_of(tmp_path / "out")) == ["report.html", "selection.json", "to_label.jsonl"]
    assert str(tmp_path / "out" / "to_label.jsonl") in told
    assert "knn-uncertainty: 10 examples (" in told


def test_several_write_a_folder_each_and_a_summary(world, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    main(
        arguments(
            world, out, "--language", "folder", "--budget", "5,20",
            "--strategy", "average-dist,random,egalitarian",
        )
    )  # fmt: skip
    assert {p.name for p in out.iterdir()} == {
        "average-dist", "random", "egalitarian", "summary.md", "summary.json",
    }  # fmt: skip
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [(r["strategy"], r["budget"], r["chosen"]) for r in summary[:2]] == [
        ("average-dist", 5, 5),
        ("average-dist", 20, 20),
    ]
    fewer = (out / "random/5/to_label.jsonl").read_text(encoding="utf-8").splitlines()
    more = (out / "random/20/to_label.jsonl").read_text(encoding="utf-8").splitlines()
    assert fewer == more[:5]
    assert "average-dist/20/report.html" in (out / "summary.md").read_text(encoding="utf-8")


def test_json_prints_the_manifest(world, tmp_path, capsys) -> None:
    main(arguments(world, tmp_path / "out", "--json"))
    told = json.loads(capsys.readouterr().out)
    assert told[0]["strategy"] == "knn-uncertainty"
    assert told[0]["chosen"] == 10


def test_the_same_command_gives_the_same_bytes_but_for_time_and_memory(world, tmp_path) -> None:
    main(arguments(world, tmp_path / "one"))
    main(arguments(world, tmp_path / "two"))
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one["to_label.jsonl"] == two["to_label.jsonl"]
    first, second = json.loads(one["selection.json"]), json.loads(two["selection.json"])
    for manifest in (first, second):
        del manifest["seconds"], manifest["peak_memory_mb"]
    assert first == second


def test_a_full_out_is_refused_before_any_work_and_force_replaces(world, tmp_path, capsys) -> None:
    main(arguments(world, tmp_path / "out"))
    before = files_of(tmp_path / "out")
    with pytest.raises(SystemExit) as ended:
        main(arguments(world, tmp_path / "out", "--seed", "1"))
    assert ended.value.code == 2
    assert "--force" in capsys.readouterr().err
    assert files_of(tmp_path / "out") == before
    main(arguments(world, tmp_path / "out", "--budget", "3", "--force"))
    assert len(files_of(tmp_path / "out")["to_label.jsonl"].splitlines()) == 3


def test_on_error_skip_records_what_was_left_out(world, tmp_path) -> None:
    source = tmp_path / "bad.jsonl"
    good = "".join(json.dumps({"tokens": ["cat", str(i)]}) + "\n" for i in range(30))
    source.write_text(good + "{broken\n", encoding="utf-8")
    main(arguments(world, tmp_path / "out", "--source", str(source), "--on-error", "skip"))
    rejected = json.loads((tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8"))
    assert rejected["file"] == str(source)
    assert rejected["line"] == 31
    assert json.loads((tmp_path / "out/selection.json").read_text())["source"]["rejected"] == 1


def test_interrupted_it_leaves_nothing_half_written(world, tmp_path) -> None:
    for language in ("en", "de", "hi", "zh"):
        write_conllu(tmp_path / "large", language, 10_000)
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    command = arguments(world, out, "--source", str(tmp_path / "large"))
    # A shell lets what it starts in the background ignore interrupts, and so its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [POLYMUX, *command], stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    signal.signal(signal.SIGINT, before)
    while process.poll() is None and not list(out.parent.glob("polymux-spool-*/*/*.parquet")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(out.parent.iterdir()) == []


def test_the_command_lines_defaults_are_the_librarys() -> None:
    library = inspect.signature(select_many).parameters
    typed = inspect.signature(choose.select).parameters
    for name in set(library) & set(typed) - {"model", "source", "target", "exclude", "gold"}:
        if name in ("store", "progress"):
            continue
        if name in ("at_least", "at_most", "without"):
            # Options that repeat are lists here, and none was given in both.
            assert not typed[name].default
            assert not library[name].default
            continue
        assert typed[name].default == library[name].default, name


def test_a_dry_run_writes_an_estimate_alone_and_the_run_sets_the_truth_beside_it(
    world, tmp_path, capsys
) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    asked = arguments(world, out, "--store", str(store))
    main([*asked, "--dry-run"])
    told = capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    assert list(files_of(out)) == ["estimate.json"]
    said = json.loads((out / "estimate.json").read_text(encoding="utf-8"))
    assert [line.split()[:2] for line in told.splitlines()[1:3]] == [
        ["target", "30"],
        ["source", "150"],
    ]
    main([*asked, "--dry-run", "--json"])
    assert json.loads(capsys.readouterr().out)["tokens"] == said["tokens"]
    main(asked)
    beside = json.loads((out / "selection.json").read_text(encoding="utf-8"))["estimate"]
    assert beside["estimated"]["tokens"] == beside["true"]["tokens"] == said["tokens"]
    assert re.search(r"^estimated \d+ s, took \d+ s$", capsys.readouterr().err, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(asked)


def test_a_prefilter_is_told(world, tmp_path, capsys) -> None:
    main(arguments(world, tmp_path / "out", "--prefilter", "60", "--prefilter-sample", "0"))
    assert "prefilter: kept 60 of 150 (0 duplicates left out) in " in capsys.readouterr().err
