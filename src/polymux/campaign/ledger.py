"""Everything that ever happened in a campaign, a line an event, only ever added to.

What was issued, what came back, what was changed: the state of a campaign is read from here. A line
is on the disk before anything goes on; a half-written last line, all that a kill can leave, is cut
away and was never said.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polymux.errors import WorkError


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file of events."""

    path: Path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in filter(None, self._whole().split(b"\n")):
            try:
                yield json.loads(line)
            except (RecursionError, ValueError) as error:
                raise WorkError(
                    f"a line of {self.path} cannot be read: {line[:80]!r}",
                    "the ledger is written by polymux alone: take it back from a copy",
                ) from error

    def add(
        self,
        event: str,
        *,
        unless: Callable[[Iterable[Mapping[str, Any]]], bool] | None = None,
        **told: Any,
    ) -> bool:
        """Write an event down, to the disk, before anything goes on.

        `unless` looks at what was written before, while nobody else writes: then it is not.
        """
        stamped: Mapping[str, Any] = {
            "event": event,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **told,
        }
        line = json.dumps(stamped, ensure_ascii=False) + "\n"
        with self.path.open("a+b") as file, _alone(file.fileno()):
            if unless is not None and unless(self):
                return False
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            # What UTF-8 cannot write, such as some names of files, JSON can.
            file.write(line.encode(errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        return True

    def _whole(self) -> bytes:
        """All whole lines."""
        if not self.path.exists():
            return b""
        data = self.path.read_bytes()
        return data[: data.rfind(b"\n") + 1]


@contextmanager
def _alone(file: int) -> Iterator[None]:
    """Labels may come in while a model is trained: one line at a time is written."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
