"""A choice that was made before, as its folder tells it: `selection.json` and `to_label.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import InputError
from polymux.records import FIELDS, Example, content_hashes

# What a manifest must tell so that its choice can be made again.
NEEDED: dict[str, tuple[str, ...]] = {
    "task": (),
    "strategy": (),
    "budget": (),
    "chosen": (),
    "seed": (),
    "settings": (),
    "model": ("path",),
    "source": ("how", "cwd", "fingerprint", "read"),
    "target": ("how", "cwd", "fingerprint", "read"),
}
AGAIN = "make the choice again with polymux select: half of it cannot be verified"


@dataclass(frozen=True, slots=True)
class PastPick:
    """One example of a choice that was made before."""

    rank: int
    id: str
    content: tuple[int, int]
    """Its content hash."""
    uncertainty: float
    distance: float


@dataclass(frozen=True, eq=False)
class Past:
    """A choice that was made before."""

    folder: Path
    manifest: Mapping[str, Any]
    picks: tuple[PastPick, ...]
    """Best first."""

    @property
    def strategy(self) -> str:
        """Its strategy's name."""
        return str(self.manifest["strategy"])

    @property
    def budget(self) -> int:
        """What was asked for; more than was chosen where the pool was smaller."""
        return int(self.manifest["budget"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """How the choice was made and the model was run."""
        settings: Mapping[str, Any] = self.manifest["settings"]
        return settings


def past_choices(out: str | Path) -> list[Past]:
    """The choice in this folder, or those in its `STRATEGY/BUDGET/`, complete.

    Raises:
        InputError: there is none, or a file of one is missing, cut or of something else.
    """
    folder = Path(out)
    if (folder / "selection.json").is_file():
        return [_past(folder)]
    found = sorted(folder.glob("*/*/selection.json"), key=_by_budget)
    if not found:
        raise InputError(
            "there is no selection.json here, and none in STRATEGY/BUDGET/ below",
            "give the folder that polymux select was given as --out",
            file=str(folder),
        )
    return [_past(manifest.parent) for manifest in found]


def _by_budget(manifest: Path) -> tuple[str, int, str]:
    strategy, budget = manifest.parts[-3:-1]
    return strategy, int(budget) if budget.isdecimal() else 0, budget


def _past(folder: Path) -> Past:
    path = folder / "selection.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise InputError(f"this is no whole JSON: {error}", AGAIN, file=str(path)) from None
    missing = _missing(manifest)
    if missing:
        raise InputError(
            f"it does not tell of {', '.join(missing)}",
            "give a folder that polymux select wrote; other commands write other manifests",
            file=str(path),
        )
    return Past(folder, manifest, _picks(folder / "to_label.jsonl", manifest))


def _missing(manifest: Any) -> list[str]:
    """What a manifest should tell and does not."""
    if not isinstance(manifest, dict):
        return list(NEEDED)
    missing = [name for name in NEEDED if name not in manifest]
    told = [(name, manifest.get(name), keys) for name, keys in NEEDED.items() if keys]
    settings = manifest.get("settings")
    if isinstance(settings, dict):
        excluded = settings.get("exclude") or []
        told += [("settings.exclude", one, ("how", "cwd", "fingerprint")) for one in excluded]
    elif "settings" in manifest:
        missing.append("settings")
    for name, facts, keys in told:
        there = facts if isinstance(facts, dict) else {}
        missing += [f"{name}.{key}" for key in keys if key not in there]
    return missing


def _picks(path: Path, manifest: Mapping[str, Any]) -> tuple[PastPick, ...]:
    if not path.is_file():
        raise InputError("there is no to_label.jsonl beside selection.json", AGAIN, file=str(path))
    picks = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            picks.append(_pick(json.loads(line), manifest["task"]))
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"this is no line of a choice ({type(error).__name__}: {error})",
                AGAIN,
                file=str(path),
                line=number,
            ) from None
    picks.sort(key=lambda pick: pick.rank)
    ranks = [pick.rank for pick in picks]
    if len(ranks) != manifest["chosen"] or ranks != list(range(1, len(ranks) + 1)):
        raise InputError(
            f"its ranks are not 1 to {manifest['chosen']}, as selection.json says",
            AGAIN,
            file=str(path),
        )
    return tuple(picks)


def _pick(line: Mapping[str, Any], task: str) -> PastPick:
    fields: dict[str, str | tuple[str, ...]] = {}
    for name in FIELDS[task]:
        key = name.rstrip("?")
        if key in line or not name.endswith("?"):
            value = line[key]
            fields[key] = tuple(value) if isinstance(value, list) else value
    example = Example(line["id"], "", 0, fields)
    (hashes,) = content_hashes([example]).tolist()
    return PastPick(
        int(line["rank"]), example.id, tuple(hashes), line["uncertainty"], line["distance"]
    )
