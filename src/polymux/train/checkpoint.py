"""Where a training stands, in one file."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from polymux.errors import UsageError

if TYPE_CHECKING:
    from polymux.train.loop import Trainer

FILE = "state.pt"


@dataclass(slots=True)
class Checkpoint:
    """A file that is replaced in one step, so that a kill leaves the one before."""

    folder: Path
    seconds: float
    """From one to the next, at least."""
    identity: str
    """What is trained, on what and how: a checkpoint of anything else is refused."""
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0
    """Seconds that writing one took."""

    def due(self) -> bool:
        """Whether the time has come; writing takes a tenth of the time at most.

        With 0 seconds it always has.
        """
        wait = max(self.seconds, 10 * self.cost) if self.seconds else 0.0
        return time.monotonic() - self.last >= wait

    def save(self, trainer: Trainer) -> None:
        """Write all that the next update depends on."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "identity": self.identity,
            "model": trainer.model.state_dict(),
            "optimizer": trainer.optimizer.state_dict(),
            "at_once": trainer.at_once,
            "losses": trainer.losses,
        }
        part = self.folder / f"{FILE}.part"
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / FILE)
        self.last = time.monotonic()
        self.cost = self.last - began

    def forget(self) -> None:
        """Take away what an earlier training left here."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, trainer: Trainer) -> None:
        """Put the trainer where it was, if it ever was."""
        path = self.folder / FILE
        if not path.exists():
            return
        state = torch.load(path, map_location=trainer.device, weights_only=True)
        if state["identity"] != self.identity:
            raise UsageError(
                f"{path} was made with other settings or other data",
                "give what it was begun with, or leave --resume out to begin anew",
            )
        trainer.model.load_state_dict(state["model"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.at_once = state["at_once"]
        trainer.losses = state["losses"]
