"""The sections of a distillation's report that tell how good the systems are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from polymux.report.balance.record import (
    RANDOM,
    Comparison,
    Matrix,
    Record,
    encoders,
    in_language,
    teachers_mean,
    zero_shot,
    zero_shot_from,
)
from polymux.report.table import (
    MAJORITY,
    NONE,
    TEACHERS,
    Section,
    Table,
    point,
    share,
    signed,
    spread,
    three,
)

TASKS = {"pos": "Part of speech (POS)", "ner": "Named entities (NER)"}

# The slides' names for what we call otherwise.
_PAPER_GROUPS = {"low": "low-res", "high": "high-res", "de": "de", "all": "all"}
_PAPER_METHODS = {"student": "soft", "hl": "hl", "hl-balanced": "hl-balanced"}
_IN_LANGUAGE = "In-language (I-L): the mean of the diagonal over the group's languages"
_ZERO_SHOT = "Zero-shot (Z-S): the mean of the cells off the diagonal whose target is in the group"
_BY_SOURCE = (
    "Zero-shot by source: the mean of the cells off the diagonal whose source is in the group"
)

# A trained encoder has to be so much better than an untrained one.
_WORTH = 0.01

GroupScore = Callable[[Matrix, Sequence[str], Sequence[str]], float]


Measure = Literal["mrr", "plain_mrr", "bits_per_character", "cross_entropy"]


def verdict(comparison: Comparison) -> str:
    """What an interval says: nothing if it holds zero."""
    if comparison["low"] > 0:
        return f"{comparison['ours']} is better"
    if comparison["high"] < 0:
        return f"{comparison['theirs']} is better"
    return "cannot be told"


def claims(record: Record) -> Section:
    """What the slides claim, and what this run says of it."""
    rows = [(c["claim"], c["verdict"], c["evidence"]) for c in record["claims"]]
    tables = (
        [Table("", ("claim of the slides", "verdict", "evidence"), rows, worded=True)]
        if rows
        else []
    )
    return Section("claims", "The slides' claims", list(_unlearned(record)), tables)


def _unlearned(record: Record) -> Iterator[str]:
    """Tasks in which no training is worth anything: what is said of them is said of noise."""
    for task, probe in record["probes"].items():
        languages = probe["languages"]
        known = {
            name: float(np.mean([in_language(one, languages, languages) for one in seeds]))
            for name, seeds in probe["systems"].items()
        }
        untrained = known.pop(RANDOM, None)
        if untrained is None or not known:
            continue
        best = max(known, key=lambda name: known[name])
        if known[best] - untrained < _WORTH:
            yield (
                f"Be careful with {task.upper()}: the best trained system ({best}, in-language "
                f"{point(known[best])}) is no point better than an encoder that was never trained "
                f"({point(untrained)}). Nothing can be told of a claim from models that learned "
                "nothing: give them more updates."
            )


def comparisons(record: Record) -> Section:
    """How much better each system is than another, with intervals."""
    header = ("group", "ours", "theirs", "difference", "interval", "ours better in", "verdict")
    by_part: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in record["comparisons"]:
        by_part.setdefault((comparison["task"], comparison["transfer"]), []).append(comparison)
    tables = [
        Table(f"{task.upper()}, {transfer}", header, [_compared(c) for c in part])
        for (task, transfer), part in by_part.items()
    ]
    said = (
        "Ours minus theirs in points, with the interval that resampled sentences and seeds give. "
        "An interval that holds 0 tells nothing about which is better."
    )
    return Section("comparisons", "Differences, and how sure they are", [said], tables)


def _compared(c: Comparison) -> tuple[str, ...]:
    interval = f"{signed(c['low'])} to {signed(c['high'])}"
    better = f"{share(c['better'])} of resamples"
    told = (c["group"], c["ours"], c["theirs"], signed(c["difference"]), interval, better)
    return (*told, verdict(c))


def probe(record: Record, task: str) -> Section:
    """One task: scores by group and whole matrices."""
    probed = record["probes"][task]
    score = {"f1": "F1"}.get(probed["score"], probed["score"])
    said = [f"A probe on the frozen encoder, scored by {score}, in points of 100."]
    if missing := [lang for lang in record["languages"] if lang not in probed["languages"]]:
        said.append(f"There is no data for {', '.join(missing)}; groups are means of the others.")
    if record["paper"]:
        said.append(
            f"The columns called slides are the slides' numbers for the {record['paper']} set: "
            "other text, other sizes, no seeds told."
        )
    tables = [
        _grouped(record, task, _IN_LANGUAGE, in_language, "in-language"),
        _grouped(record, task, _ZERO_SHOT, zero_shot, "zero-shot"),
        _grouped(record, task, _BY_SOURCE, zero_shot_from, None),
        *_matrices(record, task),
    ]
    return Section(f"probe {task}", TASKS.get(task, task), said, tables)


def _grouped(
    record: Record, task: str, caption: str, score: GroupScore, transfer: str | None
) -> Table:
    """A row a system, a column a group; the slides' columns where they measured the same."""
    probe, groups = record["probes"][task], record["groups"]
    languages = probe["languages"]
    slides = {
        (row["method"], row["group"]): row["score"]
        for row in record["paper_rows"]
        if (row["task"], row["language_set"], row["transfer"]) == (task, record["paper"], transfer)
    }
    theirs = [name for name in groups if any(g == _PAPER_GROUPS.get(name) for _, g in slides)]

    def row(name: str, matrices: Sequence[Matrix]) -> list[str]:
        ours = (
            spread([score(m, languages, group) for m in matrices], point)
            for group in groups.values()
        )
        printed = (slides.get((_PAPER_METHODS.get(name, ""), _PAPER_GROUPS[g])) for g in theirs)
        return [name, *ours, *(NONE if value is None else f"{value:.1f}" for value in printed)]

    rows = [
        row(name, probe["systems"][name]) for name in encoders(record) if name in probe["systems"]
    ]
    if probe["majority"]["matrix"]:
        rows.append(row(MAJORITY, [probe["majority"]["matrix"]]))
    if transfer == "in-language":
        means = (point(teachers_mean(record, task, group)) for group in groups.values())
        rows.append([TEACHERS, *means, *(NONE for _ in theirs)])
    header = ["system", *groups, *(f"{name} (slides)" for name in theirs)]
    return Table(caption, header, rows, folded=transfer is None)


