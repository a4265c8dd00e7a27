"""A pool behind a model: encoded once, masked, counted, and looked at as often as asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from polymux.encoders import Model, encode, readable
from polymux.engines import Engine
from polymux.errors import InputError, WorkError
from polymux.prescribe.hashes import HashSet
from polymux.progress import Progress
from polymux.records import SHARD_SIZE, Encodings, Example, Pool, Shard, content_hashes
from polymux.store import Store

# A pool of at most so many examples and characters stays in memory when it was read. Beyond, memory
# may not grow with the pool; below, reading is most of what a run on a filled store does.
HELD_EXAMPLES = 4 * SHARD_SIZE
HELD_CHARACTERS = 32_000_000


def place_of(pool: Pool) -> dict[str, Any]:
    """How the pool was read and from where, so that it can be read again."""
    return {"how": dict(pool.how), "cwd": str(Path.cwd())}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is remembered of a shard, so that it can be looked at again without its texts."""

    first: int
    fingerprint: str
    kept: Bool[np.ndarray, "n"]
    excluded: Bool[np.ndarray, "n"]
    languages: tuple[str | None, ...]


@dataclass(slots=True)
class Counts:
    """What became of the examples of a pool."""

    read: int = 0
    duplicates: int = 0
    excluded: int = 0
    overlap: int = 0
    """Those that also stand in the target sample."""
    rejected: int = 0
    truncated: int = 0
    words_lost: int = 0
    tokens: int = 0
    """Sub-words that the model read, special tokens included, duplicates too."""

    @property
    def eligible(self) -> int:
        """Those that may be chosen."""
        return self.read - self.duplicates - self.excluded


