"""What all pages stand on: templates that escape, own style and script, and their hashes."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polymux.report import words


def environment() -> Environment:
    """The templates; whatever they are given is escaped."""
    made = Environment(
        loader=PackageLoader("polymux.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "cut": words.cut,
        "number": words.number,
        "count": words.count,
        "percent": words.percent,
        "prediction": words.prediction,
        "tag": words.language_tag,
    }
    return made


def own_files(*names: str) -> Markup:
    """Style sheets or scripts of ours, one after the other."""
    places = (files("polymux.report") / "templates" / name for name in names)
    text = "".join(place.read_text(encoding="utf-8") for place in places)
    return Markup(text)  # noqa: S704 - written by us, not by a user


def hash_of(inline: str) -> str:
    """What a page's policy lets run: this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
