"""What the model said of examples when it chose them: something to correct, never an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from polymux.campaign.state import State
from polymux.records import LABEL_FIELD, Label


def suggestions(state: State, number: int) -> dict[str, tuple[Label, float]]:
    """By id, the label of each example of a round that has one, and how sure the model was of it.

    As sure as it was of the word that it was least sure of.
    """
    found: dict[str, tuple[Label, float]] = {}
    for event in state.ledger:
        if event["event"] != "issued" or event["round"] != number:
            continue
        for line in (state.folder / event["file"]).read_text(encoding="utf-8").split("\n"):
            told = json.loads(line) if line.strip() else {}
            if isinstance(told.get("prediction"), dict):
                label = _label(told["prediction"], state)
                if label is not None:
                    found[told["id"]] = label, _sure(told["prediction"])
    return found


def _label(prediction: Mapping[str, Any], state: State) -> Label | None:
    """The label, unless it is one that nobody may give: a word that the model did not see."""
    label: Any = prediction.get(LABEL_FIELD[state.settings.task])
    if isinstance(label, list):
        label = tuple(label)
    given = (label,) if isinstance(label, str) else label if isinstance(label, tuple) else ()
    return label if all(one in state.labels for one in given) else None


def _sure(prediction: Mapping[str, Any]) -> float:
    return float(min(prediction["scores"]) if "scores" in prediction else prediction["score"])
