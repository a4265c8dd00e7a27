"""Train a model on labelled examples: one verb, one loop (`loop.fit`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Unpack

from accelerate import PartialState

from polymux import __version__
from polymux.encoders import load_for_training, readable
from polymux.errors import UsageError
from polymux.progress import Progress
from polymux.records import Pool
from polymux.tasks import Feature
from polymux.train.job import Job, Trained
from polymux.train.labels import read_labels
from polymux.train.loop import Fitted, fit
from polymux.train.presets import DEFAULT, PRESETS, preset_of
from polymux.train.recipe import Recipe
from polymux.train.rows import LOSSES, Row, collate, labelled_rows, units
from polymux.train.start import Labelled, Safety, Start, labelled

# Below so many updates, at the paper's rates, a model is still what it was.
FEW_UPDATES = 30

__all__ = ["PRESETS", "Fitted", "Recipe", "Trained", "fit", "read_labels", "train"]


def train(
    model: str | Path,
    pool: Pool,
    out: str | Path,
    *,
    preset: str | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    accumulation: int = 1,
    bucketed: bool = False,
    labels: Sequence[str] | None = None,
    max_length: int | None = None,
    stride: int = 128,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    trackers: Sequence[Any] = (),
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
    **safety: Unpack[Safety],
) -> Trained:
    """Fine-tune a start model on the labelled examples of a pool, and save it into `out`.

    Settings are those of `preset` (by default the paper's for XLM-R, DeMuX, Table 8) where nothing
    else is given; seed decides a new head, the order of the rows and dropout. A trained head keeps
    its labels; other `labels` make a new one. `bucketed` batches hold rows of like length, which
    saves padding. `resume` goes on from the last checkpoint of the same training, to the same
    weights. `safety`: allow_pickle, trust_remote_code, offline.

    Raises:
        InputError: nothing is labelled, or labels that cannot be.
        ModelError: no such model, or its head does not know all labels of the data.
        UsageError: settings that cannot be, or `out` is not empty.
        WorkError: the loss is not finite, or the device has no memory for one row.
    """
    if PartialState().num_processes > 1:
        raise UsageError("fine-tuning runs in one process", "start polymux without a launcher")
    chosen = preset_of(preset, pool.task)
    recipe = chosen.recipe(lr, epochs, batch_size, accumulation, seed, bucketed=bucketed)
    with Job.begun(out, force=force, resume=resume) as job:
        row = chosen.max_length if max_length is None else max_length
        start = Start.of(model, pool.task, row, stride, safety)
        data = labelled(readable(pool, start))
        names, is_new = start.decide_labels(data.found, labels)
        told = _settings(start, data, recipe, names, preset=preset, is_new=is_new)
        if job.is_done:
            return job.finished(told["identity"])
        run = partial(
            fit,
            recipe=recipe,
            units=units,
            length=lambda row: len(row[0].input_ids),
            device=device,
            checkpoint=job.checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            resume=resume,
            identity=told["identity"],
            trackers=trackers,
            progress=progress,
        )
        network, tokenizer = load_for_training(
            model, task=pool.task, labels=names, seed=seed, new_head=is_new, **safety
        )
        return job.save(
            network, tokenizer, told | _learn(run, network, tokenizer, start, data, names)
        )


def _learn(
    run: Callable[..., Fitted],
    network: Any,
    tokenizer: Any,
    start: Start,
    data: Labelled,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Train the network; gives the second half of the manifest."""
    features = start.prepare(data.examples)
    rows = labelled_rows(features, start.module.gold(data.examples, features, labels))
    fitted = run(
        network, rows, partial(collate, padding=tokenizer.pad_token_id), LOSSES[start.task]
    )
    return _outcome(data, features, rows, fitted)


def _settings(
    start: Start,
    data: Labelled,
    recipe: Recipe,
    labels: Sequence[str],
    *,
    preset: str | None,
    is_new: bool,
) -> dict[str, Any]:
    """The first half of the manifest: all that decides the weights, and its fingerprint."""
    decides = {
        "task": start.task,
        "start_fingerprint": start.fingerprint,
        "data_fingerprint": data.fingerprint,
        "labels": list(labels),
        "new_head": is_new,
        "max_length": start.max_length,
        "stride": start.stride,
        "recipe": asdict(recipe),
    }
    text = json.dumps(decides, sort_keys=True)
    return {
        "polymux": __version__,
        "start": start.path,
        "preset": preset or DEFAULT[start.task],
        **json.loads(text),
        "identity": blake2b(text.encode(), digest_size=16).hexdigest(),
    }


def _outcome(
    data: Labelled, features: Sequence[Feature], rows: Sequence[Row], fitted: Fitted
) -> dict[str, Any]:
    """What was trained on, and how it went."""
    lost = sum(feature.lost for feature in features)
    truncated = sum(feature.lost > 0 for feature in features)
    notes = [*fitted.notes]
    if data.unlabelled:
        notes.append(f"{data.unlabelled:,} examples without a label were left out")
    if data.rejected:
        notes.append(f"{data.rejected:,} bad examples were left out")
    if truncated:
        notes.append(
            f"{truncated:,} examples are longer than the rows: {lost:,} words or sub-words of them "
            "were not trained on"
        )
    first, last = fitted.losses[0], fitted.losses[-1]
    if len(fitted.losses) < FEW_UPDATES and last > first / 2:
        notes.append(
            f"{len(fitted.losses)} updates moved the model little (loss {first:.2f} in the first, "
            f"{last:.2f} in the last): more --epochs, a smaller --batch-size or a larger --lr do"
        )
    return {
        "examples": len(data.examples),
        "unlabelled": data.unlabelled,
        "rejected": data.rejected,
        "rows": len(rows),
        "truncated": truncated,
        "lost": lost,
        "updates": len(fitted.losses),
        "epoch_losses": fitted.epoch_losses,
        "resumed_at": fitted.resumed_at,
        "seconds": round(fitted.seconds, 3),
        "notes": notes,
    }
