"""The plain records that a card is made of: JSON values only, so a card can be drawn again.

Wherever a list follows the pool, it has one number an example that could have been chosen, or an
even sample of them; `chosen` follows the order of the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Source(TypedDict):
    """What was read from one of the two pools."""

    paths: Sequence[str]
    """Of the files that were read."""
    read: int
    """Examples that could be used, duplicates and excluded ones among them."""
    duplicates: int
    excluded: int
    rejected: int
    """Lines that could not be used; not among `read`."""
    truncated: int
    """Examples longer than the model reads."""
    words_lost: int
    """Words (token task) or sub-words that truncation cut off."""


class Languages(TypedDict):
    """Examples a language, as the user named the languages."""

    pool: Mapping[str, int]
    chosen: Mapping[str, int]


class Point(TypedDict):
    """One example on the map."""

    kind: Literal["pool", "target", "chosen"]
    x: float
    y: float
    text: str
    id: str
    language: str | None
    rank: int | None
    uncertainty: float | None


class Map(TypedDict):
    """Embeddings in two dimensions, one unit on both axes."""

    method: str
    explained: Sequence[float]
    """Share of the variance on each axis, in [0, 1]; empty where the method has no such number."""
    points: Sequence[Point]


class Values(TypedDict):
    """One number an example: mean L2 distance to the target."""

    pool: Sequence[float]
    chosen: Sequence[float]


class Uncertainty(Values):
    """One number an example: higher = less sure."""

    measure: str


class Coverage(TypedDict):
    """For each target example the L2 distance to the nearest one of each group."""

    pool: Sequence[float]
    chosen: Sequence[float]
    random: Sequence[float]
    """A random choice of the same size."""


class NearestTarget(TypedDict):
    """A target example that a chosen one stands for."""

    id: str
    distance: float
    text: str


class Choice(TypedDict):
    """One of the first choices, with its reasons."""

    rank: int
    id: str
    text: str
    language: str | None
    uncertainty: float
    distance: float
    nearest: Sequence[NearestTarget]
    prediction: Any
    """The model's labels now, as a JSON value."""


class Facts(TypedDict):
    """Everything a card says."""

    version: str
    title: str
    task: str
    strategy: str
    strategy_line: str
    """The rule in one line."""
    budget: int
    seed: int
    model: str
    settings: Mapping[str, Any]
    source: Source
    target: Source
    narrowed_from: int | None
    """Examples of the source before a prefilter kept some for the model; None: there was none."""
    languages: Languages | None
    """None where the user gave none."""
    map: Map
    uncertainty: Uncertainty
    distance: Values
    coverage: Coverage
    first: Sequence[Choice]
    warnings: Sequence[str]
    seconds: Mapping[str, float]
    """By stage."""
    peak_memory_mb: float
