"""One test a row of the table of bad inputs: exit code, place, what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

import polymux
from polymux.cli import main, output
from polymux.encoders import pytorch


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), "token-classification")


@pytest.fixture
def run(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run select on a good world with some arguments replaced; exit code and standard error."""
    write_conllu(tmp_path / "good", "en", 40)
    write_conllu(tmp_path / "aim", "de", 25)

    def go(
        source: Path | str = tmp_path / "good",
        target: Path | str = tmp_path / "aim",
        model_path: Path | str = model,
        task: str = "token-classification",
        budget: str = "5",
        *more: str,
    ) -> tuple[int, str]:
        arguments = [
            "select", str(model_path), "--task", task, "--source", str(source),
            "--target", str(target), "--budget", budget, "--out", str(tmp_path / "out"),
            "--store", "off", *more,
        ]  # fmt: skip
        capsys.readouterr()
        try:
            main(arguments)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr().err
        if code:
            # Above the two lines stands at most which stage the work had come to.
            what, hint = told.splitlines()[-2:]
            assert what.startswith("polymux: ")
            assert hint.startswith("  hint: ")
            assert "Traceback" not in told
            assert not (tmp_path / "out").exists()
        return code, told

    return go


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_path_that_matches_nothing(run, tmp_path) -> None:
    code, told = run(source=tmp_path / "nowhere" / "*.conllu")
    assert code == 2
    assert "nowhere" in told


def test_an_empty_file(run, tmp_path) -> None:
    code, told = run(source=written(tmp_path / "empty.conllu", ""))
    assert code == 2
    assert "empty.conllu" in told


def test_everything_excluded(run, tmp_path, model, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "select", str(model), "--task", "token-classification", "--source",
                str(tmp_path / "good"), "--target", str(tmp_path / "aim"), "--budget", "5",
                "--out", str(tmp_path / "out"), "--store", "off",
                "--exclude", str(tmp_path / "good"),
            ]
        )  # fmt: skip
    assert ended.value.code == 2
    assert "40 are excluded" in capsys.readouterr().err


def test_a_malformed_line_names_file_and_line(run, tmp_path) -> None:
    bad = written(tmp_path / "bad.conllu", "1\tAda\t_\tPROPN\n\n")
    code, told = run(source=bad)
    assert code == 2
    assert f"{bad}:1:" in told


def test_malformed_json_names_file_and_line(run, tmp_path) -> None:
    bad = written(tmp_path / "bad.jsonl", '{"tokens": ["a"]}\n{"tokens": ["b"\n')
    code, told = run(source=bad)
    assert code == 2
    assert f"{bad}:2:" in told


def test_a_missing_field_lists_those_there_are(run, tmp_path) -> None:
    bad = written(tmp_path / "bad.jsonl", '{"wordz": ["a"], "lang": "en"}\n')
    code, told = run(source=bad)
    assert code == 2
    assert "wordz" in told
    assert "--field" in told


def test_bytes_that_are_not_utf8_name_the_line(run, tmp_path) -> None:
    bad = written(tmp_path / "bad.jsonl", b'{"tokens": ["a"]}\n{"tokens": ["\xff\xfe\x81"]}\n')
    code, told = run(source=bad)
    assert code == 2
    assert f"{bad}:2:" in told


@pytest.mark.parametrize(
    "tokens", [["a\x00b"], ["fine", "\ud800"], ["\u200b", "\u200d"], ["fine", ""]]
)
def test_text_that_cannot_be_is_rejected_with_its_line(run, tmp_path, tokens) -> None:
    line = json.dumps({"tokens": tokens})
    bad = written(tmp_path / "bad.jsonl", f'{{"tokens": ["good"]}}\n{line}\n')
    code, told = run(source=bad)
    assert code == 2
    assert f"{bad}:2:" in told


