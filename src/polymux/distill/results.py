"""The stage that tells: every number of a run in one record, a Markdown text and a page."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from polymux import __version__
from polymux.distill.card import RECONSTRUCTION
from polymux.distill.evaluation import counts_of, encoders
from polymux.distill.paper import PAPER
from polymux.distill.scoring.claims import verdicts
from polymux.distill.scoring.probes import SCORES
from polymux.distill.work import Work, processes
from polymux.folders import write_text
from polymux.statistics import paired_bootstrap

TRANSFERS = ("in-language", "zero-shot")
OURS = "student"


def report(work: Work) -> None:
    """Write `results.json`, `report.md` and `report.html` from what the stages left."""
    from polymux.report.balance import markdown, page

    told = record(work)
    if not processes().is_main_process:
        return
    for name, text in (
        ("results.json", json.dumps(told, ensure_ascii=False, indent=1) + "\n"),
        ("report.md", markdown(told)),
        ("report.html", page(told)),
    ):
        write_text(work.out / name, text, force=True)


def record(work: Work) -> Any:
    """All numbers of a run, as JSON has them."""
    settings = work.settings
    comparisons = list(_comparisons(work))
    return {
        "name": work.out.name,
        "polymux": __version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "reconstruction": RECONSTRUCTION,
        "settings": dict(_flat(settings.model_dump())),
        "languages": list(settings.languages),
        "groups": groups(work),
        "seeds": list(settings.seeds),
        "paper": settings.paper,
        "text": {language: _text(work, language) for language in settings.languages},
        "systems": {name: _system(work, name) for name in settings.systems},
        "teachers": {language: _teacher(work, language) for language in settings.languages},
        "diagonal": work.needed("diagonal", "teachers")["loss"],
        "words": _words(work),
        "probes": _probes(work),
        "comparisons": comparisons,
        "paper_rows": [row for row in PAPER if row["language_set"] == settings.paper],
        "claims": verdicts(comparisons, len(settings.seeds)) if comparisons else [],
        "notes": list(_notes(work)),
    }


def groups(work: Work) -> dict[str, list[str]]:
    """The groups of the settings, and all languages."""
    own = {name: list(members) for name, members in work.settings.groups.items()}
    return own | {"all": list(work.settings.languages)}


def _flat(told: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, json.dumps(value, ensure_ascii=False)


def _text(work: Work, language: str) -> dict[str, Any]:
    size = work.needed("corpus", "corpus")["languages"][language]["train"]
    cut = work.needed("tokenizer", "tokenizer")["languages"][language]
    found = work.needed("overlap", "corpus")["languages"][language]
    return {
        **{n: size[n] for n in ("bytes", "premium_bytes", "characters", "words")},
        "tokens": cut["tokens"],
        "tokens_per_word": cut["tokens_per_word"],
        "unknown": cut["unknown"],
        "bytes_share": cut["bytes"],
        "overlap": {task: of_task["share"] for task, of_task in found.items()},
    }


def _system(work: Work, name: str) -> dict[str, Any]:
    told = [work.needed(f"systems/{name}/{seed}", name) for seed in work.settings.seeds]
    first = told[0]
    return {
        **{n: first["settings"][n] for n in ("loss", "sampling", "compute")},
        **{n: first[n] for n in ("updates", "tokens", "flops", "losses")},
        "seconds": [one["seconds"] for one in told],
        "final_loss": [one["final_loss"] for one in told],
        "languages": {
            language: {n: part[n] for n in ("share", "epochs", "kept_tokens")}
            for language, part in first["languages"].items()
        },
    }


def _teacher(work: Work, language: str) -> dict[str, Any]:
    made = work.needed(f"teachers/{language}", "teachers")
    scored = work.needed(f"evaluation/teachers/{language}", "evaluate")
    epochs = made["languages"][language]["epochs"] if "languages" in made else 0.0
    return {
        "tokens": made["tokens"],
        "epochs": epochs,
        "flops": made["flops"],
        "seconds": made.get("seconds", 0.0),
        "words": {
            n: scored["words"][language][n] for n in ("mrr", "bits_per_character", "cross_entropy")
        },
        **{task: scored[task]["matrix"][0][0] if task in scored else None for task in SCORES},
    }


def _words(work: Work) -> dict[str, Any]:
    names = ("mrr", "plain_mrr", "bits_per_character", "cross_entropy")
    return {
        name: {
            language: {n: [one["words"][language][n] for one in scored] for n in names}
            for language in work.settings.languages
        }
        for name, scored in encoders(work)
    }


def _probed(work: Work) -> dict[str, tuple[str, ...]]:
    """By task the languages that have data for it."""
    probes = work.settings.evaluate.probes(work.settings.languages)
    return {task: languages for task, (_, languages) in probes.items()}


def _probes(work: Work) -> dict[str, Any]:
    return {
        task: {
            "score": SCORES[task][0],
            "languages": list(languages),
            "majority": {
                "matrix": work.needed(f"evaluation/majority/{task}", "evaluate")[task]["matrix"]
            },
            "systems": {
                name: [one[task]["matrix"] for one in scored] for name, scored in encoders(work)
            },
        }
        for task, languages in _probed(work).items()
    }


def cells(languages: Sequence[str], group: Sequence[str], transfer: str) -> list[tuple[str, str]]:
    """The (source, target) pairs of a group: its own diagonal, or all others that lead into it.

    Of a group's languages those count that are among `languages`.
    """
    inside = [language for language in group if language in languages]
    if transfer == "in-language":
        return [(language, language) for language in inside]
    return [(s, t) for t in inside for s in languages if s != t]


def _comparisons(work: Work) -> Iterator[dict[str, Any]]:
    systems = list(work.settings.systems)
    ours = OURS if OURS in systems else systems[0]
    pairs = [(ours, other) for other in systems if other != ours]
    if {"hl", "hl-balanced"} <= set(systems) and ours != "hl-balanced":
        pairs.append(("hl-balanced", "hl"))
    for task, languages in _probed(work).items():
        counts = {
            name: {seed: counts_of(work, name, seed, task) for seed in work.settings.seeds}
            for name in systems
        }
        for transfer in TRANSFERS:
            for group, members in groups(work).items():
                chosen = cells(languages, members, transfer)
                for mine, other in pairs if chosen else ():
                    work.tell(f"compare {task} {transfer}", 0, None)
                    found = paired_bootstrap(
                        counts[mine],
                        counts[other],
                        chosen,
                        SCORES[task][1],
                        resamples=work.settings.evaluate.resamples,
                    )
                    yield {
                        "task": task,
                        "transfer": transfer,
                        "group": group,
                        "ours": mine,
                        "theirs": other,
                        "difference": found.observed,
                        "low": found.low,
                        "high": found.high,
                        "better": found.better,
                        "seeds": len(work.settings.seeds),
                    }


def _notes(work: Work) -> Iterator[str]:
    settings = work.settings
    yield (
        f"Text is split by {settings.corpus.split}"
        + (f" of {settings.corpus.block_lines} lines" if settings.corpus.split == "blocks" else "")
        + ", before the tokenizer, the teachers and the students."
    )
    yield "Z-S is the mean over all cells whose target language is in the group."
    if settings.teachers.vocabulary != "shared":
        yield (
            "Teachers have words of their own. On the text of another language a teacher's loss is "
            "that of the language's own teacher, and what it is worse by over the hidden tokens "
            "that both have words for."
        )
    if len(settings.seeds) < 2:
        yield "One seed: no interval here tells what another training would change."
    for name in settings.systems:
        for seed in settings.seeds:
            told = work.needed(f"systems/{name}/{seed}", name)
            if told["dropped"]:
                named = ", ".join(told["dropped"])
                yield f"{name}, seed {seed}: weak teachers were dropped for {named}."
            for language, covered in told.get("vocabulary", {}).items():
                mass = covered["mass_covered"]
                told_mass = "" if mass is None else f", {mass:.1%} of the teacher's probability"
                yield (
                    f"{name}, seed {seed}: the teacher of {language} has words for "
                    f"{covered['tokens_covered']:.1%} of the text{told_mass}."
                )
            if told.get("cache_bytes"):
                yield f"{name}, seed {seed}: {told['cache_bytes'] / 1e6:.1f} MB of cached answers."
    yield from _weak_teachers(work)
    epochs = {
        f"{name} {language}": part["epochs"]
        for name in settings.systems
        for language, part in _system(work, name)["languages"].items()
        if part["epochs"] > 1
    }
    if epochs:
        most = max(epochs, key=lambda key: epochs[key])
        yield f"Text is repeated: most often that of {most}, {epochs[most]:.1f} times."


def _weak_teachers(work: Work) -> Iterator[str]:
    """Teachers that know their own language worse than a model that had no teacher."""
    asked = work.settings.systems
    hard = [name for name in asked if asked[name].loss == "hard" and asked[name].compute != "total"]
    if not hard or len(hard) == len(asked):
        return
    weak = []
    for language in work.settings.languages:
        told = work.needed(f"evaluation/teachers/{language}", "evaluate")
        own = told["words"][language]["cross_entropy"]
        best = min(
            work.needed(f"evaluation/{name}/{seed}", "evaluate")["words"][language]["cross_entropy"]
            for name in hard
            for seed in work.settings.seeds
        )
        if own > best:
            weak.append(f"{language} ({own:.2f} against {best:.2f} nats a hidden token)")
    if weak:
        yield (
            "Weak teachers: a model of the student's compute that learned from words alone guesses "
            f"better than the teacher of {', '.join(weak)}. A student of theirs is held back: give "
            "[teachers] more tokens, smaller updates, or weak = 'drop'."
        )
