"""What all pages stand on: a template that escapes, own style and script, and their hashes."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polymux.report import words


def rendered(template: str, *styles: str, script: str | None = None, **told: Any) -> str:
    """One self-contained page that asks no host for anything and runs no script but ours.

    Args:
        template: Of the page, below `templates`, as are all files.
        styles: Its style sheets, one after the other.
        script: Its script, if it has one.
        told: What the template shows; all of it is escaped.
    """
    style, code = own_files(*styles), own_files(*([script] if script else []))
    return (
        _environment()
        .get_template(template)
        .render(style=style, style_hash=_hash(style), script=code, script_hash=_hash(code), **told)
    )


def own_files(*names: str) -> Markup:
    """Style sheets or scripts of ours, one after the other."""
    places = (files("polymux.report") / "templates" / name for name in names)
    text = "".join(place.read_text(encoding="utf-8") for place in places)
    return Markup(text)  # noqa: S704 - written by us, not by a user


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("polymux.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": words.cut,
        "number": words.number,
        "count": words.count,
        "percent": words.percent,
        "prediction": words.prediction,
        "tag": words.language_tag,
    }
    return environment


def _hash(inline: str) -> str:
    """What a page's policy lets run: this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
