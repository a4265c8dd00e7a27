"""The stages that train: a teacher for each language, then one model for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polymux.distill.learning import network
from polymux.distill.learning.cached import read_cache, write_cache
from polymux.distill.learning.held_out import check_diagonal, held_out_batches, held_out_loss
from polymux.distill.learning.losses import Loss, loss_named
from polymux.distill.learning.masking import Masking
from polymux.distill.learning.teachers import Live
from polymux.distill.learning.training import Lesson, Plan, Weak, learn, planned
from polymux.distill.learning.vocabulary import Bridge, bridge
from polymux.distill.settings import System
from polymux.distill.stages import load_stream, load_tokenizer, rows_of
from polymux.distill.text.blocks import Rows, Stream
from polymux.distill.text.sampling import Mix, all_data, sampling_named
from polymux.distill.work import Work, identity_of
from polymux.encoders.pytorch import device_named, quiet
from polymux.train import Fitted, Recipe

# A forward pass against a training step: forward, and twice as much backward.
TRAINING = 3
_LOSSES_KEPT = 400


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
        ready=ready,
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
    plan = _planned(work, rows, all_data(size, 0, {}), settings.teachers.tokens, settings.seeds[0])
    model = new_model(work, tokenizer, settings.seeds[0])
    lesson = Lesson(torch.zeros(1))
    fitted = _learn(work, place, identity, model, plan, lesson, settings.seeds[0], tokenizer)
    flops = TRAINING * _flops(work, model) * sum(plan.tokens.values())
    _save(work, place, identity, model, tokenizer, plan, fitted, {"language": language}, flops)


def new_model(work: Work, tokenizer: Any, seed: int) -> Any:
    """A model of the run's shape, its weights drawn from the seed."""
    shape = work.settings.model
    own = dict(shape.settings)
    if shape.type == "modernbert":
        own = network.modernbert(shape.layers, shape.hidden, shape.heads, shape.intermediate) | own
    return network.new(shape.type, own, tokenizer, shape.length, seed=seed)


def _flops(work: Work, model: Any) -> float:
    return network.flops_a_token(model, work.settings.model.length, work.settings.training.masked)


def _planned(work: Work, rows: Mapping[str, Rows], mix: Mix, tokens: float, seed: int) -> Plan:
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


def _learn(
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
        checkpoint=_checkpoint(work, place),
        checkpoint_seconds=work.checkpoint_seconds,
        identity=identity,
        device=work.device,
        progress=work.prefixed(place),
    )


def _checkpoint(work: Work, place: str) -> Path:
    whole = work.out / place
    return whole.with_name(f".{whole.name}.training")


