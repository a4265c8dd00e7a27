"""Passes in threads write what one thread writes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from polymux.selection import Target
from polymux.selection.threads import count, spread


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_place_is_written_once_in_as_many_threads_as_are_allowed(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    written = np.zeros(1003, dtype=int)
    waiting = threading.Barrier(threads)
    seen = set()

    def work(part: slice) -> None:
        if part.start < 10 * threads:
            waiting.wait(timeout=20)
        seen.add(threading.get_ident())
        written[part] += 1

    spread(work, 1003, 10, 2**18)
    assert (written == 1).all()
    assert len(seen) == threads


def test_what_goes_wrong_in_a_thread_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def work(part: slice) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spread(work, 100, 10, 2**18)


def test_little_work_stays_in_the_thread_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    seen = []
    spread(lambda part: seen.append(threading.get_ident()), 100, 10, 5)
    assert seen == [threading.get_ident()] * 10
    spread(seen.append, 0, 10, 2**18)
    assert len(seen) == 10


def test_without_a_word_there_is_a_thread_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert count() == 3
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    for nothing in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert count() == 7


@pytest.mark.parametrize("distance", ["l2", "cosine"])
def test_distances_have_the_same_bits_in_any_number_of_threads(
    distance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x, t = (rng.normal(size=(n, 300)).astype(np.float32) for n in (2000, 50))
    target = Target.of(t, distance)
    at, to = rng.integers(0, 2000, 9000), rng.integers(0, 50, 9000)
    found = []
    for threads in "1", "2", "3":
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        candidates = [*target.candidates(x, np.full(50, np.inf), 3)]
        found.append((target.pairs(x, to, at), *candidates[0]))
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert (one == other).all()
