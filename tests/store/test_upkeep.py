"""What stands in a store: listed, checked, thrown away."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.store.worlds import encodings, name

from polymux.errors import UsageError
from polymux.store import Store
from polymux.store.upkeep import models, prune, verify

DAY = 86_400


def filled(folder: Path, days: dict[int, list[float]]) -> dict[tuple[int, int], Path]:
    """A store with a shard for each model and number of days since its last use."""
    store, made = Store(folder), {}
    for model, unused in days.items():
        for number, age in enumerate(unused):
            store.put(name(model), name(number), encodings(number + 1), {"path": f"m{model}"})
            path = store.path(name(model), name(number))
            aged(path, age)
            made[model, number] = path
    return made


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def there(made: dict[tuple[int, int], Path]) -> set[tuple[int, int]]:
    return {key for key, path in made.items() if path.exists()}


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert models(gone) == []
    assert verify(gone).whole == 0
    assert prune(gone).freed == 0
    assert not gone.exists()


def test_models_are_listed_with_what_they_hold_the_latest_first(tmp_path: Path) -> None:
    made = filled(tmp_path, {1: [9, 3], 2: [2, 5, 7]})
    one, other = models(tmp_path)
    assert [one.fingerprint, other.fingerprint] == [name(2), name(1)]
    assert [one.shards, other.shards] == [3, 2]
    assert [one.examples, other.examples] == [1 + 2 + 3, 1 + 2]
    assert other.size == sum(made[1, n].stat().st_size for n in (0, 1))
    assert other.used == made[1, 1].stat().st_mtime
    assert one.about == {"path": "m2", "store_dtype": "float32"}


def test_a_model_that_nobody_named_is_listed_too(tmp_path: Path) -> None:
    filled(tmp_path, {1: [0], 2: [1], 3: [2]})
    (tmp_path / name(1) / "model.json").unlink()
    (tmp_path / name(2) / "model.json").write_text("{")
    (tmp_path / name(3) / "model.json").write_text("[1]")
    assert [kept.about for kept in models(tmp_path)] == [{}, {}, {}]


def test_verify_sets_aside_exactly_what_is_damaged_and_calls_nothing_used(tmp_path: Path) -> None:
    made = filled(tmp_path, {1: [4, 4, 4], 2: [4]})
    half = Store(tmp_path, "float16")
    half.put(name(1), name(0), encodings())
    made[1, 1].write_bytes(made[1, 1].read_bytes()[:-9])
    made[2, 0].write_bytes(b"")
    before = made[1, 0].stat().st_mtime
    draft = tmp_path / name(1) / ".x.part"
    draft.write_text("")
    checked = verify(tmp_path)
    assert checked.whole == 3
    assert sorted(told.split(": ")[0] for told in checked.damaged) == sorted(
        [str(made[1, 1]), str(made[2, 0])]
    )
    assert checked.leftovers == (draft,)
    assert there(made) == {(1, 0), (1, 2)}
    assert made[1, 0].stat().st_mtime == before
    again = verify(tmp_path)
    assert (again.whole, again.damaged) == (3, ())
    assert {path.suffix for path in again.leftovers} == {".part", ".damaged"}


def test_prune_alone_takes_what_was_left_and_no_draft_of_a_live_writer(tmp_path: Path) -> None:
    made = filled(tmp_path, {1: [400]})
    place = tmp_path / name(1)
    old, live = place / ".old.part", place / ".live.part"
    damaged, foreign = place / f"{name(7)}.damaged", place / "notes.txt"
    arrays, in_use = tmp_path / "polymux-arrays-a", tmp_path / "polymux-arrays-b"
    for folder in (arrays, in_use):
        folder.mkdir()
        (folder / "embeddings.f32").write_bytes(b"1234567")
        aged(folder, 1)
    for path in (old, live, damaged, foreign):
        path.write_bytes(b"123")
    aged(old, 0.1)
    aged(foreign, 400)
    aged(arrays / "embeddings.f32", 1)
    aged(arrays, 1)
    gone = prune(tmp_path)
    assert (gone.shards, gone.leftovers, gone.freed) == (0, 3, 3 + 3 + 7)
    assert there(made) == {(1, 0)}
    assert [p.exists() for p in (old, live, damaged, foreign, arrays, in_use)] == [
        False, True, False, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        ({"older_than": 4.0}, {(1, 0), (2, 1)}),
        ({"older_than": 100.0}, {(1, 0), (1, 1), (2, 0), (2, 1)}),
        ({"models": [name(2)]}, {(1, 0), (1, 1)}),
        ({"models": [name(1), name(2)]}, set()),
        ({"models": [name(1)], "older_than": 4.0}, {(1, 0), (2, 0), (2, 1)}),
        ({"keep": 0}, set()),
        ({"keep": 10**9}, {(1, 0), (1, 1), (2, 0), (2, 1)}),
        ({"keep": 0, "models": [name(1)]}, {(2, 0), (2, 1)}),
        ({"keep": 2}, {(1, 0), (2, 1)}),
        ({"keep": 3, "older_than": 7.0}, {(1, 0), (1, 1), (2, 1)}),
        ({"keep": 1, "older_than": 7.0}, {(1, 0)}),
    ],
    ids=str,
)
def test_prune_takes_what_its_criteria_say(tmp_path: Path, asked: dict, stays: set) -> None:
    made = filled(tmp_path, {1: [1, 6], 2: [8, 3]})
    if 0 < asked.get("keep", 0) < 10:
        # As many as are the latest used: their bytes, and one too few for another.
        by_use = [made[key] for key in ((1, 0), (2, 1), (1, 1), (2, 0))]
        asked["keep"] = sum(path.stat().st_size for path in by_use[: asked["keep"] + 1]) - 1
    sizes = {key: path.stat().st_size for key, path in made.items()}
    gone = prune(tmp_path, **asked)
    assert there(made) == stays
    assert gone.shards == 4 - len(stays)
    assert gone.freed == sum(size for key, size in sizes.items() if key not in stays)


def test_nothing_is_left_of_a_model_whose_last_shard_went(tmp_path: Path) -> None:
    filled(tmp_path, {1: [1, 1], 2: [1]})
    prune(tmp_path, models=[name(1)])
    assert [path.name for path in tmp_path.iterdir()] == [name(2)]


def test_a_model_may_be_named_by_how_its_fingerprint_begins(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for letter in "ab":
        store.put(letter * 32, name(0), encodings())
    prune(tmp_path, models=["aaa"])
    assert [path.name for path in tmp_path.iterdir()] == ["b" * 32]


@pytest.mark.parametrize(("asked", "why"), [("f", "no such model"), ("0", "2 models begin so")])
def test_a_model_that_is_not_one_is_refused(tmp_path: Path, asked: str, why: str) -> None:
    made = filled(tmp_path, {1: [1], 2: [1]})
    with pytest.raises(UsageError, match=why):
        prune(tmp_path, models=[asked])
    assert len(there(made)) == 2


def test_files_of_others_are_safe_from_a_wrong_folder(tmp_path: Path) -> None:
    for place in ("data", name(1)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "corpus.parquet").write_text("mine")
    (tmp_path / "data" / f"{name(1)}.parquet").write_text("mine")
    prune(tmp_path, keep=0, older_than=0.0)
    verify(tmp_path)
    assert len(list(tmp_path.rglob("*.parquet"))) == 3
