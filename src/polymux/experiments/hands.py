"""Who does the work of an experiment: this process, or several that end when it does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

from polymux.errors import WorkError

Key = TypeVar("Key")
Task = tuple[Callable[..., Any], tuple[Any, ...]]
# From functions with their arguments, by key, to results as they come.
Run = Callable[[Mapping[Key, Task]], Iterator[tuple[Key, Any]]]


@contextmanager
def hands(workers: int) -> Iterator[Run[Any]]:
    """Call functions side by side in this many processes; one: here."""
    if workers == 1:
        yield _here
        return
    threads = max(1, cores() // workers)
    executor = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(threads,)
    )

    def run(tasks: Mapping[Any, Task]) -> Iterator[tuple[Any, Any]]:
        futures: dict[Future[Any], Any] = {
            executor.submit(function, *arguments): key
            for key, (function, arguments) in tasks.items()
        }
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool as error:
                raise WorkError(
                    "a worker ended, for want of memory perhaps",
                    "run it again with fewer --workers: what is finished is kept",
                ) from error

    try:
        yield run
    finally:
        executor.shutdown(cancel_futures=True)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(device: str) -> int:
    """One a core; on a GPU one, which models there share badly."""
    from torch import cuda

    return 1 if device == "cuda" or (device == "auto" and cuda.is_available()) else cores()


def _here(tasks: Mapping[Any, Task]) -> Iterator[tuple[Any, Any]]:
    for key, (function, arguments) in tasks.items():
        yield key, function(*arguments)


def _begin(threads: int) -> None:
    """Small models gain little by more threads and wait long for each other's."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A killed parent says nothing: without this its workers would wait for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
