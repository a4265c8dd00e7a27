"""What decides how a distillation computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.distill.worlds import CONFIG

from polymux.distill import _for_device
from polymux.distill.settings import read_settings
from polymux.distill.work import Work, identity_of
from polymux.encoders import probe


def work(folder: Path, config: str) -> Work:
    path = folder / "config.toml"
    path.write_text(config, encoding="utf-8")
    settings = _for_device(read_settings(path), "cpu")
    return Work(settings, folder, folder / "run", "cpu", False, False, 60.0, None)


def test_bfloat16_is_taken_where_the_cpu_multiplies_in_it_and_identities_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace('precision = "float32"', 'precision = "auto"')
    told = {}
    for flag, wanted in (("avx512_bf16", torch.bfloat16), ("avx512f", torch.float32)):
        monkeypatch.setattr(probe, "_flags", lambda flag=flag: {"avx2", flag})
        made = work(tmp_path, config)
        assert made.autocast == wanted
        told[identity_of(training=made.settings.training.model_dump())] = wanted
    assert len(told) == 2


@pytest.mark.parametrize("named", ["float32", "bfloat16"])
def test_a_precision_that_is_named_is_taken_wherever(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_flags", set)
    config = CONFIG.replace('precision = "float32"', f'precision = "{named}"')
    assert work(tmp_path, config).autocast == getattr(torch, named)


def test_auto_is_what_is_set_where_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace('precision = "float32"', ""), encoding="utf-8")
    assert read_settings(path).training.precision == "auto"
