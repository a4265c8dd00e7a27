"""`--backend auto`: the fastest of what is there, tried once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs
import pytest
import torch
from tests.models import tiny_model

from polymux.encoders import Model, openvino, probe
from polymux.errors import ModelError

TASK = "token-classification"
SPEEDS = {
    ("torch", "float32"): 100.0,
    ("openvino", "float32"): 150.0,
    ("torch", "bfloat16"): 200.0,
    ("openvino", "bfloat16"): 190.0,
    ("openvino", "int8"): 300.0,
}


FLAGS = probe._flags


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), kind="xlm-roberta", positions=40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(probe, "_flags", lambda: {"avx512_bf16"})
    return tmp_path / "cache" / "polymux" / "fastest"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is tried, in order; the trial answers `SPEEDS`."""
    seen = []

    def speed(*given: Any) -> float:
        seen.append(given[3])
        return SPEEDS[given[3]]

    monkeypatch.setattr(probe, "_speed", speed)
    monkeypatch.setattr(probe, "_WORTH_A_TRIAL", 0)
    return seen


def asked(folder: Path, precision: probe.Precision = "exact") -> probe.Fastest:
    return Model(folder, task=TASK, backend="torch", device="cpu").fastest(precision)


def test_the_fastest_of_each_precision_is_taken_and_all_speeds_are_told(
    folder: Path, tried: list[tuple[str, str]]
) -> None:
    exact = {name: speed for name, speed in SPEEDS.items() if name[1] == "float32"}
    assert asked(folder) == ("openvino", "float32", exact)
    assert asked(folder, "low") == ("openvino", "int8", SPEEDS)
    assert tried == [*exact, *SPEEDS]


def test_a_slower_openvino_is_not_taken(
    folder: Path, tried: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPEEDS, ("openvino", "float32"), 99.0)
    monkeypatch.setitem(SPEEDS, ("openvino", "int8"), 199.0)
    assert asked(folder)[:2] == ("torch", "float32")
    assert asked(folder, "low")[:2] == ("torch", "bfloat16")


def test_the_second_run_does_not_try_again(folder: Path, tried: list[tuple[str, str]]) -> None:
    first = asked(folder, "low")
    count = len(tried)
    assert asked(folder, "low") == first
    assert len(tried) == count == len(SPEEDS)


@pytest.mark.parametrize(
    "content",
    ["", "[[", "{}", "[1]", '[["torch", "float32", "fast"]]', '[["jax", "float32", 1.0]]', "null"],
)
def test_a_damaged_cache_is_a_new_trial(
    folder: Path, cache: Path, tried: list[tuple[str, str]], content: str
) -> None:
    first = asked(folder)
    (file,) = cache.iterdir()
    file.write_text(content)
    assert asked(folder) == first
    assert len(tried) == 4
    assert asked(folder) == first
    assert len(tried) == 4


def test_other_threads_processors_versions_and_shapes_are_tried_anew(
    folder: Path, tmp_path: Path, tried: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(folder)
    asked(tiny_model(tmp_path / "wider", kind="xlm-roberta", dim=48))
    for owner, name, value in (
        (torch, "get_num_threads", lambda: 77),
        (probe, "_cpu", lambda: "Another"),
        (openvino, "version", lambda: "openvino 1"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(owner, name, value)
            asked(folder)
    assert len(tried) == 2 * 5
    asked(tiny_model(tmp_path / "same", kind="xlm-roberta", positions=40, seed=5))
    assert len(tried) == 2 * 5


def test_what_openvino_cannot_convert_is_left_to_torch(
    folder: Path, tried: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def speed(*given: Any) -> float:
        if given[3][0] == "openvino":
            raise ModelError("OpenVINO cannot convert it", "use --backend torch")
        return SPEEDS[given[3]]

    monkeypatch.setattr(probe, "_speed", speed)
    assert asked(folder)[:2] == ("torch", "float32")
    monkeypatch.setattr(probe, "_flags", set)
    assert asked(folder, "low")[:2] == ("torch", "float32")


def test_where_there_is_nothing_to_choose_nothing_is_tried(
    folder: Path, tried: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    assert asked(folder) == ("torch", "float32", {})
    monkeypatch.setattr(probe, "_flags", set)
    assert asked(folder, "low") == ("torch", "float32", {})
    assert tried == []


def test_a_small_model_is_run_by_torch_at_once(folder: Path, cache: Path) -> None:
    assert asked(folder) == ("torch", "float32", {})
    assert asked(folder, "low") == ("torch", "bfloat16", {})
    assert not cache.exists()


def test_auto_is_what_was_found_in_the_fingerprint_too(
    folder: Path, tried: list[tuple[str, str]]
) -> None:
    found = Model(folder, task=TASK, device="cpu")
    assert (found.backend, found.batch_tokens) == ("openvino", openvino.BATCH_TOKENS["cpu"])
    named = Model(folder, task=TASK, device="cpu", backend="openvino")
    assert found.fingerprint == named.fingerprint
    low = Model(folder, task=TASK, device="cpu", dtype="bfloat16")
    assert low.backend == "torch"


def test_a_real_trial_tells_the_speed_of_every_candidate(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "_WORTH_A_TRIAL", 0)
    monkeypatch.setattr(probe, "_SECONDS", 0.0)
    # What this machine has, whatever the others are told.
    monkeypatch.setattr(probe, "_flags", FLAGS)
    found = asked(folder, "low")
    assert capfd.readouterr().out == ""
    exact, lower = probe.candidates("cpu")
    assert list(found.speed) == exact + lower
    assert all(fast > 100 for fast in found.speed.values())
    low = {name: found.speed[name] for name in lower}
    assert found[:2] == max(low, key=low.__getitem__)
    # What openvino quantises for a trial is not kept: it is no model of anybody's examples.
    assert sorted(path.name for path in cache.parent.iterdir()) == ["fastest", "kinds"]


def test_the_rows_of_a_trial_fit_the_model_and_its_parts_are_alike(folder: Path) -> None:
    model = Model(folder, task=TASK, backend="torch")
    lengths = [[len(f.input_ids) for f in part] for part in probe._parts(model._facts)]
    assert lengths == [[8, 16, 24, 32, 40, 40, 40, 40] * 2] * 4
    ids = {i for part in probe._parts(model._facts) for f in part for i in f.input_ids}
    assert max(ids) < model._facts.config.vocab_size
