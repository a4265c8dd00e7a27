"""The stages that train a system: one model for all languages, once for each seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from polymux.distill.learning import network
from polymux.distill.learning.cached import read_cache, write_cache
from polymux.distill.learning.losses import Loss, loss_named
from polymux.distill.learning.teachers import Live
from polymux.distill.learning.training import Lesson, Plan, Weak
from polymux.distill.models import (
    TRAINING,
    begun_from,
    checkpoint_of,
    flops_of,
    masking_of,
    new_model,
    plan_of,
    saved,
    trained,
)
from polymux.distill.settings import System, stands_on_teachers
from polymux.distill.stages import load_stream, load_tokenizer, model_contents, rows_of
from polymux.distill.teaching import asked_of, bridges_of, held_out_of, load_teacher
from polymux.distill.text.blocks import Rows, Stream
from polymux.distill.text.sampling import Mix, sampling_named
from polymux.distill.work import Work, identity_of
from polymux.encoders.pytorch import device_named


def system(work: Work, name: str) -> None:
    """Train one system, once for each seed."""
    for seed in work.settings.seeds:
        _system(work, name, work.settings.systems[name], seed)


def _system(work: Work, name: str, asked: System, seed: int) -> None:
    settings = work.settings
    place = f"systems/{name}/{seed}"
    text = work.needed("tokenizer", "tokenizer")
    loss = loss_of(asked)
    identity = identity_of(
        text=text["identity"],
        model=settings.model.model_dump(),
        training=settings.training.model_dump(),
        teachers=_teachers_of(work, asked),
        system=asked.model_dump(),
        start=_start_contents(work, asked),
        stands_on=_stands_on(work, asked),
        seed=seed,
    )
    if work.done(place, identity) is not None:
        return
    tokenizer = load_tokenizer(work)
    streams = {lang: load_stream(work, lang, "train") for lang in settings.languages}
    model = _started(work, asked, tokenizer, seed)
    forward = flops_of(work, model)
    tokens = _tokens(work, asked, streams, tokenizer, forward)
    rows, mix = _rows(work, streams, asked, tokenizer, tokens)
    plan = plan_of(work, rows, mix, tokens, seed)
    repeats = settings.teachers.maskings if _cached(work, loss) else 0
    lesson = _lesson(work, asked, loss, model, rows, tokenizer, seed)
    begun_from(work, place, identity)
    weak = _weak(work, asked, lesson, model, tokenizer, plan, place) if loss.asks_teachers else None
    fitted = trained(
        work,
        place,
        identity,
        model,
        plan,
        lesson,
        seed,
        tokenizer,
        repeats_after=repeats,
        weak=weak,
    )
    about = {
        "system": name,
        "seed": seed,
        "settings": asked.model_dump(),
        "dropped": [
            lang
            for lang, out in zip(settings.languages, lesson.dropped.tolist(), strict=True)
            if out
        ],
        "schedule": settings.training.schedule,
    } | _told_of(work, lesson)
    read = float(sum(plan.tokens.values()))
    flops = TRAINING * forward * read + (_asking(work, read, rows) if loss.asks_teachers else 0.0)
    saved(work, place, identity, model, tokenizer, plan, fitted, about, flops)


def _told_of(work: Work, lesson: Lesson) -> dict[str, Any]:
    """Coverage of other vocabularies, and the size of a cache."""
    told: dict[str, Any] = {}
    teaching = lesson.teaching
    if isinstance(teaching, Live):
        for place, over in enumerate(teaching.bridges):
            if over is not None:
                count, mass = teaching.mass.get(place, [0.0, 0.0])
                told.setdefault("vocabulary", {})[work.settings.languages[place]] = {
                    "tokens_covered": over.coverage,
                    "mass_covered": mass / count if count else None,
                }
    elif teaching is not None:
        told["cache_bytes"] = getattr(teaching, "size", 0)
    return told


def loss_of(asked: System) -> Loss:
    """The loss of a system, with the settings' own weights."""
    loss = loss_named(asked.loss)
    return replace(
        loss,
        alpha=loss.alpha if asked.alpha is None else asked.alpha,
        temperature=loss.temperature if asked.temperature is None else asked.temperature,
    )


def _asking(work: Work, tokens: float, rows: Mapping[str, Rows]) -> float:
    """Operations of the teachers' passes: one a token read, or one a token kept and mask."""
    settings = work.settings
    if settings.teachers.cached != "no":
        kept = sum(len(own) * (own.mean_tokens + 2) for own in rows.values())
        tokens = kept * settings.teachers.maskings
    model, _ = load_teacher(work, settings.languages[0])
    return flops_of(work, model) * tokens


def _start_contents(work: Work, asked: System) -> list[str]:
    if asked.start == "random" or asked.start.startswith("teacher:"):
        return []
    return model_contents(work, asked.start)


def _stands_on(work: Work, asked: System) -> list[str]:
    """The teachers that decide a system."""
    if not stands_on_teachers(asked):
        return []
    return [
        work.needed(f"teachers/{lang}", "teachers")["identity"] for lang in work.settings.languages
    ]


def _student(work: Work) -> System:
    """The first system that asks teachers, or one as it is by default."""
    systems = work.settings.systems.values()
    return next((one for one in systems if loss_of(one).asks_teachers), System())


