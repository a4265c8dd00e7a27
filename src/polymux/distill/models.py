"""What all trained models of a run share: shape, plan, training, and the folder they become."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polymux.distill.card import model_card
from polymux.distill.learning import network
from polymux.distill.learning.masking import Masking
from polymux.distill.learning.training import Lesson, Plan, Weak, learn, planned
from polymux.distill.text.blocks import Rows
from polymux.distill.text.sampling import Mix
from polymux.distill.work import Work, processes
from polymux.encoders.pytorch import quiet
from polymux.train import Fitted, Recipe

# A training step in forward passes: forward, and twice as much backward.
TRAINING = 3
_LOSSES_KEPT = 400


def new_model(work: Work, tokenizer: Any, seed: int) -> Any:
    """A model of the run's shape, its weights drawn from the seed."""
    shape = work.settings.model
    own = dict(shape.settings)
    if shape.type == "modernbert":
        own = network.modernbert(shape.layers, shape.hidden, shape.heads, shape.intermediate) | own
    return network.new(shape.type, own, tokenizer, shape.length, seed=seed)


def flops_of(work: Work, model: Any) -> float:
    """Operations of a forward pass, a token."""
    return network.flops_a_token(model, work.settings.model.length, work.settings.training.masked)


def plan_of(work: Work, rows: Mapping[str, Rows], mix: Mix, tokens: float, seed: int) -> Plan:
    """What a training of about so many tokens reads."""
    batch = work.settings.training.batch_tokens
    return planned(rows, mix, tokens=tokens, batch_tokens=batch, seed=seed)


def masking_of(work: Work, tokenizer: Any, seed: int, repeats_after: int = 0) -> Masking:
    """How rows of this run are masked."""
    training = work.settings.training
    return Masking(
        training.masked,
        tokenizer.mask_token_id,
        tokenizer.pad_token_id,
        frozenset(tokenizer.all_special_ids),
        seed,
        training.random,
        training.kept,
        repeats_after,
    )


def trained(
    work: Work,
    place: str,
    identity: str,
    model: Any,
    plan: Plan,
    lesson: Lesson,
    seed: int,
    tokenizer: Any,
    *,
    repeats_after: int = 0,
    weak: Weak | None = None,
) -> Fitted:
    """Train a model in place, as the settings say; a killed training goes on."""
    training = work.settings.training
    recipe = Recipe(
        lr=training.lr,
        batch_size=training.micro_batch,
        steps=plan.updates,
        warmup=training.warmup,
        schedule=training.schedule,
        weight_decay=training.weight_decay,
        betas=training.betas,
        clip=training.clip,
        precision=training.precision,
        optimizer=training.optimizer,
        seed=seed,
    )
    return learn(
        model,
        plan,
        masking_of(work, tokenizer, seed, repeats_after),
        recipe,
        lesson,
        before=weak,
        checkpoint=checkpoint_of(work, place),
        checkpoint_seconds=work.checkpoint_seconds,
        identity=identity,
        device=work.device,
        progress=work.prefixed(place),
    )


def begun_from(work: Work, place: str, identity: str) -> None:
    """Throw away what a training with other settings or data left beside a part when killed."""
    folder, state = checkpoint_of(work, place), processes()
    mark = folder / "identity"
    if state.is_main_process:
        if not mark.is_file() or mark.read_text(encoding="utf-8") != identity:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(identity, encoding="utf-8")
    state.wait_for_everyone()


def checkpoint_of(work: Work, place: str) -> Path:
    """Where a training of a part keeps its state: beside it."""
    whole = work.out / place
    return whole.with_name(f".{whole.name}.training")


def saved(
    work: Work,
    place: str,
    identity: str,
    model: Any,
    tokenizer: Any,
    plan: Plan,
    fitted: Fitted,
    about: Mapping[str, Any],
    flops: float,
) -> None:
    """Write a Hugging Face folder with its tokenizer and a card, then forget the checkpoint."""
    with work.making(place, identity) as (draft, told), quiet():
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        every = max(1, len(fitted.losses) // _LOSSES_KEPT)
        told |= {
            **about,
            **plan.record,
            "parameters": network.parameters(model),
            "flops": flops,
            "seconds": round(fitted.seconds, 1),
            "resumed_at": fitted.resumed_at,
            "first_loss": fitted.losses[0],
            "final_loss": float(np.mean(fitted.losses[-max(1, len(fitted.losses) // 20) :])),
            "losses": [[i, fitted.losses[i]] for i in range(0, len(fitted.losses), every)],
            "notes": list(fitted.notes),
        }
        card = model_card(work.settings, place, told)
        (draft / "README.md").write_text(card, encoding="utf-8")
    shutil.rmtree(checkpoint_of(work, place), ignore_errors=True)
