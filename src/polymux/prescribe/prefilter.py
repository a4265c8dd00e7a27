"""A huge pool narrowed before the model reads it, by importance resampling on hashed n-grams.

DSIR (Xie et al. 2023, arXiv 2302.03169): the single sub-words and the pairs of neighbours of an
example are thrown into buckets; its weight is how much likelier they are under the target sample
than under the pool; examples are drawn by weight without replacement (Gumbel-top-k). No model runs,
only its tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polymux.encoders import Model
from polymux.errors import InputError
from polymux.prescribe.hashes import HashSet
from polymux.progress import Progress
from polymux.records import (
    SHARD_SIZE,
    Encodings,
    Example,
    Hashes,
    Pool,
    PoolFile,
    Shard,
    content_hashes,
)
from polymux.selection import Smallest, drawn
from polymux.selection.draws import draws, mix
from polymux.tasks.feature import subwords

# As in DSIR: single sub-words and pairs in 10,000 buckets.
BUCKETS = 10_000
# N-grams that the pool lends the target. Of an n-gram that a small sample has not seen, the
# released code's 1e-8 says "impossible"; this says "as often as in the pool, unless the sample is
# large".
PRIOR = 1000.0

_NO_ROW = np.iinfo(np.int64).max
_UNIGRAM, _SHIFT = np.uint64(1 << 63), np.uint64(32)


@dataclass(frozen=True, eq=False)
class Narrowed:
    """What is left of a pool, and an even sample of the whole to measure what was lost."""

    pool: Pool
    """The kept examples, with ids and lines as they were."""
    kept: HashSet
    sample: Pool
    facts: dict[str, Any]


def narrow(
    source: Pool,
    target: Pool,
    model: Model,
    keep: int,
    *,
    sample: int,
    seed: int = 0,
    barred: HashSet | None = None,
    without: Collection[str] = (),
    one_of: str | None = None,
    progress: Progress | None = None,
) -> Narrowed:
    """Keep the `keep` examples of a pool that are most like the target sample, partly by lot.

    Duplicates, `barred` and languages in `without` take no place; with `one_of`, `barred` stays
    beside the kept, to bar its groups. Both pools are read without the model: the target once,
    the source twice. `sample` examples of the source, drawn evenly, are named beside.

    Raises:
        InputError: a bad line, an example without sub-words; pools that skip such keep them, to be
            rejected with their line later.
    """
    told = _Told(f"prefilter {source.name}", progress)
    out = _Out(barred or HashSet(), without, has_groups=one_of is not None)
    seen = _first_look(source, model.tokenizer, out, told)
    ratios = log_ratios(_counts_of(target, model.tokenizer), seen.counts)
    best = Smallest(keep, _given_key)
    even = Smallest(sample, drawn(seed, "prefilter-recall"))
    typical = seen.counts.sum() / max(seen.eligible, 1)
    for block in _joined(_scored(source, model.tokenizer, seen, ratios, typical, seed, told), keep):
        best.see(block)
        even.see(block)
    kept = HashSet()
    kept.add(best.hashes)
    facts = {
        "asked": keep,
        "read": seen.read,
        "duplicates": seen.duplicates,
        "excluded": seen.excluded,
        "eligible": seen.eligible,
        "kept": len(best.rows),
        "buckets": BUCKETS,
        "prior": PRIOR,
    }
    rows = np.concatenate([best.rows, np.array(seen.beside, dtype=np.int64)])
    return Narrowed(
        _only(source, rows, seen.firsts), kept, _only(source, even.rows, seen.firsts), facts
    )


def log_ratios(
    target: Int[np.ndarray, "buckets"], source: Int[np.ndarray, "buckets"]
) -> Float[np.ndarray, "buckets"]:
    """By how much each bucket is likelier in the target (logarithm); 0 if the source has none.

    The target's distribution has the source's as its prior, worth `PRIOR` n-grams (Dirichlet
    smoothing, Zhai and Lafferty 2001).
    """
    seen = np.maximum(source, 1) / max(source.sum(), 1)
    ratios = (target / seen + PRIOR) / (target.sum() + PRIOR)
    return np.where(source > 0, np.log(ratios), 0.0)


def buckets_of(
    examples: Sequence[Example], tokenizer: Any
) -> tuple[Int[np.ndarray, "grams"], Int[np.ndarray, "grams"]]:
    """The bucket of every sub-word and of every two neighbours, and whose each is.

    Words of a token task are joined by spaces; two texts of an example share no neighbours.
    """
    owners, texts = [], []
    for number, example in enumerate(examples):
        for value in example.fields.values():
            owners.append(number)
            texts.append(value if isinstance(value, str) else " ".join(value))
    ids = [encoding.ids for encoding in subwords(tokenizer, texts)]
    sizes = np.array([len(part) for part in ids], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(ids), dtype=np.uint64, count=int(sizes.sum()))
    text = np.repeat(np.arange(len(ids)), sizes)
    owner = np.repeat(np.array(owners, dtype=np.int64), sizes)
    pairs = np.flatnonzero(text[1:] == text[:-1])
    grams = np.concatenate([flat | _UNIGRAM, (flat[pairs] << _SHIFT) | flat[pairs + 1]])
    return (mix(grams) % np.uint64(BUCKETS)).astype(np.int64), np.concatenate([owner, owner[pairs]])


@dataclass(slots=True)
class _Seen:
    """What the first look at a pool leaves for the second."""

    counts: Int[np.ndarray, "buckets"]
    masks: list[Bool[np.ndarray, "n"]]
    """What may be kept, by shard."""
    firsts: dict[int, int]
    """The row of each file's first example."""
    beside: list[int]
    """Rows that stay and take no place: what cannot be read, what bars its group."""
    read: int = 0
    duplicates: int = 0
    excluded: int = 0
    eligible: int = 0


