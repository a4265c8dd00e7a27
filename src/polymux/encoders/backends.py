"""What runs a model: the table of backends, and what some are made from beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polymux.tasks import Feature

# Name -> module with version, device_named, BATCH_TOKENS, DTYPES, CALIBRATED, load and forward.
BACKENDS: dict[str, str] = {
    "torch": "polymux.encoders.pytorch",
    "openvino": "polymux.encoders.openvino",
}


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a quantised model is made from beside the weights, and where it is kept."""

    features: tuple[Feature, ...]
    kept: Path | None
    """None: it is made each time."""
