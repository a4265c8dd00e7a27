"""Where encodings stay: a store that is kept, or a spool that goes with the run."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polymux.store import Store

# Host and process stand in the name, so that a later run can tell a spool whose run was killed.
PREFIX = "polymux-spool"


@contextmanager
def store_for(
    folder: str | Path | None, spool: str | Path | None, dtype: str = "float32"
) -> Iterator[Store]:
    """The store in `folder`; without one, a spool below `spool` that is deleted at the end."""
    if folder is not None:
        yield Store(Path(folder), dtype)
        return
    below = Path(spool or tempfile.gettempdir())
    below.mkdir(parents=True, exist_ok=True)
    _sweep(below)
    mine = f"{PREFIX}-{socket.gethostname()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=mine, dir=below) as place:
        yield Store(Path(place), dtype)


def _sweep(below: Path) -> None:
    """Delete the spools of runs on this machine that are no longer there."""
    for place in below.glob(f"{PREFIX}-{socket.gethostname()}-*-*"):
        process = place.name.rsplit("-", 2)[1]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(place, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
