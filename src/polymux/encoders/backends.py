"""What runs a model: the table of backends, and what some are made from beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from polymux.tasks import Feature

# Name -> module with version, device_named, BATCH_TOKENS, DTYPES, CALIBRATED, load and forward.
BACKENDS: dict[str, str] = {
    "torch": "polymux.encoders.pytorch",
    "openvino": "polymux.encoders.openvino",
}


def first_with(dtype: str) -> str:
    """The first backend of the table that has this precision; torch if none has."""
    able = [name for name, module in BACKENDS.items() if dtype in import_module(module).DTYPES]
    return able[0] if able else "torch"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a quantised model is made from beside the weights, and where it is kept."""

    features: tuple[Feature, ...]
    kept: Path | None
    """None: it is made each time."""
