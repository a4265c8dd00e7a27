"""A TOML file as checked settings: what cannot be is told by its key, with what can be given."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from polymux.errors import InputError

Checked = TypeVar("Checked", bound=BaseModel)


def settings(path: Path, kind: type[Checked], *, absent: str, reference: str) -> Checked:
    """Parse and check a file.

    Args:
        path: The file.
        kind: What it has to be.
        absent: What to do when it is not there.
        reference: Where every setting is told.

    Raises:
        InputError: it is not there, is no TOML, or says something that cannot be.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"it cannot be read: {error}", absent, file=str(path)) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"no TOML: {error}", "mend the line named", file=str(path)) from error
    return checked(told, kind, reference=reference, file=str(path))


def checked(
    told: Mapping[str, Any], kind: type[Checked], *, reference: str, file: str | None = None
) -> Checked:
    """Settings that were told as plain values.

    Raises:
        InputError: they say something that cannot be.
    """
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        # A setting that nobody knows may be the one that is missing, misspelt.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        raise InputError(_said(first), _hint(first, kind, reference), file=file) from error


def _said(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "extra_forbidden":
        return f"{place}: there is no such setting"
    if error["type"] == "missing":
        return f"{place} is missing"
    # TOML knows lists only.
    message = error["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    wrong = f"{place}: {message}"
    return wrong if isinstance(error["input"], dict) else f"{wrong} (it is {error['input']!r:.80})"


def _hint(error: Any, kind: type[BaseModel], reference: str) -> str:
    # A place inside a list is a number: what is told is the list.
    *sections, name = [part for part in error["loc"] if isinstance(part, str)] or [""]
    known: Any = kind
    for part in sections:
        fields = getattr(known, "model_fields", {})
        if part in fields:
            known = _section(fields[part].annotation)
    names = list(getattr(known, "model_fields", {}))
    near = difflib.get_close_matches(name, names, n=1)
    if error["type"] == "extra_forbidden" and names:
        return f"{f'did you mean {near[0]}? ' if near else ''}known here: {', '.join(names)}"
    about = known.model_fields[name].description if name in names else None
    return reference if about is None else f"{name}: {' '.join(about.split())}"


def _section(annotation: Any) -> Any:
    """The section that a table of sections, or one that may be absent, is made of."""
    inner = [part for part in get_args(annotation) if hasattr(part, "model_fields")]
    return inner[0] if inner else annotation
