"""Sets of content hashes in flat arrays: 16 bytes an example."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from polymux.records import Hashes


class HashSet:
    """A growing set of 128-bit hashes."""

    def __init__(self) -> None:
        # Sorted by the first word; the second decides among equal first words.
        self._hashes: Hashes = np.empty((0, 2), dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._hashes)

    def contains(self, hashes: Hashes) -> Bool[np.ndarray, "n"]:
        """Which of these are in the set."""
        words = self._hashes[:, 0]
        at = np.searchsorted(words, hashes[:, 0], side="left")
        end = np.searchsorted(words, hashes[:, 0], side="right")
        found = np.zeros(len(hashes), dtype=bool)
        # One step in practice: equal first words of different content are a 2^-64 event.
        while (at < end).any():
            here = at < end
            found[here] |= self._hashes[at[here], 1] == hashes[here, 1]
            at = at + 1
        return found

    def add(self, hashes: Hashes) -> Bool[np.ndarray, "n"]:
        """Add these; true where a hash was not in the set and stands here for the first time."""
        order = np.lexsort((np.arange(len(hashes)), hashes[:, 1], hashes[:, 0]))
        ordered = hashes[order]
        first = np.ones(len(hashes), dtype=bool)
        first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        is_new = np.zeros(len(hashes), dtype=bool)
        is_new[order] = first
        is_new &= ~self.contains(hashes)
        merged = np.concatenate([self._hashes, hashes[is_new]])
        self._hashes = merged[np.argsort(merged[:, 0], kind="stable")]
        return is_new
