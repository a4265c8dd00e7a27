"""A pool through a model: shards, the store, progress, what the model cannot see or compute."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.worlds import world
from tests.models import tiny_model

import polymux.encoders.model
import polymux.records
from polymux.encoders import Model, encode, readable
from polymux.errors import InputError, UsageError, WorkError
from polymux.records import Encodings, Example, Pool, PoolFile, content_hashes
from polymux.store import Store
from polymux.tasks import TASKS, Measure

TASK = "token-classification"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model(folder, task=TASK, device="cpu")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polymux.records, "SHARD_SIZE", 5)


def pool_of(examples: list[Example], **options: bool) -> Pool:
    return Pool(TASK, [PoolFile("w.txt", lambda: iter(examples))], **options)


@pytest.mark.usefixtures("small_shards")
def test_shards_together_are_the_pool(model: Model) -> None:
    examples = [replace(e, language="xx" if i % 2 else None) for i, e in enumerate(world(TASK, 13))]
    parts = list(encode(pool_of(examples), model))
    assert [len(shard.examples) for shard, _ in parts] == [5, 5, 3]
    whole = Encodings.concatenate([encodings for _, encodings in parts])
    assert whole.rows.tolist() == list(range(13))
    assert whole.languages == [e.language for e in examples]
    assert (whole.hashes == content_hashes(examples)).all()
    at_once = model.encode(examples)
    np.testing.assert_allclose(whole.embeddings, at_once.embeddings, rtol=1e-5, atol=1e-5)
    assert [json.loads(p)["labels"] for p in whole.predictions] == [
        json.loads(p)["labels"] for p in at_once.predictions
    ]


@pytest.mark.usefixtures("small_shards")
def test_what_the_store_holds_is_not_read_again(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    first = list(encode(pool_of(world(TASK, 13)), model, store))
    monkeypatch.setattr(Model, "encode_features", lambda *_: pytest.fail("encoded twice"))
    renamed = [replace(e, id="x", file="y", language="zz") for e in world(TASK, 13)]
    second = list(encode(pool_of(renamed), model, store))
    for (_, one), (shard, other) in zip(first, second, strict=True):
        assert (one.embeddings == other.embeddings).all()
        assert other.rows.tolist() == shard.rows.tolist()
        assert set(other.languages or ()) == {"zz"}


@pytest.mark.usefixtures("small_shards")
def test_the_next_shard_is_prepared_in_a_thread_while_the_model_reads(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, reading = [], []
    prepare, features = Model.prepare, Model.encode_features

    def cut(self: Model, examples: Sequence[Example]) -> list[Feature]:
        prepared.append(threading.current_thread())
        return prepare(self, examples)

    def read(self: Model, *args: object) -> Encodings:
        reading.append(len(prepared))
        return features(self, *args)

    monkeypatch.setattr(Model, "prepare", cut)
    monkeypatch.setattr(Model, "encode_features", read)
    list(encode(pool_of(world(TASK, 15)), model))
    assert threading.main_thread() not in prepared
    assert len(prepared) == len(reading) == 3


@pytest.mark.usefixtures("small_shards")
def test_a_pool_is_read_one_shard_ahead_and_no_further(model: Model) -> None:
    read: list[Example] = []

    def reader() -> Iterator[Example]:
        for example in world(TASK, 50):
            read.append(example)
            yield example

    parts = encode(Pool(TASK, [PoolFile("w.txt", reader)]), model)
    for done in range(1, 4):
        next(parts)
        assert len(read) <= 5 * (done + 1) + 1
    parts.close()


@pytest.mark.usefixtures("small_shards")
def test_progress_counts_the_pool_up(model: Model) -> None:
    heard: list[tuple[str, int, int | None]] = []
    list(encode(pool_of(world(TASK, 13)), model, None, lambda *told: heard.append(told)))
    done = [count for _, count, _ in heard]
    assert done == sorted(done)
    assert done[-1] == 13
    assert {what for what, _, _ in heard} == {"encode pool"}


INVISIBLE = Example("w#99", "w.txt", 99, {"tokens": ("\u200d",)})


def test_an_example_without_a_visible_word_stops_and_is_named(model: Model) -> None:
    with pytest.raises(InputError, match=r"w\.txt:99: the model sees none"):
        list(encode(pool_of([*world(TASK, 3), INVISIBLE]), model))


def test_a_pool_that_skips_what_is_bad_leaves_invisible_examples_out(model: Model) -> None:
    bad_line = InputError("no tab", "give one", file="w.txt", line=4)
    items = [*world(TASK, 3), bad_line, INVISIBLE, *world(TASK, 2, seed=9)]
    pool = readable(Pool(TASK, [PoolFile("w.txt", lambda: iter(items))], skip_bad=True), model)
    ((shard, encodings),) = encode(pool, model)
    assert len(shard.examples) == len(encodings) == 5
    assert [error.line for error in pool.rejected] == [4, 99]


def test_numbers_that_are_not_finite_name_the_example(folder: Path) -> None:
    model = Model(folder, task=TASK, device="cpu")
    rare = Example("w#50", "w.txt", 50, {"tokens": ("the", "%")})
    number = model.tokenizer.convert_tokens_to_ids("%")
    others = [e for e in world(TASK) if number not in model.prepare([e])[0].input_ids]
    examples = [*others[:4], rare, *others[4:]]
    with torch.no_grad():
        model._loaded.model.base_model.embeddings.word_embeddings.weight[number] = float("nan")
    with pytest.raises(WorkError, match=r"w\.txt:50: .*not finite"):
        model.encode(examples)


def test_predictions_are_json_in_every_script(model: Model) -> None:
    (told,) = model.encode([Example("a", "a", 1, {"tokens": ("дом", "नदी")})]).predictions
    assert set(json.loads(told)) == {"labels", "scores"}


def test_lengths_count_what_was_read_and_lost_what_was_cut(folder: Path) -> None:
    model = Model(folder, task=TASK, device="cpu", max_length=10)
    example = Example("a", "a", 1, {"tokens": ("fox",) * 30})
    encodings = model.encode([example])
    assert encodings.lengths.tolist() == [10]
    seen = len(model.prepare([example])[0].align)
    assert encodings.lost.tolist() == [30 - seen]


def test_the_fingerprint_tells_weights_settings_and_task_but_not_the_place(
    folder: Path, model: Model, tmp_path: Path
) -> None:
    copy = tiny_model(tmp_path / "copy")
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert Model(copy, task=TASK, device="cpu").fingerprint == model.fingerprint
    prints = {model.fingerprint}
    for options in (
        {"max_length": 64},
        {"stride": 3},
        {"batch_tokens": 77},
        {"aggregate": "worst"},
    ):
        prints.add(Model(folder, task=TASK, device="cpu", **options).fingerprint)
    prints.add(Model(tiny_model(tmp_path / "s", seed=1), task=TASK, device="cpu").fingerprint)
    assert len(prints) == 6


@pytest.mark.usefixtures("small_shards")
def test_a_new_measure_is_found_on_a_store_that_is_warm(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    before = model.fingerprint
    list(encode(pool_of(world(TASK, 7)), model, store))
    mine = Measure("words", lambda d: np.diff(d.starts, append=len(d.log_p)).astype(float))
    monkeypatch.setitem(TASKS[TASK].MEASURES, "mine", mine)
    assert model.fingerprint != before
    for _, encodings in encode(pool_of(world(TASK, 7)), model, store):
        assert set(encodings.uncertainty) == set(TASKS[TASK].MEASURES)
    monkeypatch.undo()
    assert model.fingerprint == before


def test_a_changed_formula_is_declared_by_the_format_of_the_store(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.fingerprint
    monkeypatch.setattr(polymux.encoders.model, "FORMAT", "another")
    assert model.fingerprint != before


def test_a_pool_that_stops_at_what_is_bad_is_read_as_it_is(model: Model) -> None:
    pool = pool_of([INVISIBLE])
    assert readable(pool, model) is pool


def test_in_windows_an_example_without_a_visible_word_is_readable(model: Model) -> None:
    pool = pool_of([*world(TASK, 3), INVISIBLE], skip_bad=True)
    assert len(list(readable(pool, model, windows=True))) == 4
    assert len(list(readable(pool, model))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "pos"}, "no task 'pos'"),
        ({"backend": "jax"}, "no backend 'jax'"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"dtype": "int3"}, "no dtype 'int3'"),
        ({"aggregate": "best"}, "no aggregate 'best'"),
        ({"max_length": 3}, "rows of 3 sub-words leave no room"),
        ({"stride": -5}, "--stride is -5"),
        ({"batch_tokens": -5}, "--batch-tokens is -5"),
        ({"batch_tokens": 0}, "--batch-tokens is 0"),
    ],
)
def test_options_that_cannot_be_are_refused(
    folder: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Model(folder, **({"task": TASK} | options))


def test_a_length_beyond_what_the_model_reads_is_cut_and_told(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, kind="xlm-roberta", positions=60)
    model = Model(folder, task=TASK, device="cpu", max_length=500)
    assert model.max_length == 60
    assert any("reads 60 sub-words at most, not 500" in note for note in model.notes)
    long = Example("a", "a", 1, {"tokens": ("fox",) * 300})
    assert model.encode([long]).lengths.tolist() == [60]


def test_roberta_counts_positions_from_its_padding(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, kind="roberta", positions=60)
    tokenizer_config = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer_config["model_max_length"] = 10**30
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    assert Model(folder, task=TASK, device="cpu").max_length == 60