def test_labels_the_model_does_not_know(model, run, tmp_path, capsys) -> None:
    row = json.dumps({"tokens": ["Ada"], "labels": ["B-UNHEARD"]})
    data = written(tmp_path / "train.jsonl", row + "\n")
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "train", str(model), "--task", "token-classification",
                "--train", str(data), "--out", str(tmp_path / "trained"),
            ]
        )  # fmt: skip
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "B-UNHEARD" in told
    assert "--labels" in told


def test_a_model_that_is_not_there(run, tmp_path) -> None:
    code, told = run(model_path=tmp_path / "no-model")
    assert code == 2
    assert "no-model" in told


def test_a_model_without_a_head_for_the_task_names_the_command_that_makes_one(
    run, tmp_path
) -> None:
    headless = tiny_model(tmp_path / "headless", "none")
    code, told = run(model_path=headless)
    assert code == 2
    assert "polymux train" in told


@pytest.mark.parametrize("budget", ["0", "-3", "many", "1.5", ""])
def test_a_budget_that_is_none(run, budget: str) -> None:
    code, told = run(budget=budget)
    assert code == 2
    assert "--budget" in told


def test_a_budget_larger_than_the_pool_takes_it_all_with_a_warning(run, tmp_path) -> None:
    code, told = run(budget="5000")
    assert code == 0
    assert "larger than the pool" in told
    assert len((tmp_path / "out/to_label.jsonl").read_text().splitlines()) == 40


def test_an_empty_target(run, tmp_path) -> None:
    code, told = run(target=written(tmp_path / "aim.jsonl", "\n"))
    assert code == 2
    assert "aim.jsonl" in told


def test_a_target_that_overlaps_the_source_is_counted_and_told(run, tmp_path) -> None:
    code, told = run(target=tmp_path / "good")
    assert code == 0
    assert "40 source examples also stand in the target" in told


def test_longer_than_the_model_reads_is_truncated_and_counted(run, tmp_path) -> None:
    long = json.dumps({"tokens": ["cat"] * 600})
    code, told = run(source=written(tmp_path / "long.jsonl", long + "\n"), budget="1")
    assert code == 0
    assert "1 source examples are longer than the model read" in told


def test_outputs_that_are_not_finite_name_the_example(run, monkeypatch) -> None:
    real = pytorch.forward

    def broken(*arguments, **options):
        embeddings, logits = real(*arguments, **options)
        logits[0, 0] = float("nan")
        return embeddings, logits

    monkeypatch.setattr(pytorch, "forward", broken)
    code, told = run()
    assert code == 1
    assert "train.conllu" in told


def test_a_glob_that_the_shell_expanded_says_so(run, model, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["select", str(model), "--task", "token-classification", "--source", "a.conllu",
              "b.conllu", "c.conllu", "--target", "d", "--budget", "1", "--out", "o"])  # fmt: skip
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "unexpected argument: b.conllu" in told
    assert "quoted" in told


def test_no_permission_to_write(run, tmp_path, model, monkeypatch, capsys) -> None:
    monkeypatch.setattr("polymux.folders.os.access", lambda *a: False)
    code, told = run()
    assert code == 1
    assert "permission" in told


def test_a_full_disk_leaves_nothing(run, tmp_path, monkeypatch) -> None:
    def full(*arguments, **options):
        raise OSError(28, "No space left on device", "out")

    monkeypatch.setattr("polymux.store.Store.put", full)
    code, told = run()
    assert code == 1
    assert "No space left" in told


@pytest.mark.parametrize("given", [["--version"], ["-q", "--version"], ["--version", "select"]])
def test_the_version_is_told_wherever_it_is_asked_for(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(given)
    assert capsys.readouterr().out == f"polymux {polymux.__version__}\n"


def test_what_a_file_says_does_not_reach_the_terminal_as_it_is(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = tmp_path / "pool.conll"
    pool.write_text("\x1b[2J\tO\tO\n\x1b[2J\n", "utf-8")
    code, said = run(source=pool)
    assert code == 2
    assert "\x1b" not in said
    output.say("one\x1b[2J\ntwo")
    assert capsys.readouterr().out == "one [2J\ntwo\n"
