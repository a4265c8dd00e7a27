"""One answer made into a prescription: reasons, manifest, card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import polymux
from polymux.prescribe import files
from polymux.prescribe.card import Shown, card_facts
from polymux.prescribe.clock import Clock
from polymux.prescribe.estimate import compared
from polymux.prescribe.ground import Ground, Sample
from polymux.prescribe.pools import EncodedPool, place_of
from polymux.prescribe.reasons import picks
from polymux.prescribe.recall import warnings_of
from polymux.records import Example, Pick, Prescription
from polymux.report import card
from polymux.selection import Ask, Choice, Strategy, find_strategy

# Below this many target examples, what is near to them is mostly chance.
SMALL_TARGET = 20


@dataclass(frozen=True, eq=False)
class Answer:
    """What a strategy answered for one budget."""

    strategy: str
    budget: int
    choice: Choice
    ask: Ask
    settings: Mapping[str, Any]
    """What else was asked, for the manifest."""
    beside: Mapping[str, Any]
    """For the manifest too, where it is known: what the prefilter found, what was estimated."""

    @property
    def about(self) -> str:
        """The rule in one line."""
        rule = find_strategy(self.strategy)
        return rule.about if isinstance(rule, Strategy) else "a strategy of the user's own"


def prescription(
    answer: Answer, examples: Mapping[int, Example], ground: Ground, sample: Sample, clock: Clock
) -> Prescription:
    """Say why each was chosen; `examples` holds the chosen ones by row."""
    pool, aim = ground.pool, ground.aim
    with clock.stage("explain"):
        chosen = ground.fetch(answer.choice.rows)
        made, covered = picks(chosen, examples, aim.measured, aim.examples, answer.ask.measure)
    manifest = _manifest(answer, made, ground, clock)
    rejected = [*pool.rejected, *aim.pool.rejected]

    def page() -> Iterable[str]:
        shown = Shown(made, chosen.embeddings, covered)
        yield card(card_facts(manifest, answer.about, shown, ground, sample))

    return Prescription(
        task=ground.model.task,
        picks=made,
        manifest=manifest,
        files={
            "to_label.jsonl": partial(files.to_label, made),
            "rejected.jsonl": partial(files.rejected, rejected) if rejected else None,
            "report.html": page,
            "selection.json": partial(files.manifest_text, manifest),
        },
    )


def _manifest(
    answer: Answer, made: tuple[Pick, ...], ground: Ground, clock: Clock
) -> dict[str, Any]:
    """All that is needed to make the choice again, and what came of it."""
    pool, model, ask = ground.pool, ground.model, answer.ask
    chosen = Counter(pick.example.language or "" for pick in made)
    estimated, auto = answer.beside.get("estimate"), answer.beside.get("auto")
    return {
        "polymux": polymux.__version__,
        "task": model.task,
        "strategy": answer.strategy,
        "auto": auto if auto and auto["strategy"] == answer.strategy else None,
        "budget": answer.budget,
        "chosen": len(made),
        "seed": ask.seed,
        "settings": {
            "uncertainty": ask.measure,
            "distance": ask.distance,
            "average": ask.average,
            "k": ask.k,
            "candidates": ask.candidates,
            "ratio": ask.ratio,
            "more_than_budget": ask.more_than_budget,
            **answer.settings,
            **model.settings,
        },
        "model": {
            "path": model.path,
            "fingerprint": model.fingerprint,
            "contents": model.contents,
            **model.safety,
        },
        "source": _pool_facts(pool),
        "target": _pool_facts(ground.aim.pool),
        "languages": {
            "pool": dict(sorted(pool.languages.items())),
            "chosen": dict(chosen.most_common()),
        }
        if any(pool.languages)
        else None,
        "prefilter": answer.beside.get("prefilter"),
        "facts": dict(answer.choice.facts),
        "screen": ground.screened,
        "seconds": {stage: round(spent, 3) for stage, spent in clock.seconds.items()},
        "peak_memory_mb": round(clock.peak_memory_mb, 1),
        "estimate": estimated and compared(estimated, [pool, ground.aim.pool], clock),
        "warnings": _warnings(answer, made, ground),
    }


def _pool_facts(pool: EncodedPool) -> dict[str, Any]:
    return {
        **place_of(pool.pool),
        "paths": [file.path for file in pool.pool.files],
        "fingerprint": pool.fingerprint,
        **asdict(pool.counts),
        "notes": list(pool.notes),
    }


def _warnings(answer: Answer, made: tuple[Pick, ...], ground: Ground) -> list[str]:
    """What a person should know before trusting the choice."""
    source, target = ground.pool.counts, ground.aim.pool.counts
    facts = answer.choice.facts
    prefilter = answer.beside.get("prefilter")
    told = warnings_of(prefilter, answer.strategy) if prefilter else []
    in_examples = answer.settings["budget_in"] == "examples"
    if in_examples and len(made) == source.eligible < answer.budget:
        told.append(
            f"the budget of {answer.budget:,} is larger than the pool: "
            f"all {source.eligible:,} examples were taken"
        )
    elif in_examples and len(made) < answer.budget:
        told.append(f"only {len(made):,} of {answer.budget:,} could be chosen under these options")
    if target.eligible < SMALL_TARGET:
        told.append(
            f"the target sample has {target.eligible} examples: nearness to so few is mostly "
            "chance; a few dozen more cost little, they need no labels"
        )
    if source.overlap:
        told.append(
            f"{source.overlap:,} source examples also stand in the target sample "
            "(--exclude-target leaves them out)"
        )
    for name, counts in (("source", source), ("target", target)):
        if counts.truncated:
            told.append(
                f"{counts.truncated:,} {name} examples are longer than the model read; "
                f"{counts.words_lost:,} words or sub-words were not seen (--max-length)"
            )
        if counts.rejected:
            told.append(f"{counts.rejected:,} lines of the {name} were rejected")
    if facts.get("candidates") == len(made) < source.eligible:
        told.append(
            f"all {len(made):,} candidates near the target were taken: uncertainty decided their "
            "order only (--candidates 4 gives it more to choose from)"
        )
    told += _short_of(facts)
    told += [] if ground.screen is None else ground.screen.warnings
    alone = ground.alone
    told += [] if alone is None else alone.warnings(answer.strategy, answer.budget)
    if answer.settings["exclude_rejected"]:
        told.append(
            f"{answer.settings['exclude_rejected']:,} lines of what is excluded were rejected: "
            "such examples may be chosen again"
        )
    notes = dict.fromkeys([*ground.model.notes, *ground.pool.model.notes])
    return [*told, *notes, *ground.pool.store.notes]


def _short_of(facts: Mapping[str, Any]) -> list[str]:
    """Languages that have less than was asked for."""
    told = []
    if "at_least_short" in facts:
        short = ", ".join(f"{name} by {count}" for name, count in facts["at_least_short"].items())
        told.append(f"languages with fewer examples than --at-least asks for: {short}")
    if "languages_missing" in facts:
        missing = ", ".join(facts["languages_missing"])
        told.append(f"languages of the plan that are not in the pool: {missing}")
    if "languages_short" in facts:
        short = ", ".join(facts["languages_short"])
        told.append(f"languages with fewer examples than planned, others filled up: {short}")
    return told
