"""What decides how a distillation computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.distill.worlds import CONFIG

from polymux.distill.settings import read_settings
from polymux.distill.work import Work
from polymux.encoders import probe


def work(folder: Path, config: str) -> Work:
    path = folder / "config.toml"
    path.write_text(config, encoding="utf-8")
    return Work(read_settings(path), folder, folder / "run", "cpu", False, False, 60.0, None)


def test_bfloat16_is_taken_where_the_cpu_multiplies_in_it_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = work(tmp_path, CONFIG.replace('precision = "float32"', 'precision = "auto"'))
    monkeypatch.setattr(probe, "_flags", lambda: {"avx2", "avx512_bf16"})
    assert asked.autocast == torch.bfloat16
    monkeypatch.setattr(probe, "_flags", lambda: {"avx2", "avx512f"})
    assert asked.autocast == torch.float32


@pytest.mark.parametrize("named", ["float32", "bfloat16"])
def test_a_precision_that_is_named_is_taken_wherever(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_flags", set)
    config = CONFIG.replace('precision = "float32"', f'precision = "{named}"')
    assert work(tmp_path, config).autocast == getattr(torch, named)


def test_auto_is_what_is_set_where_nothing_is_said(tmp_path: Path) -> None:
    asked = work(tmp_path, CONFIG.replace('precision = "float32"', ""))
    assert asked.settings.training.precision == "auto"
