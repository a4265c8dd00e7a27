"""A model to train: its body as it is, its head as it is or new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polymux.encoders import checks
from polymux.encoders.facts import Facts, bare, loading, look_at
from polymux.errors import ModelError
from polymux.tasks import task_named

# A head for question answering has two outputs, and no labels of its own.
SPAN = ("start", "end")


def load_for_training(
    path: str | Path,
    *,
    task: str,
    labels: Sequence[str] = (),
    seed: int = 0,
    new_head: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    offline: bool = False,
) -> tuple[Any, Any]:
    """A model with a head for the task, float32, and its fast tokenizer with a padding token.

    `labels` are those that the head must know, by class number. A trained head that knows them all
    is kept, with its own labels in their own order (read them from `model.config.id2label`). A
    model without a head for the task gets a new one, its random weights drawn from `seed`.

    Raises:
        ModelError: the trained head lacks some of the labels and `new_head` was not asked for.
    """
    facts = look_at(
        path, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, offline=offline
    )
    known = checks.known_labels(facts, task)
    lacking = [label for label in labels if known is not None and label not in known]
    if lacking and not new_head:
        raise ModelError(
            f"the start model does not know the labels {', '.join(lacking)}; "
            f"it knows {', '.join(known or ())}",
            "give the labels of both with --labels and ask for a new head, "
            "or start from a model without a head",
            file=str(facts.folder),
        )
    keep = known is not None and not new_head
    names = tuple(known or ()) if keep else tuple(labels) or SPAN
    return _load(facts, task, names, seed=seed, keep=keep), facts.tokenizer


def give_padding(tokenizer: Any) -> None:
    """Let another special token pad where a tokenizer has none of its own for it."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def _load(facts: Facts, task: str, labels: Sequence[str], *, seed: int, keep: bool) -> Any:
    import torch
    import transformers

    from polymux.encoders.pytorch import quiet

    config, tokenizer = facts.config, facts.tokenizer
    if labels and not keep:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: i for i, label in enumerate(labels)}
        config.problem_type = None
    give_padding(tokenizer)
    config.get_text_config().pad_token_id = tokenizer.pad_token_id
    config.use_cache = False
    auto = task_named(task).AUTO
    with quiet(), torch.random.fork_rng(), loading(facts.folder):
        torch.manual_seed(seed)
        if keep:
            kept = getattr(transformers, auto)
            # Code and pickles that were not trusted were refused by `look_at`.
            return kept.from_pretrained(
                facts.folder, config=config, dtype=torch.float32, trust_remote_code=True
            )
        return type(bare(config, auto)).from_pretrained(
            None,
            config=config,
            state_dict=_body(facts, task),
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
        )


def _body(facts: Facts, task: str) -> dict[str, Any]:
    """The saved weights without those that would stand in the head."""
    import torch
    from safetensors.torch import load_file

    head = checks.head_shapes(facts.config, task)
    saved: dict[str, Any] = {}
    for path in facts.weights:
        if path.suffix == ".safetensors":
            saved |= load_file(path)
        else:
            saved |= torch.load(path, map_location="cpu", weights_only=True)
    return {name: weight for name, weight in saved.items() if name not in head}
