"""A distillation on disk: one folder, a part of it a stage, each tied to all that decided it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from polymux import __version__
from polymux.distill.settings import Settings
from polymux.errors import UsageError
from polymux.folders import written
from polymux.progress import Progress

if TYPE_CHECKING:
    import torch

MANIFEST = "stage.json"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")


def identity_of(**decides: Any) -> str:
    """A name for settings and data: equal names, equal results."""
    text = json.dumps(decides, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def processes() -> Any:
    """Which process this is, of how many: one, unless a launcher began more."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


@contextmanager
def _thrown_away() -> Iterator[Path]:
    with TemporaryDirectory(prefix="polymux-") as folder:
        yield Path(folder)


class NotMadeError(UsageError):
    """A part that is only looked at is not there."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every stage is given: the settings as they were read, and where to write."""

    settings: Settings
    base: Path
    """Paths in the settings are relative to this folder."""
    out: Path
    device: str
    force: bool
    checking: bool
    """Whether parts are only looked at: nothing is made, and what is stale is refused."""
    checkpoint_seconds: float
    progress: Progress | None

    @property
    def autocast(self) -> torch.dtype:
        """What forward passes run in."""
        import torch

        found: torch.dtype = getattr(torch, self.settings.training.precision)
        return found

    def tell(self, what: str, done: int, total: int | None) -> None:
        """Say how far a stage is."""
        if self.progress:
            self.progress(what, done, total)

    def prefixed(self, name: str) -> Progress:
        """Progress of a part, under its name."""
        return lambda what, done, total: self.tell(f"{name}: {what}", done, total)

    def path(self, pattern: str, **names: str) -> str:
        """A PATH of the settings for a language or split, as it can be opened from anywhere.

        `$NAME` in it is an environment variable.
        """
        from polymux.readers import anchored

        found = os.path.expandvars(pattern)
        if unset := _VARIABLE.search(found):
            raise UsageError(
                f"{pattern}: the environment variable {unset[1]} is not set",
                f"export {unset[1]}=..., or write the path out",
            )
        for name, value in names.items():
            found = found.replace("{" + name + "}", value)
        return anchored(found, self.base)

    def manifest(self, place: str) -> dict[str, Any] | None:
        """What a finished part says of itself."""
        file = self.out / place / MANIFEST
        if not file.is_file():
            return None
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return told

    def done(self, place: str, identity: str) -> dict[str, Any] | None:
        """The manifest of a part that is there and was made from the same; None: it is to be made.

        Raises:
            UsageError: it was made with other settings or from other data, and not `force`.
            NotMadeError: it is to be made, and parts are only looked at.
        """
        told = self.manifest(place)
        # All processes have looked before one of them makes it.
        processes().wait_for_everyone()
        if told is not None and told["identity"] == identity:
            return told
        if told is not None and (self.checking or not self.force):
            raise UsageError(
                f"{self.out / place} was made with other settings or from other data",
                "give another `out`, or run its stage too with --force to make it anew",
            )
        if self.checking:
            raise NotMadeError(f"{self.out / place} is not there yet", "run its stage first")
        return None

    @contextmanager
    def making(self, place: str, identity: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """A folder to fill and a manifest to write into; both stay only if the block ends well."""
        told: dict[str, Any] = {"polymux": __version__, "identity": identity}
        state = processes()
        # Of several processes all make the same, and the first one's stays.
        place_for = written(self.out / place, force=True)
        with place_for if state.is_main_process else _thrown_away() as draft:
            yield draft, told
            text = json.dumps(told, ensure_ascii=False, indent=1)
            (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
        state.wait_for_everyone()

    def needed(self, place: str, stage: str) -> Mapping[str, Any]:
        """The manifest of a part that this stage stands on.

        Raises:
            UsageError: it is not there yet.
        """
        told = self.manifest(place)
        if told is None:
            raise UsageError(f"{self.out / place} is not there yet", f"run --stage {stage} first")
        return told
