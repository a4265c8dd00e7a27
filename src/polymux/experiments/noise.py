"""Typing errors: a noisy sample of what was clean."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

import numpy as np

from polymux.records import Example


def mistyped(example: Example, share: float) -> Example:
    """The example with two neighbouring characters changed about in this share of its words.

    The same content gets the same errors. Labels stay: of a token task words are only written
    otherwise.
    """
    seed = int.from_bytes(blake2b(example.text.encode(), digest_size=8).digest())
    draw = np.random.default_rng(seed)

    def one(word: str) -> str:
        if draw.random() >= share or len(word) < 2:
            return word
        at = int(draw.integers(len(word) - 1))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    fields = {
        name: " ".join(map(one, value.split(" ")))
        if isinstance(value, str)
        else tuple(map(one, value))
        for name, value in example.fields.items()
    }
    return replace(example, fields=fields)
