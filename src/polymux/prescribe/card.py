"""The records that the card is made of: the map, the numbers, the first choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from polymux.prescribe.ground import Ground, Sample
from polymux.records import Example, Pick
from polymux.report import Facts
from polymux.report.facts import Choice, Map, Point, Source

# Points of the pool on the map.
MAP_POINTS = 5000
# Choices shown with their reasons, characters of each text, words of a prediction.
FIRST, TEXT, WORDS = 20, 300, 40


@dataclass(frozen=True, eq=False)
class Shown:
    """The chosen, as the card shows them."""

    picks: tuple[Pick, ...]
    embeddings: Float[np.ndarray, "chosen dim"]
    covered: Float[np.ndarray, "targets"]
    """Each target's distance to the nearest of them."""


def card_facts(
    manifest: Mapping[str, Any], about: str, chosen: Shown, ground: Ground, sample: Sample
) -> Facts:
    """The records of the page; the numbers of the pool are those of its sample."""
    measure = manifest["settings"]["uncertainty"]
    by_id = {example.id: example for example in ground.aim.examples}
    return {
        "version": manifest["polymux"],
        "title": f"{manifest['chosen']} examples to label",
        "task": manifest["task"],
        "strategy": manifest["strategy"],
        "strategy_line": f"{about}.",
        "budget": manifest["budget"],
        "seed": manifest["seed"],
        "model": manifest["model"]["path"],
        "settings": {k: v for k, v in manifest["settings"].items() if v not in (None, [], False)},
        "source": _counted(manifest["source"]),
        "narrowed_from": (manifest["prefilter"] or {}).get("read"),
        "target": _counted(manifest["target"]),
        "languages": manifest["languages"],
        "map": _map(chosen, ground, sample, measure),
        "uncertainty": {
            "measure": measure,
            "pool": rounded(sample.encodings.of_measure(measure)),
            "chosen": [pick.uncertainty for pick in chosen.picks],
        },
        "distance": {
            "pool": rounded(sample.distances),
            "chosen": [pick.distance for pick in chosen.picks],
        },
        "coverage": {
            "pool": rounded(ground.nearest_in_pool),
            "chosen": rounded(chosen.covered),
            "random": rounded(sample.nearest_to_each_target(len(chosen.picks))),
        },
        "first": first_choices(chosen.picks, by_id),
        "warnings": manifest["warnings"],
        "seconds": manifest["seconds"],
        "peak_memory_mb": manifest["peak_memory_mb"],
    }


def _counted(pool: Mapping[str, Any]) -> Source:
    return {
        "paths": pool["paths"],
        "read": pool["read"],
        "duplicates": pool["duplicates"],
        "excluded": pool["excluded"],
        "rejected": pool["rejected"],
        "truncated": pool["truncated"],
        "words_lost": pool["words_lost"],
    }


def _map(chosen: Shown, ground: Ground, sample: Sample, measure: str) -> Map:
    """The sample, the target and the chosen in one plane."""
    aim = ground.aim
    pool = sample.encodings.take(np.arange(min(MAP_POINTS, len(sample.encodings))))
    places, explained = plane(
        {
            "pool": pool.embeddings,
            "target": aim.encodings.embeddings,
            "chosen": chosen.embeddings,
        }
    )
    picked = [pick.example for pick in chosen.picks]
    unsure = [pick.uncertainty for pick in chosen.picks]
    return {
        "method": "PCA",
        "explained": explained,
        "points": [
            *points("pool", places["pool"], sample.examples[:MAP_POINTS], pool.of_measure(measure)),
            *points("target", places["target"], aim.examples, aim.encodings.of_measure(measure)),
            *points("chosen", places["chosen"], picked, unsure, ranked=True),
        ],
    }


def shown(example: Example) -> str:
    """An example's text for the card, cut."""
    text = example.text
    return text if len(text) <= TEXT else text[:TEXT] + "\u2026"


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
    kind: Literal["pool", "target", "chosen"],
    places: Float[np.ndarray, "n 2"],
    examples: Sequence[Example],
    uncertainty: Iterable[float],
    *,
    ranked: bool = False,
) -> list[Point]:
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


def first_choices(picks: Sequence[Pick], target: Mapping[str, Example]) -> list[Choice]:
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
        for pick in picks[:FIRST]
    ]


def readable(pick: Pick) -> Any:
    """A prediction for the card: of words, those with a tag, each beside its tag."""
    words = pick.example.fields.get("tokens")
    if words is None:
        return pick.prediction
    told = zip(words, pick.prediction["labels"], pick.prediction["scores"], strict=True)
    tagged = [
        # Isolated, so that a word of another direction stays beside its tag.
        {"label": f"\u2068{word}\u2069/{label}", "score": score}
        for word, label, score in told
        if label != "O"
    ]
    return tagged[:WORDS] or "O for every word"


def rounded(values: Float[np.ndarray, "n"]) -> list[float]:
    """Plain numbers for a page."""
    return [round(float(value), 6) for value in values]
