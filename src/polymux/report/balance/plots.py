"""The plots of a distillation's report, as SVG that stands inside a page and follows its colours.

A page's policy lets no `style` attribute through and its colours change with the theme, so what
matplotlib writes is rewritten: its styles become attributes, its colours the page's variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from polymux.report import words
from polymux.report.balance.record import (
    Record,
    Words,
    encoders,
    in_language,
    mean_matrix,
    teachers_mean,
    zero_shot,
)
from polymux.report.svg import FAINT, HEAT_LESS, HEAT_MORE, INK, drawn, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One more system than this looks like the first again.
_LOOKS = 8
_MARKERS = "os^DvPX*"
_GLYPHS = "●■▲◆▼✚✖★"
_HALF, _WHOLE = 450, 920
_MAP = (_HALF, 330)
_TICK_LENGTH = 12

Scores = Float[np.ndarray, "sources targets"]


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing, with what it shows in words."""

    caption: str
    svg: Markup
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """How one system is drawn in every plot."""

    name: str
    number: int
    glyph: str


def legend(record: Record) -> list[Look]:
    """The look of each system."""
    names = enumerate(encoders(record))
    return [Look(name, place % _LOOKS, _GLYPHS[place % _LOOKS]) for place, name in names]


def plots(record: Record) -> Mapping[str, list[Plot]]:
    """The plots by the key of their section; those of whole matrices are its maps."""
    made = {"words": _masked_words(record), "systems": [*_losses(record), *_portions(record)]}
    for place, task in enumerate(record["probes"]):
        made[f"probe {task}"] = _groups(record, task, f"p{place}")
        made[f"probe {task} maps"] = _maps(record, task, f"m{place}")
    return made


def _dots(
    axes: Axes,
    record: Record,
    ticks: Sequence[str],
    values: Mapping[str, Sequence[Sequence[float]]],
) -> None:
    """For each tick and system a dot at the mean, with a line over its seeds' range."""
    order = encoders(record)
    shown = [name for name in order if name in values]
    step = 0.7 / max(len(shown), 1)
    for place, name in enumerate(shown):
        look = order.index(name) % _LOOKS
        colour = series(look)
        for tick, seeds in enumerate(values[name]):
            if not seeds:
                continue
            x = tick + (place - (len(shown) - 1) / 2) * step
            axes.plot([x, x], [min(seeds), max(seeds)], color=colour, linewidth=2, alpha=0.5)
            axes.plot([x], [float(np.mean(seeds))], _MARKERS[look], color=colour, markersize=6)
    _ticks(axes, ticks)


def _dashes(axes: Axes, values: Sequence[float]) -> None:
    """The teachers, as one dash over each tick."""
    for tick, value in enumerate(values):
        if np.isfinite(value):
            axes.plot([tick - 0.42, tick + 0.42], [value, value], color=INK, linewidth=1.2, ls="--")


def _ticks(axes: Axes, ticks: Sequence[str]) -> None:
    axes.set_xticks(range(len(ticks)), [words.cut(tick, _TICK_LENGTH) for tick in ticks])
    axes.set_xlim(-0.5, max(len(ticks), 1) - 0.5)
    for edge in range(1, len(ticks)):
        axes.axvline(edge - 0.5, color=FAINT, linewidth=0.8)


def _groups(record: Record, task: str, key: str) -> list[Plot]:
    """I-L and Z-S by group."""
    probe, groups = record["probes"][task], record["groups"]
    languages = probe["languages"]
    if not probe["systems"] or not groups:
        return []
    made = []
    for short, score in (("I-L", in_language), ("Z-S", zero_shot)):
        values = {
            name: [
                [100 * found for m in matrices if np.isfinite(found := score(m, languages, group))]
                for group in groups.values()
            ]
            for name, matrices in probe["systems"].items()
        }
        own = [100 * teachers_mean(record, task, group) for group in groups.values()]

        def draw(axes: Axes, short: str = short, values: Any = values, own: Any = own) -> None:
            _dots(axes, record, list(groups), values)
            if short == "I-L":
                _dashes(axes, own)

        caption = f"{task.upper()} {short} by group, points of 100"
        dashes = "; dashes: the teachers" if short == "I-L" else ""
        made.append(Plot(caption + dashes, drawn(key + short, caption, (_HALF, 260), draw)))
    return made


