"""What goes out and comes back keeps everybody's work: files there, odd names, late labels."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.campaign.worlds import answered, write_world

from polymux.annotation import FORMATS
from polymux.campaign import Settings, advance, export, init, status, take
from polymux.campaign.ledger import Ledger
from polymux.campaign.state import ADJUDICATOR, issued_in, read_state
from polymux.cli import main
from polymux.errors import InputError, UsageError, WorkError
from polymux.folders import claimed


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Path:
    """A campaign whose first round waits."""
    init(tmp_path / "run", settings)
    advance(tmp_path / "run")
    return tmp_path / "run"


def test_a_sheet_that_somebody_may_have_filled_in_is_not_written_over(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "new/round.csv"
    export(run, sheet, "csv")
    sheet.write_text("filled in\n", "utf-8")
    with pytest.raises(SystemExit):
        main(["export", str(run), "--out", str(sheet)])
    assert "--force" in capsys.readouterr().err
    assert sheet.read_text("utf-8") == "filled in\n"
    main(["export", str(run), "--out", str(sheet), "--force"])
    assert sheet.read_text("utf-8") != "filled in\n"
    # The interface beside it may have been changed, too.
    (tmp_path / "round.config.xml").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match=r"config\.xml"):
        export(run, tmp_path / "round.json", "label-studio")
    assert not (tmp_path / "round.json").exists()


def test_a_choice_ahead_that_could_not_be_written_is_not_given_out(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(run, ahead=True)
    export(run, tmp_path / "first.jsonl", "jsonl")
    take(run, answered(tmp_path / "first.jsonl"), "jsonl")

    def refuses(batch: object) -> bytes:
        raise InputError("a cell is too long", "take jsonl")

    monkeypatch.setitem(FORMATS, "csv", replace(FORMATS["csv"], dump=refuses))
    with pytest.raises(InputError, match="too long"):
        export(run, tmp_path / "second.csv", "csv")
    assert len(read_state(run).rounds) == 1
    assert export(run, tmp_path / "second.jsonl", "jsonl") > 0
    assert len(read_state(run).rounds) == 2


def test_nobody_takes_the_last_word_without_being_asked_to_decide(
    run: Path, tmp_path: Path
) -> None:
    export(run, tmp_path / "round.jsonl", "jsonl")
    sheet = answered(tmp_path / "round.jsonl")
    taken = take(run, sheet, "jsonl", annotator=ADJUDICATOR)
    assert not taken.answers
    assert "--decide" in taken.refused[0].hint
    # A name that would move the cursor, or that nothing can write, is none.
    for name in ("\x1b[2J", "\ud800"):
        assert "cannot be called" in take(run, named(sheet, name), "jsonl").refused[0].what


def named(sheet: Path, name: str) -> Path:
    told = [
        json.loads(line) | {"annotator": name}
        for line in sheet.read_text("utf-8").split("\n")
        if line
    ]
    other = sheet.with_name("named.jsonl")
    other.write_text("".join(json.dumps(one) + "\n" for one in told), "utf-8")
    return other


def test_a_file_of_a_name_that_is_no_utf_8_is_taken(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "round.jsonl", "jsonl")
    latin = tmp_path / os.fsdecode(b"r\xe9ponses.jsonl")
    answered(tmp_path / "round.jsonl").replace(latin)
    assert take(run, latin, "jsonl").answers
    assert str(latin) in [event.get("file") for event in Ledger(run / "ledger.jsonl")]


def test_who_imports_a_file_says_who_answered_and_not_the_name_of_the_file(
    run: Path, tmp_path: Path
) -> None:
    export(run, tmp_path / "sent.jsonl", "doccano")
    sent = [json.loads(line) for line in (tmp_path / "sent.jsonl").read_text("utf-8").splitlines()]
    for name in ("round.jsonl", "round-2.jsonl"):
        back = tmp_path / name
        back.write_text("".join(json.dumps(one) + "\n" for one in sent), "utf-8")
        take(run, back, "doccano", annotator="Asha")
    (one,) = read_state(run).rounds
    assert {who for given in one.answers.values() for who in given} == {"Asha"}


@pytest.mark.parametrize("line", ["[1]", "5", '{"id": "x"}', '{"id": ', "[" * 100_000])
def test_a_choice_that_was_changed_by_hand_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "to_label.jsonl"
    file.write_text(f"\n{line}\n", "utf-8")
    with pytest.raises(InputError) as refused:
        issued_in(file, "token-classification", ["x"])
    assert refused.value.line == 2
    file.write_bytes(b"\xff\n")
    with pytest.raises(InputError):
        issued_in(file, "token-classification", ["x"])


def test_a_ledger_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b'{"event": "\xff"}\n')
    with pytest.raises(WorkError, match="cannot be read"):
        list(Ledger(tmp_path / "ledger.jsonl"))


def test_a_campaign_is_begun_and_gone_on_with_in_its_own_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my run").mkdir()
    monkeypatch.chdir(tmp_path / "my run")
    init(".", settings)
    advance(".")
    assert Path("run.toml").samefile(tmp_path / "my run/run.toml")
    (tmp_path / "link").symlink_to(tmp_path / "my run")
    with (
        claimed(Path("..") / "my run"),
        pytest.raises(UsageError, match="another polymux is working"),
    ):
        advance(tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    assert "polymux export 'my run' --out" in status("my run")["due"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--epochs", "0", "training.epochs"),
        ("--lr", "0", "training.lr"),
        ("--batch-size", "0", "training.batch_size"),
        ("--control", "0.9", "control.share"),
        ("--near-duplicates", "-1", "limits.near_duplicates"),
    ],
)
def test_a_setting_out_of_its_range_is_told(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    said: str,
) -> None:
    asked = ["init", str(tmp_path / "run"), "--model", settings.model, "--task", settings.task]
    asked += ["--source", settings.source[0], "--target", settings.target[0], "--budget", "5"]
    with pytest.raises(SystemExit) as ended:
        main([*asked, option, value])
    assert ended.value.code == 2
    assert f"{said}: Input should be" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
