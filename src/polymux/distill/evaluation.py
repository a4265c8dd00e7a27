"""The stage that scores: hidden words and probes of every model, the same data for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polymux.distill.learning import network
from polymux.distill.learning.network import hidden_logits
from polymux.distill.models import new_model
from polymux.distill.scoring.probes import SCORES, SPLITS, Data, Matrix, majority, matrix
from polymux.distill.scoring.words import fixed_masks, score_words, written_by
from polymux.distill.stages import contents, lines_of, load_tokenizer
from polymux.distill.teaching import load_teacher
from polymux.distill.text.blocks import as_rows
from polymux.distill.work import Work, identity_of
from polymux.encoders.pytorch import device_named
from polymux.errors import WorkError
from polymux.readers import read
from polymux.report.balance.record import RANDOM

# Totals that must be the same for models that are compared as equally trained.
EQUAL = ("updates", "tokens", "rows_an_update", "schedule")


def evaluate(work: Work) -> None:
    """Score each system and seed, an untrained encoder, the teachers and the majority tag."""
    check_equal(work)
    data = _probe_data(work)
    for task, of_language in data.items():
        _majority(work, task, of_language)
    for name in work.settings.systems:
        for seed in work.settings.seeds:
            place = f"systems/{name}/{seed}"
            made = work.needed(place, name)["identity"]
            _scored(work, f"evaluation/{name}/{seed}", made, work.out / place, data)
    for seed in work.settings.seeds:
        text = work.needed("tokenizer", "tokenizer")["identity"]
        made = identity_of(text=text, model=work.settings.model.model_dump(), seed=seed)
        _scored(work, f"evaluation/{RANDOM}/{seed}", made, seed, data)
    for language in work.settings.languages:
        made = work.needed(f"teachers/{language}", "teachers")["identity"]
        own = {t: {language: some[language]} for t, some in data.items() if language in some}
        _scored(work, f"evaluation/teachers/{language}", made, language, own)


def check_equal(work: Work) -> None:
    """Systems that claim the student's compute must have had it, update for update.

    Raises:
        WorkError: one had another number of updates, tokens or rows: names both.
    """
    first: tuple[str, dict[str, Any]] | None = None
    for name, asked in work.settings.systems.items():
        for seed in work.settings.seeds:
            told = work.needed(f"systems/{name}/{seed}", name)
            mine = {key: told[key] for key in EQUAL}
            if asked.compute != "student":
                continue
            if first is None:
                first = name, mine
            elif mine != first[1]:
                differ = next(key for key in EQUAL if mine[key] != first[1][key])
                raise WorkError(
                    f"{name} had {mine[differ]} {differ}, {first[0]} {first[1][differ]}: they "
                    "cannot be compared",
                    "run both with the same [training]; with packed = true every row is full",
                )


def _probe_data(work: Work) -> dict[str, Data]:
    probes = work.settings.evaluate.probes(work.settings.languages)
    return {
        task: {
            language: {
                split: list(
                    read(
                        work.path(pattern, language=language, split=split),
                        task="token-classification",
                        name=f"{task} {split}",
                    )
                )
                for split in SPLITS
            }
            for language in languages
        }
        for task, (pattern, languages) in probes.items()
    }


def _identity(work: Work, made: str) -> str:
    settings = work.settings.evaluate
    return identity_of(
        model=made,
        settings=settings.model_dump(exclude={"resamples"}),
        languages=work.settings.languages,
        data=[
            contents(work.path(pattern, language=language, split=split), "token-classification")
            for pattern, languages in settings.probes(work.settings.languages).values()
            for language in languages
            for split in SPLITS
        ],
    )


def _majority(work: Work, task: str, data: Data) -> None:
    identity = _identity(work, f"majority {task}")
    place = f"evaluation/majority/{task}"
    if work.done(place, identity) is None:
        with work.making(place, identity) as (draft, told):
            _keep(draft, told, task, majority(data, task))


def _scored(
    work: Work, place: str, made: str, which: Path | int | str, data: Mapping[str, Data]
) -> None:
    """Score one model: a folder, an untrained one of a seed, or the teacher of a language."""
    identity = _identity(work, made)
    if work.done(place, identity) is not None:
        return
    model, tokenizer = _model(work, which)
    languages = [which] if isinstance(which, str) else list(work.settings.languages)
    with work.making(place, identity) as (draft, told):
        told["words"] = {}
        for language in languages:
            work.tell(f"{place}: guess words of {language}", 0, None)
            told["words"][language] = _words(work, model, tokenizer, language)
        for task, own in data.items():
            work.tell(f"{place}: probe {task}", 0, None)
            found = matrix(
                model,
                tokenizer,
                own,
                task,
                max_length=work.settings.model.length,
                train_words=work.settings.evaluate.train_words,
                autocast=work.autocast,
            )
            _keep(draft, told, task, found)


def _model(work: Work, which: Path | int | str) -> tuple[Any, Any]:
    if isinstance(which, Path):
        model, tokenizer = network.load(which)
    elif isinstance(which, int):
        tokenizer = load_tokenizer(work)
        model = new_model(work, tokenizer, which)
    else:
        return load_teacher(work, which)
    return model.to(device_named(work.device)), tokenizer


@torch.no_grad()
def _words(work: Work, model: Any, tokenizer: Any, language: str) -> dict[str, Any]:
    settings = work.settings.evaluate
    lines = lines_of(work, language, "test")
    rows = as_rows(lines, tokenizer, work.settings.model.length, settings.sentences)
    special = frozenset(tokenizer.all_special_ids)
    characters, plain = written_by(tokenizer)
    device = next(model.parameters()).device
    autocast = work.autocast

    def predict(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        moved = {name: value.to(device) for name, value in batch.items()}
        with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
            return hidden_logits(model, moved).float().cpu()

    found = score_words(
        predict,
        rows,
        [fixed_masks(rows, special, seed) for seed in settings.mask_seeds],
        mask_id=tokenizer.mask_token_id,
        padding=tokenizer.pad_token_id,
        characters=characters,
        plain=plain,
    )
    return asdict(found)


def _keep(draft: Path, told: dict[str, Any], task: str, found: Matrix) -> None:
    """Scores into the manifest, counts of each sentence beside it."""
    told[task] = {
        "score": SCORES[task][0],
        "languages": list(found.languages),
        "matrix": found.scores.tolist(),
        "strengths": dict(found.strengths),
        "iterations": dict(found.iterations),
    }
    named = {f"{source} {target}": cell for (source, target), cell in found.counts.items()}
    with (draft / f"{task}.npz").open("wb") as file:
        np.savez_compressed(file, **named)  # type: ignore[arg-type]


def counts_of(work: Work, name: str, seed: int, task: str) -> dict[tuple[str, str], np.ndarray]:
    """Counts of each test sentence by (source, target)."""
    with np.load(work.out / "evaluation" / name / str(seed) / f"{task}.npz") as saved:
        return {_pair(key): saved[key] for key in saved}


def _pair(key: str) -> tuple[str, str]:
    source, target = key.split(" ")
    return source, target


def encoders(work: Work) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each system and the untrained encoder with the manifests of their evaluations by seed."""
    for name in (*work.settings.systems, RANDOM):
        yield (
            name,
            [
                dict(work.needed(f"evaluation/{name}/{seed}", "evaluate"))
                for seed in work.settings.seeds
            ],
        )
