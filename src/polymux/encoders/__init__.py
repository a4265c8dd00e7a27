"""A model behind one door: `Model` checks and reads, `encode` takes a pool through it.

Heavy packages are imported when a model is made, never when this module is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol, runtime_checkable

from polymux.encoders.backends import BACKENDS
from polymux.encoders.heads import load_for_training
from polymux.encoders.model import Model, check_finite
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
    pool: Pool, model: Model, store: Store | None = None, progress: Progress | None = None
) -> Iterator[tuple[Shard, Encodings]]:
    """Take a pool through a model, a shard at a time; what the store holds is not read again.

    The next shard is cut into rows in a thread while the model reads this one.

    Raises:
        InputError: a file, or an example in which the model sees nothing (`readable` leaves out).
        WorkError: numbers that are not finite, or no memory for one row.
    """
    waiting: tuple[Shard, Encodings | Future[list[Feature]]] | None = None
    with ThreadPoolExecutor(1) as worker:
        for shard in chain(pool.shards(), [None]):
            ahead: tuple[Shard, Encodings | Future[list[Feature]]] | None = None
            if shard is not None:
                kept = store and store.get(model.fingerprint, shard.fingerprint)
                ahead = shard, kept or worker.submit(model.prepare, shard.examples)
            if waiting is not None:
                yield waiting[0], _finish(pool.name, waiting, model, store, progress)
            waiting = ahead


def _finish(
    name: str,
    waiting: tuple[Shard, Encodings | Future[list[Feature]]],
    model: Model,
    store: Store | None,
    progress: Progress | None,
) -> Encodings:
    shard, begun = waiting
    size = len(shard.examples)
    if isinstance(begun, Encodings):
        encodings = begun
    else:
        features = begun.result()

        def tick(done: int) -> None:
            if progress is not None:
                progress(f"encode {name}", shard.first + size * done // len(features), None)

        encodings = model.encode_features(shard.examples, features, tick)
        if store is not None:
            store.put(model.fingerprint, shard.fingerprint, encodings)
    if progress is not None:
        progress(f"encode {name}", shard.first + size, None)
    languages = [example.language for example in shard.examples]
    told = None if all(language is None for language in languages) else languages
    return replace(encodings, rows=shard.rows, languages=told)


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
