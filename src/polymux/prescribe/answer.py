"""One answer made into a prescription: reasons, manifest, card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import polymux
from polymux.prescribe import files
from polymux.prescribe.ground import Clock, Ground, Sample
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.reasons import picks
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
    pool: EncodedPool
    measure: str

    @property
    def line(self) -> str:
        """The rule in one line."""
        rule = find_strategy(self.strategy)
        return rule.about if isinstance(rule, Strategy) else "a strategy of the user's own"


def prescription(
    answer: Answer,
    examples: Mapping[int, Example],
    ground: Ground,
    sample: Sample,
    ask: Ask,
    clock: Clock,
) -> Prescription:
    """Say why each was chosen; `examples` holds the chosen ones by row."""
    with clock.stage("explain"):
        chosen = answer.pool.fetch(answer.choice.rows)
        made, covered = picks(
            chosen, examples, ground.measured, ground.aim_examples, answer.measure
        )
    manifest = _manifest(answer, made, ground, ask, clock)
    rejected = [*answer.pool.pool.rejected, *ground.target.pool.rejected]

    def page() -> Iterable[str]:
        yield card(_card_facts(answer, made, chosen.embeddings, covered, ground, sample, manifest))

    return Prescription(
        task=ground.source.model.task,
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
    answer: Answer, made: tuple[Pick, ...], ground: Ground, ask: Ask, clock: Clock
) -> dict[str, Any]:
    model = answer.pool.model
    languages = None
    if any(name for name in answer.pool.languages):
        chosen = Counter(pick.example.language or "" for pick in made)
        languages = {
            "pool": dict(sorted(answer.pool.languages.items())),
            "chosen": dict(chosen.most_common()),
        }
    return {
        "polymux": polymux.__version__,
        "task": model.task,
        "strategy": answer.strategy,
        "budget": answer.budget,
        "chosen": len(made),
        "seed": ask.seed,
        "settings": {
            "uncertainty": answer.measure,
            "distance": ask.distance,
            "average": ask.average,
            "k": ask.k,
            "candidates": ask.candidates,
            "ratio": ask.ratio,
            "more_than_budget": ask.more_than_budget,
            **model.settings,
        },
        "model": {"path": model.path, "fingerprint": model.fingerprint},
        "source": _pool_facts(answer.pool),
        "target": _pool_facts(ground.target),
        "languages": languages,
        "facts": dict(answer.choice.facts),
        "seconds": {stage: round(spent, 3) for stage, spent in clock.seconds.items()},
        "peak_memory_mb": round(clock.peak_memory_mb, 1),
        "warnings": _warnings(answer, made, ground),
    }


def _pool_facts(pool: EncodedPool) -> dict[str, Any]:
    paths = [file.path for file in pool.pool.files]
    counts = asdict(pool.counts)
    return {"paths": paths, "fingerprint": pool.fingerprint, **counts, "notes": pool.pool.notes}


def _warnings(answer: Answer, made: tuple[Pick, ...], ground: Ground) -> list[str]:
    """What a person should know before trusting the choice."""
    source, target = answer.pool.counts, ground.target.counts
    facts = answer.choice.facts
    told = []
    if answer.budget > source.eligible:
        told.append(
            f"the budget of {answer.budget:,} is larger than the pool: "
            f"all {source.eligible:,} examples were taken"
        )
    if len(made) < min(answer.budget, source.eligible):
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
    if "languages_missing" in facts:
        missing = ", ".join(facts["languages_missing"])
        told.append(f"languages of the plan that are not in the pool: {missing}")
    if "languages_short" in facts:
        short = ", ".join(facts["languages_short"])
        told.append(f"languages with fewer examples than planned, others filled up: {short}")
    return told + answer.pool.model.notes + ground.source.store.notes


def _card_facts(
    answer: Answer,
    made: tuple[Pick, ...],
    chosen_embeddings: Any,
    covered: Any,
    ground: Ground,
    sample: Sample,
    manifest: Mapping[str, Any],
) -> Any:
    """The records of the page; the map is made of the sample, the target and the chosen."""
    places, explained = files.plane(
        {
            "pool": sample.encodings.embeddings,
            "target": ground.aim.embeddings,
            "chosen": chosen_embeddings,
        }
    )
    by_id = {example.id: example for example in ground.aim_examples}
    measure = answer.measure
    chosen_uncertainty = [pick.uncertainty for pick in made]
    chosen_examples = [pick.example for pick in made]
    counted = ("paths", "read", "duplicates", "excluded", "rejected", "truncated", "words_lost")
    return {
        "version": manifest["polymux"],
        "title": f"{manifest['chosen']} examples to label",
        "task": manifest["task"],
        "strategy": answer.strategy,
        "strategy_line": f"{answer.line}.",
        "budget": answer.budget,
        "seed": manifest["seed"],
        "model": str(manifest["model"]["path"]),
        "settings": manifest["settings"],
        "source": {name: manifest["source"][name] for name in counted},
        "target": {name: manifest["target"][name] for name in counted},
        "languages": manifest["languages"],
        "map": {
            "method": "PCA",
            "explained": explained,
            "points": [
                *files.points(
                    "pool", places["pool"], sample.examples, sample.encodings.of_measure(measure)
                ),
                *files.points(
                    "target", places["target"], ground.aim_examples, ground.aim.of_measure(measure)
                ),
                *files.points(
                    "chosen", places["chosen"], chosen_examples, chosen_uncertainty, ranked=True
                ),
            ],
        },
        "uncertainty": {
            "measure": measure,
            "pool": files.rounded(sample.encodings.of_measure(measure)),
            "chosen": chosen_uncertainty,
        },
        "distance": {
            "pool": files.rounded(sample.distances),
            "chosen": [pick.distance for pick in made],
        },
        "coverage": {
            "pool": files.rounded(ground.nearest_in_pool),
            "chosen": files.rounded(covered),
            "random": files.rounded(sample.nearest_to_each_target(len(made))),
        },
        "first": files.first_choices(made, by_id),
        "warnings": manifest["warnings"],
        "seconds": manifest["seconds"],
        "peak_memory_mb": manifest["peak_memory_mb"],
    }
