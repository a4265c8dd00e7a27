"""What `select` writes: `to_label.jsonl`, the manifest, and the records the card is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from polymux.errors import InputError
from polymux.records import Example, Pick

# Points of the pool on the card's map and in its histograms.
CARD_SAMPLE = 5000
# Choices the card shows with their reasons.
CARD_FIRST = 20
CARD_TEXT = 300
CARD_WORDS = 40


def to_label(picks: Sequence[Pick]) -> Iterator[str]:
    """One chosen example a line, best first; with labels added it is a training file."""
    for pick in picks:
        example = pick.example
        line: dict[str, Any] = {"rank": pick.rank, "id": example.id}
        if example.source_id is not None:
            line["source_id"] = example.source_id
        line |= {"file": example.file, "line": example.line}
        if example.language is not None:
            line["language"] = example.language
        line |= example.fields
        line |= {
            "uncertainty": pick.uncertainty,
            "distance": pick.distance,
            "nearest": [{"id": n.id, "distance": n.distance} for n in pick.nearest],
            "prediction": pick.prediction,
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"


def rejected(errors: Sequence[InputError]) -> Iterator[str]:
    """What was left out with `--on-error skip`, and why."""
    for error in errors:
        line = {"file": error.file, "line": error.line, "reason": error.what, "hint": error.hint}
        yield json.dumps(line, ensure_ascii=False) + "\n"


def manifest_text(manifest: Mapping[str, Any]) -> Iterator[str]:
    """`selection.json`."""
    yield json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"


def shown(example: Example) -> str:
    """An example's text for the card, cut."""
    text = example.text
    return text if len(text) <= CARD_TEXT else text[:CARD_TEXT] + "\u2026"


def plane(
    groups: Mapping[str, Float[np.ndarray, "n dim"]],
) -> tuple[dict[str, Float[np.ndarray, "n 2"]], list[float]]:
    """Principal components of all groups together, and the share of variance of each.

    The sign of an axis is fixed (its largest loading is positive), so the same points give the same
    map.
    """
    together = np.concatenate(list(groups.values())).astype(np.float64)
    centre = together.mean(axis=0)
    covariance = np.cov(together - centre, rowvar=False).reshape(len(centre), -1)
    values, vectors = np.linalg.eigh(np.nan_to_num(covariance))
    axes = vectors[:, ::-1][:, :2]
    if axes.shape[1] < 2:
        axes = np.concatenate([axes, np.zeros_like(axes)], axis=1)
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    total = float(np.maximum(values, 0).sum()) or 1.0
    explained = [float(max(v, 0.0)) / total for v in values[::-1][:2]]
    return {name: (points - centre) @ axes for name, points in groups.items()}, explained


def points(
    kind: str,
    places: Float[np.ndarray, "n 2"],
    examples: Sequence[Example],
    uncertainty: Iterable[float],
    *,
    ranked: bool = False,
) -> list[dict[str, Any]]:
    """One group of examples on the map."""
    return [
        {
            "kind": kind,
            "x": round(float(x), 4),
            "y": round(float(y), 4),
            "text": shown(example),
            "id": example.id,
            "language": example.language,
            "rank": position + 1 if ranked else None,
            "uncertainty": round(float(sure), 6),
        }
        for position, ((x, y), example, sure) in enumerate(
            zip(places, examples, uncertainty, strict=True)
        )
    ]


def first_choices(picks: Sequence[Pick], target: Mapping[str, Example]) -> list[dict[str, Any]]:
    """The first choices with their reasons; `target` gives target examples by id."""
    return [
        {
            "rank": pick.rank,
            "id": pick.example.id,
            "text": shown(pick.example),
            "language": pick.example.language,
            "uncertainty": pick.uncertainty,
            "distance": pick.distance,
            "nearest": [
                {"id": n.id, "distance": n.distance, "text": shown(target[n.id])}
                for n in pick.nearest
            ],
            "prediction": readable(pick),
        }
        for pick in picks[:CARD_FIRST]
    ]


def readable(pick: Pick) -> Any:
    """A prediction for the card: of words, those with a tag, each beside its tag."""
    words = pick.example.fields.get("tokens")
    if words is None:
        return pick.prediction
    told = zip(words, pick.prediction["labels"], pick.prediction["scores"], strict=True)
    tagged = [
        {"label": f"{word}/{label}", "score": score} for word, label, score in told if label != "O"
    ]
    return tagged[:CARD_WORDS] or "O for every word"


def rounded(values: Float[np.ndarray, "n"]) -> list[float]:
    """Plain numbers for a page."""
    return [round(float(value), 6) for value in values]
