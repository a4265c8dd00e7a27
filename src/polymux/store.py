"""Encodings by content: STORE/<model fingerprint>/<shard fingerprint>.parquet.

Both fingerprints are hashes of content, so a renamed file hits and a changed one misses. A file is
written to a temporary sibling and renamed; a checksum in its footer covers every column; what is
damaged or foreign is set aside and encoded again.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from polymux.records import Encodings

FORMAT = "1"
MEASURE = "uncertainty:"


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
        """The encodings of a shard, its rows counted from 0; None if they are not here."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(model_fingerprint, shard_fingerprint)
        if not path.exists():
            return None
        try:
            table = pq.read_table(path, memory_map=True)
            encodings = _encodings(table)
            told = (table.schema.metadata or {}).get(b"polymux.checksum", b"").decode()
        except (pa.ArrowException, KeyError, ValueError, OSError) as error:
            self._set_aside(path, str(error).splitlines()[0])
            return None
        if told != _checksum(encodings):
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
