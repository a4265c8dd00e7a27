"""The one training loop: what a row is, how a batch is made and the loss are arguments.

Fine-tuning, pre-training on masked words and distillation all run through `fit`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.tracking import filter_trackers
from accelerate.utils import ProjectConfiguration
from torch import Tensor, nn

from polymux.encoders.pytorch import device_named, is_memory
from polymux.errors import UsageError, WorkError
from polymux.progress import Progress
from polymux.train.checkpoint import Checkpoint
from polymux.train.optimizers import OPTIMIZERS, Together
from polymux.train.recipe import Recipe

R = TypeVar("R")
Batch = Mapping[str, Tensor]

# Batches sorted together by length: enough to save padding, few enough to stay random.
BUCKET_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went; the weights are in the model that was given."""

    losses: tuple[float, ...]
    """Mean loss of each update."""
    updates_per_epoch: int
    resumed_at: int
    """The update it went on from; 0 if from the beginning."""
    seconds: float
    notes: tuple[str, ...]
    """What a person should know."""

    @property
    def epoch_losses(self) -> list[float]:
        """Mean loss of each epoch; the last one may be cut short by `steps`."""
        size = self.updates_per_epoch
        starts = range(0, len(self.losses), size)
        return [float(np.mean(self.losses[start : start + size])) for start in starts]


