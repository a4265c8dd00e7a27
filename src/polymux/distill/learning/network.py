"""A masked language model of any kind that transformers has, and its head on hidden tokens only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polymux.encoders.facts import loading, look_at
from polymux.encoders.pytorch import quiet
from polymux.errors import ModelError, UsageError

_LAYER = re.compile(r"\.(\d+)\.")


def modernbert(layers: int, hidden: int, heads: int, intermediate: int) -> dict[str, Any]:
    """Settings of a small ModernBERT: every layer sees the whole row (METHOD.md 2.4)."""
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "layer_types": ["full_attention"] * layers,
    }


def new(kind: str, settings: Mapping[str, Any], tokenizer: Any, length: int, *, seed: int) -> Any:
    """A masked language model with random weights drawn from `seed`.

    Args:
        kind: A model type of transformers, such as `modernbert`, `bert` or `xlm-roberta`.
        settings: What its configuration shall say otherwise than by default.
        tokenizer: Gives the vocabulary and the special tokens.
        length: The longest row.
        seed: Decides the weights.

    Raises:
        UsageError: transformers has no such masked language model, or it cannot be made so.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForMaskedLM

    known = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "sep_token_id": tokenizer.sep_token_id,
    }
    # RoBERTa counts positions from the padding number + 1.
    room = {"max_position_embeddings": length + tokenizer.pad_token_id + 1}
    try:
        config = AutoConfig.for_model(kind, **{**room, **known, **settings})
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return AutoModelForMaskedLM.from_config(config)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise UsageError(
            f"no {kind} can be made of these settings: {str(error).strip().splitlines()[0]}",
            "type = 'modernbert', 'bert', 'xlm-roberta', ... and [model.settings] as in its config",
        ) from error


def load(path: str | Path, *, offline: bool = False) -> tuple[Any, Any]:
    """A masked language model and its tokenizer, from a folder or the hub; safetensors only.

    Raises:
        ModelError: it is not there, not safe to load, or its head for masked words is missing.
    """
    from transformers import AutoModelForMaskedLM

    facts = look_at(path, allow_pickle=False, trust_remote_code=False, offline=offline)
    if facts.tokenizer.mask_token is None:
        raise ModelError(
            "its tokenizer has no mask token",
            "give a model that was trained on masked words",
            file=str(facts.folder),
        )
    with quiet(), loading(facts.folder):
        model, told = AutoModelForMaskedLM.from_pretrained(
            facts.folder, dtype=torch.float32, output_loading_info=True
        )
    missing = sorted(told["missing_keys"])
    if missing:
        raise ModelError(
            f"it lacks weights for masked words: {', '.join(missing[:3])}",
            "give a model saved with its head (AutoModelForMaskedLM), as polymux distill does",
            file=str(facts.folder),
        )
    return model, facts.tokenizer


def _vectors(output: Any) -> Tensor:
    found: Tensor = output[0]
    return found


@contextmanager
def _only(model: Any, row: Int[Tensor, "_"], place: Int[Tensor, "_"]) -> Iterator[None]:
    """Let the head see these positions of what the body gives, and no others."""
    from transformers.modeling_outputs import BaseModelOutput

    def keep(module: Any, given: Any, output: Any) -> Any:
        return BaseModelOutput(last_hidden_state=_vectors(output)[row, place][None])

    handle = model.base_model.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def hidden_logits(model: Any, batch: Mapping[str, Tensor]) -> Float[Tensor, "hidden vocabulary"]:
    """Logits at the hidden positions of a batch; the head runs on those only.

    A masked language model is a body and a head: the head takes whatever vectors the body gives.
    """
    inputs = {n: batch[n] for n in ("input_ids", "attention_mask") if n in batch}
    with _only(model, batch["row"], batch["place"]):
        logits: Tensor = model(**inputs).logits[0]
    return logits


def parameters(model: Any) -> dict[str, int]:
    """How many there are: in all, and without the embeddings (and a head tied to them)."""
    total = sum(p.numel() for p in model.parameters())
    tied = model.get_output_embeddings()
    kept = {id(model.get_input_embeddings().weight)}
    if tied is not None:
        kept.add(id(tied.weight))
    embedded = sum(p.numel() for p in model.parameters() if id(p) in kept)
    return {"all": total, "without_embeddings": total - embedded}


def flops_a_token(model: Any, length: int, hidden: float) -> float:
    """Floating-point operations of a forward pass, a token of a row of `length`.

    Two for each weight that is not an embedding, attention, and the vocabulary for the share of
    tokens that is hidden. Training takes three times as many.
    """
    config = model.config
    attention = 4 * config.num_hidden_layers * config.hidden_size * length
    vocabulary = 2 * config.vocab_size * config.hidden_size * hidden
    return float(2 * parameters(model)["without_embeddings"] + attention + vocabulary)


def copy_layers(source: Any, target: Any) -> None:
    """Give a model another one's weights; a shallower one takes layers at even distances.

    Raises:
        UsageError: widths or vocabularies differ, or the kinds of the models do.
    """
    depth, deep = (model.config.num_hidden_layers for model in (target, source))
    taken = [round(i * (deep - 1) / max(1, depth - 1)) for i in range(depth)]
    given, wanted = source.state_dict(), target.state_dict()
    chosen = {}
    for name, weight in wanted.items():
        layer = _LAYER.search(name)
        there = name if layer is None else _LAYER.sub(f".{taken[int(layer[1])]}.", name, count=1)
        if there not in given or given[there].shape != weight.shape:
            raise UsageError(
                f"{name} cannot be taken from the model to start from: it has none of that shape",
                "start from a model of the same kind, width and vocabulary, or from 'random'",
            )
        chosen[name] = given[there]
    target.load_state_dict(chosen)