@dataclass(frozen=True, slots=True)
class _Out:
    """What may not be kept."""

    barred: HashSet
    without: Collection[str]
    has_groups: bool
    """Whether what is barred stays, to bar its group."""


@dataclass(frozen=True, slots=True)
class _Told:
    stage: str
    progress: Progress | None

    def __call__(self, shard: Shard, total: int | None) -> None:
        if self.progress is not None:
            look = "count" if total is None else "score"
            self.progress(f"{self.stage}: {look}", shard.first + len(shard.examples), total)


def _counts_of(pool: Pool, tokenizer: Any) -> Int[np.ndarray, "buckets"]:
    """How often each bucket is hit in a pool, duplicates counted once."""
    known, counts = HashSet(), np.zeros(BUCKETS, dtype=np.int64)
    for shard in pool.shards():
        is_new = known.add(content_hashes(shard.examples))
        buckets, owner = buckets_of(shard.examples, tokenizer)
        counts += np.bincount(buckets[is_new[owner]], minlength=BUCKETS)
    return counts


def _first_look(source: Pool, tokenizer: Any, out: _Out, told: _Told) -> _Seen:
    """Count n-grams, and say what may be kept."""
    known = HashSet()
    seen = _Seen(np.zeros(BUCKETS, dtype=np.int64), [], {}, [])
    for shard in source.shards():
        hashes = content_hashes(shard.examples)
        is_first, is_excluded = known.add(hashes), out.barred.contains(hashes)
        is_barred = is_excluded | np.array([e.language in out.without for e in shard.examples])
        buckets, owner = buckets_of(shard.examples, tokenizer)
        is_empty = np.bincount(owner, minlength=len(hashes)) == 0
        if is_empty.any() and not source.skip_bad:
            raise _unseen(shard.examples[int(is_empty.argmax())])
        may = is_first & ~is_barred & ~is_empty
        seen.counts += np.bincount(buckets[may[owner]], minlength=BUCKETS)
        seen.masks.append(may)
        seen.firsts.setdefault(shard.file, shard.first)
        stays = is_empty | (is_first & is_excluded & out.has_groups)
        seen.beside += (shard.first + np.flatnonzero(stays)).tolist()
        seen.read += len(hashes)
        seen.duplicates += int((~is_first).sum())
        seen.excluded += int((is_first & is_barred).sum())
        seen.eligible += int(may.sum())
        told(shard, None)
    return seen


