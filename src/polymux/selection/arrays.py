"""Arrays of the user's own, checked once at the door."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Float, Int

from polymux.errors import UsageError
from polymux.records import Hashes

# Larger numbers have squares, and sums of them, that are not finite.
LARGEST = 1e100


def finite(name: str, values: np.ndarray, shape: Sequence[int | None]) -> np.ndarray:
    """An array of finite numbers of this shape (None: any length), or a UsageError naming it."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{name} holds {array.dtype}, not numbers", "give an array of float32")
    if array.ndim != len(shape):
        raise UsageError(
            f"{name} has the shape {array.shape}",
            "give one row an example" if len(shape) == 2 else "give one number an example",
        )
    for length, wanted in zip(array.shape, shape, strict=True):
        if length == 0:
            raise UsageError(f"{name} is empty: {array.shape}", "give at least one example")
        if wanted is not None and length != wanted:
            raise UsageError(
                f"{name} has the shape {array.shape}: {length} should be {wanted}",
                "give source arrays of one length, and source and target of one dimension",
            )
    for start in range(0, len(array), 4096):
        good = np.abs(array[start : start + 4096].astype(np.float64)) < LARGEST
        if not good.all():
            row = start + int(np.flatnonzero(~good.reshape(len(good), -1).all(axis=1))[0])
            raise UsageError(
                f"{name} has a number at {row} that is not finite, or is beyond {LARGEST:g}",
                "leave this example out, or encode it again",
            )
    return array


def one_each(
    name: str, values: Sequence[str | None] | None, count: int
) -> tuple[str | None, ...] | None:
    """One language an example, or none at all."""
    if values is not None and len(values) != count:
        raise UsageError(
            f"{name} has {len(values)} entries for {count} examples", "give one an example"
        )
    return None if values is None else tuple(values)


def given_hashes(keys: np.ndarray, count: int) -> Hashes:
    """Content hashes given by the user: two whole numbers an example."""
    array = np.asarray(keys)
    if array.shape != (count, 2) or array.dtype.kind not in "ui":
        raise UsageError(
            f"keys has the shape {array.shape} and holds {array.dtype}",
            f"give two whole numbers (uint64) an example: {(count, 2)}",
        )
    return array.astype(np.uint64)


def positions(name: str, told: object, wanted: int, size: int) -> Int[np.ndarray, "wanted"]:
    """What a strategy of the user's own returned: `wanted` different positions in a pool."""
    try:
        array = np.asarray(told)
    except ValueError:  # lists of unlike lengths
        array = np.empty(())
    if array.ndim != 1 or array.dtype.kind not in "iu":
        fault = "did not return whole numbers"
    elif len(np.unique(array)) != array.size:
        fault = "chose an example twice"
    elif array.size != wanted:
        fault = f"chose {array.size}, not {wanted}"
    elif not ((array >= 0) & (array < size)).all():
        fault = f"chose a position outside 0..{size - 1}"
    else:
        return array.astype(np.int64)
    raise UsageError(
        f"the strategy {name!r} {fault}",
        "return min(budget, len(source.hashes)) different positions, best first",
    )


def row_hashes(rows: Int[np.ndarray, "n"]) -> Hashes:
    """The row number in place of content hashes that nobody gave."""
    return np.stack([rows, np.zeros_like(rows)], axis=1).astype(np.uint64)


def vector_hashes(vectors: Float[np.ndarray, "n dim"]) -> Hashes:
    """Content hashes of the vectors themselves, so that their order decides nothing."""
    # As float64 and without -0.0: equal vectors have equal bytes.
    wide = (np.add(row, 0.0, dtype=np.float64) for row in vectors)
    data = b"".join(blake2b(row.tobytes(), digest_size=16).digest() for row in wide)
    return np.frombuffer(data, dtype="<u8").reshape(len(vectors), 2).astype(np.uint64)
