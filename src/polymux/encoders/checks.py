"""What can be known of a model before its weights are loaded, and what is wrong with it."""

from __future__ import annotations

import re
from typing import Any

from polymux.encoders.facts import Facts, bare
from polymux.encoders.kept import of_kind
from polymux.errors import ModelError, UsageError
from polymux.tasks import task_named
from polymux.tasks.feature import frame_of

# In the name of an architecture that was trained for the task.
HEADS = {
    "token-classification": "ForTokenClassification",
    "text-classification": "ForSequenceClassification",
    "question-answering": "ForQuestionAnswering",
}


def longest_row(facts: Facts, task: str, asked: int) -> int:
    """The longest row, special tokens included: what was asked, or what the model reads.

    Raises:
        UsageError: that leaves no room beside the special tokens.
    """
    length = min(asked, facts.reads)
    room = length - frame_of(facts.tokenizer, pair=task == "question-answering").size
    if room < 2:
        raise UsageError(
            f"rows of {length} sub-words leave no room beside the special tokens",
            "give a larger --max-length",
        )
    return length


def check_at_least(option: str, value: int, least: int) -> None:
    """Refuse a number below the least that has a meaning."""
    if value < least:
        raise UsageError(f"{option} is {value}", f"give {least} or more")


def labels_of(facts: Facts, task: str) -> tuple[str, ...]:
    """The labels of a model's head, by number; none for question answering.

    Raises:
        ModelError: the model has no trained head for the task (with a random one the choice would
            be random), or not one label an example.
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


def known_labels(facts: Facts, task: str) -> tuple[str, ...] | None:
    """The labels of a trained head, as `labels_of` has them; None if there is none."""
    try:
        return labels_of(facts, task)
    except ModelError:
        return None


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
    if not facts.shapes:
        return ""  # what a pickle lacks is seen when it is loaded
    missing = sorted(set(wanted) - set(facts.shapes))
    if missing:
        return f"its weights hold no {missing[0]}"
    for name, shape in wanted.items():
        if facts.shapes[name] != shape:
            return f"{name} has the shape {facts.shapes[name]}, its config says {shape}"
    return ""


def head_shapes(config: Any, task: str) -> dict[str, tuple[int, ...]]:
    """The weights that a head for the task adds to the base model.

    Raises:
        ValueError: transformers has no head of that kind for this model.
    """
    auto = task_named(task).AUTO

    def make() -> list[tuple[str, list[int]]]:
        model = bare(config, auto)
        base = f"{model.base_model_prefix}."
        named = model.named_parameters()
        return [(name, list(w.shape)) for name, w in named if not name.startswith(base)]

    return {name: tuple(shape) for name, shape in of_kind(config, f"head {auto}", make)}