def _teachers_of(work: Work, asked: System) -> Any:
    """What settings of teachers decide a system."""
    told = work.settings.teachers.model_dump()
    if asked.compute == "total" and told["cached"] != "no":
        # A cache costs as much as the student keeps of the text.
        return told, _student(work).model_dump()
    return told if loss_of(asked).asks_teachers else None


def _tokens(
    work: Work, asked: System, streams: Mapping[str, Stream], tokenizer: Any, forward: float
) -> float:
    """How long a system is trained; `total` is what teachers and student took, in tokens."""
    tokens = float(work.settings.training.tokens)
    if asked.compute == "student":
        return tokens
    taught = sum(
        work.needed(f"teachers/{lang}", "teachers")["flops"] for lang in work.settings.languages
    )
    rows, _ = _rows(work, streams, _student(work), tokenizer, tokens)
    return float(tokens + (taught + _asking(work, tokens, rows)) / (TRAINING * forward))


def _rows(
    work: Work, streams: Mapping[str, Stream], asked: System, tokenizer: Any, tokens: float
) -> tuple[dict[str, Rows], Mix]:
    """What of each language is kept, and the shares it is drawn by."""
    sizes = {language: stream.size(asked.unit) for language, stream in streams.items()}
    a_token = sum(sizes.values()) / sum(stream.size("tokens") for stream in streams.values())
    mix = sampling_named(asked.sampling)(sizes, tokens * a_token, asked.options)
    rows = {
        language: rows_of(work, stream, tokenizer, stream.prefix(asked.unit, mix.kept[language]))
        for language, stream in streams.items()
    }
    return rows, mix


def _started(work: Work, asked: System, tokenizer: Any, seed: int) -> Any:
    """The student before it learns: random, with a teacher's layers, or a checkpoint."""
    model = new_model(work, tokenizer, seed)
    if asked.start == "random":
        return model
    if asked.start.startswith("teacher:"):
        given, _ = load_teacher(work, asked.start.removeprefix("teacher:"))
    else:
        path = work.path(asked.start)
        given, _ = network.load(path if Path(path).is_dir() else asked.start)
    network.copy_layers(given.cpu(), model)
    return model


def _cached(work: Work, loss: Loss) -> bool:
    return loss.asks_teachers and work.settings.teachers.cached != "no"


def _answering(work: Work, asked: System) -> Sequence[str]:
    """By language: whose teacher answers it."""
    languages = work.settings.languages
    return languages if asked.teachers == "own" else (*languages[1:], languages[0])


def _lesson(
    work: Work,
    asked: System,
    loss: Loss,
    student: Any,
    rows: Mapping[str, Rows],
    tokenizer: Any,
    seed: int,
) -> Lesson:
    languages = work.settings.languages
    lesson = Lesson(torch.full((len(languages),), loss.alpha), loss.temperature)
    if not loss.asks_teachers:
        return lesson
    answering = _answering(work, asked)
    device = device_named(work.device)
    bridges = dict(zip(languages, bridges_of(work, tokenizer), strict=True))
    live = Live(
        [load_teacher(work, language)[0] for language in answering],
        loss.temperature,
        [over and over.to(device) for over in (bridges[language] for language in answering)],
        loss.relations,
    )
    lesson.teaching = live
    if loss.relations:
        lesson.relation_weight = asked.relation_weight
        widths = {model.config.hidden_size for model in (student, *live.models)}
        lesson.relation_heads = math.gcd(lesson.relation_heads, *widths)
    if _cached(work, loss):
        lesson.teaching = _cache(work, live, rows, answering, tokenizer, seed)
    return lesson


def _cache(
    work: Work,
    live: Live,
    rows: Mapping[str, Rows],
    answering: Sequence[str],
    tokenizer: Any,
    seed: int,
) -> Any:
    settings = work.settings.teachers
    identity = identity_of(
        teachers=[work.needed(f"teachers/{lang}", "teachers")["identity"] for lang in answering],
        rows={language: len(own) for language, own in rows.items()},
        kind=(settings.cached, settings.k, settings.maskings, settings.vocabulary),
        temperature=live.temperature,
        training=work.settings.training.model_dump(exclude={"tokens"}),
        seed=seed,
    )
    place = f"cache/{identity}"
    if work.done(place, identity) is None:
        with work.making(place, identity) as (draft, _):
            write_cache(
                draft,
                live,
                list(rows.values()),
                masking_of(work, tokenizer, seed, settings.maskings),
                kind=settings.cached,
                k=settings.k,
                autocast=work.autocast,
                progress=work.progress,
            )
    return read_cache(work.out / place)


def _weak(
    work: Work,
    asked: System,
    lesson: Lesson,
    model: Any,
    tokenizer: Any,
    plan: Plan,
    place: str,
) -> Weak | None:
    if work.settings.teachers.weak == "keep":
        return None
    told = work.needed("diagonal", "teachers")
    # Of teachers with words of their own: the loss on the tokens that each was asked about.
    table = told.get("asked", told["loss"])
    languages = list(work.settings.languages)
    teacher = [languages.index(name) for name in _answering(work, asked)]
    bridges = bridges_of(work, tokenizer)
    whole = held_out_of(work, tokenizer, masking_of(work, tokenizer, 0))
    held_out = {i: asked_of(batches, bridges[teacher[i]]) for i, batches in whole.items()}
    return Weak(
        lesson,
        model,
        {i: batches for i, batches in held_out.items() if batches},
        {i: table[teacher[i]][i] for i in range(len(table))},
        plan.updates,
        work.autocast,
        checkpoint_of(work, place) / "weak.json",
    )
