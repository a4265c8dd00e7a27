"""What takes seconds to find out of a model or a machine, kept in the user's cache as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polymux.folders import replaced


def place_of(kind: str, everything: Mapping[str, Any]) -> Path:
    """Where something of this kind is kept that `everything` decides."""
    from platformdirs import user_cache_path

    text = json.dumps(everything, sort_keys=True, default=str)
    name = blake2b(text.encode(), digest_size=16).hexdigest()
    return user_cache_path("polymux") / kind / f"{name}.json"


def recall(place: Path) -> Any | None:
    """What is kept there; None if nothing is, or nothing that can be read."""
    try:
        return json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def keep(place: Path, value: Any) -> None:
    """Keep a value; a cache that cannot be written costs the next run some seconds."""
    with suppress(OSError), replaced(place) as draft:
        draft.write_text(json.dumps(value), "utf-8")


def of_kind(config: Any, what: str, make: Callable[[], Any]) -> Any:
    """What `make` finds out of a model of this configuration, as JSON has it.

    Making a model, even without memory for its weights, imports most of transformers: two seconds.
    A model that brings its own code is made each time.
    """
    import transformers

    if getattr(config, "auto_map", None):
        return make()
    told = {k: v for k, v in config.to_dict().items() if k != "_name_or_path"}
    version = transformers.__version__
    place = place_of("kinds", {"what": what, "config": told, "transformers": version})
    known = recall(place)
    if known is None:
        known = make()
        keep(place, known)
    return known
