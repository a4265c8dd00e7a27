"""Shards of encodings on disk: whole, checked, or encoded again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.records import Encodings
from polymux.store import Store


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