def _unseen(example: Example) -> InputError:
    return InputError(
        "the model sees nothing in it",
        "leave the example out, or use a model whose tokenizer knows its characters",
        file=example.file,
        line=example.line,
    )


def _scored(
    source: Pool,
    tokenizer: Any,
    seen: _Seen,
    ratios: Float[np.ndarray, "buckets"],
    typical: float,
    seed: int,
    told: _Told,
) -> Iterator[Encodings]:
    """What may be kept, shard by shard, with its key: the smaller, the likelier kept."""
    for number, shard in enumerate(source.shards()):
        if number >= len(seen.masks) or len(seen.masks[number]) != len(shard.examples):
            raise InputError(
                "the file changed while it was being worked on",
                "run again when nothing writes to it",
                file=shard.examples[0].file,
            )
        may = seen.masks[number]
        hashes = content_hashes(shard.examples)
        buckets, owner = buckets_of(shard.examples, tokenizer)
        grams = np.bincount(owner, minlength=len(hashes))
        sums = np.bincount(owner, weights=ratios[buckets], minlength=len(hashes))
        # As if every example were as long as an average one. The paper's are: its texts are
        # cut into equal chunks. Of whole sentences the sum would rank by length first.
        weights = sums / np.maximum(grams, 1) * typical
        noise = -np.log(-np.log(draws(seed, "prefilter", hashes) + 2.0**-54))
        told(shard, seen.read)
        yield _keyed(shard.rows[may], hashes[may], -(weights + noise)[may])


def _keyed(rows: Int[np.ndarray, "n"], hashes: Hashes, keys: Float[np.ndarray, "n"]) -> Encodings:
    """Rows with a key and nothing else, as summaries see them."""
    nothing = np.zeros(len(rows), dtype=np.int64)
    return Encodings(
        rows=rows,
        hashes=hashes,
        embeddings=np.empty((len(rows), 0), dtype=np.float32),
        uncertainty={"key": keys},
        lengths=nothing,
        lost=nothing,
        predictions=[""] * len(rows),
    )


def _given_key(
    encodings: Encodings, n: int, cut: float
) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    keys = encodings.uncertainty["key"]
    positions = np.flatnonzero(keys <= cut)
    return positions, keys[positions]


def _joined(parts: Iterator[Encodings], size: int) -> Iterator[Encodings]:
    """The same in blocks of at least `size`: a summary of that size sorts once a block."""
    waiting: list[Encodings] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= max(size, SHARD_SIZE):
            yield Encodings.concatenate(waiting)
            waiting = []
    if waiting:
        yield Encodings.concatenate(waiting)


def _only(pool: Pool, rows: Int[np.ndarray, "m"], firsts: dict[int, int]) -> Pool:
    """The same pool with these rows alone; what is bad in its files stays bad."""
    ordered = np.sort(rows)
    files = []
    for place, file in enumerate(pool.files):
        first = firsts.get(place, 0)
        after = min((row for row in firsts.values() if row > first), default=_NO_ROW)
        low, high = np.searchsorted(ordered, [first, after]) if place in firsts else (0, 0)
        if low < high or pool.skip_bad:
            read = _reader(file, ordered[low:high] - first, to_the_end=pool.skip_bad)
            files.append(PoolFile(file.path, read))
    same = Pool(pool.task, files, skip_bad=pool.skip_bad, name=pool.name)
    same.notes, same.how = pool.notes, pool.how
    return same


def _reader(
    file: PoolFile, numbers: Int[np.ndarray, "m"], *, to_the_end: bool
) -> Callable[[], Iterator[Example | InputError]]:
    """Reads these examples of a file, counted from 0, and all that is bad in it."""

    def read() -> Iterator[Example | InputError]:
        wanted = iter(numbers.tolist())
        wait, number = next(wanted, None), 0
        for item in file.read():
            if isinstance(item, InputError):
                yield item
                continue
            if number == wait:
                yield item
                wait = next(wanted, None)
            if wait is None and not to_the_end:
                return
            number += 1

    return read
