"""Models that are refused before their weights are loaded, each with what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.models import AUTO, KINDS, tiny_model

from polymux.encoders import Model
from polymux.encoders.facts import look_at
from polymux.errors import ModelError
from polymux.records import Example
from polymux.tasks import TASKS

TASK = "token-classification"


def refused(folder: Path | str, task: str = TASK, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        Model(folder, task=task, device="cpu", **options)
    return caught.value


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_d32_a_model_without_a_head_for_the_task_is_refused(
    tmp_path: Path, task: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before any backend is tried, which loads the weights.
    monkeypatch.delattr("polymux.encoders.model.fastest")
    others = {"none", *TASKS} - {task}
    if kind in ("bert", "xlm-roberta", "modernbert"):
        others |= {"masked-lm"}
    for other in sorted(others):
        error = refused(tiny_model(tmp_path / other, other, kind=kind), task)
        assert f"no trained head for {task}" in error.what
        assert f"polymux train {tmp_path / other} --task {task}" in error.hint


def test_d32_an_architecture_that_only_says_so_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "none")
    change_config(folder, architectures=["BertForTokenClassification"])
    assert "its weights hold no classifier.bias" in refused(folder).what


def test_d32_a_head_of_another_size_than_its_labels_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    change_config(folder, id2label={"0": "A", "1": "B"}, label2id={"A": 0, "B": 1})
    assert "has the shape" in refused(folder).what


def test_d32_weights_that_lack_a_layer_are_refused_when_loaded(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if "layer.1" in n)
    save_file(
        {n: w for n, w in weights.items() if n != name},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    model = Model(folder, task=TASK, device="cpu")
    with pytest.raises(ModelError, match="its weights hold no bert"):
        model.forward([])


@pytest.mark.parametrize("kind", KINDS)
def test_a_sharded_model_is_looked_at_whole(tmp_path: Path, kind: str) -> None:
    tiny_model(tmp_path, kind=kind)
    model = getattr(transformers, AUTO[TASK]).from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert Model(tmp_path, task=TASK, device="cpu").labels[1] == "B-PER"


def test_pickled_weights_need_their_flag(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    error = refused(folder)
    assert "pickled" in error.what
    assert "--allow-pickle" in error.hint
    model = Model(folder, task=TASK, device="cpu", allow_pickle=True)
    example = Example("a", "a", 1, {"tokens": ("fox",)})
    safe = Model(tiny_model(tmp_path / "safe"), task=TASK, device="cpu")
    assert (model.encode([example]).embeddings == safe.encode([example]).embeddings).all()


def test_remote_code_needs_its_flag(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    change_config(folder, auto_map={"AutoConfig": "mine.MyConfig"}, model_type="mine")
    error = refused(folder)
    assert "its own code" in error.what
    assert "--trust-remote-code" in error.hint


def test_a_missing_folder_and_an_empty_one_are_told_apart(tmp_path: Path) -> None:
    assert "no model folder" in refused(tmp_path / "nowhere").what
    assert "no config.json" in refused(tmp_path).what
    folder = tiny_model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    assert "no weights" in refused(folder).what


def test_a_name_that_is_not_here_is_refused_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused("some-name-that-nobody-has", offline=True)
    assert "no folder some-name-that-nobody-has" in error.what
    monkeypatch.setenv("POLYMUX_OFFLINE", "1")
    assert "was downloaded before" in refused("someone/model").what
    assert os.environ["POLYMUX_OFFLINE"] == "1"


def test_a_missing_or_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer" in refused(folder).what


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["newword"])
    tokenizer.save_pretrained(folder)
    assert "more sub-words than the model has embeddings" in refused(folder).what


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_heads_that_choose_no_label_are_refused(tmp_path: Path, kind: str) -> None:
    folder = tiny_model(tmp_path, "text-classification")
    change_config(folder, problem_type=kind)
    assert "one of several labels" in refused(folder, "text-classification").what


def test_a_head_with_one_label_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, "text-classification", labels=("yes",))
    assert "one of several labels" in refused(folder, "text-classification").what


def test_generic_labels_are_told(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "a", labels=("LABEL_0", "LABEL_1"))
    assert "does not name its labels" in Model(folder, task=TASK, device="cpu").notes[0]
    assert Model(tiny_model(tmp_path / "b"), task=TASK, device="cpu").notes == []


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    config = transformers.BartConfig(vocab_size=600, d_model=16)
    config.save_pretrained(folder)
    assert "an encoder with a decoder" in refused(folder).what


def test_a_config_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    change_config(folder, model_type="unheard-of")
    assert "config.json cannot be read" in refused(folder).what
    (folder / "config.json").write_text("{")
    assert "config.json cannot be read" in refused(folder).what


@pytest.mark.parametrize(
    ("kind", "decodes"),
    [
        ("bert", False),
        ("xlm-roberta", False),
        ("modernbert", False),
        ("llama", True),
        ("gpt2", True),
    ],
)
def test_decoders_are_known_by_their_kind(tmp_path: Path, kind: str, decodes: bool) -> None:
    facts = look_at(
        tiny_model(tmp_path, kind=kind), allow_pickle=False, trust_remote_code=False, offline=True
    )
    assert facts.is_decoder is decodes


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665a\nsize 1115590446\n"


@pytest.mark.parametrize("content", [LFS, b"", None], ids=["git-lfs", "empty", "cut"])
def test_weights_that_are_cut_or_a_pointer_are_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tiny_model(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    error = refused(tmp_path)
    assert "its weights cannot be read" in error.what
    assert "git lfs pull" in error.hint
    assert error.file == str(path)


@pytest.mark.parametrize("content", [LFS, b""], ids=["git-lfs", "empty"])
def test_pickled_weights_that_are_a_pointer_are_refused_when_loaded(
    tmp_path: Path, content: bytes
) -> None:
    folder = tiny_model(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    model = Model(folder, task=TASK, device="cpu", allow_pickle=True)
    with pytest.raises(ModelError, match="its weights cannot be loaded"):
        model.forward([])


def test_weights_of_another_size_than_their_config_are_refused_when_loaded(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    change_config(folder, intermediate_size=48)
    with pytest.raises(ModelError, match="its weights cannot be loaded"):
        Model(folder, task=TASK, device="cpu").forward([])


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": "x"},
        {"hidden_size": -4},
        {"hidden_size": 0},
        {"num_attention_heads": 7},
        {"num_attention_heads": 0},
        {"hidden_act": "nope"},
        {"id2label": [1, 2]},
        {"max_position_embeddings": -5},
        {"architectures": [1]},
        {"architectures": 3},
        {"pad_token_id": "x"},
        {"pad_token_id": 9999},
        {"dtype": "nope"},
        {"hidden_dropout_prob": 7},
        {"vocab_size": 10**18},
    ],
    ids=str,
)
def test_a_config_with_values_that_cannot_be_is_refused(
    tmp_path: Path, values: dict[str, object]
) -> None:
    change_config(tiny_model(tmp_path), **values)
    assert "its config.json" in refused(tmp_path).what


@pytest.mark.parametrize("text", ["3", "null", "[]", ""])
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (tiny_model(tmp_path) / "config.json").write_text(text)
    assert "its config.json cannot be read" in refused(tmp_path).what


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tokenizer.json", "3"),
        ("tokenizer.json", "{}"),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"tokenizer_class": 3}'),
        ("tokenizer_config.json", '{"model_max_length": "x"}'),
        ("special_tokens_map.json", "3"),
    ],
)
def test_a_tokenizer_that_cannot_be_is_refused(tmp_path: Path, file: str, text: str) -> None:
    (tiny_model(tmp_path) / file).write_text(text)
    assert "its tokenizer cannot be loaded" in refused(tmp_path).what


def test_a_tokenizer_that_says_rows_have_no_length_is_refused(tmp_path: Path) -> None:
    (tiny_model(tmp_path) / "tokenizer_config.json").write_text('{"model_max_length": -5}')
    assert "its tokenizer says that rows are -5 long" in refused(tmp_path).what


@pytest.mark.parametrize(
    "model", [{}, {"type": "Nope"}, {"type": "WordPiece", "vocab": {}}], ids=str
)
def test_a_tokenizer_whose_model_nobody_knows_is_refused(
    tmp_path: Path, model: dict[str, object]
) -> None:
    path = tiny_model(tmp_path) / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": model}))
    assert "its tokenizer cannot be loaded" in refused(tmp_path).what


def test_a_tokenizer_without_a_token_for_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path) / "tokenizer.json"
    told = json.loads(path.read_text())
    told["model"]["unk_token"] = "[MISSING]"
    path.write_text(json.dumps(told))
    assert "its tokenizer cannot be loaded" in refused(tmp_path).what


def test_a_home_that_nobody_has_is_no_folder() -> None:
    assert (
        "there is no model folder ~nobody-of-that-name/x" in refused("~nobody-of-that-name/x").what
    )
