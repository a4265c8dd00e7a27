"""Other readings of the paper, each under one name, and the measure that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.tasks import TASKS


@dataclass(frozen=True, slots=True)
class Preset:
    """Another reading of the paper, under one name."""

    about: str
    measures: Mapping[str, str]
    """By task."""
    aggregate: str
    """How the model must put the windows of a question together."""
    more_than_budget: bool


PRESETS: dict[str, Preset] = {
    "released-code": Preset(
        "as the paper's released code reads it: log margins, |C| > B, a softmax per QA window",
        {
            "token-classification": "log-margin-min",
            "text-classification": "log-margin",
            "question-answering": "span-prob",
        },
        aggregate="surest",
        more_than_budget=True,
    )
}


def preset_named(name: str | None, model: Model) -> Preset | None:
    """The preset, if the model reads as it asks."""
    if name is None:
        return None
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}", f"choose one of: {', '.join(PRESETS)}")
    preset = PRESETS[name]
    if model.task == "question-answering" and model.aggregate != preset.aggregate:
        raise UsageError(
            f"{name} puts windows together by {preset.aggregate}, this model by {model.aggregate}",
            f"make the model with aggregate={preset.aggregate!r} (--aggregate {preset.aggregate})",
        )
    return preset


def measure_named(name: str | None, task: str, preset: Preset | None) -> str:
    """The uncertainty that decides: the one asked for, the preset's, or the paper's."""
    measures = TASKS[task].MEASURES
    if name is not None and name not in measures:
        raise UsageError(
            f"there is no uncertainty {name!r} for {task}",
            f"choose one of: {', '.join(measures)}",
        )
    if name is None and preset is not None:
        return preset.measures[task]
    return name or TASKS[task].DEFAULT_MEASURE
