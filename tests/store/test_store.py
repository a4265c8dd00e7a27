"""Shards of encodings on disk: whole, checked, or encoded again."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.worlds import encodings, same

from polymux.errors import UsageError, WorkError
from polymux.store import Store
from polymux.store.shards import pack, rounded, unpack


@given(count=st.integers(0, 9), dim=st.integers(1, 6), prediction=st.text())
def test_what_was_put_is_what_one_gets(
    count: int, dim: int, prediction: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    prediction = prediction.encode("utf-8", "replace").decode()
    put = encodings(count, dim, prediction)
    store.put("model", "shard", put)
    got = store.get("model", "shard")
    assert got is not None
    assert same(got, put)


def test_what_was_never_put_is_not_there(tmp_path: Path) -> None:
    assert Store(tmp_path).get("model", "shard") is None


@pytest.mark.parametrize("where", [0.02, 0.5, 0.98])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, where: float) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings(200))
    path = store.path("model", "shard")
    data = bytearray(path.read_bytes())
    at = int(len(data) * where)
    data[at : at + 8] = bytes(255 - b for b in data[at : at + 8])
    path.write_bytes(data)
    got = store.get("model", "shard")
    if got is None:
        assert not path.exists()
        assert path.with_suffix(".damaged").exists()
        assert str(path) in store.notes[0]
    else:
        # The bytes hit padding or statistics: then what is read is still what was put.
        assert same(got, encodings(200))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_no_flipped_bit_is_read_as_something_else(tmp_path: Path, dtype: str) -> None:
    put = rounded(encodings(60, 8), dtype, tmp_path)
    content = pack(put, dtype)
    draw = random.Random(1)
    seen = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        try:
            assert same(unpack(bytes(damaged), dtype), put)
        except ValueError:
            seen += 1
    # The others hit names and offsets in the footer that nothing reads.
    assert seen > 300


def test_a_foreign_or_cut_file_is_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings(50))
    path = store.path("model", "shard")
    path.write_bytes(path.read_bytes()[:-20])
    assert store.get("model", "shard") is None
    path.write_text("not parquet at all")
    assert store.get("model", "shard") is None
    assert len(store.notes) == 2


def test_a_value_changed_by_hand_does_not_pass_the_checksum(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = Store(tmp_path)
    store.put("model", "shard", encodings(5))
    path = store.path("model", "shard")
    table = pq.read_table(path)
    changed = table.set_column(
        table.column_names.index("lost"), "lost", [[7] * 5]
    ).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path)
    assert store.get("model", "shard") is None


def test_no_draft_is_left_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings())
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["shard.parquet"]


def test_a_foreign_parquet_file_is_set_aside(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = Store(tmp_path)
    store.put("model", "shard", encodings(5))
    path = store.path("model", "shard")
    ours = pq.read_table(path)
    told = ours.schema.metadata
    foreign = {
        "other columns": pa.table({"embedding": [1.0], "x": ["y"]}),
        "a column more": ours.append_column("extra", [[1] * 5]),
        "a column less": ours.drop_columns(["lost"]),
        "a list of any length": ours.set_column(5, "embedding", [[[1.0]] * 5]),
        "another kind of number": ours.set_column(0, "row", [np.arange(5, dtype=np.int32)]),
        "a value missing": ours.set_column(0, "row", [pa.array([0, 1, None, 3, 4])]),
        "another format": ours.replace_schema_metadata(told | {b"polymux.format": b"0"}),
        "no checksum": ours.replace_schema_metadata({b"polymux.format": b"1"}),
    }
    assert ours.column_names[5] == "embedding"
    for what, table in foreign.items():
        pq.write_table(table, path)
        assert store.get("model", "shard") is None, what
        assert "other columns than those of format" in store.notes[-1], what
        assert not path.exists()
    assert len(store.notes) == len(foreign)


def test_a_file_that_cannot_be_read_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings(5))
    path = store.path("model", "shard")

    def fail(_: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        store.get("model", "shard")
    monkeypatch.undo()
    got = store.get("model", "shard")
    assert got is not None
    assert same(got, encodings(5))
    assert store.notes == []


def test_two_readers_of_one_damaged_file_both_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    path = store.path("model", "shard")
    path.parent.mkdir()
    path.write_text("not parquet at all")
    content = path.read_bytes()

    def read_by_both(_: Path) -> bytes:
        monkeypatch.undo()
        assert other.get("model", "shard") is None
        return content

    monkeypatch.setattr(Path, "read_bytes", read_by_both)
    assert store.get("model", "shard") is None
    assert path.with_suffix(".damaged").exists()


def test_float16_gives_back_what_put_said_it_would_in_half_the_room(tmp_path: Path) -> None:
    wide = encodings(300, 256)
    half, full = Store(tmp_path, "float16"), Store(tmp_path)
    told = half.put("model", "shard", wide)
    full.put("model", "shard", wide)
    got = half.get("model", "shard")
    assert got is not None
    assert same(got, told)
    assert got.embeddings.dtype == np.float32
    assert (got.embeddings == wide.embeddings.astype(np.float16)).all()
    assert (got.embeddings != wide.embeddings).any()
    sizes = [s.path("model", "shard").stat().st_size for s in (half, full)]
    assert 0.45 < sizes[0] / sizes[1] < 0.6


def test_float32_and_float16_do_not_see_each_others_shards(tmp_path: Path) -> None:
    half, full = Store(tmp_path, "float16"), Store(tmp_path)
    half.put("model", "one", encodings())
    full.put("model", "other", encodings())
    assert full.get("model", "one") is None
    assert half.get("model", "other") is None
    # Nor where somebody carries a file across.
    half.path("model", "one").replace(full.path("model", "one"))
    assert full.get("model", "one") is None
    assert "other columns" in full.notes[0]


def test_a_number_beyond_float16_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    large = encodings()
    large.embeddings[1, 2] = -65_520.0  # the first that rounds to infinity
    store = Store(tmp_path, "float16")
    with pytest.raises(WorkError, match=r"65,520.*float16(.|\n)*--store-dtype float32"):
        store.put("model", "shard", large)
    assert list(tmp_path.rglob("*.parquet")) == []
    large.embeddings[1, 2] = -65_504.0
    store.put("model", "shard", large)
    assert Store(tmp_path).put("model", "shard", large) is large


def test_an_unknown_dtype_and_a_file_in_the_stores_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="float32, float16"):
        Store(tmp_path, "int8")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--store off"):
        Store(tmp_path / "file")


def test_reading_a_shard_says_that_it_was_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings())
    path = store.path("model", "shard")
    os.utime(path, (0, 0))
    store.get("model", "shard")
    assert path.stat().st_mtime > 0


def test_what_the_model_is_called_is_written_once_and_read_by_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("model", "shard", encodings(), {"path": "мой/model"})
    told = tmp_path / "model" / "model.json"
    assert json.loads(told.read_text("utf-8")) == {"path": "мой/model", "store_dtype": "float32"}
    told.write_text("no json")
    store.put("model", "shard", encodings(), {"path": "other"})
    assert told.read_text() == "no json"
    assert store.get("model", "shard") is not None


def test_a_folder_that_is_taken_away_while_a_shard_is_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    write = Path.write_bytes

    def late(path: Path, content: bytes) -> int:
        monkeypatch.undo()
        path.parent.rmdir()
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", late)
    store.put("model", "shard", encodings())
    got = store.get("model", "shard")
    assert got is not None
    assert same(got, encodings())


def test_a_place_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file where the model's folder should be")
    with pytest.raises(WorkError, match=r"cannot be kept here(.|\n)*--store another place"):
        Store(tmp_path).put("model", "shard", encodings())
