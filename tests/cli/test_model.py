"""`polymux train | evaluate | predict` as a person types them."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.models import tiny_model
from tests.train.worlds import KINDS_OF_WORD, pool

from polymux.cli import main

TOKEN = "token-classification"


def polymux(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def conll(path: Path, sentences: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = ["".join(f"{w}\t{t}\n" for w, t in zip(*s, strict=True)) for s in sentences]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture
def body(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "body", "none", kind="modernbert")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two languages, a folder each, in CoNLL columns."""
    made = [(e.fields["tokens"], e.label) for e in pool(TOKEN, 20)]
    conll(tmp_path / "corpus" / "en" / "train.conll", made[:12])  # type: ignore[arg-type]
    conll(tmp_path / "corpus" / "ur" / "train.conll", made[12:])  # type: ignore[arg-type]
    return tmp_path / "corpus"


def quick(body: Path, corpus: Path, out: Path, *more: object) -> int:
    return polymux(
        *("train", body, "--task", TOKEN, "--train", corpus, "--out", out, "--device", "cpu"),
        *("--preset", "small", "--lr", "3e-3", "--epochs", "20", "--batch-size", "4", *more),
    )


def test_the_loop_closes_train_evaluate_predict(
    body: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert quick(body, corpus, out, "--dev", corpus, "--language", "folder") == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(out)
    assert "accuracy" in printed
    assert (out / "dev" / "evaluation.json").is_file()

    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(KINDS_OF_WORD))
    assert quick(body, corpus, tmp_path / "barely", "--labels", labels, "--epochs", 1) == 0
    capsys.readouterr()
    test = ("--task", TOKEN, "--test", corpus, "--language", "folder", "--device", "cpu")
    beside = ("--start", tmp_path / "barely", "--out", tmp_path / "scores")
    assert polymux("evaluate", out, *test, *beside) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:4] == ["language", "examples", "accuracy", "macro_f1"]
    assert [line.split()[:2] for line in table[1:4]] == [["en", "12"], ["ur", "8"], ["mean", "20"]]
    assert float(table[3].split()[2]) > 95
    assert table[3].split()[-1].startswith("+")
    assert table[4] == str(tmp_path / "scores" / "predictions.jsonl")

    told = tmp_path / "told.jsonl"
    read = ("--task", TOKEN, "--device", "cpu")
    assert polymux("predict", out, *read, "--input", corpus, "--out", told) == 0
    assert capsys.readouterr().out == f"20 predictions: {told}\n"
    assert polymux("evaluate", out, *read, "--test", told, "--json") == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["average"]["accuracy"] == 1.0
    assert scored["examples"] == {"all": 20}


