"""One shard of encodings as the bytes of a Parquet file, and back, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from polymux.errors import WorkError
from polymux.records import Encodings

# Part of every model's fingerprint. A change of the columns, or of any formula whose numbers stand
# in them (embedding, measure, prediction), is declared by a new number here: nothing old is found.
FORMAT = "1"
# How embeddings may be kept, and what Arrow calls it.
DTYPES: Mapping[str, str] = {"float32": "float", "float16": "halffloat"}
MEASURE = "uncertainty:"
_COLUMNS = {
    "row": "int64",
    "hash_high": "uint64",
    "hash_low": "uint64",
    "length": "int64",
    "lost": "int64",
    "prediction": "large_string",
}
_EMBEDDING = "embedding.list.element"


def rounded(encodings: Encodings, dtype: str, path: Path) -> Encodings:
    """The encodings with float32 embeddings that `dtype` can hold; `path` is for the message.

    Raises:
        WorkError: a number beyond its range.
    """
    if dtype == "float32":
        return encodings
    largest = np.abs(encodings.embeddings).max(initial=0.0)
    if largest > np.finfo(dtype).max:
        raise WorkError(
            f"an embedding of this model holds {largest:,.0f}, which {dtype} cannot",
            "keep them with --store-dtype float32",
            file=str(path.parent),
        )
    return replace(encodings, embeddings=encodings.embeddings.astype(dtype).astype(np.float32))


def pack(encodings: Encodings, dtype: str) -> bytes:
    """The encodings as a Parquet file; embeddings are cut to `dtype`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(encodings, dtype)
    out = pa.BufferOutputStream()
    # Embeddings are noise to a compressor: zstd and a dictionary saved 3 % and took four times as
    # long to write and twice as long to read (4,096 x 768); byte-stream-split with zstd saved 16 %
    # and took twice as long. They are read at every look, and float16 is there to save half.
    names = [name for name in table.column_names if name != "embedding"]
    pq.write_table(
        table,
        out,
        compression={**dict.fromkeys(names, "zstd"), _EMBEDDING: "none"},
        compression_level=dict.fromkeys(names, 1),
        use_dictionary=["prediction", "length", "lost"],
        write_statistics=False,
    )
    content: bytes = out.getvalue().to_pybytes()
    return content


def unpack(content: bytes, dtype: str | None = None) -> Encodings:
    """The encodings in a file that `pack` made, with embeddings of this dtype, or of any.

    Raises:
        ValueError: it is damaged, or a foreign file; the message says how.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not `read_table`: it imports Arrow's data sets, and pandas with them, for half a second.
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            # A shard is small: starting threads for it takes longer than they save.
            table = file.read(use_threads=False)
        if not _is_ours(table, DTYPES.values() if dtype is None else [DTYPES[dtype]]):
            raise ValueError(f"it has other columns than those of format {FORMAT}")
        encodings = _encodings(table)
    # Nothing is read from the disk here: Arrow says OSError of bytes that it cannot unpack.
    except (pa.ArrowException, OSError) as error:
        raise ValueError((str(error).splitlines() or ["it is no Parquet file"])[0]) from error
    # The one column that the checksum leaves out, because anybody can tell what must stand there.
    if (encodings.rows != np.arange(len(encodings))).any():
        raise ValueError("its rows are not those of a shard")
    if table.schema.metadata[b"polymux.checksum"] != _checksum(encodings).encode():
        raise ValueError("its checksum does not fit")
    return encodings


def _table(encodings: Encodings, dtype: str) -> Any:  # pyarrow has no types
    import pyarrow as pa

    count, dim = encodings.embeddings.shape
    flat = pa.array(np.ascontiguousarray(encodings.embeddings, dtype=dtype).reshape(-1))
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


def _is_ours(table: Any, kinds: Any) -> bool:
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
        and str(embedding.value_type) in kinds
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
        embeddings=embedding.values.to_numpy().reshape(-1, dim).astype(np.float32, copy=False),
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
