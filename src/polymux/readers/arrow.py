"""Parquet, Arrow files, data sets saved by Hugging Face `datasets`, and data sets of the hub."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from polymux.errors import InputError
from polymux.readers.fields import Record
from polymux.readers.source import Source

_BATCH = 4096
STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"


def parquet(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a row of a Parquet file; its line is the number of the row."""
    import pyarrow.parquet as pq

    try:
        with _seekable(source) as stream:
            # Arrow would fetch all row groups first, and hold them.
            file = pq.ParquetFile(stream, pre_buffer=False)
            names = class_names(_features(file.schema_arrow))
            yield from _records(file.iter_batches(batch_size=_BATCH), names)
    except _damage() as error:
        yield _broken(source, "Parquet", error)


def arrow(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a row of an Arrow file or stream, or of a folder that `save_to_disk` wrote."""
    try:
        if source.saved:
            info = json.loads(_member(source, INFO))
            state = json.loads(_member(source, STATE))
            first = 0
            for part in state["_data_files"]:
                with source.opener(f"{source.location}/{part['filename']}") as stream:
                    for record in _records(_batches(stream), class_names(info["features"]), first):
                        first = record.line
                        yield record
            return
        with _seekable(source) as stream:
            schema = _reader(stream).schema
            stream.seek(0)
            yield from _records(_batches(stream), class_names(_features(schema)))
    except _damage() as error:
        yield _broken(source, "Arrow", error)


def hub(source: Source, task: str, fields: Mapping[str, str]) -> Iterator[Record | InputError]:
    """A record a row of `hf://name[/config][:split]`, downloaded once by `datasets`."""
    import datasets

    if source.offline and not datasets.config.HF_HUB_OFFLINE:
        yield source.bad(
            "polymux is offline, and the library that reads the hub is not",
            "set HF_HUB_OFFLINE=1 to read what was downloaded before, or drop --offline",
        )
        return
    name, _, split = source.location.removeprefix("hf://").partition(":")
    try:
        data = _load(name, split or None)
        yield from _rows(source, data)
    except (*_damage(), RuntimeError, datasets.exceptions.DatasetsError) as error:
        yield source.bad(
            f"the data set cannot be loaded: {error}",
            "hf://name, hf://owner/name, with /config and :split behind; one that brings a script "
            "is to be downloaded and given as files",
        )


def _rows(source: Source, data: Any) -> Iterator[Record | InputError]:
    """The rows of the one split."""
    import datasets

    if isinstance(data, datasets.DatasetDict):
        if len(data) > 1:
            yield source.bad(
                f"the data set has the splits {', '.join(data)}",
                f"say which: {source.path}:{next(iter(data))}",
            )
            return
        data = next(iter(data.values()))
    names = class_names(data.features.to_dict())
    tables = data.with_format("arrow").iter(batch_size=_BATCH)
    yield from _records((batch for table in tables for batch in table.to_batches()), names)


def _load(name: str, split: str | None) -> Any:
    """The data set of that name; two parts are owner and name, or else name and configuration."""
    import datasets

    parts = name.split("/")
    tries: list[tuple[str, str | None]]
    tries = [(name, None)] if len(parts) < 3 else [("/".join(parts[:2]), "/".join(parts[2:]))]
    if len(parts) == 2:
        tries.append((parts[0], parts[1]))
    for path, configuration in tries:
        try:
            return datasets.load_dataset(path, configuration, split=split)
        except datasets.exceptions.DatasetNotFoundError as error:
            missing = error
    raise missing


def class_names(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the classes of each column that numbers them, also inside lists."""
    found = {}
    for column, feature in features.items():
        inner = feature
        while isinstance(inner, list) or (isinstance(inner, dict) and "feature" in inner):
            inner = inner[0] if isinstance(inner, list) else inner["feature"]
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            found[column] = list(inner["names"])
    return found


def _features(schema: Any) -> dict[str, Any]:
    """What `datasets` wrote into the schema of a file."""
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = about.get("info", {}).get("features", {})
    return dict(features)


def _records(
    batches: Iterable[Any], names: Mapping[str, list[str]], first: int = 0
) -> Iterator[Record]:
    number = first
    for batch in batches:
        # pyarrow trusts what a file says of its offsets: a damaged one would end the process.
        batch.validate(full=True)
        plain = [field.name for field in batch.schema if _plain(field.type)]
        for row in batch.select(plain).to_pylist():
            number += 1
            for column, classes in names.items():
                row[column] = _named(row[column], classes)
            yield Record(number, row)


def _plain(kind: Any) -> bool:
    """Whether values of an Arrow type are texts, numbers or lists of them; not pictures, dates."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _plain(kind.value_type)
    if types.is_struct(kind):
        return all(_plain(kind.field(position).type) for position in range(kind.num_fields))
    return any(
        test(kind)
        for test in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_integer,
            types.is_floating,
            types.is_boolean,
            types.is_null,
        )
    )


def _named(value: Any, classes: list[str]) -> Any:
    """Class numbers as names; -1 is how `datasets` writes that there is none."""
    if isinstance(value, list):
        return [_named(item, classes) for item in value]
    if isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else None
    return value


def _reader(stream: IO[bytes]) -> Any:
    import pyarrow as pa

    magic = stream.read(6)
    stream.seek(0)
    return pa.ipc.open_file(stream) if magic == b"ARROW1" else pa.ipc.open_stream(stream)


def _batches(stream: IO[bytes]) -> Iterator[Any]:
    import pyarrow as pa

    reader = _reader(stream)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for position in range(reader.num_record_batches):
            yield from _slices(reader.get_batch(position))
    else:
        for batch in reader:
            yield from _slices(batch)


def _slices(batch: Any) -> Iterator[Any]:
    """A batch in pieces, so that rows as Python objects never fill the memory."""
    for start in range(0, batch.num_rows, _BATCH):
        yield batch.slice(start, _BATCH)


@contextmanager
def _seekable(source: Source) -> Iterator[IO[bytes]]:
    """The content as a file with random access; a compressed one is unpacked on the disk."""
    with source.open() as stream:
        if source.name == PurePosixPath(source.location).name:
            yield stream
            return
        with tempfile.TemporaryFile() as unpacked:
            shutil.copyfileobj(stream, unpacked)
            unpacked.seek(0)
            yield unpacked


def _member(source: Source, name: str) -> bytes:
    with source.opener(f"{source.location}/{name}") as stream:
        return stream.read()


def _damage() -> tuple[type[Exception], ...]:
    """What a damaged file, and what `datasets` wrote into it, makes pyarrow and json raise."""
    import pyarrow as pa

    return (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    )


def _broken(source: Source, kind: str, error: Exception) -> InputError:
    return source.bad(
        f"not a {kind} file that can be read: {error}",
        "it is cut, damaged or another format: name the format as FORMAT:PATH",
    )