def test_train_prints_its_manifest_for_machines(
    body: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert quick(body, corpus, out, "--epochs", 1, "--seed", 22, "--json", "--dev", corpus) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["recipe"]["seed"] == 22
    assert printed["labels"] == list(KINDS_OF_WORD)
    assert printed["dev"]["examples"] == {"all": 20}
    del printed["dev"]
    assert printed == json.loads((out / "training.json").read_text())


def test_a_failed_training_exits_one_and_wrong_input_two_d28_d30(
    body: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert quick(body, corpus, out, "--lr", "1e38") == 1
    told = capsys.readouterr().err
    assert "polymux: the " in told
    assert "hint: train with a lower --lr" in told
    assert not out.exists()
    for wrong in (
        ("--lr", "0"),
        ("--epochs", "none"),
        ("--epochs", "0"),
        ("--preset", "xlm-r/xnli"),
        ("--dev", tmp_path / "nowhere"),
        ("--tracker", "nothing-of-the-kind"),
        ("--labels", tmp_path / "nowhere"),
        ("--resume", "false"),
    ):
        assert quick(body, corpus, out, *wrong) == 2
        assert capsys.readouterr().err
    assert not out.exists()


def test_a_model_without_a_head_cannot_be_scored(
    body: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert polymux("evaluate", body, "--task", TOKEN, "--test", corpus) == 2
    assert "polymux train" in capsys.readouterr().err


def test_a_label_of_the_wrong_length_names_its_line(
    body: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.jsonl"
    good = {"tokens": ["the", "fox"], "labels": ["DET", "NOUN"]}
    bad = {"tokens": ["the", "fox"], "labels": ["DET"]}
    file.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    assert quick(body, file, tmp_path / "out") == 2
    assert f"{file}:2: " in capsys.readouterr().err
    assert quick(body, file, tmp_path / "out", "--on-error", "skip", "--epochs", 1) == 0
    assert "1 bad examples were left out" in capsys.readouterr().err


def test_an_unquoted_glob_is_explained(
    body: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spilled = sorted(corpus.glob("*/*.conll"))[1:]
    assert quick(body, corpus, tmp_path / "out", *spilled) == 2
    assert "must be quoted" in capsys.readouterr().err


def test_train_and_evaluate_split_plain_texts_by_a_function_of_ones_own(
    body: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("def letters(text):\n    return list(text)\n")
    row = {"text": "abc", "labels": ["DET", "NOUN", "VERB"]}
    file = tmp_path / "texts.jsonl"
    file.write_text(f"{json.dumps(row)}\n" * 4)
    words = ("--words", f"{tmp_path / 'mine.py'}:letters", "--field", "labels=labels")
    assert quick(body, file, tmp_path / "out", "--epochs", 1, *words) == 0
    test = ("--task", TOKEN, "--test", file, "--device", "cpu", *words)
    assert polymux("evaluate", tmp_path / "out", *test) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["all", "4"]


@pytest.mark.parametrize("language", ["[/red]", "[bold]x", ":smile:"])
def test_a_language_is_shown_as_it_is_written(
    body: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    row = {"tokens": ["the", "fox"], "labels": ["DET", "NOUN"], "language": language}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n")
    assert quick(body, file, tmp_path / "out", "--epochs", 1) == 0
    capsys.readouterr()
    test = ("--task", TOKEN, "--test", file, "--language", "language", "--device", "cpu")
    assert polymux("evaluate", tmp_path / "out", *test) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == language


def test_numbers_of_the_command_line_that_cannot_be_are_refused(
    body: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9\nno\n")
    for wrong, told in (
        (("--seed", -1), "seed is -1"),
        (("--stride", -5), "--stride is -5"),
        (("--max-length", 0), "leave no room"),
        (("--labels", latin), f"{latin}:1: byte 4"),
    ):
        assert quick(body, corpus, out, *wrong) == 2
        assert told in capsys.readouterr().err
    assert quick(body, corpus, out, "--epochs", 1) == 0
    test = ("--task", TOKEN, "--test", corpus, "--device", "cpu")
    assert polymux("evaluate", out, *test, "--batch-tokens", -5) == 2
    assert "--batch-tokens is -5" in capsys.readouterr().err


CODE = """
from transformers import BertConfig, BertForTokenClassification, BertModel
class MineConfig(BertConfig):
    model_type = "mine"
class MineModel(BertModel):
    config_class = MineConfig
class MineForTokenClassification(BertForTokenClassification):
    config_class = MineConfig
"""


def test_a_model_with_its_own_code_is_scored_after_training_as_it_was_trusted_before(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tiny_model(tmp_path / "mine", TOKEN, labels=KINDS_OF_WORD)
    (folder / "mine.py").write_text(CODE)
    auto = {"AutoConfig": "MineConfig", "AutoModel": "MineModel"}
    auto["AutoModelForTokenClassification"] = "MineForTokenClassification"
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "architectures": ["MineForTokenClassification"],
        "auto_map": {name: f"mine.{kind}" for name, kind in auto.items()},
    }
    (folder / "config.json").write_text(json.dumps(config))
    more = ("--dev", corpus, "--epochs", 1, "--trust-remote-code", "--offline")
    assert quick(folder, corpus, tmp_path / "out", *more) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "dev" / "evaluation.json").is_file()


@pytest.mark.parametrize("full_at", [200, 2_000, 60_000])
def test_a_full_disk_is_told_whoever_writes_and_the_training_goes_on(
    full_at: int, body: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "polymux", "train", body, "--task", TOKEN, "--train", corpus),
        *("--out", out, "--device", "cpu", "--preset", "small", "--epochs", "1", "--resume"),
    ]

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (full_at, full_at))

    full = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=fill)
    assert full.returncode == 1, full.stderr
    assert "File too large" in full.stderr
    assert "hint: what was finished before is untouched; make room" in full.stderr
    assert "Traceback" not in full.stderr
    assert not out.exists()
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "model.safetensors").stat().st_size > 60_000
