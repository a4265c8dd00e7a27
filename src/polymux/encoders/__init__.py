"""A model behind one door: `Model` checks and reads, `encode` takes a pool through it.

Heavy packages are imported when a model is made, never when this module is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol, runtime_checkable

from polymux.encoders.backends import BACKENDS
from polymux.encoders.heads import load_for_training
from polymux.encoders.model import Model, check_finite
from polymux.engines import Engine, Finish, opened
from polymux.errors import InputError
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool, PoolFile, Shard
from polymux.store import Store
from polymux.tasks import Feature
from polymux.tasks.feature import CHUNK

__all__ = ["BACKENDS", "Model", "check_finite", "encode", "load_for_training", "readable"]
_Read = Iterator[Example | InputError]
_Prepare = Callable[[Sequence[Example]], list[Feature]]


def encode(
    pool: Pool,
    model: Model,
    store: Store | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Iterator[tuple[Shard, Encodings]]:
    """Take a pool through a model, a shard at a time; what the store holds is not read again.

    An open `engine` says who works on the shards (this process without one); it changes neither
    their order nor what is in them.

    Raises:
        InputError: a file, or an example in which the model sees nothing (`readable` leaves out).
        WorkError: numbers that are not finite, no memory for one row, or no worker is left.
    """
    waiting: deque[tuple[Shard, Encodings | Finish]] = deque()
    with opened() if engine is None else nullcontext(engine) as hands:
        for shard in pool.shards():
            kept = store and store.get(model.fingerprint, shard.fingerprint)
            waiting.append((shard, kept or hands.begin(model, shard.examples)))
            if len(waiting) > hands.ahead:
                yield _finish(pool.name, *waiting.popleft(), model, store, progress)
        while waiting:
            yield _finish(pool.name, *waiting.popleft(), model, store, progress)


def _finish(
    name: str,
    shard: Shard,
    begun: Encodings | Finish,
    model: Model,
    store: Store | None,
    progress: Progress | None,
) -> tuple[Shard, Encodings]:
    def tick(share: float) -> None:
        if progress is not None:
            progress(f"encode {name}", shard.first + int(len(shard.examples) * share), None)

    if isinstance(begun, Encodings):
        encodings = begun
    else:
        encodings = begun(tick)
        if store is not None:
            # What a later run will find is what this run goes on with, to the bit.
            encodings = store.put(model.fingerprint, shard.fingerprint, encodings, model.about)
    tick(1.0)
    languages = [example.language for example in shard.examples]
    told = None if all(language is None for language in languages) else languages
    return shard, replace(encodings, rows=shard.rows, languages=told)


@runtime_checkable
class Preparing(Protocol):
    """What cuts examples into rows: a model, or the start of a training."""

    def prepare(self, examples: Sequence[Example], *, windows: bool = ...) -> list[Feature]:
        """The rows; raises InputError where the model sees nothing of an example."""


def readable(pool: Pool, model: Preparing, *, windows: bool = False) -> Pool:
    """A pool that skips what is bad, and examples in which the model sees nothing with it.

    They are rejected with their line like others. `windows` is what they will be prepared with.
    """
    if not pool.skip_bad:
        return pool

    def reader(file: PoolFile) -> Callable[[], _Read]:
        return lambda: _sift(file.read(), partial(model.prepare, windows=windows))

    files = [PoolFile(file.path, reader(file)) for file in pool.files]
    same = Pool(pool.task, files, skip_bad=pool.skip_bad, name=pool.name)
    same.notes, same.how = pool.notes, pool.how
    return same


def _sift(items: _Read, prepare: _Prepare) -> _Read:
    batch: list[Example] = []
    for item in chain(items, [None]):
        if isinstance(item, Example):
            batch.append(item)
        if batch and (len(batch) == CHUNK or not isinstance(item, Example)):
            yield from _seen(batch, prepare)
            batch = []
        if isinstance(item, InputError):
            yield item


def _seen(batch: Sequence[Example], prepare: _Prepare) -> _Read:
    try:
        prepare(batch)
    except InputError as error:
        if len(batch) == 1:
            yield error
            return
        half = len(batch) // 2
        yield from _seen(batch[:half], prepare)
        yield from _seen(batch[half:], prepare)
    else:
        yield from batch
