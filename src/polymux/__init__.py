"""polymux: which examples to label, in any language.

The names below are resolved when they are first used, so that importing the package loads neither
torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polymux.diagnosis import Diagnosis, diagnose
    from polymux.distill import Distilled, distill
    from polymux.encoders import BACKENDS, Model, encode
    from polymux.evaluate import evaluate, predict
    from polymux.experiments import simulate
    from polymux.experiments.litmus import litmus
    from polymux.experiments.tiers import tiers
    from polymux.prescribe import select
    from polymux.prescribe.verify import Verdict, verify
    from polymux.readers import READERS, read
    from polymux.records import Encodings, Example, Label, Pool, Prescription
    from polymux.selection import STRATEGIES, select_encoded
    from polymux.tasks import TASKS
    from polymux.train import train

__version__ = "0.1.0"

_HOME = {
    "BACKENDS": "encoders",
    "Diagnosis": "diagnosis",
    "Distilled": "distill",
    "Encodings": "records",
    "Example": "records",
    "Label": "records",
    "Model": "encoders",
    "Pool": "records",
    "Prescription": "records",
    "READERS": "readers",
    "STRATEGIES": "selection",
    "TASKS": "tasks",
    "diagnose": "diagnosis",
    "distill": "distill",
    "encode": "encoders",
    "evaluate": "evaluate",
    "litmus": "experiments.litmus",
    "predict": "evaluate",
    "read": "readers",
    "select": "prescribe",
    "select_encoded": "selection",
    "simulate": "experiments",
    "tiers": "experiments.tiers",
    "train": "train",
    "Verdict": "prescribe.verify",
    "verify": "prescribe.verify",
}

__all__ = [
    "BACKENDS",
    "READERS",
    "STRATEGIES",
    "TASKS",
    "Diagnosis",
    "Distilled",
    "Encodings",
    "Example",
    "Label",
    "Model",
    "Pool",
    "Prescription",
    "Verdict",
    "diagnose",
    "distill",
    "encode",
    "evaluate",
    "litmus",
    "predict",
    "read",
    "select",
    "select_encoded",
    "simulate",
    "tiers",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'polymux' has no attribute {name!r}")
    value = getattr(import_module(f"polymux.{_HOME[name]}"), name)
    # A verb and its module may share a name (train, evaluate): the verb wins.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
