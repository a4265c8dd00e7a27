"""Passes over arrays in as many threads as matrix products take."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from polymux.engines.worker import said_threads

# Numbers in a pass below which another thread costs more than it saves.
WORTH_A_THREAD = 2**18


def count() -> int:
    """As many threads as BLAS takes: what OMP_NUM_THREADS says, else one a core."""
    return said_threads() or os.cpu_count() or 1


def spread(work: Callable[[slice], object], size: int, step: int, numbers: int) -> None:
    """Call `work` for slices of `step` that make up `size`, each to write in its own place.

    `numbers` is how many numbers one of `size` stands for. What is written depends on no thread.
    """
    parts = [slice(start, min(start + step, size)) for start in range(0, size, step)]
    workers = min(count(), len(parts), max(1, size * numbers // WORTH_A_THREAD))

    if workers <= 1:
        _run(work, parts)
        return
    # Made anew each time: threads that wait would be missing after a fork.
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda first: _run(work, parts[first::workers]), range(workers)))


def _run(work: Callable[[slice], object], parts: list[slice]) -> None:
    for part in parts:
        work(part)
