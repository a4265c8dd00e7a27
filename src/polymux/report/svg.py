"""One matplotlib drawing as SVG for a page: no styles, no namespaces, no colours of its own."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import Markup

from polymux.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-ins: each becomes the page's variable of that name.
INK, MUTED, FAINT, HEAT_MORE, HEAT_LESS = (f"#01010{place}" for place in range(5))
_VARIABLES = {INK: "ink", MUTED: "muted", FAINT: "line", HEAT_MORE: "more", HEAT_LESS: "less"}
_SERIES = "#0202"
_PER_INCH = 72
# Attributes that a style may hold; the page chooses the font.
_KEPT = {
    "fill", "fill-opacity", "opacity", "stroke", "stroke-dasharray", "stroke-dashoffset",
    "stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width", "text-anchor",
}  # fmt: skip
_REFERENCE = re.compile(r"url\(#(.*)\)")


def series(number: int) -> str:
    """The stand-in for the colour of a system."""
    return f"{_SERIES}{number:02x}"


def drawn(key: str, label: str, size: tuple[int, int], draw: Callable[[Axes], None]) -> Markup:
    """A drawing on one pair of axes, the same bytes for the same drawing.

    Args:
        key: Letters and digits, unlike those of every other drawing of the page.
        label: What it shows, for those who cannot see it.
        size: Width and height in pixels.
        draw: What is drawn.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "matplotlib is not installed",
            "pip install 'polymux[experiments]'; distill holds it too",
        ) from error
    written = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # The page's fonts have what matplotlib's lack.
        warnings.filterwarnings("ignore", message=r"(?s)(Glyph|Matplotlib currently)")
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "svg.fonttype": "none",
                # The size that the page shows it in, so that room is kept for it.
                "font.size": 11,
                "svg.hashsalt": key,
                "text.parse_math": False,
                "axes.labelcolor": MUTED,
                "xtick.color": MUTED,
                "ytick.color": MUTED,
            }
        )
        figure = Figure(figsize=(size[0] / _PER_INCH, size[1] / _PER_INCH), layout="constrained")
        axes = figure.add_subplot()
        _quiet(axes)
        draw(axes)
        figure.savefig(
            written, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return _inline(written.getvalue(), key, label)


def _quiet(axes: Axes) -> None:
    """Faint lines across, no box around."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _inline(svg: str, key: str, label: str) -> Markup:
    root = ET.fromstring(svg)  # noqa: S314 - matplotlib wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        _rewrite(element, key)
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {"viewBox": view, "role": "img", "aria-label": label}
    root.attrib["width"], root.attrib["height"] = view.split()[2:]
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - ET escapes all texts


def _rewrite(element: ET.Element, key: str) -> None:
    element.tag = element.tag.rpartition("}")[2]
    element.text = (element.text or "") if element.tag == "text" else None
    element.tail = None
    told = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    for part in told.pop("style", "").split(";"):
        name, _, value = (side.strip() for side in part.partition(":"))
        if name in _KEPT:
            told[name] = _colour(value)
    if element.tag == "g":
        told.pop("id", None)
    if "id" in told:
        told["id"] = f"{key}-{told['id']}"
    if "href" in told:
        told["href"] = f"#{key}-{told['href'].removeprefix('#')}"
    if "clip-path" in told:
        told["clip-path"] = _REFERENCE.sub(rf"url(#{key}-\1)", told["clip-path"])
    if "d" in told:
        told["d"] = " ".join(told["d"].split())
    element.attrib.clear()
    element.attrib |= told


def _colour(value: str) -> str:
    if value in _VARIABLES:
        return f"var(--{_VARIABLES[value]})"
    if value.startswith(_SERIES):
        return f"var(--s{int(value.removeprefix(_SERIES), 16)})"
    return value
