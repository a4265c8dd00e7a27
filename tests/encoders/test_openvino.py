"""The OpenVINO backend: torch's numbers in float32, near ones below, the same each time."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import platformdirs
import pytest
import torch
from tests.encoders.worlds import same, world
from tests.models import KINDS, tiny_model

from polymux.encoders import Model, openvino
from polymux.errors import ModelError, UsageError
from polymux.records import Encodings
from polymux.tasks import TASKS, Feature

TASK = "token-classification"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"), kind="xlm-roberta", sharpness=1.0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "polymux"


def in_int8(folder: Path, seed: int = 1) -> Model:
    model = Model(folder, task=TASK, dtype="int8", device="cpu")
    model.calibrate(world(TASK, 12, seed=seed))
    return model


def likeness(one: Encodings, other: Encodings) -> float:
    """Correlation of what sets the examples apart."""
    apart = [(e.embeddings - e.embeddings.mean(axis=0)).ravel() for e in (one, other)]
    return float(np.corrcoef(*apart)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_float32_gives_the_numbers_of_torch(tmp_path: Path, task: str, kind: str) -> None:
    folder = tiny_model(tmp_path, task, kind=kind, sharpness=1.0)
    examples = world(task)
    one, other = (
        Model(folder, task=task, backend=backend, device="cpu", max_length=96, stride=16)
        for backend in ("torch", "openvino")
    )
    same(one.encode(examples), other.encode(examples))
    assert one.fingerprint != other.fingerprint


def test_float32_is_asked_for_and_as_many_threads_as_torch_has(folder: Path) -> None:
    model = Model(folder, task=TASK, backend="openvino")
    compiled = model._loaded.request.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == torch.get_num_threads()


def test_bfloat16_is_near_where_the_cpu_has_it_and_refused_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(folder, task=TASK, backend="openvino", dtype="bfloat16")
    full = Model(folder, task=TASK, backend="openvino")
    examples = world(TASK, 8)
    core = openvino._openvino().Core()
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        one, other = full.encode(examples), model.encode(examples)
        gap = np.linalg.norm(one.embeddings - other.embeddings, axis=1)
        assert (gap < 0.1 * np.linalg.norm(one.embeddings, axis=1)).all()
        assert (gap > 1e-5 * np.linalg.norm(one.embeddings, axis=1)).any()
    without = SimpleNamespace(get_property=lambda *_: ["FP32"])
    monkeypatch.setattr(openvino, "_openvino", lambda: SimpleNamespace(Core=lambda: without))
    with pytest.raises(UsageError, match="no bfloat16"):
        Model(folder, task=TASK, backend="openvino", dtype="bfloat16").encode(examples)


def test_int8_is_near_and_the_same_made_twice_or_kept(
    folder: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    examples = world(TASK)
    full = Model(folder, task=TASK, backend="openvino").encode(examples)
    first = in_int8(folder)
    made = first.encode(examples)
    assert 0.95 < likeness(full, made) < 1 - 1e-6
    assert capfd.readouterr().out == ""

    kept = cache / "int8" / first.fingerprint
    assert [path.name for path in kept.parent.iterdir()] == [first.fingerprint]
    written = (kept / "model.xml").stat().st_mtime_ns
    read = in_int8(folder).encode(examples)
    assert (kept / "model.xml").stat().st_mtime_ns == written
    kept.rename(kept.with_name("elsewhere"))
    again = in_int8(folder).encode(examples)
    for other in (read, again):
        np.testing.assert_array_equal(other.embeddings, made.embeddings)
        assert other.predictions == made.predictions


def test_a_damaged_int8_model_is_made_again(folder: Path, cache: Path) -> None:
    examples = world(TASK, 6)
    model = in_int8(folder)
    made = model.encode(examples)
    file = cache / "int8" / model.fingerprint / "model.xml"
    file.write_text(file.read_text()[:300])
    np.testing.assert_array_equal(in_int8(folder).encode(examples).embeddings, made.embeddings)


def test_of_two_processes_that_make_an_int8_model_both_use_the_one_kept(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = world(TASK, 6)
    real, calls = openvino._quantise, []

    def slow(model: Any, features: Sequence[Feature], padding: int) -> Any:
        calls.append(len(features))
        if len(calls) == 1:  # the other process begins later, and ends first
            faster = in_int8(folder).encode(examples)
            calls.append(faster.embeddings)
            # Made from less, it is another model: that it is used can be seen.
            return real(model, features[:1], padding)
        return real(model, features, padding)

    monkeypatch.setattr(openvino, "_quantise", slow)
    slower = in_int8(folder).encode(examples)
    np.testing.assert_array_equal(slower.embeddings, calls[-1])
    assert len(list((cache / "int8").iterdir())) == 1


def test_the_sample_is_part_of_the_fingerprint_and_its_order_is_not(folder: Path) -> None:
    one, other = in_int8(folder), in_int8(folder, seed=2)
    assert one.fingerprint != other.fingerprint
    turned = Model(folder, task=TASK, dtype="int8")
    turned.calibrate(world(TASK, 12, seed=1)[::-1])
    assert turned.fingerprint == one.fingerprint
    with pytest.raises(UsageError, match="calibrated with other examples"):
        one.calibrate(world(TASK, 3))


def test_int8_without_a_sample_says_what_to_do(folder: Path) -> None:
    model = Model(folder, task=TASK, dtype="int8")
    assert model.backend == "openvino"
    for ask in (lambda: model.fingerprint, lambda: model.encode(world(TASK, 3))):
        with pytest.raises(UsageError, match="calibrate"):
            ask()
    with pytest.raises(UsageError, match="no example to calibrate with"):
        model.calibrate([])


def test_a_model_that_is_not_quantised_ignores_a_sample(folder: Path) -> None:
    model = Model(folder, task=TASK, backend="torch")
    before = model.fingerprint
    model.calibrate(world(TASK, 3))
    assert model.fingerprint == before


def test_what_cannot_be_converted_is_a_model_error_that_names_torch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no such operation\nand much more")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    with pytest.raises(ModelError, match="cannot convert a xlm-roberta: no such operation") as told:
        Model(folder, task=TASK, backend="openvino").encode(world(TASK, 3))
    assert told.value.hint == "use --backend torch"


def test_without_the_extra_it_says_how_to_install_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as told:
        Model(folder, task=TASK, backend="openvino")
    assert told.value.hint == "pip install 'polymux[openvino]'"
    assert Model(folder, task=TASK).backend == "torch"


def test_another_device_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="does not run on 'cuda'"):
        Model(folder, task=TASK, backend="openvino", device="cuda")


def test_nothing_is_sent_and_nothing_is_left_changed(folder: Path) -> None:
    usual = logging.getLoggerClass()
    in_int8(folder).encode(world(TASK, 3))
    assert "openvino_telemetry" not in sys.modules
    assert sys.modules["nncf.telemetry.wrapper"].telemetry.__class__.__name__ != "NNCFTelemetry"
    assert logging.getLoggerClass() is usual


def test_a_model_that_is_gone_leaves_no_weights_behind(folder: Path) -> None:
    """torch keeps every trace until the process ends, and with a trace what it holds."""

    def held() -> int:
        gc.collect()
        return sum(o.numel() for o in gc.get_objects() if type(o) is torch.nn.Parameter)

    examples = world(TASK, 4)
    before = held()
    for _ in range(2):
        Model(folder, task=TASK, backend="openvino", device="cpu").encode(examples)
    assert held() == before
