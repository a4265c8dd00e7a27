"""What a plan of labels by language is predicted to do, and how much that rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux.experiments.litmus.allotment import Allotment, even
from polymux.experiments.litmus.outcomes import Outcomes
from polymux.experiments.litmus.predictor import Learned
from polymux.experiments.litmus.relations import Texts


@dataclass(frozen=True, eq=False)
class Judge:
    """What the predictor says of plans over some languages, tested in others."""

    learned: Learned
    languages: Sequence[str]
    targets: Sequence[str]

    def scores(self, plans: Int[np.ndarray, "plans languages"]) -> Float[np.ndarray, "plans _"]:
        """Of each plan, in each target language."""
        columns = self.learned.predictor.columns
        counts = np.zeros((len(plans), len(columns.bought)), dtype=np.int64)
        counts[:, [columns.bought.index(name) for name in self.languages]] = plans
        at = np.array([columns.tested.index(name) for name in self.targets], dtype=np.int64)
        told = self.learned.predictor(np.repeat(counts, len(at), axis=0), np.tile(at, len(plans)))
        return told.reshape(len(plans), len(at))

    def means(self, plans: Int[np.ndarray, "plans languages"]) -> Float[np.ndarray, "plans"]:
        """The plain mean over the target languages."""
        means: Float[np.ndarray, "plans"] = self.scores(plans).mean(axis=1)
        return means

    def told(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """The scores of one plan by target language, and their mean."""
        row = np.array([[counts.get(name, 0) for name in self.languages]], dtype=np.int64)
        scores = self.scores(row)[0]
        by_language = dict(zip(self.targets, scores.tolist(), strict=True))
        return {"mean": float(scores.mean()), "languages": by_language}

    def near(self, name: str) -> dict[str, dict[str, float | None]]:
        """How near one of the languages is to each target, each way; None where nobody knows."""
        columns = self.learned.predictor.columns
        at, places = columns.bought.index(name), [columns.tested.index(t) for t in self.targets]
        return {
            way: {
                target: None if np.isnan(near) else near
                for target, near in zip(self.targets, table[places, at].tolist(), strict=True)
            }
            for way, table in columns.near.items()
        }


def grounds(
    outcomes: Outcomes, judge: Judge, chosen: Allotment, budget: int, source: Texts, target: Texts
) -> dict[str, Any]:
    """What the plan buys, is predicted to do, and was learned from, for `plan.json`."""
    counts = {name: count for name, count in chosen.counts.items() if count}
    same = even(source.sizes, sum(counts.values()))
    predicted = {
        name: judge.told(plan) for name, plan in (("plan", counts), ("even", same), ("nothing", {}))
    }
    # What the labels of a language are predicted to add to those of the others.
    adds = {
        name: predicted["plan"]["mean"] - judge.told({**counts, name: 0})["mean"] for name in counts
    }
    told: dict[str, Any] = {
        "languages": {
            name: {
                "count": counts.get(name, 0),
                "examples": source.sizes[name],
                "adds": adds.get(name, 0.0),
                "nearness": judge.near(name),
            }
            for name in judge.languages
        },
        "targets": dict(sorted(target.sizes.items())),
        "predicted": predicted,
        "undecided": chosen.undecided,
        "left_out": {
            "languages": asdict(judge.learned.languages),
            "plans": asdict(judge.learned.plans),
        },
        "results": {
            **outcomes.alike,
            "read": outcomes.read,
            "used": len(outcomes.rows),
            "of_others": outcomes.other,
            "without_languages": outcomes.nameless,
            "most_labels": max(sum(o.chosen.values()) for o in outcomes.rows),
            "tested_in": _counted(o.language for o in outcomes.rows),
            "bought": _counted(name for o in outcomes.rows for name in o.chosen),
        },
        "columns": judge.learned.predictor.columns.names,
        "nameless": {"source": source.nameless, "target": target.nameless},
    }
    return told | {"warnings": _warnings(told, counts, budget)}


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _warnings(told: Mapping[str, Any], counts: Mapping[str, int], budget: int) -> list[str]:
    """Where the plan rests on little."""
    results, predicted, spent = told["results"], told["predicted"], sum(counts.values())
    warnings = [
        f"of {what} left out, predictions are off by {100 * missed['off']:.1f} points and the mean "
        f"by {100 * missed['mean_off']:.1f}: the predictor knows no better than the mean"
        for what, missed in told["left_out"].items()
        if missed["off"] >= missed["mean_off"]
    ]
    left_out = {"results": results["without_languages"]}
    left_out |= {f"examples of the {pool}": count for pool, count in told["nameless"].items()}
    warnings += [
        f"left out, because nobody noted the language: {count:,} {what}"
        for what, count in left_out.items()
        if count
    ]
    unseen = [name for name in told["targets"] if name not in results["tested_in"]]
    if unseen:
        warnings.append(f"no result was tested in the target languages {', '.join(unseen)}")
    never = [name for name in counts if name not in results["bought"]]
    if never:
        warnings.append(f"the plan buys what no result bought: {', '.join(never)}")
    if spent > results["most_labels"]:
        warnings.append(
            f"the results reach {results['most_labels']:,} labels and the plan buys {spent:,}: "
            "of more labels than they reach the predictor knows nothing"
        )
    if spent < budget:
        warnings.append(f"the pool has {spent:,} examples of the {budget:,} asked for")
    if told["undecided"]:
        warnings.append(
            f"{told['undecided']:,} of {spent:,} labels were given out where no gain was "
            "predicted, to the language with the fewest"
        )
    if predicted["even"]["mean"] >= predicted["plan"]["mean"]:
        warnings.append("as good a score is predicted of the same count in every language")
    return warnings