def _matrices(record: Record, task: str) -> Iterator[Table]:
    probe = record["probes"][task]
    languages = probe["languages"]
    shown = {name: probe["systems"][name] for name in encoders(record) if name in probe["systems"]}
    if probe["majority"]["matrix"]:
        shown[MAJORITY] = [probe["majority"]["matrix"]]
    for name, matrices in shown.items():
        rows = [
            [source, *(spread([m[s][t] for m in matrices], point) for t in range(len(languages)))]
            for s, source in enumerate(languages)
        ]
        caption = f"{name}: trained on the row, tested on the column"
        yield Table(caption, ["", *languages], rows, folded=True)


def masked_words(record: Record) -> Section:
    """How well each system guesses hidden tokens, by language."""
    if not record["words"]:
        return Section("words", "")
    said = (
        "MRR is the mean of 1/rank of the hidden token, 0 to 1. It and cross-entropy compare "
        "systems of one tokenizer only; bits per character compare across tokenizers. "
        "Each teacher stands under its own language."
    )
    tables = [
        _by_language(record, "MRR of masked words", "mrr"),
        _by_language(record, "Bits per character", "bits_per_character"),
        _by_language(record, "MRR over tokens with a letter", "plain_mrr", folded=True),
        _by_language(record, "Cross-entropy (nats)", "cross_entropy", folded=True),
    ]
    return Section("words", "Masked words", [said], tables)


def _by_language(record: Record, caption: str, measure: Measure, *, folded: bool = False) -> Table:
    languages, teachers = record["languages"], record["teachers"]
    rows = [
        [name, *(spread(told[lang][measure] if lang in told else [], three) for lang in languages)]
        for name in encoders(record)
        if (told := record["words"].get(name))
    ]
    if teachers and measure != "plain_mrr":
        own = {name: three(teacher["words"][measure]) for name, teacher in teachers.items()}
        rows.append([TEACHERS, *(own.get(language, NONE) for language in languages)])
    return Table(caption, ["system", *languages], rows, folded)
