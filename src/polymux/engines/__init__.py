"""ENGINES: who works on the shards of a pool, this machine or Ray's workers.

An engine decides where a shard is worked on, never what comes of it: shards are begun and looked at
in the order of the pool, and each is worked on as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from polymux.engines.cluster import on_ray
from polymux.engines.local import here
from polymux.engines.protocol import Engine, Finish, Reader, Tick
from polymux.errors import UsageError

__all__ = ["ENGINES", "Engine", "Finish", "Reader", "Tick", "opened"]

ENGINES: dict[str, Callable[[str | None, int | None], AbstractContextManager[Engine]]] = {
    "local": here,
    "ray": on_ray,
}


def opened(
    name: str = "local", address: str | None = None, workers: int | None = None
) -> AbstractContextManager[Engine]:
    """An engine; what it started ends with it.

    `address` is the HOST:PORT of a Ray cluster (without one Ray runs on this machine), `workers`
    how many models read at once.

    Raises:
        UsageError: there is no such engine, it is not installed, or an option is not its own.
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}", f"choose one of: {', '.join(ENGINES)}")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers is {workers}", "give a whole number above 0, or drop it")
    return ENGINES[name](address, workers)
