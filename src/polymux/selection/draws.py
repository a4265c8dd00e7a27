"""Random draws that belong to an example and not to its place: hash(seed, purpose, content hash).

The same example draws the same number wherever it stands in whichever pool, so a permuted, split or
extended pool gives the same random choice; two purposes (random, egalitarian, a control slice) draw
independently.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from jaxtyping import Float, UInt64

# The finaliser of splitmix64 (Steele, Lea and Flood 2014): full avalanche in two multiplications.
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(words: UInt64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """Each word hashed: every bit of it moves every bit of the result."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * _FIRST
        words = (words ^ (words >> np.uint64(27))) * _SECOND
        mixed: UInt64[np.ndarray, "n"] = words ^ (words >> np.uint64(31))
    return mixed


def _salt(seed: int, purpose: str) -> np.uint64:
    digest = blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def draws(seed: int, purpose: str, hashes: UInt64[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    """Uniform numbers in [0, 1), decided by seed, purpose and content hash alone."""
    mixed = mix(mix(hashes[:, 0] ^ _salt(seed, purpose)) ^ hashes[:, 1])
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_of_name(seed: int, purpose: str, name: str) -> int:
    """The same for something that has a name instead of content, such as a language."""
    return int.from_bytes(blake2b(f"{seed}:{purpose}:{name}".encode(), digest_size=8).digest())
