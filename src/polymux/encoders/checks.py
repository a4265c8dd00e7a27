"""What can be known of a model before its weights are loaded, and what is wrong with it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.errors import ModelError
from polymux.tasks import task_named

# In the name of an architecture that was trained for the task.
HEADS = {
    "token-classification": "ForTokenClassification",
    "text-classification": "ForSequenceClassification",
    "question-answering": "ForQuestionAnswering",
}
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tekken.json", "*.model")
_HUB_FILES = ["*.json", "*.txt", "*.model"]


@dataclass(frozen=True, slots=True)
class Facts:
    """A model on disk, looked at from outside."""

    folder: Path
    config: Any
    tokenizer: Any
    weights: tuple[Path, ...]
    reads: int
    """The longest row that it reads, special tokens included."""
    is_decoder: bool
    """Each position sees only those before it."""


def look_at(
    path: str | Path, *, allow_pickle: bool, trust_remote_code: bool, offline: bool
) -> Facts:
    """Find a model (a folder, or a name on the hub) and look at all but its weights.

    Raises:
        ModelError: it is not there, or not safe or not possible to load; the hint says what to do.
    """
    folder = find(path, allow_pickle=allow_pickle, offline=offline)
    config = _config(folder, trust_remote_code=trust_remote_code)
    weights = _weights(folder, allow_pickle=allow_pickle)
    tokenizer = _tokenizer(folder, trust_remote_code=trust_remote_code)
    if max(tokenizer.get_vocab().values(), default=0) >= config.get_text_config().vocab_size:
        raise ModelError(
            "the tokenizer has more sub-words than the model has embeddings",
            "put the tokenizer that the model was trained with beside it",
            file=str(folder),
        )
    return Facts(folder, config, tokenizer, weights, _reads(config, tokenizer), _decodes(config))


def find(path: str | Path, *, allow_pickle: bool, offline: bool) -> Path:
    """The folder of a model, downloaded from the hub if it is the name of one there."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        raise ModelError(
            "there is no config.json in this folder",
            "name the folder that save_pretrained or `polymux train --out` wrote",
            file=str(folder),
        )
    name = str(path)
    if (
        folder.exists()
        or folder.is_absolute()
        or name.startswith((".", "~"))
        or name.count("/") > 1
    ):
        raise ModelError(
            f"there is no model folder {name}", "give a folder, or a name on the hub", file=name
        )
    return _download(name, allow_pickle=allow_pickle, offline=offline)