def _masked_words(record: Record) -> list[Plot]:
    """MRR by language."""
    languages = record["languages"]
    if not record["words"] or not languages:
        return []

    def seeds(told: Mapping[str, Words], language: str) -> list[float]:
        return list(told[language]["mrr"]) if language in told else []

    values = {n: [seeds(told, lang) for lang in languages] for n, told in record["words"].items()}
    teachers = record["teachers"]
    own = [teachers[lang]["words"]["mrr"] if lang in teachers else np.nan for lang in languages]

    def draw(axes: Axes) -> None:
        _dots(axes, record, languages, values)
        _dashes(axes, own)

    caption = "MRR of masked words by language"
    svg = drawn("mrr", caption, (_WHOLE, 300), draw)
    return [Plot(f"{caption}; dashes: the teachers", svg, wide=True)]


def _losses(record: Record) -> list[Plot]:
    curves = {name: told["losses"] for name, told in record["systems"].items() if told["losses"]}
    if not curves:
        return []
    order = encoders(record)

    def draw(axes: Axes) -> None:
        for name, points in curves.items():
            steps, losses = zip(*points, strict=True)
            axes.plot(steps, losses, color=series(order.index(name) % _LOOKS), linewidth=1.6)
        axes.set_xlabel("step")

    caption = "Training loss of the first seed"
    svg = drawn("losses", caption, (_WHOLE, 300), draw)
    return [Plot(f"{caption}; soft and hard losses differ in kind", svg, wide=True)]


def _portions(record: Record) -> list[Plot]:
    """The share and the epochs of each language."""
    languages, told = record["languages"], record["systems"]
    if not languages or not told:
        return []

    def values(measure: str, times: float) -> dict[str, list[list[float]]]:
        return {
            name: [
                [times * (part["share"] if measure == "share" else part["epochs"])]
                if (part := system["languages"].get(language))
                else []
                for language in languages
            ]
            for name, system in told.items()
        }

    def shares(axes: Axes) -> None:
        _dots(axes, record, languages, values("share", 100.0))
        axes.set_ylim(bottom=0)

    def epochs(axes: Axes) -> None:
        _dots(axes, record, languages, values("epochs", 1.0))
        axes.axhline(1, color=INK, linewidth=1, ls=":")
        axes.set_ylim(bottom=0)

    first, second = "Share of what is drawn, %", "Epochs over the kept text"
    return [
        Plot(first, drawn("shares", first, (_HALF, 260), shares)),
        Plot(
            f"{second}; above the dotted line it is repeated",
            drawn("epochs", second, (_HALF, 260), epochs),
        ),
    ]


def _maps(record: Record, task: str, key: str) -> list[Plot]:
    """Each system's mean matrix, and the student's less that of hard labels."""
    systems, names = record["probes"][task]["systems"], record["probes"][task]["languages"]
    means = {n: np.array(mean_matrix(systems[n])) for n in encoders(record) if systems.get(n)}
    if not names or not means:
        return []
    made = []
    if {"student", "hl"} <= means.keys():
        less = means["student"] - means["hl"]
        caption = f"{task.upper()}: student less hl, points"
        svg = drawn(f"{key}less", caption, _MAP, lambda axes: _heat(axes, names, less, "+.1f"))
        made.append(Plot(caption, svg))
    # One scale for all: a pale map is a weak system.
    most = max(float(np.nanmax(mean)) for mean in means.values())
    for place, (name, mean) in enumerate(means.items()):
        caption = f"{task.upper()}: {name}, mean of seeds"

        def draw(axes: Axes, mean: Scores = mean) -> None:
            _heat(axes, names, mean, ".0f", most)

        made.append(Plot(caption, drawn(f"{key}x{place}", caption, _MAP, draw)))
    return made


def _heat(
    axes: Axes, languages: Sequence[str], matrix: Scores, digits: str, most: float | None = None
) -> None:
    """Rows are sources, columns targets; the deeper the colour, the farther from zero."""
    from matplotlib.patches import Rectangle

    names = [words.cut(language, 6) for language in languages]
    farthest = most or float(np.nanmax(np.abs(matrix))) or 1.0
    for (row, column), value in np.ndenumerate(matrix):
        colour, depth = (HEAT_MORE if value >= 0 else HEAT_LESS), 0.75 * abs(value) / farthest
        cell = Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=colour, linewidth=0)
        cell.set_alpha(round(depth, 3))
        axes.add_patch(cell)
        shown = f"{100 * value:{digits}}".replace("-", "\N{MINUS SIGN}")
        axes.text(column, row, shown, color=INK, ha="center", va="center")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.grid(visible=False)
