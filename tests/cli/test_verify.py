"""`polymux verify` as it is typed."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

from polymux import verify
from polymux.cli import main
from polymux.cli.verify import verify_command

STRATEGIES = "average-dist,uncertainty,knn-uncertainty,random"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A model, pools, and a choice of each strategy below `out`."""
    tiny_model(tmp_path / "model", "token-classification")
    for language, count in {"en": 30, "de": 30}.items():
        write_conllu(tmp_path / "source", language, count)
    write_conllu(tmp_path / "target", "ur", 20)
    main(
        ["select", str(tmp_path / "model"), "--task", "token-classification",
         "--source", str(tmp_path / "source"), "--target", str(tmp_path / "target"),
         "--strategy", STRATEGIES, "--budget", "6", "--store", "off",
         "--out", str(tmp_path / "out")]
    )  # fmt: skip
    return tmp_path


def ended(*arguments: str) -> int:
    """The exit code of a command."""
    try:
        main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_same_is_a_line_a_choice_and_exit_0(world, capsys) -> None:
    capsys.readouterr()
    assert ended("verify", str(world / "out")) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [f"{name}/6: the same" for name in sorted(STRATEGIES.split(","))]


def test_different_is_exit_1_and_a_short_table(world, capsys) -> None:
    path = world / "out/uncertainty/6/to_label.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for record in records[0], records[5]:
        record["rank"] = 7 - record["rank"]
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    capsys.readouterr()
    assert ended("verify", str(world / "out")) == 1
    told = capsys.readouterr().out
    assert "uncertainty/6: different\n" in told
    assert "random/6: the same\n" in told
    row = next(
        line for line in told.splitlines() if line.strip().startswith(records[0]["id"] + " ")
    )
    key, gap, tolerance = (float(cell) for cell in row.split()[3:6])
    assert row.split()[1:3] == ["6", "1"]
    assert -key == pytest.approx(records[0]["uncertainty"], abs=1e-5)
    assert gap > tolerance == 2e-5
    assert row.endswith("order by -uncertainty")
    assert ended("verify", str(world / "out"), "--json") == 1
    as_json = json.loads(capsys.readouterr().out)
    assert as_json["verdict"] == "different"
    assert {c["strategy"]: c["verdict"] for c in as_json["choices"]}["uncertainty"] == "different"


def test_what_cannot_be_made_again_is_exit_2_and_says_which_fingerprint(world, capsys) -> None:
    tiny_model(world / "other", "token-classification", seed=9)
    capsys.readouterr()
    assert ended("verify", str(world / "out"), "--model", str(world / "other")) == 2
    told = capsys.readouterr().err
    assert "the model" in told
    assert "is another" in told
    assert "the source" not in told
    assert "hint: " in told
    code = ended("verify", str(world / "out"), "--model", str(world / "other"), "--allow-changed")
    assert code == 1
    assert "note: the model" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["model", "source", "target"])
def test_what_is_gone_is_exit_2_and_may_be_named_where_it_is_now(world, gone, capsys) -> None:
    (world / gone).rename(world / "moved")
    assert ended("verify", str(world / "out")) == 2
    assert "hint: " in capsys.readouterr().err
    assert ended("verify", str(world / "out"), f"--{gone}", str(world / "moved")) == 0


def test_a_store_that_is_named_is_believed_and_none_by_default(world, monkeypatch, capsys) -> None:
    monkeypatch.setenv("POLYMUX_STORE", str(world / "usual"))
    assert ended("verify", str(world / "out")) == 0
    assert not (world / "usual").exists()
    assert ended("verify", str(world / "out"), "--store", str(world / "kept")) == 0
    assert len(list((world / "kept").glob("*/*.parquet"))) == 3


def test_the_command_offers_what_the_library_does() -> None:
    library = inspect.signature(verify).parameters.keys() - {"spool", "progress"}
    assert library <= inspect.signature(verify_command).parameters.keys()
