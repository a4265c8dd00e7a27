"""Parquet, Arrow, saved data sets and the hub."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polymux.errors import InputError
from polymux.readers import read
from polymux.readers.arrow import class_names

TEXT, TOKENS = "text-classification", "token-classification"


@pytest.fixture(autouse=True)
def quiet() -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def tagged() -> datasets.Dataset:
    names = datasets.ClassLabel(names=["O", "B-PER"])
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(names),
        }
    )
    rows = [{"id": f"r{i}", "tokens": ["Ada", str(i)], "ner_tags": [1, 0]} for i in range(5)]
    return datasets.Dataset.from_list(rows, features=features)


@pytest.mark.parametrize("form", ["saved", "parquet", "arrow"])
def test_classes_keep_their_names(form: str, tmp_path: Path):
    path = tmp_path / f"data.{form}"
    if form == "saved":
        tagged().save_to_disk(path, num_shards=2)
    elif form == "parquet":
        tagged().to_parquet(path)
    else:
        tagged().save_to_disk(tmp_path / "folder")
        (tmp_path / "folder/data-00000-of-00001.arrow").rename(path)
    examples = list(read(path, task=TOKENS))
    assert [e.label for e in examples] == [("B-PER", "O")] * 5
    assert [e.fields["tokens"][1] for e in examples] == list("01234")
    assert [e.source_id for e in examples] == [f"r{i}" for i in range(5)]
    assert [e.id for e in examples] == [f"data.{form}#{i}" for i in range(1, 6)]
    assert [e.line for e in examples] == [1, 2, 3, 4, 5]


def test_saved_data_sets_are_found_below_a_folder(tmp_path: Path):
    for language in ("de", "ur"):
        tagged().save_to_disk(tmp_path / "all" / language / "train")
    pool = read(tmp_path / "all", task=TOKENS, language="folder")
    assert [e.id for e in pool][::5] == ["de/train#1", "ur/train#1"]
    assert {e.language for e in pool} == {"de", "ur"}


def test_a_saved_dictionary_of_splits_asks_which(tmp_path: Path):
    splits = datasets.DatasetDict({"train": tagged(), "test": tagged()})
    splits.save_to_disk(tmp_path / "both")
    with pytest.raises(InputError, match="the splits test, train") as error:
        read(tmp_path / "both", task=TOKENS)
    assert f"{tmp_path / 'both'}/test" in error.value.hint
    assert len(list(read(tmp_path / "both" / "train", task=TOKENS))) == 5


def test_names_of_classes_are_found_in_every_form_that_datasets_wrote():
    label = {"names": ["a", "b"], "_type": "ClassLabel"}
    features = {
        "plain": label,
        "list": {"feature": label, "_type": "List"},
        "old": {"feature": label, "length": -1, "_type": "Sequence"},
        "older": [label],
        "text": {"dtype": "string", "_type": "Value"},
    }
    found = class_names(features)
    assert found == {column: ["a", "b"] for column in ("plain", "list", "old", "older")}


def test_minus_one_is_no_label(tmp_path: Path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = [{"text": "a", "label": -1}, {"text": "b", "label": 1}]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "a.parquet")
    assert [e.label for e in read(tmp_path / "a.parquet", task=TEXT)] == [None, "yes"]


def test_pictures_and_dates_are_passed_over(tmp_path: Path):
    content = pa.table(
        {
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "label": [0.5, float("nan")],
            "picture": [b"\x89PNG", b""],
            "when": [datetime(2026, 1, 1, tzinfo=UTC)] * 2,
            "many": [["x"], None],
        }
    )
    pq.write_table(content, tmp_path / "a.parquet")
    examples = list(read(tmp_path / "a.parquet", task=TEXT))
    assert [e.fields["text"] for e in examples] == ["a", "b"]
    assert [e.label for e in examples] == ["0.5", None]
    assert [e.extra for e in examples] == [{"many": ["x"]}, {"many": None}]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_what_is_not_the_format_is_refused(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(b"no such thing" * 10)
    with pytest.raises(InputError, match=r"not a \w+ file that can be read") as error:
        list(read(tmp_path / name, task=TEXT))
    assert error.value.file == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_bytes_that_are_no_text_are_refused(name: str, tmp_path: Path):
    path, content = tmp_path / name, pa.table({"text": ["spoilt words"]})
    if path.suffix == ".parquet":
        pq.write_table(content, path, compression="none", use_dictionary=False)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, content.schema) as writer:
            writer.write_table(content)
    path.write_bytes(path.read_bytes().replace(b"words", b"w\xffrds"))
    with pytest.raises(InputError, match=r"not a \w+ file that can be read") as error:
        list(read(path, task=TEXT))
    assert error.value.file == str(path)


def test_offsets_that_point_outside_end_no_process(tmp_path: Path):
    texts = ["eight by", "te texts"]
    path, content = tmp_path / "a.arrow", pa.table({"text": texts})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, content.schema) as writer:
        writer.write_table(content)
    good = np.array([0, 8, 16], np.int32).tobytes()
    bad = np.array([0, 2**30, -8], np.int32).tobytes()
    assert path.read_bytes().count(good) == 1
    path.write_bytes(path.read_bytes().replace(good, bad))
    with pytest.raises(InputError, match="not a Arrow file that can be read"):
        list(read(path, task=TEXT))


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    asked = []

    def load_dataset(path: str, name: str | None, *, split: str | None) -> Any:
        asked.append((path, name, split))
        result = answer(path)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_two_parts_are_owner_and_name_and_then_name_and_configuration(
    monkeypatch: pytest.MonkeyPatch,
):
    missing = datasets.exceptions.DatasetNotFoundError("no owner/name")
    asked = hub(monkeypatch, lambda path: tagged() if path == "wikiann" else missing)
    examples = list(read("hf://wikiann/ur:train[:5]", task=TOKENS, language="file"))
    assert asked == [
        ("wikiann/ur", None, "train[:5]"),
        ("wikiann", "ur", "train[:5]"),
    ]
    assert examples[0].label == ("B-PER", "O")
    assert {e.language for e in examples} == {"train[:5]"}


def test_a_data_set_with_splits_asks_which(monkeypatch: pytest.MonkeyPatch):
    hub(monkeypatch, lambda _: datasets.DatasetDict({"train": tagged(), "test": tagged()}))
    with pytest.raises(InputError, match="has the splits train, test") as error:
        list(read("hf://owner/name", task=TOKENS))
    assert "hf://owner/name:train" in error.value.hint


def test_a_data_set_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    hub(monkeypatch, lambda path: ConnectionError(f"couldn't reach {path}"))
    with pytest.raises(InputError, match="couldn't reach owner/name") as error:
        list(read("hf://owner/name:train", task=TOKENS))
    assert error.value.file == "hf://owner/name:train"


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("Dataset scripts are no longer supported"),
        datasets.exceptions.DatasetGenerationError("An error occurred"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_data_set_that_cannot_be_made_is_an_error(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
):
    hub(monkeypatch, lambda _: fault)
    with pytest.raises(InputError, match=str(fault)):
        list(read("hf://owner/name:train", task=TOKENS))


def test_a_data_set_that_breaks_while_it_is_read_is_an_error(monkeypatch: pytest.MonkeyPatch):
    data = tagged()
    hub(monkeypatch, lambda _: data)

    def breaks(**options: int) -> Any:
        raise pa.ArrowInvalid("a damaged shard")

    monkeypatch.setattr(data, "with_format", lambda _: data)
    monkeypatch.setattr(data, "iter", breaks)
    with pytest.raises(InputError, match="a damaged shard"):
        list(read("hf://owner/name:train", task=TOKENS))


@pytest.mark.parametrize("library", [False, True])
def test_offline_never_asks_the_hub(library: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", library)
    asked = hub(monkeypatch, lambda _: tagged())
    pool = read("hf://owner/name:train", task=TOKENS, offline=True)
    if library:  # then datasets itself looks only at what was downloaded before
        assert len(list(pool)) == 5
    else:
        with pytest.raises(InputError, match="polymux is offline") as error:
            list(pool)
        assert "HF_HUB_OFFLINE=1" in error.value.hint
        assert asked == []
