"""A pool behind a model: encoded once, masked, counted, and looked at as often as asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Int

from polymux.encoders import Model, encode, readable
from polymux.errors import InputError, WorkError
from polymux.prescribe.hashes import HashSet
from polymux.progress import Progress
from polymux.records import Encodings, Example, Pool, content_hashes
from polymux.store import Store


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is remembered of a shard, so that it can be looked at again without its texts."""

    first: int
    fingerprint: str
    kept: Bool[np.ndarray, "n"]
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

    def __init__(self, pool: Pool, model: Model, store: Store) -> None:
        self.pool = readable(pool, model) if pool.skip_bad else pool
        self.model = model
        self.store = store
        self.counts = Counts()
        self.languages: Counter[str] = Counter()
        self.fingerprint = ""
        self.rejected: tuple[InputError, ...] = ()
        """What was left out of the first, full reading."""
        self.notes: tuple[str, ...] = ()
        self._shards: list[_Seen] = []

    def encode(
        self,
        barred: HashSet,
        *,
        overlap: HashSet | None = None,
        see: tuple[Callable[[Encodings], None], ...] = (),
        progress: Progress | None = None,
    ) -> None:
        """Encode every shard, or find it in the store; each `see` looks at what may be chosen."""
        known = HashSet()
        digest = blake2b(digest_size=16)
        for shard, encodings in encode(self.pool, self.model, self.store, progress):
            digest.update(encodings.hashes.tobytes())
            is_first = known.add(encodings.hashes)
            is_barred = barred.contains(encodings.hashes)
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
            languages = tuple(encodings.languages or [None] * len(encodings))
            self._shards.append(_Seen(shard.first, shard.fingerprint, kept, languages))
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
        order = np.argsort(home, kind="stable")
        parts = []
        for shard in np.unique(home):
            wanted = rows[order][home[order] == shard]
            parts.append(self._load(self._shards[shard]).take(wanted - firsts[shard]))
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return Encodings.concatenate(parts).take(back)

    def examples(self, rows: Int[np.ndarray, "m"]) -> dict[int, Example]:
        """Read these rows again from their files; they must not have changed meanwhile."""
        wanted = np.unique(rows)
        found: dict[int, Example] = {}
        for shard, seen in zip(self.pool.shards(), self._shards, strict=False):
            here = wanted[(wanted >= shard.first) & (wanted < shard.first + len(shard.examples))]
            if len(here) == 0:
                continue
            picked = [shard.examples[row - shard.first] for row in here]
            known = self._load(seen).hashes[here - shard.first]
            if (content_hashes(picked) != known).any():
                raise self._changed(picked[0].file)
            found.update(zip(here.tolist(), picked, strict=True))
            if len(found) == len(wanted):
                return found
        raise self._changed(self.pool.files[-1].path)

    def _changed(self, file: str) -> InputError:
        return InputError(
            "the file changed while it was being worked on",
            "run again when nothing writes to it",
            file=file,
        )

    def _load(self, seen: _Seen) -> Encodings:
        encodings = self.store.get(self.model.fingerprint, seen.fingerprint)
        if encodings is None:
            raise WorkError(
                f"encodings are gone from {self.store.folder}",
                "something emptied the store during the run; run again",
            )
        return replace(encodings, rows=encodings.rows + seen.first, languages=seen.languages)
