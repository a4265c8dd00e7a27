"""What works in another process: it makes each model once, and reads shards with it."""

from __future__ import annotations

import os
import pickle
import socket

from polymux.engines.protocol import Reader
from polymux.errors import ModelError
from polymux.records import Encodings, Example

# Threads of a worker at most: more help one model little.
CORES = 4


def said_threads() -> int | None:
    """What OMP_NUM_THREADS says; None where it says no number above 0."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return (int(said) or None) if said.isdecimal() else None


def threads_of(cores: float) -> int:
    """Threads of a worker with so many cores; whoever says how many means the workers too."""
    return max(1, min(int(cores), CORES, said_threads() or CORES))


class Worker:
    """Models by fingerprint, each made from how it was pickled."""

    def __init__(self, threads: int | None) -> None:
        if threads is not None:
            # Torch is not imported yet, and reads it when it is.
            os.environ["OMP_NUM_THREADS"] = str(threads)
        self._readers: dict[str, Reader] = {}

    def process(self) -> int:
        """The number of its process."""
        return os.getpid()

    def encode(
        self, fingerprint: str, pickled: bytes, examples: tuple[Example, ...]
    ) -> tuple[Encodings, list[str]]:
        """What the model says of a shard, and what a person should know of how it read.

        Raises:
            ModelError: the model of that name is another one here.
        """
        if fingerprint not in self._readers:
            reader: Reader = pickle.loads(pickled)  # noqa: S301  (the driver made it)
            if reader.fingerprint != fingerprint:
                raise ModelError(
                    f"the model on the worker {socket.gethostname()} is another one than here",
                    "every node needs the same model under the same path, the same versions of "
                    "polymux and torch, and measures of your own as an installed entry point",
                )
            self._readers[fingerprint] = reader
        reader = self._readers[fingerprint]
        return reader.encode_features(examples, reader.prepare(examples)), reader.notes
