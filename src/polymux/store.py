"""Encodings by content: STORE/<model fingerprint>/<shard fingerprint>.parquet.

Both fingerprints are hashes of content, so a renamed file hits and a changed one misses. A file is
written to a temporary sibling and renamed; a checksum in its footer covers every column; what is
damaged or foreign is set aside and encoded again.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from polymux.records import Encodings

# Part of every model's fingerprint. A change of the columns, or of any formula whose numbers stand
# in them (embedding, measure, prediction), is declared by a new number here: nothing old is found.
FORMAT = "1"
MEASURE = "uncertainty:"
_COLUMNS = {
    "row": "int64",
    "hash_high": "uint64",
    "hash_low": "uint64",
    "length": "int64",
    "lost": "int64",
    "prediction": "large_string",
}


class Store:
    """A folder of encoded shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        """What a person should know: damaged files that were set aside."""

    def path(self, model_fingerprint: str, shard_fingerprint: str) -> Path:
        """Where the encodings of this shard by this model stand, or would stand."""
        return self.folder / model_fingerprint / f"{shard_fingerprint}.parquet"

    def get(self, model_fingerprint: str, shard_fingerprint: str) -> Encodings | None:
        """The encodings of a shard, its rows counted from 0; None if they are not here.

        Raises:
            OSError: the file is there and cannot be read; it stays as it is.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(model_fingerprint, shard_fingerprint)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            table = pq.read_table(pa.BufferReader(content))
            encodings = _encodings(table) if _is_ours(table) else None
        # Nothing is read from the disk here: Arrow says OSError of bytes that it cannot unpack.
        except (pa.ArrowException, ValueError, OSError) as error:
            self._set_aside(path, str(error).splitlines()[0])
            return None
        if encodings is None:
            self._set_aside(path, f"it has other columns than those of format {FORMAT}")
            return None
        if table.schema.metadata[b"polymux.checksum"] != _checksum(encodings).encode():
            self._set_aside(path, "its checksum does not fit")
            return None
        return encodings

    def put(self, model_fingerprint: str, shard_fingerprint: str, encodings: Encodings) -> None:
        """Write the encodings of a shard; two writers at once leave one whole file."""
        import pyarrow.parquet as pq

        path = self.path(model_fingerprint, shard_fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
        try:
            pq.write_table(_table(encodings), draft, compression="zstd", compression_level=1)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _set_aside(self, path: Path, why: str) -> None:
        aside = path.with_suffix(".damaged")
        with suppress(FileNotFoundError):  # another reader was faster
            path.replace(aside)
        self.notes.append(f"{path}: {why}; set aside as {aside.name} and encoded again")


def _table(encodings: Encodings) -> Any:  # pyarrow has no types
    import pyarrow as pa

    count, dim = encodings.embeddings.shape
    flat = pa.array(np.ascontiguousarray(encodings.embeddings, dtype=np.float32).reshape(-1))
    columns = {
        "row": pa.array(np.arange(count, dtype=np.int64)),
        "hash_high": pa.array(encodings.hashes[:, 0]),
        "hash_low": pa.array(encodings.hashes[:, 1]),
        "length": pa.array(encodings.lengths.astype(np.int64)),
        "lost": pa.array(encodings.lost.astype(np.int64)),
        "embedding": pa.FixedSizeListArray.from_arrays(flat, dim),
        "prediction": pa.array(list(encodings.predictions), type=pa.large_string()),
    }
    for name, values in encodings.uncertainty.items():
        columns[MEASURE + name] = pa.array(values.astype(np.float64))
    return pa.table(columns).replace_schema_metadata(
        {"polymux.format": FORMAT, "polymux.checksum": _checksum(encodings)}
    )


def _is_ours(table: Any) -> bool:
    """Whether these are the columns that `_table` makes, and all their values are there."""
    import pyarrow as pa

    told = table.schema.metadata or {}
    types = {field.name: field.type for field in table.schema}
    embedding = types.pop("embedding", None)
    measures = {name: "double" for name in types if name.startswith(MEASURE)}
    return (
        told.get(b"polymux.format") == FORMAT.encode()
        and b"polymux.checksum" in told
        and embedding is not None
        and pa.types.is_fixed_size_list(embedding)
        and str(embedding.value_type) == "float"
        and {name: str(kind) for name, kind in types.items()} == _COLUMNS | measures
        and all(column.null_count == 0 for column in table.columns)
    )


def _encodings(table: Any) -> Encodings:
    names = [n for n in table.column_names if n.startswith(MEASURE)]
    embedding = table["embedding"].combine_chunks()
    dim = embedding.type.list_size

    def column(name: str) -> np.ndarray:
        values: np.ndarray = table[name].to_numpy()
        return values

    return Encodings(
        rows=column("row"),
        hashes=np.stack([column("hash_high"), column("hash_low")], axis=1),
        embeddings=embedding.values.to_numpy().reshape(-1, dim),
        uncertainty={name.removeprefix(MEASURE): column(name) for name in names},
        lengths=column("length"),
        lost=column("lost"),
        predictions=table["prediction"].to_pylist(),
    )


def _checksum(encodings: Encodings) -> str:
    digest = blake2b(digest_size=16)
    for name in sorted(encodings.uncertainty):
        digest.update(name.encode())
        digest.update(encodings.uncertainty[name].astype(np.float64).tobytes())
    digest.update(encodings.hashes.tobytes())
    digest.update(encodings.embeddings.astype(np.float32).tobytes())
    digest.update(encodings.lengths.astype(np.int64).tobytes())
    digest.update(encodings.lost.astype(np.int64).tobytes())
    for text in encodings.predictions:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()
