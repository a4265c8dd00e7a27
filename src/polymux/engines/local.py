"""The local engine: this process, or several of this machine."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from polymux.engines.protocol import Engine, Finish, Reader, Tick
from polymux.engines.worker import Worker, threads_of
from polymux.errors import UsageError, WorkError
from polymux.records import Encodings, Example

# Where the driver lists its devices.
DEVICES = Path("/proc/driver/nvidia/gpus")


@contextmanager
def here(address: str | None = None, workers: int | None = None) -> Iterator[Engine]:
    """This process, or with `workers` as many of this machine, each with the model.

    Alone it cuts the next shard into rows in a thread while the model reads this one.
    """
    if address is not None:
        raise UsageError("--ray-address is for the engine ray", "add --engine ray, or drop it")
    if workers is None or workers == 1:
        with ThreadPoolExecutor(1) as thread:
            yield _Here(thread)
        return
    # Not a fork: a process that has used CUDA or threads cannot be copied.
    context = get_context("spawn")
    ranks: Any = context.Queue()
    for rank in range(workers):
        ranks.put(rank)
    threads = threads_of((os.cpu_count() or 1) / workers)
    with ProcessPoolExecutor(workers, context, _begin, (ranks, threads)) as pool:
        try:
            yield _Processes(pool, 2 * workers)
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Here:
    """This process, with the thread that prepares."""

    thread: ThreadPoolExecutor
    ahead: int = 1

    def begin(self, reader: Reader, examples: tuple[Example, ...]) -> Finish:
        prepared = self.thread.submit(reader.prepare, examples)

        def finish(tick: Tick) -> Encodings:
            features = prepared.result()
            return reader.encode_features(
                examples, features, lambda done: tick(done / len(features))
            )

        return finish


@dataclass(frozen=True, slots=True)
class _Processes:
    """Several processes of this machine; they share its GPUs evenly."""

    pool: ProcessPoolExecutor
    ahead: int

    def begin(self, reader: Reader, examples: tuple[Example, ...]) -> Finish:
        with _whole():
            call = self.pool.submit(_encode, reader.fingerprint, pickle.dumps(reader), examples)

        def finish(tick: Tick) -> Encodings:
            with _whole():
                encodings, notes = call.result()
            reader.notes.extend(note for note in notes if note not in reader.notes)
            return encodings

        return finish


@contextmanager
def _whole() -> Iterator[None]:
    """Say what it means that a process is gone."""
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkError(
            "a process that was encoding is gone",
            "if memory ran out, take fewer --workers or a smaller --batch-tokens; what was encoded "
            "is in the store, and the next run goes on from there",
        ) from error


# Of this process, where it works for another.
_worker: list[Worker] = []


def _begin(ranks: Any, threads: int) -> None:
    """Take a place among the processes: its device, its share of the cores."""
    rank, devices = ranks.get(), _devices()
    if devices:
        # Torch is not imported yet, and sees what is visible when it is.
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[rank % len(devices)]
    _worker.append(Worker(threads))
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed command takes its processes along, and their memory."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _devices() -> list[str]:
    """The GPUs that this process may use, as CUDA names them."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is not None:
        return [name for name in said.split(",") if name]
    return [str(i) for i in range(len(list(DEVICES.iterdir())))] if DEVICES.is_dir() else []


def _encode(
    fingerprint: str, pickled: bytes, examples: tuple[Example, ...]
) -> tuple[Encodings, list[str]]:
    return _worker[0].encode(fingerprint, pickled, examples)
