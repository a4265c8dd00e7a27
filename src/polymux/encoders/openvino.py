"""The OpenVINO backend: the torch model converted when it is loaded; on CPUs often faster.

`int8` is quantised by NNCF from a sample of what it will read, and kept in the user's cache.
"""

from __future__ import annotations

import io
import logging
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from polymux.encoders import pytorch
from polymux.encoders.backends import Calibration
from polymux.encoders.rows import Arrays, Outputs, Rows, Tick, in_batches
from polymux.errors import ModelError, UsageError
from polymux.tasks import Feature

# Positions in a batch, padding included: measured where a batch is fastest.
BATCH_TOKENS = {"cpu": 512}
# The precision hint of each. Without one OpenVINO takes bfloat16 wherever the CPU has it.
DTYPES = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
# Quantised from a sample of what they will read.
CALIBRATED = frozenset({"int8"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model compiled for this CPU."""

    request: Any
    padding: int
    batch_tokens: int
    notes: list[str] = field(default_factory=list)


def version() -> str:
    """What made the numbers: part of a model's fingerprint."""
    made_by = ("openvino", "nncf", "torch")
    return ", ".join(f"{name} {metadata.version(name)}" for name in made_by)


def device_named(name: str) -> str:
    """`cpu`, the one device of this backend.

    Raises:
        UsageError: another device, or OpenVINO is not installed.
    """
    if name not in ("auto", "cpu"):
        raise UsageError(
            f"the backend openvino does not run on {name!r}", "use --device cpu or --backend torch"
        )
    if not is_installed():
        raise UsageError("the backend openvino is not installed", "pip install 'polymux[openvino]'")
    return "cpu"


def is_installed() -> bool:
    """Whether the packages of the extra are there."""
    return all(find_spec(name) is not None for name in ("openvino", "nncf"))


def load(
    folder: Path,
    *,
    auto: str,
    device: str,
    dtype: str,
    batch_tokens: int,
    padding: int,
    is_decoder: bool,
    segments: bool = False,
    calibration: Calibration | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Loaded:
    """Load a model with its head, convert and compile it.

    `segments`: the model is given segment ids. `calibration` makes an int8 model.

    Raises:
        ModelError: its weights lack something, or OpenVINO cannot convert a model of its kind.
        UsageError: this CPU has no such precision, or int8 without a calibration.
    """
    if dtype in CALIBRATED and calibration is None:
        raise UsageError(
            f"a model of {dtype} is made from a sample of what it will read",
            "call Model.calibrate with some examples before the first is encoded",
        )
    core = _openvino().Core()
    hint = DTYPES[dtype]
    if hint == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UsageError(
            "this CPU has no bfloat16, and OpenVINO does not imitate it", "use --dtype float32"
        )

    def exact() -> Any:
        loaded = pytorch.load(
            folder,
            auto=auto,
            device=device,
            dtype="float32",
            batch_tokens=batch_tokens,
            padding=padding,
            is_decoder=is_decoder,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )
        return _converted(loaded, folder, segments=segments)

    model = exact() if calibration is None else _quantised(exact, core, calibration, padding)
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            # Two processes would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        },
    )
    return Loaded(compiled.create_infer_request(), padding, batch_tokens)


def forward(loaded: Loaded, features: Sequence[Feature], tick: Tick | None = None) -> Arrays:
    """Mean last hidden states at `embed_at`, a row a feature; logits at all `logits_at`, in order.

    `tick` hears how many features are done.
    """
    rows = Rows.of(features, torch.device("cpu"))
    return in_batches(rows, loaded.batch_tokens, partial(_forward, loaded, rows), tick)


def _forward(loaded: Loaded, rows: Rows, start: int, stop: int) -> list[Outputs]:
    """B features, T positions, D dimensions, C classes, Q positions asked for."""
    inputs, weights_BT = rows.padded(start, stop, loaded.padding)
    given = [values.numpy() for values in inputs.values()]
    # Both are OpenVINO's own memory, which the next batch overwrites: nothing below is a view.
    outputs = loaded.request.infer(given, share_inputs=True, share_outputs=True)
    hidden_BTD, logits = torch.from_numpy(outputs[0]), torch.from_numpy(outputs[1])
    means_BD = torch.bmm(weights_BT[:, None, :], hidden_BTD)[:, 0]
    at = rows.asked(start, stop)
    return [(means_BD, logits[at] if logits.ndim == 3 else logits.clone())]


def _converted(loaded: pytorch.Loaded, folder: Path, *, segments: bool) -> Any:
    openvino = _openvino()
    # Rows of several lengths: what they share is not taken for a constant.
    rows = [
        Feature(0, (0,) * size, (0,) * size if segments else None, (0,), (0,), (None,), 0)
        for size in (5, 3)
    ]
    example = pytorch.batch_of(rows, loaded.padding)
    # Where a row of padding sees nothing (beyond a window), this one gives numbers and not NaN.
    loaded.model.set_attn_implementation("eager")
    loaded.model.requires_grad_(requires_grad=False)

    def outputs(*rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _outputs(loaded, dict(zip(example, rows, strict=True)))

    try:
        with torch.no_grad(), _unwarned():
            # As a function: a module's copy for each part of it takes most of the time.
            trace: Any = torch.jit.trace
            traced = trace(outputs, tuple(example.values()), check_trace=False)
            shapes = [openvino.PartialShape([-1, -1])] * len(example)
            given = tuple(example.values())
            converted = openvino.convert_model(
                traced, example_input=given, input=shapes, share_weights=False
            )
            # torch keeps every trace, and with it its weights, until the process ends.
            for weight in loaded.model.parameters():
                weight.data = weight.new_empty(0)
            return converted
    # What stops a conversion is torch's, OpenVINO's or the model's own complaint.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        kind = loaded.model.config.model_type
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"OpenVINO cannot convert a {kind}: {why}", "use --backend torch", file=str(folder)
        ) from error


def _outputs(
    loaded: pytorch.Loaded, inputs: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The last hidden state and the logits, at every position."""
    if loaded.reads_last:
        hidden_BTD = loaded.model.base_model(**inputs).last_hidden_state
        return hidden_BTD, loaded.model.score(hidden_BTD)
    with pytorch.last_hidden(loaded.model.base_model) as seen:
        output = loaded.model(**inputs)
    if "start_logits" in output:
        return seen[0], torch.stack([output.start_logits, output.end_logits], dim=-1)
    return seen[0], output.logits


def _quantised(exact: Any, core: Any, calibration: Calibration, padding: int) -> Any:
    """The int8 model that is kept, or a new one; of two processes that make it, one is kept."""
    kept = calibration.kept
    if kept is None:
        return _quantise(exact(), calibration.features, padding)
    if (kept / "model.xml").is_file():
        try:
            return core.read_model(kept / "model.xml")
        except RuntimeError:  # damaged: made again
            shutil.rmtree(kept)
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_name(f".{kept.name}.{uuid4().hex[:12]}.part")
    draft.mkdir()
    try:
        model = _quantise(exact(), calibration.features, padding)
        _openvino().save_model(model, draft / "model.xml", compress_to_fp16=False)
        with suppress(OSError):  # another process was faster, and its model is used
            draft.rename(kept)
        return core.read_model(kept / "model.xml")
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _quantise(model: Any, features: Sequence[Feature], padding: int) -> Any:
    with _silent_nncf() as nncf:
        rows = nncf.Dataset(
            list(features),
            lambda f: [values.numpy() for values in pytorch.batch_of([f], padding).values()],
        )
        return nncf.quantize(
            model, rows, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(features)
        )


def _openvino() -> Any:
    """The package, imported without its telemetry: polymux sends nothing anywhere."""
    with _untold():
        import openvino

        return openvino


@contextmanager
def _untold() -> Iterator[None]:
    """What is imported here finds no telemetry package, and takes its own silent stand-in."""
    there = "openvino_telemetry" in sys.modules
    if not there:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not there:
            del sys.modules["openvino_telemetry"]


@contextmanager
def _silent_nncf() -> Iterator[Any]:
    """NNCF without its reports and progress bars, which go to standard output."""
    usual = logging.getLoggerClass()
    with _untold(), _unwarned(), redirect_stdout(io.StringIO()):
        import nncf

        # It makes its own class that of every logger to come.
        logging.setLoggerClass(usual)
        nncf.set_log_level(logging.ERROR)
        yield nncf


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without what a conversion says of itself: nothing here is for a user to mend."""
    with warnings.catch_warnings():
        # OpenVINO traces with torch.jit, which torch wants to give up ...
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        # ... and takes branches on shapes as they are: both sides give the same numbers here.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python ")
        # It asks every attribute of a model, those that transformers gives up among them.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield
