"""`polymux store`, and what a store is for: killed, crowded, damaged, the choice is the same."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

from polymux.cli import main

POLYMUX = str(Path(sys.executable).parent / "polymux")
SIZES = {"en": 300, "de": 250, "hi": 200, "ur": 300, "zh": 600}
SHARDS = len(SIZES) + 1  # and the target's
# Between the largest shard, the last of the pool, and the others.
ROOM = 120_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a pool of five shards and a target of one."""
    folder = tmp_path_factory.mktemp("world")
    tiny_model(folder / "model", "token-classification", dim=64)
    for language, count in SIZES.items():
        write_conllu(folder / "source", language, count)
    write_conllu(folder / "target", "en", 40, seed=1)
    return folder


def arguments(world: Path, out: Path, store: Path, *more: str) -> list[str]:
    return [
        "select", str(world / "model"), "--task", "token-classification",
        "--source", str(world / "source"), "--target", str(world / "target"),
        "--budget", "50", "--out", str(out), "--store", str(store), "-q", *more,
    ]  # fmt: skip


def started(world: Path, out: Path, store: Path, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [POLYMUX, *arguments(world, out, store)], stderr=subprocess.PIPE, text=True, **options
    )


def chosen(world: Path, out: Path, store: Path, *more: str) -> str:
    main(arguments(world, out, store, *more))
    return (out / "to_label.jsonl").read_text(encoding="utf-8")


def shards(store: Path) -> dict[Path, int]:
    """Every shard with its inode: another one means that it was written again."""
    return {path: path.stat().st_ino for path in store.glob("*/*.parquet")}


@pytest.fixture(scope="module")
def undisturbed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is chosen when nothing happens, and the store that it leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return chosen(world, folder / "out", folder / "store"), folder / "store"


def copied(store: Path, to: Path) -> dict[str, Path]:
    """The same shards elsewhere, by name."""
    made = {}
    for path in shards(store):
        place = to / path.relative_to(store)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
        made[path.name] = place
    return made


@pytest.mark.parametrize("after", [1, 3, 5])
def test_killed_at_any_moment_it_goes_on_from_there_to_the_same_choice(
    world, undisturbed, tmp_path, after
) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    process = started(world, out, store)
    while len(shards(store)) < after and process.poll() is None:
        time.sleep(0.002)
    # Anywhere in the shards that follow.
    time.sleep(random.Random(after).uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = shards(store)
    assert after <= len(kept) <= SHARDS
    assert not out.exists()
    assert chosen(world, out, store) == undisturbed[0]
    # What had been kept was not encoded again, and what was not is all that was.
    assert kept.items() <= shards(store).items()
    assert {path.name for path in shards(store)} == {path.name for path in shards(undisturbed[1])}


def test_two_at_once_on_one_store_choose_the_same_and_leave_it_whole(
    world, undisturbed, tmp_path, capsys
) -> None:
    store = tmp_path / "store"
    outs = [tmp_path / "one", tmp_path / "two"]
    processes = [started(world, out, store) for out in outs]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    for out in outs:
        assert (out / "to_label.jsonl").read_text(encoding="utf-8") == undisturbed[0]
    main(["store", "verify", "--store", str(store), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told == {"whole": SHARDS, "damaged": [], "leftovers": []}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    path.write_bytes(content)


DAMAGES = {
    "flipped in the middle": _flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: pq.write_table(pa.table({"x": [1]}), path),
}


def test_damaged_shards_are_told_set_aside_and_encoded_again(
    world, undisturbed, tmp_path, capsys
) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    every = sorted(copied(undisturbed[1], store).values())
    damaged = dict(zip(DAMAGES, every, strict=False))
    for name, path in damaged.items():
        DAMAGES[name](path)
    before = shards(store)
    assert chosen(world, out, store) == undisturbed[0]
    after = shards(store)
    assert {p for p in before if before[p] != after[p]} == set(damaged.values())
    warnings = json.loads((out / "selection.json").read_text("utf-8"))["warnings"]
    for path in damaged.values():
        assert path.with_suffix(".damaged").exists()
        assert sum(str(path) in told and "encoded again" in told for told in warnings) == 1
    main(["store", "verify", "--store", str(store)])
    assert f"{SHARDS} shards are whole, 0 damaged" in capsys.readouterr().out


def test_a_full_disk_is_told_and_costs_no_shard_that_was_kept(world, undisturbed, tmp_path) -> None:
    out, store = tmp_path / "out", tmp_path / "store"
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))}
    process = started(world, out, store, **limit)
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert "encodings cannot be kept here: File too large" in errors
    assert "hint: make room or permission, or give --store another place" in errors
    assert "Traceback" not in errors
    kept = shards(store)
    assert len(kept) == SHARDS - 1
    assert [path for path in store.rglob("*") if path.suffix == ".part"] == []
    assert not out.exists()
    assert chosen(world, out, store) == undisturbed[0]
    assert kept.items() <= shards(store).items()


def test_a_file_in_the_stores_place_is_refused_before_any_work(world, tmp_path, capsys) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(SystemExit) as stop:
        chosen(world, tmp_path / "out", tmp_path / "store")
    assert stop.value.code == 2
    assert "give --store another place, or --store off" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_with_float16_the_first_choice_is_that_of_every_later_run(world, tmp_path) -> None:
    store = tmp_path / "store"
    first = chosen(world, tmp_path / "1", store, "--store-dtype", "float16")
    kept = shards(store)
    assert chosen(world, tmp_path / "2", store, "--store-dtype", "float16") == first
    assert shards(store) == kept
    off = ["--store", "off", "--store-dtype", "float16"]
    assert chosen(world, tmp_path / "3", store, *off) == first
    # It is told in the manifest, and float32 encodes for itself.
    manifest = json.loads((tmp_path / "1" / "selection.json").read_text("utf-8"))
    assert manifest["settings"]["store_dtype"] == "float16"
    assert chosen(world, tmp_path / "4", store) != first
    assert len(shards(store)) == 2 * SHARDS


def test_ls_says_what_is_kept_of_which_model(world, undisturbed, capsys) -> None:
    store = undisturbed[1]
    main(["store", "ls", "--store", str(store)])
    (line,) = capsys.readouterr().out.splitlines()
    for told in (
        f"{SHARDS} shards", f"{sum(SIZES.values()) + 40:,} examples", str(world / "model"),
        "token-classification", "torch", "float32", "128",
    ):  # fmt: skip
        assert told in line
    main(["store", "ls", "--store", str(store), "--json"])
    (kept,) = json.loads(capsys.readouterr().out)
    assert kept["fingerprint"].startswith(line.split()[0])
    assert kept["about"]["path"] == str(world / "model")
    assert kept["size"] == sum(path.stat().st_size for path in shards(store))


def test_verify_ends_with_1_when_a_shard_was_damaged(undisturbed, tmp_path, capsys) -> None:
    one = min(copied(undisturbed[1], tmp_path).values())
    _flip(one)
    with pytest.raises(SystemExit) as stop:
        main(["store", "verify", "--store", str(tmp_path)])
    assert stop.value.code == 1
    told = capsys.readouterr()
    assert f"damaged: {one}: its checksum does not fit" in told.out
    assert "1 damaged shards were set aside" in told.err
    main(["store", "verify", "--store", str(tmp_path)])
    assert f"left over: {one.with_suffix('.damaged')}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        ([], 0),
        (["--older-than", "0.5"], 2),
        (["--keep", "0"], SHARDS),
        (["--keep", "1 kB"], SHARDS),
        (["--keep", "2.5GB"], 0),
        (["--model", "MODEL"], SHARDS),
    ],
)
def test_prune_says_what_it_deleted_and_how_much_that_was(
    undisturbed, tmp_path, capsys, asked, gone
) -> None:
    every = sorted(copied(undisturbed[1], tmp_path).values())
    for path in every[:2]:
        os.utime(path, (0, 0))
    sizes = [path.stat().st_size for path in every]
    asked = [every[0].parent.name[:12] if word == "MODEL" else word for word in asked]
    main(["store", "prune", "--store", str(tmp_path), "--json", *asked])
    told = json.loads(capsys.readouterr().out)
    assert told == {"shards": gone, "leftovers": 0, "freed": sum(sizes[:gone])}
    assert sum(path.exists() for path in every) == SHARDS - gone


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ls", "--keep", "1GB"], "polymux store prune instead of ls"),
        (["prune", "--keep", "much"], "500MB, 20GB or 0"),
        (["prune", "--keep", "-1"], "500MB, 20GB or 0"),
        (["prune", "--older-than", "-1"], "--help"),
        (["prune", "--model", "f00"], "polymux store ls"),
        (["prune", "--store", "off"], "give --store a folder"),
        (["ls", "more"], "must be quoted"),
        (["list"], "--help"),
        ([], "--help"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_of_a_store_is_refused(words, hint, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["store", "--store", str(tmp_path), *words])
    assert stop.value.code == 2
    assert hint in capsys.readouterr().err
