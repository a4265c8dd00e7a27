"""The sections of a distillation's report that tell what was trained, on what, at what cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from polymux.report import words
from polymux.report.balance.record import Matrix, Portion, Record, System, teacher_score
from polymux.report.table import (
    NONE,
    Section,
    Table,
    point,
    share,
    spread,
    three,
    two,
)

_PETA = 1e15
# Fewer epochs over 1 than this are a matter of rounding up to whole steps.
_ONCE = 1.05
_SIZES: tuple[
    Literal["bytes"],
    Literal["premium_bytes"],
    Literal["characters"],
    Literal["words"],
    Literal["tokens"],
] = ("bytes", "premium_bytes", "characters", "words", "tokens")


def systems(record: Record) -> Section:
    """How each system was trained, and what each language had of it."""
    told = record["systems"]
    if not told:
        return Section("systems", "")
    header = (
        "system", "loss", "sampling", "equal in", "updates", "tokens", "PFLOP in all", "seconds",
        "final loss",
    )  # fmt: skip
    said = (
        "Compute is of the training in all, the teachers' forward passes included, in 10^15 "
        "operations. Systems are compared at equal student compute (the same updates) or at "
        "equal total compute (the teachers' training added). Losses of different kinds are not "
        "comparable with each other."
    )
    tables = [
        Table("Training", header, [_trained(name, system) for name, system in told.items()]),
        _portions(record, "Share of what is drawn", lambda part: share(part["share"])),
        _portions(record, "Epochs: how often the kept text is read", lambda p: two(p["epochs"])),
        _portions(record, "Tokens kept", lambda part: words.count(round(part["kept_tokens"]))),
    ]
    return Section("systems", "Systems and compute", [said, *_repeats(record)], tables)


def _trained(name: str, system: System) -> tuple[str, ...]:
    return (
        name,
        system["loss"],
        system["sampling"],
        f"{system['compute']} compute",
        words.count(system["updates"]),
        words.count(system["tokens"]),
        words.number(system["flops"] / _PETA),
        spread(system["seconds"], words.number),
        spread(system["final_loss"], three),
    )


def _portions(record: Record, caption: str, show: Callable[[Portion], str]) -> Table:
    rows = [
        [
            name,
            *(show(own[language]) if language in own else NONE for language in record["languages"]),
        ]
        for name, system in record["systems"].items()
        for own in [system["languages"]]
    ]
    return Table(caption, ["system", *record["languages"]], rows)


def _repeats(record: Record) -> Iterator[str]:
    """Which text is read more than once: it is no longer new to the model."""
    for name, system in record["systems"].items():
        often = {
            lang: p["epochs"] for lang, p in system["languages"].items() if p["epochs"] > _ONCE
        }
        if often:
            told = ", ".join(f"{language} {times:.1f} times" for language, times in often.items())
            yield f"{name} repeats text: {told}."


def teachers(record: Record) -> Section:
    """Each teacher's training and scores on its own language, and how it reads the others."""
    header = ("teacher", "tokens", "epochs", "PFLOP", "seconds", "MRR", "bits per character",
              "POS", "NER")  # fmt: skip
    rows = [_taught(record, language) for language in record["teachers"]]
    tables = [Table("Each on its own language", header, rows)] if rows else []
    said = []
    if record["diagonal"]:
        said.append(_own_text(record["diagonal"]))
        shown = [
            [teacher, *map(three, losses)]
            for teacher, losses in zip(record["languages"], record["diagonal"], strict=True)
        ]
        caption = "Cross-entropy in nats: the teacher of the row on the text of the column"
        tables.append(Table(caption, ["teacher", *record["languages"]], shown))
    return Section("teachers", "Teachers", said, tables)


def _taught(record: Record, language: str) -> tuple[str, ...]:
    teacher = record["teachers"][language]
    return (
        language,
        words.count(teacher["tokens"]),
        two(teacher["epochs"]),
        words.number(teacher["flops"] / _PETA),
        words.number(teacher["seconds"]),
        three(teacher["words"]["mrr"]),
        three(teacher["words"]["bits_per_character"]),
        point(teacher_score(record, "pos", language)),
        point(teacher_score(record, "ner", language)),
    )


def _own_text(diagonal: Matrix) -> str:
    best = np.argmin(np.asarray(diagonal, dtype=np.float64), axis=0)
    own = int((best == np.arange(len(best))).sum())
    return (
        f"Of {words.count(len(best), 'text')}, {own} "
        f"{'is' if own == 1 else 'are'} best predicted by the teacher of that language."
    )


def text(record: Record) -> Section:
    """The size of each language's training text, as the tokenizer sees it too."""
    tasks = list(dict.fromkeys(t for told in record["text"].values() for t in told["overlap"]))
    header = (
        "language", "bytes", "premium bytes", "characters", "words", "tokens", "tokens per word",
        "unknown", "byte tokens", *(f"overlap with {task.upper()} tests" for task in tasks),
    )  # fmt: skip
    rows = [
        (
            language,
            *(words.count(round(told[n])) for n in _SIZES),
            two(told["tokens_per_word"]),
            share(told["unknown"]),
            share(told["bytes_share"]),
            *(share(told["overlap"].get(task, float("nan"))) for task in tasks),
        )
        for language, told in record["text"].items()
    ]
    said = (
        "Premium bytes are bytes over what the language needs to say what English says in one. "
        "Overlap is the share of a probe's test sentences that the text holds."
    )
    return Section("text", "Text", [said], [Table("", header, rows)] if rows else [])


def settings(record: Record) -> Section:
    """The settings as they were given."""
    rows = list(record["settings"].items())
    tables = [Table("", ("setting", "value"), rows, folded=True, worded=True)] if rows else []
    return Section("settings", "Settings", (), tables)