def batches(
    count: int, batch_size: int, *, seed: int, epoch: int, lengths: Sequence[int] | None = None
) -> list[list[int]]:
    """The rows of every batch of an epoch: each row once, in an order that seed and epoch decide.

    With lengths, rows of like length share a batch, to save padding; without, all is shuffled.
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(count).tolist()
    if lengths is not None:
        span = batch_size * BUCKET_BATCHES
        buckets = [order[i : i + span] for i in range(0, count, span)]
        order = [row for bucket in buckets for row in sorted(bucket, key=lambda r: lengths[r])]
    cut = [order[i : i + batch_size] for i in range(0, count, batch_size)]
    if lengths is not None:
        cut = [cut[i] for i in draw.permutation(len(cut))]
    return cut


def _torch_seed(seed: int, update: int) -> int:
    """One number an update for torch's draws (dropout, masks), so that a resume repeats them."""
    digest = blake2b(f"polymux {seed} {update}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were found."""
    cuda = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        yield


@dataclass(slots=True)
class Trainer:
    """What every update needs, and how far they are."""

    accelerator: Accelerator
    device: torch.device
    model: nn.Module
    optimizer: torch.optim.Optimizer | Together
    collate: Callable[[Sequence[Any]], Batch]
    loss: Callable[[nn.Module, Batch], Tensor]
    units: Callable[[Batch], int]
    clip: float | None
    autocast: torch.dtype
    at_once: int
    """Rows that fit into memory together."""
    losses: list[float] = field(default_factory=list)
    """Of the updates so far."""
    notes: list[str] = field(default_factory=list)

    def update(self, rows: Sequence[Sequence[Any]], seed: int, rate: float) -> float:
        """One update from the micro-batches `rows`; gives the mean loss over all their units."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        while True:
            size = self.at_once
            own = [part[rank::processes] for part in rows]
            micro = [part[i : i + size] for part in own for i in range(0, len(part), size)]
            torch.default_generator.manual_seed(seed)
            if self.device.type == "cuda":
                torch.cuda.manual_seed(seed)
            try:
                return self._step(micro)
            except RuntimeError as error:
                if not is_memory(error):
                    raise
                largest = max(map(len, micro))
                if largest == 1:
                    raise WorkError(
                        "one example does not fit into the device's memory",
                        "give a smaller --max-length, a smaller model or --device cpu",
                    ) from error
                self.at_once = (largest + 1) // 2
            if not self.notes:
                self.notes.append(
                    "out of memory: batches go through the model in parts; the gradient is the same"
                )

    def _step(self, micro: Sequence[Sequence[Any]]) -> float:
        self.optimizer.zero_grad()
        made = [self.collate(part) for part in micro]
        weights = [self.units(batch) for batch in made]
        mine = sum(weights)
        # Of several processes each takes its part of the rows, and divides by the sum at the end.
        whole = mine if self.accelerator.num_processes == 1 else 1
        summed = 0.0
        for batch, weight in zip(made, weights, strict=True):
            if weight == 0:
                continue
            moved = {name: value.to(self.device) for name, value in batch.items()}
            with torch.autocast(
                self.device.type, self.autocast, enabled=self.autocast != torch.float32
            ):
                value = self.loss(self.model, moved)
            share = value * (weight / whole)
            self.accelerator.backward(share)
            summed += float(share.detach())
        if self.accelerator.num_processes > 1:
            summed, mine = self._shared(summed, mine)
        if not math.isfinite(summed):
            raise WorkError(
                f"the loss became {summed}",
                "train with a lower --lr; nothing was written",
            )
        if mine:
            if self.clip is not None:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
        return summed

    def _shared(self, summed: float, units: int) -> tuple[float, int]:
        """Make loss and gradient those of all processes' rows; gives the mean loss and the units.

        The sums are taken here, not by a wrapper around the model: a loss may use the model in any
        way, and a process may have no row of an update.
        """
        told = torch.tensor([summed, units], dtype=torch.float64, device=self.device)
        total, count = self.accelerator.reduce(told, "sum").tolist()
        for weight in self.model.parameters():
            if weight.requires_grad:
                own = torch.zeros_like(weight) if weight.grad is None else weight.grad
                weight.grad = self.accelerator.reduce(own, "sum") / max(count, 1)
        return total / max(count, 1), int(count)


def _accelerator(trackers: Sequence[Any], folder: Path | None) -> Accelerator:
    logs = None if folder is None else folder / "logs"
    try:
        there = filter_trackers(list(trackers), logs)
    except ValueError as error:
        raise UsageError(str(error), "name trackers that accelerate knows, or none") from error
    if len(there) < len(set(trackers)):
        missing = [t for t in trackers if t not in {str(found) for found in there}]
        raise UsageError(f"the tracker {missing[0]} is not installed", f"pip install {missing[0]}")
    return Accelerator(
        log_with=there or None, project_config=ProjectConfiguration(logging_dir=logs)
    )


def _trainer(
    model: nn.Module,
    recipe: Recipe,
    device: str,
    collate: Callable[[Sequence[R]], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    units: Callable[[Batch], int] | None,
    trackers: Sequence[Any],
    folder: Path | None,
) -> Trainer:
    accelerator = _accelerator(trackers, folder)
    where = torch.device(device_named(device))
    if accelerator.num_processes > 1 and where.type == "cuda":
        where = accelerator.device
    return Trainer(
        accelerator=accelerator,
        device=where,
        model=model.to(where).train(),
        optimizer=OPTIMIZERS[recipe.optimizer](model, recipe.lr, recipe.weight_decay, recipe.betas),
        collate=collate,
        loss=loss,
        units=units or (lambda batch: len(next(iter(batch.values())))),
        clip=recipe.clip,
        autocast=getattr(torch, recipe.precision),
        at_once=recipe.batch_size,
    )


def _epochs(
    rows: Sequence[R], recipe: Recipe, lengths: Sequence[int] | None, start: int
) -> Iterator[tuple[int, list[list[R]]]]:
    """Each update from `start` on, with its batches: every row once an epoch."""
    per_epoch = recipe.updates_per_epoch(len(rows))
    size, seed = recipe.batch_size, recipe.seed
    epoch, order = -1, list[list[int]]()
    for update in range(start, recipe.updates(len(rows))):
        if update // per_epoch != epoch:
            epoch = update // per_epoch
            order = batches(len(rows), size, seed=seed, epoch=epoch, lengths=lengths)
        first = update % per_epoch * recipe.accumulation
        taken = order[first : first + recipe.accumulation]
        yield update, [[rows[i] for i in batch] for batch in taken]


def _run(
    trainer: Trainer,
    plan: Iterable[tuple[int, Sequence[Sequence[R]]]],
    recipe: Recipe,
    updates: int,
    before: Callable[[int], None] | None,
    saved: Checkpoint | None,
    progress: Progress | None,
) -> None:
    """Every update that is not done yet."""
    for update, micro in plan:
        if before is not None:
            before(update)
        rate = recipe.rate(update, updates)
        loss = trainer.update(micro, _torch_seed(recipe.seed, update), rate)
        trainer.losses.append(loss)
        first = trainer.accelerator.is_main_process
        if saved and first and saved.due() and update + 1 < updates:
            saved.save(trainer)
        trainer.accelerator.log({"loss": loss, "lr": rate}, step=update + 1)
        if progress:
            progress("training", update + 1, updates)
    if not all(bool(p.isfinite().all()) for p in trainer.model.parameters()):
        raise WorkError("the weights are no longer finite", "train with a lower --lr")


def fit(
    model: nn.Module,
    rows: Sequence[R],
    collate: Callable[[Sequence[R]], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    recipe: Recipe,
    *,
    units: Callable[[Batch], int] | None = None,
    length: Callable[[R], int] | None = None,
    drawn: Callable[[int], Sequence[Sequence[R]]] | None = None,
    before: Callable[[int], None] | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 30.0,
    resume: bool = False,
    identity: str = "",
    trackers: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Fitted:
    """Train `model` in place, and leave it in evaluation mode.

    `collate` makes a batch of tensors from some rows; `loss` is a mean over the `units` of the
    batch (as many as its tensors are long, unless told). The gradient of an update is that of the
    mean over all units of its batches: accumulation changes nothing but memory.
    The recipe's seed decides the order of the rows and what `collate`, `loss` and the model draw
    from torch, which is seeded anew for each update and restored afterwards.
    The state is saved into the folder `checkpoint` whenever `checkpoint_seconds` have passed;
    `resume` goes on from there to the same weights, if recipe and `identity` (what is trained on
    what) are those it was begun with. `length` of a row is what a bucketed recipe sorts by;
    `trackers` are accelerate's, by name or as objects. Started by `accelerate launch` or
    `torchrun`, each process takes its part of every batch; the result is that of all rows.

    Raises:
        UsageError: no rows, a checkpoint of something else, a tracker that is not there.
        WorkError: a loss that is not finite, or no memory for one row.
    """
    if not rows and drawn is None:
        raise UsageError("there is nothing to train on", "give at least one labelled example")
    began = time.monotonic()
    trainer = _trainer(model, recipe, device, collate, loss, units, trackers, checkpoint)
    saved = None
    if checkpoint is not None:
        name = f"{recipe} on {len(rows)} rows {identity}"
        saved = Checkpoint(checkpoint, checkpoint_seconds, name)
    if saved and resume:
        saved.load(trainer)
    elif saved:
        saved.forget()
    # Nobody writes a checkpoint before all have read it.
    trainer.accelerator.wait_for_everyone()
    if trackers:
        trainer.accelerator.init_trackers("polymux", config=asdict(recipe))
    start = len(trainer.losses)
    lengths = [length(row) for row in rows] if length and recipe.bucketed else None
    updates = recipe.updates(len(rows))
    plan: Iterable[tuple[int, Sequence[Sequence[R]]]]
    if drawn is None:
        plan = _epochs(rows, recipe, lengths, start)
    else:
        plan = ((update, drawn(update)) for update in range(start, updates))
    try:
        with _own_randomness(trainer.device):
            _run(trainer, plan, recipe, updates, before, saved, progress)
    finally:
        # Not end_training, which would part the processes for good: another training may follow.
        for tracker in trainer.accelerator.trackers:
            tracker.finish()
    model.eval()
    seconds = time.monotonic() - began
    per_epoch = recipe.updates_per_epoch(len(rows))
    return Fitted(tuple(trainer.losses), per_epoch, start, seconds, tuple(trainer.notes))
