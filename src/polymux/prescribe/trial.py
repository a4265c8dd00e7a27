"""What an example costs on this machine: a small sample encoded, stored and chosen from, timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from polymux.encoders import Model
from polymux.records import SHARD_SIZE, Encodings, Example
from polymux.selection import Ask, Strategy, choose, find_strategy, look_at
from polymux.store import Store
from polymux.tasks import TASKS

# Batches timed at least, however long one takes.
LEAST_BATCHES = 2
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Trial:
    """Seconds and bytes, measured."""

    examples: int
    """How many were encoded."""
    loading: float
    """The model, from its files to its first answer."""
    lengths: Float[np.ndarray, "batches"]
    rates: Float[np.ndarray, "batches"]
    """Seconds a position of a full batch of rows of those lengths, which rise."""
    preparing: float
    """Cutting an example into rows."""
    putting: float
    getting: float
    """An example into the store and out of it."""
    shard_bytes: float
    example_bytes: float
    """A file of the store, and each example in it."""
    choosing: float
    """An example, by all strategies."""
    dim: int

    def forward(self, lengths: Int[np.ndarray, "rows"]) -> float:
        """Seconds that the model needs for rows of these lengths, in batches of their like."""
        return float((np.interp(lengths, self.lengths, self.rates) * lengths).sum())


def try_out(
    model: Model,
    examples: Sequence[Example],
    *,
    strategies: Sequence[str],
    budget: int,
    targets: int,
    seconds: float,
) -> Trial:
    """Encode batches of the examples, of all lengths in turn, for about `seconds`; time the rest.

    The examples must be readable by the model. Only a temporary folder is written to.
    """
    loading = _seconds(lambda: model.encode(examples[:1]))
    preparing = _seconds(lambda: model.prepare(examples)) / len(examples)
    lengths, rates, parts = _timed(model, examples, seconds)
    seen = Encodings.concatenate(parts)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.put("warm", "up", seen.take(np.arange(1)))
        putting = _seconds(lambda: store.put("try", "out", seen)) / len(seen)
        getting = _seconds(lambda: store.get("try", "out")) / len(seen)
        least = store.path("warm", "up").stat().st_size
        most = store.path("try", "out").stat().st_size
    each = (most - least) / max(len(seen) - 1, 1)
    return Trial(
        examples=len(seen),
        choosing=_choosing(seen, model.task, strategies, budget, targets),
        loading=loading,
        lengths=lengths,
        rates=rates,
        preparing=preparing,
        putting=putting,
        getting=getting,
        shard_bytes=max(least - each, 0.0),
        example_bytes=each,
        dim=seen.embeddings.shape[1],
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timed(
    model: Model, examples: Sequence[Example], seconds: float
) -> tuple[Float[np.ndarray, "batches"], Float[np.ndarray, "batches"], list[Encodings]]:
    """Lengths and rates of the batches there was time for, and what they gave."""
    batches = list(_batches(model, examples))
    # Long and short ones in turn, so that whatever there is time for covers all lengths.
    order = np.argsort(np.arange(len(batches)) * GOLDEN % 1)
    model.encode(batches[order[0]])  # warm
    lengths, rates, parts = [], [], []
    start = time.perf_counter()
    for number in order.tolist():
        batch = batches[number]
        features = model.prepare(batch)
        longest = max(len(f.input_ids) for f in features)
        begin = time.perf_counter()
        parts.append(model.encode_features(batch, features))
        rates.append((time.perf_counter() - begin) / (longest * len(features)))
        lengths.append(float(longest))
        if time.perf_counter() - start > seconds and len(rates) >= LEAST_BATCHES:
            break
    rising = np.argsort(lengths, kind="stable")
    return np.array(lengths)[rising], np.array(rates)[rising], parts


def _batches(model: Model, examples: Sequence[Example]) -> Iterator[list[Example]]:
    """Examples of like length, as many at once as fill a batch; a last one that does not is left.

    So full batches are timed, as a full shard has them.
    """
    longest = np.zeros(len(examples), dtype=np.int64)
    rows = np.zeros(len(examples), dtype=np.int64)
    for feature in model.prepare(examples):
        longest[feature.example] = max(longest[feature.example], len(feature.input_ids))
        rows[feature.example] += 1
    order = np.argsort(-longest, kind="stable").tolist()
    start, full = 0, 0
    for end in range(1, len(order) + 1):
        width = longest[order[start]]
        is_last = end == len(order)
        if is_last or (rows[order[start : end + 1]].sum() * width) > model.batch_tokens:
            if not (is_last and full):
                yield [examples[number] for number in order[start:end]]
            start, full = end, full + 1


def _choosing(
    seen: Encodings, task: str, strategies: Sequence[str], budget: int, targets: int
) -> float:
    """Seconds an example that the strategies need, tried on a shard made up from what was seen."""
    rules = {name: find_strategy(name) for name in strategies}
    draw = np.random.default_rng(0)

    def made(count: int) -> Encodings:
        like = seen.take(np.arange(count) % len(seen))
        spread = draw.normal(size=like.embeddings.shape) * seen.embeddings.std(axis=0)
        return replace(
            like,
            rows=np.arange(count),
            hashes=draw.integers(0, 2**63, (count, 2)).astype(np.uint64),
            embeddings=(like.embeddings + spread).astype(np.float32),
            languages=None,
        )

    shard, target = made(SHARD_SIZE), made(targets)
    size = min(budget, SHARD_SIZE)
    ask = Ask(
        target=target.embeddings,
        target_hashes=target.hashes,
        target_languages=(None,) * targets,
        budget=size,
        depth=size,
        seed=0,
        measure=TASKS[task].DEFAULT_MEASURE,
    )
    asked = {n: (rule, ask) for n, rule in rules.items() if isinstance(rule, Strategy)}
    asked = {n: (rule, ask) for n, (rule, ask) in asked.items() if not rule.needs}
    if not asked:
        return 0.0
    return (
        _seconds(lambda: choose(asked, [size], look_at(lambda: [shard]), shard.take)) / SHARD_SIZE
    )
