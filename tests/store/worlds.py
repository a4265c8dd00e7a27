"""Encodings and names of models and shards, made from numbers."""

from __future__ import annotations

import numpy as np

from polymux.records import Encodings


def name(number: int) -> str:
    """A fingerprint."""
    return f"{number:032x}"


def encodings(count: int = 3, dim: int = 4, prediction: str = '"PER"') -> Encodings:
    rng = np.random.default_rng(count)
    return Encodings(
        rows=np.arange(count),
        hashes=rng.integers(0, 2**64, (count, 2), dtype=np.uint64),
        embeddings=rng.normal(size=(count, dim)).astype(np.float32),
        uncertainty={"margin-min": rng.normal(size=count), "entropy-max": rng.normal(size=count)},
        lengths=rng.integers(1, 99, count),
        lost=rng.integers(0, 2, count),
        predictions=[prediction] * count,
    )


def same(one: Encodings, other: Encodings) -> bool:
    return (
        (one.rows == other.rows).all()
        and (one.hashes == other.hashes).all()
        and (one.embeddings == other.embeddings).all()
        and one.embeddings.dtype == other.embeddings.dtype
        and {k: v.tolist() for k, v in one.uncertainty.items()}
        == {k: v.tolist() for k, v in other.uncertainty.items()}
        and (one.lengths == other.lengths).all()
        and (one.lost == other.lost).all()
        and list(one.predictions) == list(other.predictions)
    )