class EncodedPool:
    """A pool, its encodings in a store, and masks that leave out duplicates and what is barred."""

    def __init__(self, pool: Pool, model: Model, store: Store, engine: Engine) -> None:
        self.pool = readable(pool, model) if pool.skip_bad else pool
        self.model = model
        self.store = store
        self.engine = engine
        self.counts = Counts()
        self.languages: Counter[str] = Counter()
        self.fingerprint = ""
        self.rejected: tuple[InputError, ...] = ()
        """What was left out of the first, full reading."""
        self.notes: tuple[str, ...] = ()
        self._shards: list[_Seen] = []
        self._held: list[Shard] | None = []
        self._characters = 0

    def encode(
        self,
        barred: HashSet,
        *,
        without: Collection[str] = (),
        overlap: HashSet | None = None,
        see: tuple[Callable[[Encodings], None], ...] = (),
        progress: Progress | None = None,
    ) -> None:
        """Encode every shard, or find it in the store; each `see` looks at what may be chosen.

        Languages in `without` may not be, as little as what is barred.
        """
        known = HashSet()
        digest = blake2b(digest_size=16)
        for shard, encodings in encode(self.pool, self.model, self.store, progress, self.engine):
            digest.update(encodings.hashes.tobytes())
            is_first = known.add(encodings.hashes)
            languages = tuple(encodings.languages or [None] * len(encodings))
            is_excluded = barred.contains(encodings.hashes)
            is_barred = is_excluded | np.array([language in without for language in languages])
            kept = is_first & ~is_barred
            counts = self.counts
            counts.read += len(encodings)
            counts.tokens += int(encodings.lengths.sum())
            counts.duplicates += int((~is_first).sum())
            counts.excluded += int((is_first & is_barred).sum())
            if overlap is not None:
                counts.overlap += int(overlap.contains(encodings.hashes[kept]).sum())
            counts.truncated += int((encodings.lost[kept] > 0).sum())
            counts.words_lost += int(encodings.lost[kept].sum())
            self._shards.append(_Seen(shard.first, shard.fingerprint, kept, is_excluded, languages))
            self._hold(shard)
            eligible = replace(encodings, languages=languages).take(kept)
            self.languages.update(language or "" for language in eligible.languages or ())
            for look in see:
                look(eligible)
        self.rejected, self.notes = tuple(self.pool.rejected), tuple(self.pool.notes)
        self.counts.rejected = len(self.rejected)
        self.fingerprint = digest.hexdigest()
        if self.counts.eligible == 0:
            raise InputError(
                f"no example is left of {self.pool.name}: {self.counts.read:,} were read, "
                f"{self.counts.duplicates:,} are duplicates, {self.counts.excluded:,} are excluded",
                "give more files, or exclude less",
                file=self.pool.files[0].path,
            )

    @property
    def rows(self) -> Int[np.ndarray, "eligible"]:
        """The rows of what may be chosen."""
        return np.concatenate([seen.first + np.flatnonzero(seen.kept) for seen in self._shards])

    @property
    def excluded_rows(self) -> Int[np.ndarray, "excluded"]:
        """The rows of what was bought before, or may not be chosen for another reason."""
        return np.concatenate([seen.first + np.flatnonzero(seen.excluded) for seen in self._shards])

    @property
    def languages_read(self) -> set[str]:
        """Of everything that was read, what may not be chosen included."""
        return {language or "" for seen in self._shards for language in seen.languages}

    @property
    def bytes(self) -> int:
        """What its encodings take in the store."""
        names = {seen.fingerprint for seen in self._shards}
        return sum(self.store.path(self.model.fingerprint, n).stat().st_size for n in names)

    def shards(self) -> Iterator[Encodings]:
        """What may be chosen, shard by shard, from the store."""
        for seen in self._shards:
            yield self._load(seen).take(seen.kept)

    def all(self) -> Encodings:
        """What may be chosen, at once: for the target sample."""
        return Encodings.concatenate(list(self.shards()))

    def fetch(self, rows: Int[np.ndarray, "m"]) -> Encodings:
        """The encodings of these rows of the pool, in the order given."""
        firsts = np.array([seen.first for seen in self._shards])
        home = np.searchsorted(firsts, rows, side="right") - 1

        def part(shard: int, places: Int[np.ndarray, "n"]) -> Encodings:
            return self._load(self._shards[shard]).take(rows[places] - firsts[shard])

        return gathered(home, part)

    def examples(self, rows: Int[np.ndarray, "m"]) -> dict[int, Example]:
        """These rows; all of them in memory, see `texts`."""
        return dict(self.texts(rows))

    def texts(self, rows: Int[np.ndarray, "m"]) -> Iterator[tuple[int, Example]]:
        """These rows in the order of the pool, from their files where it is too large to be held.

        Raises InputError where the files changed meanwhile.
        """
        wanted = np.unique(rows)
        left = len(wanted)
        if left == 0:
            return
        for shard, seen in zip(self._held or self.pool.shards(), self._shards, strict=False):
            here = wanted[(wanted >= shard.first) & (wanted < shard.first + len(shard.examples))]
            if len(here) == 0:
                continue
            picked = [shard.examples[row - shard.first] for row in here]
            known = self._load(seen).hashes[here - shard.first]
            if (content_hashes(picked) != known).any():
                raise self._changed(picked[0].file)
            yield from zip(here.tolist(), picked, strict=True)
            left -= len(here)
            if left == 0:
                return
        raise self._changed(self.pool.files[-1].path)

    def _hold(self, shard: Shard) -> None:
        if self._held is None:
            return
        self._held.append(shard)
        # Whatever else the file said of them takes memory too.
        self._characters += sum(e.characters + len(repr(e.extra)) for e in shard.examples)
        if self.counts.read > HELD_EXAMPLES or self._characters > HELD_CHARACTERS:
            self._held = None

    def _changed(self, file: str) -> InputError:
        return InputError(
            "the file changed while it was being worked on",
            "run again when nothing writes to it",
            file=file,
        )

    def _load(self, seen: _Seen) -> Encodings:
        encodings = self.load(self.model, seen.fingerprint)
        return replace(encodings, rows=encodings.rows + seen.first, languages=seen.languages)

    def load(self, model: Model, fingerprint: str) -> Encodings:
        """What the store holds of these examples by this model, their rows counted from 0."""
        encodings = self.store.get(model.fingerprint, fingerprint)
        if encodings is None:
            raise WorkError(
                f"encodings are gone from {self.store.folder}",
                "something emptied the store during the run; run again",
            )
        return encodings


def gathered(
    home: Int[np.ndarray, "m"], part: Callable[[int, Int[np.ndarray, "n"]], Encodings]
) -> Encodings:
    """Encodings in the order asked for, from each part at once.

    `home` says which part holds each; `part` gives those that are asked for at these places.
    """
    order = np.argsort(home, kind="stable")
    parts = [part(int(each), order[home[order] == each]) for each in np.unique(home)]
    return Encodings.concatenate(parts).take(np.argsort(order))
