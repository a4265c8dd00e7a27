"""A model on disk, looked at from outside: all but its weights is loaded."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polymux.encoders.kept import of_kind
from polymux.errors import ModelError

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tekken.json", "*.model")
_HUB_FILES = ["*.json", "*.txt", "*.model"]
# A word and a cuneiform sign, which hardly any vocabulary holds.
_STRANGE = "a \U00012000"
_NO_SUCH_HEAD = "Unrecognized configuration class"


@dataclass(frozen=True, slots=True)
class Facts:
    """A model on disk, looked at from outside."""

    folder: Path
    config: Any
    tokenizer: Any
    weights: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]]
    """Of the weights, by name; none for a pickle, which has no header."""
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
    shapes = _saved_shapes(weights)
    tokenizer = _tokenizer(folder, trust_remote_code=trust_remote_code)
    if max(tokenizer.get_vocab().values(), default=0) >= config.get_text_config().vocab_size:
        raise ModelError(
            "the tokenizer has more sub-words than the model has embeddings",
            "put the tokenizer that the model was trained with beside it",
            file=str(folder),
        )
    reads = _reads(config, tokenizer)
    return Facts(folder, config, tokenizer, weights, shapes, reads, _decodes(config))


def find(path: str | Path, *, allow_pickle: bool, offline: bool) -> Path:
    """The folder of a model, downloaded from the hub if it is the name of one there."""
    try:
        folder = Path(path).expanduser()
    except RuntimeError:  # ~nobody/model, and there is nobody of that name
        folder = Path(path)
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        raise ModelError(
            "there is no config.json in this folder",
            "name the folder that save_pretrained or `polymux train --out` wrote",
            file=str(folder),
        )
    name = str(path)
    if folder.exists() or not may_be_on_hub(name):
        raise ModelError(
            f"there is no model folder {name}", "give a folder, or a name on the hub", file=name
        )
    return _download(name, allow_pickle=allow_pickle, offline=offline)


def may_be_on_hub(name: str) -> bool:
    """Whether this can be the name of a model on the hub, not only the path of a folder."""
    return not (Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1)


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

    hint = "use a model of a kind that transformers knows, with the config.json it was saved with"
    with _refused("its config.json cannot be read", hint, folder):
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
    names = config.architectures
    if names and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ModelError(
            "the architectures in its config.json are no list of names", hint, file=str(folder)
        )
    if config.is_encoder_decoder:
        raise ModelError(
            f"{config.model_type} is an encoder with a decoder",
            "use an encoder (XLM-R, ModernBERT) or a decoder-only model",
            file=str(folder),
        )
    return config


@contextmanager
def _refused(what: str, hint: str, folder: Path) -> Iterator[None]:
    """Say as a ModelError what transformers and torch say of files that are no model's."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        OSError,
        RuntimeError,
        StrictDataclassError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        raise ModelError(f"{what}: {_first_line(error)}", hint, file=str(folder)) from error


def loading(folder: Path) -> Any:
    """Around whatever loads weights: what is wrong with them, as a ModelError."""
    hint = "they are cut, damaged or of another model than its config.json: get them again"
    return _refused("its weights cannot be loaded", hint, folder)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines[:2])


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
        tokenizer(_STRANGE, verbose=False)
        limit = int(tokenizer.model_max_length)
    # The library tokenizers raises Exception itself, which nothing narrower catches.
    except Exception as error:
        raise ModelError(
            f"its tokenizer cannot be loaded: {_first_line(error)}", hint, file=str(folder)
        ) from error
    if limit < 1:
        raise ModelError(f"its tokenizer says that rows are {limit} long", hint, file=str(folder))
    if not tokenizer.is_fast:
        raise ModelError("its tokenizer is a slow one (no tokenizer.json)", hint, file=str(folder))
    return tokenizer


def _reads(config: Any, tokenizer: Any) -> int:
    """Positions that the model and its tokenizer allow; RoBERTa's count from the padding id + 1."""
    limit = int(min(tokenizer.model_max_length, 1_000_000))
    text_config = config.get_text_config()
    positions = getattr(text_config, "max_position_embeddings", None)
    if positions:
        offset = of_kind(config, "positions", lambda: _position_offset(config))
        limit = min(limit, int(positions) - int(offset))
    return limit


def _position_offset(config: Any) -> int:
    from torch import nn

    for name, module in bare(config).named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def bare(config: Any, auto: str = "AutoModel") -> Any:
    """The model without memory for its weights: names and shapes only.

    Raises:
        ModelError: the numbers in its config.json make no model.
        ValueError: transformers has none of this kind (`auto`) for it.
    """
    import torch
    import transformers

    hint = "use the config.json that the model was saved with"
    with _refused("its config.json makes no model", hint, Path(config._name_or_path)):
        try:
            with torch.device("meta"):
                # What was not trusted was refused when its config was read.
                return getattr(transformers, auto).from_config(config, trust_remote_code=True)
        except ValueError as error:
            if not str(error).startswith(_NO_SUCH_HEAD):
                raise
            missing = error
    raise missing


def _decodes(config: Any) -> bool:
    from transformers.models.auto import modeling_auto as known

    kind = config.model_type
    return bool(
        getattr(config, "is_decoder", False)  # BERT and its kin can be made one
        if kind in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        else kind in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )


def contents(facts: Facts) -> str:
    """A name for the weights and the tokenizer."""
    digest = blake2b(facts.tokenizer.backend_tokenizer.to_str().encode(), digest_size=16)
    for path in facts.weights:
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


def saved_config(folder: Path) -> dict[str, Any]:
    """What its config.json says, but for the names of the folder and of who wrote it."""
    told: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {k: v for k, v in told.items() if k not in ("_name_or_path", "transformers_version")}


def _saved_shapes(weights: tuple[Path, ...]) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes in the headers of safetensors files."""
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for path in weights:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118  # it is no mapping
                    modern = name.replace(".gamma", ".weight").replace(".beta", ".bias")
                    shapes[modern] = tuple(file.get_slice(name).get_shape())
        except SafetensorError as error:
            raise ModelError(
                f"its weights cannot be read: {_first_line(error)}",
                "the file is cut, or a pointer of git-lfs (then: git lfs pull): get it again",
                file=str(path),
            ) from error
    return shapes