def _save(
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
    import shutil

    from polymux.distill.card import model_card

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
    shutil.rmtree(_checkpoint(work, place), ignore_errors=True)


def load_teacher(work: Work, language: str) -> tuple[Any, Any]:
    """A teacher with its tokenizer, on the device it will be asked on."""
    told = work.needed(f"teachers/{language}", "teachers")
    model, tokenizer = network.load(told.get("path") or work.out / "teachers" / language)
    return model.to(device_named(work.device)), tokenizer


def _diagonal(work: Work) -> None:
    """The held-out loss of every teacher on every language: own text must be the easiest."""
    languages = work.settings.languages
    made = [work.needed(f"teachers/{lang}", "teachers")["identity"] for lang in languages]
    identity = identity_of(teachers=made)
    told = work.done("diagonal", identity)
    if told is None:
        tokenizer = load_tokenizer(work)
        masking = masking_of(work, tokenizer, 0)
        bridges = bridges_of(work, tokenizer)
        batches = _held_out(work, tokenizer, masking)
        table = []
        for place, language in enumerate(languages):
            work.tell("compare the teachers", place, len(languages))
            model, _ = load_teacher(work, language)
            table.append([_asked(model, batches[i], bridges[place]) for i in range(len(languages))])
        with work.making("diagonal", identity) as (_, told):
            told["loss"] = table
    check_diagonal(torch.tensor(told["loss"]), languages)


def _asked(model: Any, batches: Sequence[Mapping[str, torch.Tensor]], over: Bridge | None) -> float:
    if over is None:
        return held_out_loss(model, batches, torch.bfloat16)
    read = [
        {**batch, "input_ids": over.read(batch["input_ids"]), "gold": over.read(batch["gold"])}
        for batch in batches
    ]
    return held_out_loss(model, read, torch.bfloat16)


def _held_out(
    work: Work, tokenizer: Any, masking: Masking
) -> dict[int, list[dict[str, torch.Tensor]]]:
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
    found = []
    for language in work.settings.languages:
        told = work.needed(f"teachers/{language}", "teachers")
        from transformers import AutoTokenizer

        own = AutoTokenizer.from_pretrained(
            told.get("path") or work.out / "teachers" / language, trust_remote_code=False
        )
        names = ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")
        found.append(
            bridge(
                kind,
                tokenizer.get_vocab(),
                own.get_vocab(),
                load_stream(work, language, "train").ids,
                unknown=own.unk_token_id,
                specials={getattr(tokenizer, n): getattr(own, n) for n in names},
            )
        )
    return found


def system(work: Work, name: str) -> None:
    """Train one system, once for each seed."""
    for seed in work.settings.seeds:
        _system(work, name, work.settings.systems[name], seed)


def _system(work: Work, name: str, asked: System, seed: int) -> None:
    settings = work.settings
    place = f"systems/{name}/{seed}"
    text = work.needed("tokenizer", "tokenizer")
    loss = loss_named(asked.loss)
    stands_on = _stands_on(work, asked, loss)
    identity = identity_of(
        text=text["identity"],
        model=settings.model.model_dump(),
        training=settings.training.model_dump(),
        teachers=settings.teachers.model_dump() if loss.asks_teachers else None,
        system=asked.model_dump(),
        stands_on=stands_on,
        seed=seed,
    )
    if work.done(place, identity) is not None:
        return
    tokenizer = load_tokenizer(work)
    streams = {lang: load_stream(work, lang, "train") for lang in settings.languages}
    model = _started(work, asked, tokenizer, seed)
    forward = _flops(work, model)
    tokens = _tokens(work, asked)
    rows, mix = _rows(work, streams, asked, tokenizer, tokens)
    plan = _planned(work, rows, mix, tokens, seed)
    repeats = settings.teachers.maskings if _cached(work, loss) else 0
    lesson = _lesson(work, asked, loss, rows, tokenizer, seed)
    weak = _weak(work, lesson, model, tokenizer, plan, place) if loss.asks_teachers else None
    fitted = _learn(
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
        "alpha": dict(zip(settings.languages, lesson.alpha.tolist(), strict=True)),
        "schedule": settings.training.schedule,
    } | _told_of(work, lesson)
    passes = TRAINING + (1 if loss.asks_teachers else 0)
    flops = passes * forward * sum(plan.tokens.values())
    _save(work, place, identity, model, tokenizer, plan, fitted, about, flops)


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


def _stands_on(work: Work, asked: System, loss: Loss) -> list[str]:
    """The teachers that decide a system: those it asks, or whose compute it may use."""
    begins = asked.start.startswith("teacher:")
    if not (loss.asks_teachers or asked.compute == "total" or begins):
        return []
    return [
        work.needed(f"teachers/{lang}", "teachers")["identity"] for lang in work.settings.languages
    ]


def _tokens(work: Work, asked: System) -> float:
    """How long a system is trained; `total` is what teachers and student took, in tokens."""
    tokens = work.settings.training.tokens
    if asked.compute == "student":
        return tokens
    taught = sum(
        work.needed(f"teachers/{lang}", "teachers")["tokens"] for lang in work.settings.languages
    )
    return float(taught + tokens * (TRAINING + 1) / TRAINING)


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
        path: str | Path = work.out / "teachers" / asked.start.removeprefix("teacher:")
    else:
        path = work.path(asked.start)
        path = path if Path(path).is_dir() else asked.start
    network.copy_layers(network.load(path)[0], model)
    return model


def _cached(work: Work, loss: Loss) -> bool:
    return loss.asks_teachers and work.settings.teachers.cached != "no"


def _lesson(
    work: Work, asked: System, loss: Loss, rows: Mapping[str, Rows], tokenizer: Any, seed: int
) -> Lesson:
    alpha = loss.alpha if asked.alpha is None else asked.alpha
    temperature = loss.temperature if asked.temperature is None else asked.temperature
    languages = work.settings.languages
    lesson = Lesson(torch.full((len(languages),), alpha), temperature)
    if not loss.asks_teachers:
        return lesson
    answering = languages if asked.teachers == "own" else (*languages[1:], languages[0])
    bridges = dict(zip(languages, bridges_of(work, tokenizer), strict=True))
    live = Live(
        [load_teacher(work, language)[0] for language in answering],
        temperature,
        [bridges[language] for language in answering],
        loss.relations,
    )
    lesson.teaching = live
    if loss.relations:
        lesson.relation_weight = asked.relation_weight
        hidden = live.models[0].config.hidden_size
        lesson.relation_heads = math.gcd(lesson.relation_heads, hidden)
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
        kind=(settings.cached, settings.k, settings.maskings),
        temperature=live.temperature,
        training=work.settings.training.model_dump(exclude={"tokens"}),
        seed=seed,
    )
    place = f"cache/{identity}"
    if work.done(place, identity) is None:
        with work.making(place, identity) as (draft, told):
            write_cache(
                draft,
                live,
                list(rows.values()),
                masking_of(work, tokenizer, seed, settings.maskings),
                kind=settings.cached,
                k=settings.k,
                autocast=getattr(torch, work.settings.training.precision),
                progress=work.progress,
            )
            told["bytes"] = sum(file.stat().st_size for file in draft.iterdir())
    return read_cache(work.out / place)


def _weak(
    work: Work, lesson: Lesson, model: Any, tokenizer: Any, plan: Plan, place: str
) -> Weak | None:
    if work.settings.teachers.weak == "keep":
        return None
    table = work.needed("diagonal", "teachers")["loss"]
    return Weak(
        lesson,
        model,
        _held_out(work, tokenizer, masking_of(work, tokenizer, 0)),
        {i: table[i][i] for i in range(len(table))},
        plan.updates,
        torch.bfloat16,
        _checkpoint(work, place) / "weak.json",
    )
