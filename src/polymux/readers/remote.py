"""Files on other machines: whatever goes wrong on the way, as an OSError."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What the libraries below fsspec raise beside OSError, by module; looked up only where one is used.
_RAISED = {
    "aiohttp": "ClientError",
    "botocore.exceptions": "BotoCoreError",
    "google.auth.exceptions": "GoogleAuthError",
}


@contextmanager
def translated() -> Iterator[None]:
    """Around whatever asks another machine.

    Raises:
        OSError: it does not answer, refuses, or has been asked what it cannot do.
    """
    modules = ((sys.modules.get(module), name) for module, name in _RAISED.items())
    raised = tuple(getattr(module, name) for module, name in modules if module is not None)
    try:
        yield
    except (ValueError, *raised) as error:
        raise OSError(str(error)) from error


class Remote(io.RawIOBase):
    """A file of fsspec, read from anywhere in it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from the middle."""
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        """Bytes into a buffer; how many."""
        with translated():
            return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        with translated():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Where it is."""
        return int(self._file.tell())

    def close(self) -> None:
        """Let it go."""
        if not self.closed:
            self._file.close()
        super().close()