def _download(name: str, *, allow_pickle: bool, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    here_only = offline or os.environ.get("POLYMUX_OFFLINE") == "1"
    folder = Path()
    for weights in ("*.safetensors", "*.bin") if allow_pickle else ("*.safetensors",):
        try:
            folder = Path(
                snapshot_download(
                    name,
                    allow_patterns=[*_HUB_FILES, weights],
                    ignore_patterns=["*/*"],
                    local_files_only=here_only,
                )
            )
        except (HfHubHTTPError, HFValidationError) as error:
            raise ModelError(
                f"there is no folder {name}, and the hub gives no model of that name",
                "look at the spelling; for a gated model log in with `hf auth login`",
            ) from error
        except OSError as error:  # not downloaded before and offline, or the hub not reached
            raise ModelError(
                f"there is no folder {name}, and no model of that name was downloaded before",
                "give the path of a folder, or run once where the hub can be reached",
            ) from error
        if any(folder.glob("*.safetensors")):
            break
    return folder


def _config(folder: Path, *, trust_remote_code: bool) -> Any:
    from transformers import AutoConfig

    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if "auto_map" in told and not trust_remote_code:
            raise ModelError(
                "this model brings its own code",
                "read that code; if you trust it, give --trust-remote-code",
                file=str(folder),
            )
        config = AutoConfig.from_pretrained(
            folder, trust_remote_code=trust_remote_code, local_files_only=True
        )
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(
            f"its config.json cannot be read: {str(error).splitlines()[0]}",
            "use a model of a kind that transformers knows",
            file=str(folder),
        ) from error
    if config.is_encoder_decoder:
        raise ModelError(
            f"{config.model_type} is an encoder with a decoder",
            "use an encoder (XLM-R, ModernBERT) or a decoder-only model",
            file=str(folder),
        )
    return config


def _weights(folder: Path, *, allow_pickle: bool) -> tuple[Path, ...]:
    safe = tuple(sorted(folder.glob("model*.safetensors")))
    if safe:
        return safe
    pickled = tuple(sorted(folder.glob("pytorch_model*.bin")))
    if pickled and not allow_pickle:
        raise ModelError(
            "its weights are pickled, and loading them can run code",
            "convert them to safetensors (save_pretrained does), or give --allow-pickle",
            file=str(folder),
        )
    if not pickled:
        raise ModelError(
            "there are no weights (model.safetensors) in this folder",
            "name the folder that save_pretrained or `polymux train --out` wrote",
            file=str(folder),
        )
    return pickled


def _tokenizer(folder: Path, *, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    hint = "save a fast tokenizer (tokenizer.json) beside the model"
    # Without its files transformers 5 makes an empty tokenizer and says nothing.
    if not any(any(folder.glob(name)) for name in _TOKENIZER_FILES):
        raise ModelError("there is no tokenizer in this folder", hint, file=str(folder))
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=trust_remote_code, local_files_only=True
        )
    except (ValueError, KeyError, OSError, ImportError, TypeError) as error:
        raise ModelError(
            f"its tokenizer cannot be loaded: {str(error).splitlines()[0]}", hint, file=str(folder)
        ) from error
    if not tokenizer.is_fast:
        raise ModelError("its tokenizer is a slow one (no tokenizer.json)", hint, file=str(folder))
    return tokenizer


def _reads(config: Any, tokenizer: Any) -> int:
    """Positions that the model and its tokenizer allow; RoBERTa's count from the padding id + 1."""
    limit = int(min(tokenizer.model_max_length, 1_000_000))
    text_config = config.get_text_config()
    positions = getattr(text_config, "max_position_embeddings", None)
    if positions:
        limit = min(limit, int(positions) - _position_offset(config))
    return limit


def _position_offset(config: Any) -> int:
    from torch import nn

    for name, module in bare(config).named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def bare(config: Any, auto: str = "AutoModel") -> Any:
    """The model without memory for its weights: names and shapes only."""
    import torch
    import transformers

    with torch.device("meta"):
        # What was not trusted was refused when its config was read.
        return getattr(transformers, auto).from_config(config, trust_remote_code=True)


def _decodes(config: Any) -> bool:
    from transformers.models.auto import modeling_auto as known

    kind = config.model_type
    return bool(
        getattr(config, "is_decoder", False)  # BERT and its kin can be made one
        if kind in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        else kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )


def labels_of(facts: Facts, task: str) -> tuple[str, ...]:
    """The labels of a model's head, by number; none for question answering.

    Raises:
        ModelError: the model has no trained head for the task (D32), or not one label an example.
    """
    command = f"polymux train {facts.folder} --task {task} --train FILES --out DIR"
    why = _lacks(facts, task)
    if why:
        raise ModelError(
            f"this model has no trained head for {task}: {why}",
            f"make one: {command}",
            file=str(facts.folder),
        )
    if task == "question-answering":
        return ()
    config = facts.config
    if config.num_labels < 2 or config.problem_type in ("regression", "multi_label_classification"):
        raise ModelError(
            "its head does not choose one of several labels",
            f"train one that does: {command}",
            file=str(facts.folder),
        )
    return tuple(str(config.id2label[i]) for i in range(config.num_labels))


def has_generic_names(labels: tuple[str, ...]) -> bool:
    """Whether the labels are transformers' LABEL_0, LABEL_1 ..."""
    return bool(labels) and all(re.fullmatch(r"LABEL_\d+", label) for label in labels)


def _lacks(facts: Facts, task: str) -> str:
    """What of a trained head is not there; empty if all of it is."""
    architectures = facts.config.architectures or []
    if architectures and not any(HEADS[task] in name for name in architectures):
        return f"it is a {architectures[0]}"
    try:
        wanted = head_shapes(facts.config, task)
    except ValueError:
        return f"transformers has none for {facts.config.model_type}"
    if facts.weights[0].suffix != ".safetensors":
        return ""  # a pickle has no header: what it lacks is seen when it is loaded
    saved = saved_shapes(facts.weights)
    missing = sorted(set(wanted) - set(saved))
    if missing:
        return f"its weights hold no {missing[0]}"
    for name, shape in wanted.items():
        if saved[name] != shape:
            return f"{name} has the shape {saved[name]}, its config says {shape}"
    return ""


def head_shapes(config: Any, task: str) -> dict[str, tuple[int, ...]]:
    """The weights that a head for the task adds to the base model.

    Raises:
        ValueError: transformers has no head of that kind for this model.
    """
    model = bare(config, task_named(task).AUTO)
    base = f"{model.base_model_prefix}."
    return {
        name: tuple(weight.shape)
        for name, weight in model.named_parameters()
        if not name.startswith(base)
    }


def saved_shapes(weights: tuple[Path, ...]) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes in the headers of safetensors files."""
    from safetensors import safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in weights:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                modern = name.replace(".gamma", ".weight").replace(".beta", ".bias")
                shapes[modern] = tuple(file.get_slice(name).get_shape())
    return shapes
