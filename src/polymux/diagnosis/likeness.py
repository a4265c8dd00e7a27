"""How alike two texts are by their characters, whatever a model makes of them."""

from __future__ import annotations

import unicodedata

# The Jaccard index of character trigrams from which two texts count as near-duplicates: a word
# changed in a sentence of fifteen stays above, another sentence on the same thing stays below.
NEAR_DUPLICATE = 0.8
_LENGTH = 3


def shingles(text: str) -> frozenset[str]:
    """The character trigrams of a text after NFKC, case folding and collapsing of white space."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    last = max(1, len(plain) - _LENGTH + 1)
    return frozenset(plain[start : start + _LENGTH] for start in range(last))


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """The Jaccard index of two sets of shingles, in [0, 1]."""
    return len(one & other) / len(one | other)
