"""Object stores: what is read over S3's protocol is what would be read here, a piece at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from tests.models import tiny_model
from tests.prescribe.worlds import sentences

import polymux as pm
from polymux.errors import InputError

TASK = "token-classification"
# The note is there to be fetched: nothing makes it smaller.
ROWS = [
    {"tokens": list(words), "note": sha256(f"{words}".encode()).hexdigest()}
    for words in [*sentences("hi", 6000), *sentences("de", 6000)]
]
# moto's server is built on Flask and Werkzeug, which close their sockets when Python ends.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """s3://bucket on this machine, and the folder that holds the same files."""
    folder = tmp_path_factory.mktemp("bucket")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "rows.parquet", row_group_size=1000)
    pq.write_table(pa.Table.from_pylist(ROWS[:200]), folder / "some.parquet")
    (folder / "deep").mkdir()
    (folder / "deep/few.jsonl").write_text(text[: text.index("\n") + 1], encoding="utf-8")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.mkdir("bucket")
        for path in folder.rglob("*.*"):
            system.put_file(str(path), f"bucket/{path.relative_to(folder).as_posix()}")
        yield folder
    server.stop()
    _forget()


def _forget() -> None:
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def facts(*paths: str) -> list[tuple[Any, ...]]:
    return [(e.id, e.line, e.fields) for e in pm.read(*paths, task=TASK)]


@pytest.mark.parametrize(
    "path", ["rows.jsonl", "rows.parquet", "deep", "r*.parquet", "*/few.jsonl"]
)
def test_what_is_read_over_s3_is_what_is_read_here(bucket: Path, path: str) -> None:
    there = facts(f"s3://bucket/{path}")
    assert there == facts(f"{bucket}/{path}")
    assert len(there) in (1, len(ROWS))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_a_shard_is_read_before_the_rest_of_its_file_is_fetched(
    bucket: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    fetched = []
    fetch = s3fs.core.S3File._fetch_range

    def counted(self: Any, start: int, end: int) -> bytes:
        fetched.append(end - start)
        return bytes(fetch(self, start, end))

    monkeypatch.setattr(s3fs.core.S3File, "_fetch_range", counted)
    monkeypatch.setattr(s3fs.core.S3FileSystem, "default_block_size", 1 << 15)
    _forget()
    pool = pm.read(f"s3://bucket/{name}", task=TASK)
    fetched.clear()
    assert len(list(islice(iter(pool.files[0].read()), 100))) == 100
    size = (bucket / name).stat().st_size
    assert 0 < max(fetched) < size / 8
    assert sum(fetched) < size


def test_a_choice_from_s3_is_the_choice_from_here(bucket: Path, tmp_path: Path) -> None:
    model = pm.Model(tiny_model(tmp_path), task=TASK, device="cpu")
    target = pm.Pool.of(
        [pm.Example(f"t#{i}", "t", i, {"tokens": w}) for i, w in enumerate(sentences("ur", 20), 1)],
        TASK,
    )
    texts = []
    for place in ("s3://bucket", str(bucket)):
        source = pm.read(f"{place}/deep/few.jsonl", f"{place}/some.parquet", task=TASK)
        choice = pm.select(model, source, target, budget=10, store=tmp_path / "store")
        texts.append([(pick.example.id, pick.example.fields) for pick in choice.picks])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("path", ["nothing.jsonl", "*.csv", "../elsewhere/x.jsonl"])
@pytest.mark.usefixtures("bucket")
def test_what_is_not_there_is_said(path: str) -> None:
    with pytest.raises(
        InputError, match=f"^s3://bucket/{path.replace('*', '.')}: (there is no|noth)"
    ):
        pm.read(f"s3://bucket/{path}", task=TASK)


@pytest.mark.usefixtures("bucket")
def test_a_store_that_does_not_answer_or_knows_nobody_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    _forget()
    with pytest.raises(InputError, match=r"s3://bucket/rows\.jsonl: it cannot be reached"):
        pm.read("s3://bucket/rows.jsonl", task=TASK)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    _forget()
    with pytest.raises(InputError, match="credentials"):
        pm.read("s3://bucket/rows.jsonl", task=TASK)
    _forget()
