"""The stage that makes a teacher for each language, and sees that each knows its own best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from polymux.distill.learning import network
from polymux.distill.learning.held_out import (
    check_diagonal,
    compared,
    held_out_batches,
    held_out_losses,
)
from polymux.distill.learning.masking import Masking
from polymux.distill.learning.training import Lesson
from polymux.distill.learning.vocabulary import Bridge, bridge
from polymux.distill.models import (
    TRAINING,
    begun_from,
    flops_of,
    masking_of,
    new_model,
    plan_of,
    saved,
    trained,
)
from polymux.distill.stages import load_stream, load_tokenizer, model_contents, rows_of
from polymux.distill.text.sampling import all_data
from polymux.distill.work import Work, identity_of
from polymux.encoders.pytorch import device_named


def teachers(work: Work) -> None:
    """Train a model on all text of each language, and see that each knows its own best."""
    for language in work.settings.languages:
        _teacher(work, language)
    _diagonal(work)


def _teacher(work: Work, language: str) -> None:
    settings = work.settings
    place = f"teachers/{language}"
    text = work.needed("tokenizer", "tokenizer")
    ready = settings.teachers.path
    identity = identity_of(
        text=text["identity"],
        ready=ready and model_contents(work, ready, language=language),
        vocabulary=settings.teachers.vocabulary if ready else "shared",
        model=settings.model.model_dump(),
        training=settings.training.model_dump(exclude={"tokens"}),
        tokens=settings.teachers.tokens,
        language=language,
        seed=settings.seeds[0],
    )
    if work.done(place, identity) is not None:
        return
    if ready:
        with work.making(place, identity) as (_, told):
            told |= {"path": work.path(ready, language=language), "tokens": 0, "flops": 0.0}
        return
    tokenizer = load_tokenizer(work)
    rows = {language: rows_of(work, load_stream(work, language, "train"), tokenizer)}
    size = {language: 1.0}
    plan = plan_of(
        work, rows, all_data(size, 1.0, {}), float(settings.teachers.tokens), settings.seeds[0]
    )
    model = new_model(work, tokenizer, settings.seeds[0])
    lesson = Lesson(torch.zeros(1))
    begun_from(work, place, identity)
    fitted = trained(work, place, identity, model, plan, lesson, settings.seeds[0], tokenizer)
    flops = TRAINING * flops_of(work, model) * sum(plan.tokens.values())
    saved(work, place, identity, model, tokenizer, plan, fitted, {"language": language}, flops)


def load_teacher(work: Work, language: str) -> tuple[Any, Any]:
    """A teacher with its tokenizer, on the device it will be asked on."""
    told = work.needed(f"teachers/{language}", "teachers")
    model, tokenizer = network.load(told.get("path") or work.out / "teachers" / language)
    return model.to(device_named(work.device)), tokenizer


def _diagonal(work: Work) -> None:
    """The held-out loss of every teacher on every language: own text must be the easiest."""
    languages = work.settings.languages
    made = [work.needed(f"teachers/{lang}", "teachers")["identity"] for lang in languages]
    is_shared = work.settings.teachers.vocabulary == "shared"
    identity = identity_of(teachers=made, **({} if is_shared else {"compared": "words of both"}))
    told = work.done("diagonal", identity)
    if told is None:
        tokenizer = load_tokenizer(work)
        masking = masking_of(work, tokenizer, 0)
        bridges = bridges_of(work, tokenizer)
        batches = held_out_of(work, tokenizer, masking)
        asked = []
        for place, language in enumerate(languages):
            work.tell("compare the teachers", place, len(languages))
            model, _ = load_teacher(work, language)
            over = bridges[place]
            asked.append([_asked(model, some, over, work.autocast) for some in batches.values()])
        with work.making("diagonal", identity) as (_, told):
            told["loss"] = compared(asked, blind=math.log(len(tokenizer)))
            if not is_shared:
                told["asked"] = [[float(losses.nanmean()) for losses in row] for row in asked]
    check_diagonal(torch.tensor(told["loss"]), languages)


def _asked(
    model: Any,
    batches: Sequence[Mapping[str, torch.Tensor]],
    over: Bridge | None,
    autocast: torch.dtype,
) -> torch.Tensor:
    """The loss of each hidden token; NaN where the teacher has no word for it."""
    if over is None:
        return held_out_losses(model, batches, autocast)
    read = [{**one, **{n: over.read(one[n]) for n in ("gold", "input_ids")}} for one in batches]
    known = over.known[torch.cat([one["gold"] for one in batches])]
    # Guessing that a word is unknown is no knowledge of the text.
    return held_out_losses(model, read, autocast).where(known, torch.nan)


def asked_of(
    batches: Sequence[Mapping[str, torch.Tensor]], over: Bridge | None
) -> list[Mapping[str, torch.Tensor]]:
    """Batches with the hidden tokens only that a teacher has words for; none without any."""
    if over is None:
        return list(batches)
    kept = []
    for batch in batches:
        there = over.known[batch["gold"]]
        kept.append({**batch, **{name: batch[name][there] for name in ("row", "place", "gold")}})
    return [batch for batch in kept if len(batch["gold"])]


def held_out_of(
    work: Work, tokenizer: Any, masking: Masking
) -> dict[int, list[dict[str, torch.Tensor]]]:
    """Masked batches of the held-out text of each language, by its place."""
    return {
        place: held_out_batches(
            rows_of(work, load_stream(work, language, "dev"), tokenizer), place, masking
        )
        for place, language in enumerate(work.settings.languages)
    }


def bridges_of(work: Work, tokenizer: Any) -> list[Bridge | None]:
    """What leads from each teacher's words to the shared ones."""
    kind = work.settings.teachers.vocabulary
    if kind == "shared" and not work.settings.teachers.path:
        return [None] * len(work.settings.languages)
    from transformers import AutoTokenizer

    found = []
    for language in work.settings.languages:
        told = work.needed(f"teachers/{language}", "teachers")
        path = told.get("path") or work.out / "teachers" / language
        own = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        names = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")
        found.append(
            bridge(
                kind,
                tokenizer.get_vocab(),
                own.get_vocab(),
                load_stream(work, language, "train").ids,
                unknown=own.unk_token_id,
                specials={getattr(tokenizer, n): getattr(own, n) for n in names},
                file=str(path),
            )
        )
    return found
