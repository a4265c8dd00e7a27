"""Hub names, against local folders in the hub's layout and without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import sentences

POLYMUX = str(Path(sys.executable).parent / "polymux")
REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub_model(home: Path, name: str) -> None:
    """A model as `huggingface_hub` keeps what it downloaded."""
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    made = tiny_model(home / "made", "token-classification")
    shutil.copytree(made, snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)


def hub_data(folder: Path) -> None:
    """A data set as it stands on the hub: a card, and Parquet files below data/."""
    for split, language, count in (("train", "en", 40), ("validation", "de", 20)):
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        words = [list(tokens) for tokens in sentences(language, count)]
        pq.write_table(pa.table({"tokens": words, "lang": [language] * count}), path)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - {split: train, path: data/train-*}\n"
        "  - {split: validation, path: data/validation-*}\n---\n"
    )


@pytest.fixture
def world(tmp_path: Path) -> Path:
    hub_model(tmp_path / "hf", "acme/tiny-ner")
    hub_data(tmp_path / "acme" / "words")
    return tmp_path


def run(world: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HF_HOME": str(world / "hf"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [POLYMUX, *arguments],
        cwd=world,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_and_pools_by_hub_name_are_used_offline(world: Path) -> None:
    done = run(
        world, "select", "acme/tiny-ner", "--task", "token-classification", "--offline",
        "--source", "hf://acme/words:train", "--target", "hf://acme/words:validation",
        "--language", "lang", "--budget", "7", "--out", "out", "--store", "off",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((world / "out/selection.json").read_text(encoding="utf-8"))
    assert manifest["languages"]["chosen"] == {"en": 7}
    assert manifest["model"]["path"] == "acme/tiny-ner"
    assert manifest["target"]["read"] == 20


def test_a_hub_name_that_is_not_there_is_an_error_with_a_hint(world: Path) -> None:
    done = run(
        world, "select", "acme/other", "--task", "token-classification", "--offline",
        "--source", "hf://acme/words:train", "--target", "hf://acme/words:validation",
        "--budget", "7", "--out", "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("polymux: ")
    assert "acme/other" in done.stderr
    assert "hint:" in done.stderr


def test_a_data_set_with_several_splits_asks_which(world: Path) -> None:
    done = run(
        world, "select", "acme/tiny-ner", "--task", "token-classification", "--offline",
        "--source", "hf://acme/words", "--target", "hf://acme/words:validation",
        "--budget", "7", "--out", "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert "hf://acme/words:train" in done.stderr
