"""The engine ray: workers of a cluster, or of this machine, each with the model."""

from __future__ import annotations

import logging
import math
import os
import pickle
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from polymux.engines.protocol import Engine, Finish, Reader, Tick
from polymux.engines.worker import CORES, Worker, threads_of
from polymux.errors import PolymuxError, UsageError, WorkError
from polymux.records import Encodings, Example

# How often a shard is given out again because its worker was lost.
RETRIES = 5
# Seconds to wait for all workers to start, and for one: a cluster may have to grow first.
GRACE, PATIENCE = 60.0, 600.0
# Seconds in which a cluster takes a connection; Ray alone would try for minutes.
ANSWER = 10.0


@contextmanager
def on_ray(address: str | None = None, workers: int | None = None) -> Iterator[Engine]:
    """Ray's workers, each with the model; one that is lost costs only its shards.

    Nothing is started before there is a shard to encode.
    """
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed", "pip install 'polymux[ray]'")
    crew = _Crew(address, workers)
    try:
        yield crew
    finally:
        crew.leave()


@dataclass(slots=True)
class _Crew:
    """Workers of a Ray cluster, hired when the first shard is begun."""

    address: str | None
    asked: int | None
    actors: list[Any] = field(default_factory=list)
    starting: dict[Any, int] = field(default_factory=dict)
    """The first call of each worker that has not answered yet, and its number in `actors`."""
    given: dict[Any, int] = field(default_factory=dict)
    """Calls that may be unfinished, and the number of their worker."""
    is_ours: bool = False
    """Ray itself was started here."""

    @property
    def ahead(self) -> int:
        return 2 * len(self.actors)

    def begin(self, reader: Reader, examples: tuple[Example, ...]) -> Finish:
        if not self.actors:
            self._hire(reader.device)
        worker = self._freest()
        call = self.actors[worker].encode.remote(reader.fingerprint, pickle.dumps(reader), examples)
        self.given[call] = worker

        def finish(tick: Tick) -> Encodings:
            told: tuple[Encodings, list[str]] = _answer(call)
            encodings, notes = told
            self.given.pop(call, None)
            reader.notes.extend(note for note in notes if note not in reader.notes)
            # A copy: what Ray hands out is read-only and occupies its memory.
            return encodings.take(encodings.rows)

        return finish

    def _hire(self, device: str) -> None:
        self.is_ours = _connect(self.address)
        import ray

        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, gpus = there.get("CPU", 1.0), there.get("GPU", 0.0)
        on_gpu = device == "cuda"
        if on_gpu and gpus < 1:
            raise UsageError("the Ray cluster has no GPU", "use --device cpu")
        count = self.asked or max(1, int(gpus if on_gpu else cores / CORES))
        threads = threads_of(cores / count)
        hired = ray.remote(
            num_cpus=0.0 if on_gpu else min(threads, _share(cores, count)),
            num_gpus=min(1.0, _share(gpus, count)) if on_gpu else 0.0,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )(Worker)
        self.actors = [hired.remote(None if on_gpu else threads) for _ in range(count)]
        self.starting = {actor.process.remote(): i for i, actor in enumerate(self.actors)}
        if not (_done(self.starting, GRACE) or _done(self.starting, PATIENCE, least=1)):
            raise WorkError(
                "no Ray worker could start",
                "`ray status` says what the cluster has room for: add nodes, or end other jobs",
            )

    def _freest(self) -> int:
        """The worker with the fewest shards of those that run."""
        for call in _done(self.starting):
            _answer(call)
            del self.starting[call]
        for call in _done(self.given):
            del self.given[call]
        load = Counter(self.given.values())
        running = set(range(len(self.actors))) - set(self.starting.values())
        return min(sorted(running), key=lambda worker: load[worker])

    def leave(self) -> None:
        """Let the workers go, and Ray itself if it was started here."""
        if not self.actors and not self.is_ours:
            return
        import ray

        if ray.is_initialized():
            for actor in self.actors:
                ray.kill(actor)
            if self.is_ours:
                ray.shutdown()


def _share(there: float, count: int) -> float:
    """What each of `count` may hold, as Ray counts it: a whole number, or ten-thousandths of 1."""
    return there // count or math.floor(10_000 * there / count) / 10_000


def _done(calls: Mapping[Any, int], seconds: float = 0.0, least: int | None = None) -> list[Any]:
    """Which calls have been answered, once all (or `least` of them) are or that time is over."""
    import ray

    done: list[Any] = []
    if calls:
        done, _ = ray.wait(list(calls), num_returns=least or len(calls), timeout=seconds)
    return done


def _answer(call: Any) -> Any:
    """What a worker returned; an error of polymux arrives as it was raised there."""
    import ray

    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PolymuxError | OSError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise WorkError(
            f"Ray's workers failed: {' ... '.join(dict.fromkeys([told[0], told[-1]]))}",
            "every node needs polymux and its packages; a worker that runs out of memory is lost: "
            "fewer --workers, smaller --batch-tokens",
        ) from error


def _connect(address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine; whether Ray has to be shut down later."""
    place = address or os.environ.get("RAY_ADDRESS")
    if place is None:
        # Ray reads them when it is imported. It has no password: only this machine may reach it.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    ending = signal.getsignal(signal.SIGTERM)
    try:
        if place is None:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            _reach(place)
            ray.init(address=place, **quiet)
        # Of lost workers it tells on standard output, which belongs to results, and has no switch.
        vars(ray._private.worker)["print_to_stdstream"] = lambda *_, **__: None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"Ray cannot be used: {str(error).splitlines()[0]}",
            "give the HOST:PORT of a cluster that runs, with the same versions of Ray and Python",
        ) from error
    finally:
        # Ray puts its own in this place, and never takes it away.
        if ending is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ending)
    return True


def _reach(place: str) -> None:
    host, _, port = place.rpartition(":")
    if place == "auto":
        return
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(
            f"{place} is no address of a Ray cluster",
            "give HOST:PORT, as `ray start --head` printed it",
        )
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"no Ray cluster answers at {place}: {error}",
            "start one with `ray start --head`, or drop --ray-address to use this machine",
        ) from error
