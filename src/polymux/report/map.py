"""The card's map: the target, the chosen and a sample of the pool in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict, TypeVar

import numpy as np
from jaxtyping import Float
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from polymux.report import words
from polymux.report.facts import Point

T = TypeVar("T")

Kind = Literal["pool", "target", "chosen"]
KINDS: tuple[Kind, ...] = ("pool", "target", "chosen")

# What the map may hold of each kind, and its texts, graphemes each and bytes together: with them
# a page stays under 6 MB whatever the pool.
MOST_POINTS = 5000
_TEXT_LENGTHS = (280, 140, 70, 35, 15)
_MOST_BYTES = 4_000_000

_WIDTH = 720.0
_MARGIN = 18.0
# Points of one path melt together. Those of several show through each other, so that crowds look
# darker, and wear rims, so that the few can be told apart.
_SHEETS: dict[Kind, int] = {"pool": 6, "target": 200, "chosen": 200}


class Layer(TypedDict):
    """One kind of points, in the order of drawing."""

    kind: Kind
    drawn: int
    total: int
    size: str
    paths: list[str]


class Drawing(TypedDict):
    """The map as the page draws it."""

    width: float
    height: float
    layers: list[Layer]
    data: Markup
    """JSON for the hover text, safe inside a script element."""


def evenly(things: Sequence[T], most: int) -> list[T]:
    """At most so many, from everywhere alike."""
    n = min(len(things), most)
    return [things[i * len(things) // n] for i in range(n)]


def drawing(points: Sequence[Point]) -> Drawing | None:
    """The map of these points, or None if there is none."""
    if not points:
        return None
    places, height = _fit(np.array([(p["x"], p["y"]) for p in points], dtype=np.float64))
    shown: dict[Kind, list[int]] = {}
    layers = []
    for kind in KINDS:
        every = [i for i, point in enumerate(points) if point["kind"] == kind]
        shown[kind] = evenly(every, MOST_POINTS)
        layers.append(_layer(kind, places[shown[kind]], len(every)))
    # The smaller of the two is drawn last, so that the larger cannot bury it.
    layers[1:] = sorted(layers[1:], key=lambda layer: -layer["drawn"])
    return Drawing(
        width=_WIDTH, height=height, layers=layers, data=_hover_data(points, shown, places)
    )


def _fit(xy: Float[np.ndarray, "n 2"]) -> tuple[Float[np.ndarray, "n 2"], float]:
    """Places on the page, one scale for both axes so that distances stay true, and the height."""
    low, spread = xy.min(axis=0), np.ptp(xy, axis=0)
    wide = _WIDTH - 2 * _MARGIN
    flat = float(spread[1] / spread[0]) if spread[0] > 0 else 1.0
    tall = wide * min(max(flat, 0.45), 0.65)
    scale = min(
        (room / s for room, s in zip((wide, tall), spread.tolist(), strict=True) if s > 0),
        default=0.0,
    )
    height = tall + 2 * _MARGIN
    places = (np.array([_WIDTH, height]) - scale * spread) / 2 + scale * (xy - low)
    # SVG counts downwards.
    places[:, 1] = height - places[:, 1]
    return places.round(1), round(height, 1)


def _layer(kind: Kind, places: Float[np.ndarray, "n 2"], total: int) -> Layer:
    sheets = min(_SHEETS[kind], len(places))
    return Layer(
        kind=kind,
        drawn=len(places),
        total=total,
        size="few" if len(places) <= 150 else "some" if len(places) <= 1000 else "many",
        paths=[_dots(places[sheet::sheets]) for sheet in range(sheets)],
    )


def _dots(places: Float[np.ndarray, "n 2"]) -> str:
    """Points as one path of strokes without length; their caps are what one sees."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in places.tolist())


def _hover_data(
    points: Sequence[Point], shown: dict[Kind, list[int]], places: Float[np.ndarray, "n 2"]
) -> Markup:
    """Columns for each kind, with texts as long as the page can afford."""
    data = Markup()
    for length in _TEXT_LENGTHS:
        kinds = {
            kind: {
                "xy": places[index].ravel().tolist(),
                **_columns([points[i] for i in index], length),
            }
            for kind, index in shown.items()
        }
        data = htmlsafe_json_dumps(kinds, ensure_ascii=False, separators=(",", ":"))
        if len(data.encode()) <= _MOST_BYTES:
            break
    return data


def _columns(points: Sequence[Point], length: int) -> dict[str, list[str]]:
    notes = []
    for point in points:
        rank, unsure = point["rank"], point["uncertainty"]
        note = [f"rank {words.count(rank)}"] if rank is not None else []
        note += [f"uncertainty {words.number(unsure)}"] if unsure is not None else []
        notes.append(" · ".join(note))
    return {
        "text": [words.cut(p["text"], length) for p in points],
        "id": [words.cut(p["id"], 90) for p in points],
        "language": [words.cut(p["language"] or "", 40) for p in points],
        "tag": [words.language_tag(p["language"]) for p in points],
        "note": notes,
    }
