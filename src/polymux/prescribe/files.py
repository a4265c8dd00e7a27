"""What `select` writes beside the card: `to_label.jsonl`, what was rejected, the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polymux.errors import InputError
from polymux.records import Pick


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
        surface = example.extra.get("text")
        if "tokens" in example.fields and isinstance(surface, str):
            line["surface"] = surface
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
