"""LITMUS: how many labels of which language, learned from earlier results (DeMuX, section 4.3).

It knows languages only: how many examples of each, never which. `select --strategy plan` draws them
at random.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from polymux import __version__
from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.experiments.allotment import Allotment, best, even
from polymux.experiments.outcomes import Outcomes, read_outcomes
from polymux.experiments.predictor import Columns, Known, Learned, Missed, check_enough, learn
from polymux.experiments.relations import (
    Texts,
    by_distance,
    by_overlap,
    read_distances,
    read_sizes,
    texts_of,
)
from polymux.folders import check_new, write_text
from polymux.progress import Progress
from polymux.records import Pool

# A budget is spent in this many steps, unless a step is given.
STEPS = 20


@dataclass(frozen=True, eq=False)
class Plan:
    """Labels by language, and what that rests on."""

    counts: Mapping[str, int]
    record: Mapping[str, Any]

    @property
    def csv(self) -> str:
        """A line a language of which anything is bought, the most first: `language,count`."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n").writerow
        write(("language", "count"))
        for name, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            if count:
                write((name, count))
        return out.getvalue()

    def write(self, path: str | Path, *, force: bool = False) -> None:
        """Write the plan that `select --plan` reads, and the record beside it, as `.json`.

        Raises:
            UsageError: one of the two is there already, unless `force`.
        """
        file = Path(path)
        check_plan(file, force=force)
        record = json.dumps(self.record, ensure_ascii=False, indent=2) + "\n"
        write_text(_beside(file), record, force=force)
        write_text(file, self.csv, force=force)


def check_plan(path: Path, *, force: bool) -> None:
    """Refuse what a plan cannot be written to, before the work."""
    if path == _beside(path):
        raise UsageError(f"a plan is no JSON: {path}", "give --out a name that ends in .csv")
    for file in (path, _beside(path)):
        check_new(file, force=force)


def _beside(path: Path) -> Path:
    """Where the record of a plan stands."""
    return path.with_suffix(".json")


def litmus(
    results: Sequence[str | Path],
    model: Model,
    source: Pool,
    target: Pool,
    *,
    budget: int,
    step: int | None = None,
    only: Mapping[str, str] | None = None,
    sizes: str | Path | None = None,
    distances: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Plan how many labels of each source language raise the mean score of the target languages.

    Learns from the lines of `results` (files or folders of experiments) of the model's task, and
    `only` those with these values. Both pools need languages and no labels; the model lends its
    tokenizer alone. `sizes` is a CSV file language,bytes of pre-training text, `distances` one of
    language,language,distance in [0, 1], both of what is known. The budget is spent in steps of
    `step` labels (a twentieth of it).

    Raises:
        InputError: results or a table that cannot be read.
        UsageError: too few results, results of several models or metrics, pools without languages,
            a budget or a step below 1.
    """
    for option, number in (("budget", budget), ("step", 1 if step is None else step)):
        if number < 1:
            raise UsageError(f"--{option} {number}: nothing to buy", "give a number above 0")
    outcomes = read_outcomes(results, model.task, only)
    check_enough(outcomes.rows)
    pre_trained = {} if sizes is None else read_sizes(sizes)
    apart = None if distances is None else read_distances(distances)
    offered = texts_of(source, model.tokenizer, progress)
    aimed = texts_of(target, model.tokenizer, progress)
    _refuse_unwritable(offered)
    nearness = {"overlap": by_overlap(offered, aimed)}
    if apart is not None:
        nearness["distance"] = by_distance(apart)
    bought = {name for o in outcomes.rows for name in o.chosen} | set(offered.sizes)
    tested = {o.language for o in outcomes.rows} | set(aimed.sizes)
    columns = Columns.of(sorted(bought), sorted(tested), Known(nearness, pre_trained))
    if progress is not None:
        progress("learning from results", 0, None)
    learned = learn(outcomes.rows, columns)
    targets = sorted(aimed.sizes)
    judge = _Judge(learned, sorted(offered.sizes), targets)
    chosen = best(
        judge.means,
        offered.sizes,
        budget,
        step=step or max(1, budget // STEPS),
        seed=seed,
        progress=progress,
    )
    told = {
        "polymux": __version__,
        "model": model.path,
        "paths": [str(path) for path in results],
        "source": _place(source),
        "target": _place(target),
        "sizes": None if sizes is None else str(sizes),
        "distances": None if distances is None else str(distances),
        "budget": budget,
        "step": step or max(1, budget // STEPS),
        "seed": seed,
    }
    return Plan(chosen.counts, told | _grounds(outcomes, learned, judge, chosen, offered, aimed))


@dataclass(frozen=True, eq=False)
class _Judge:
    """What the predictor says of plans over the source's languages."""

    learned: Learned
    languages: list[str]
    targets: list[str]

    def scores(self, plans: Int[np.ndarray, "plans languages"]) -> Float[np.ndarray, "plans _"]:
        """Of each plan, in each target language."""
        columns = self.learned.predictor.columns
        place = {name: i for i, name in enumerate(columns.bought)}
        counts = np.zeros((len(plans), len(columns.bought)), dtype=np.int64)
        counts[:, [place[name] for name in self.languages]] = plans
        at = np.array([columns.tested.index(name) for name in self.targets], dtype=np.int64)
        every = np.repeat(counts, len(at), axis=0)
        told = self.learned.predictor(every, np.tile(at, len(plans)))
        return told.reshape(len(plans), len(at))

    def means(self, plans: Int[np.ndarray, "plans languages"]) -> Float[np.ndarray, "plans"]:
        """The plain mean over the target languages."""
        means: Float[np.ndarray, "plans"] = self.scores(plans).mean(axis=1)
        return means

    def told(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """What is predicted of one plan, for the record."""
        row = np.array([[counts.get(name, 0) for name in self.languages]], dtype=np.int64)
        scores = self.scores(row)[0]
        by_language = dict(zip(self.targets, scores.tolist(), strict=True))
        return {"mean": float(scores.mean()), "languages": by_language}


def _grounds(
    outcomes: Outcomes,
    learned: Learned,
    judge: _Judge,
    chosen: Allotment,
    offered: Texts,
    aimed: Texts,
) -> dict[str, Any]:
    """What the plan is, is predicted to do, and was learned from."""
    counts = {name: count for name, count in chosen.counts.items() if count}
    same = even(offered.sizes, sum(counts.values()))
    without = {
        name: {other: count for other, count in counts.items() if other != name} for name in counts
    }
    predicted = {"plan": counts, "even": same, "nothing": {}}
    made: dict[str, Any] = {
        "results": {
            **outcomes.alike,
            "read": outcomes.read,
            "used": len(outcomes.rows),
            "of_others": outcomes.other,
            "without_languages": outcomes.nameless,
            "most_labels": max(sum(o.chosen.values()) for o in outcomes.rows),
            "tested_in": dict(sorted(Counter(o.language for o in outcomes.rows).items())),
            "bought": dict(sorted(Counter(n for o in outcomes.rows for n in o.chosen).items())),
        },
        "columns": learned.predictor.columns.names,
        "left_out": {
            "languages": _told(learned.languages),
            "plans": _told(learned.plans),
        },
        "languages": {
            name: {
                "count": counts.get(name, 0),
                "examples": offered.sizes[name],
                "nearness": _near(learned, name, judge.targets),
            }
            for name in judge.languages
        },
        "targets": dict(sorted(aimed.sizes.items())),
        "nameless": {"source": offered.nameless, "target": aimed.nameless},
        "predicted": {name: judge.told(plan) for name, plan in predicted.items()},
        "undecided": chosen.undecided,
    }
    mean = made["predicted"]["plan"]["mean"]
    for name, rest in without.items():
        # What its labels are predicted to add to those of the others.
        made["languages"][name]["adds"] = mean - judge.told(rest)["mean"]
    return made | {"warnings": _warnings(made, counts)}


def _warnings(made: Mapping[str, Any], counts: Mapping[str, int]) -> list[str]:
    """Where the plan rests on little."""
    results, left_out, predicted = made["results"], made["left_out"], made["predicted"]
    spent = sum(counts.values())
    told = [
        f"predictions are off by {100 * missed['off']:.1f} points for {what}, those of the mean by "
        f"{100 * missed['mean_off']:.1f}: the predictor knows no better"
        for what, missed in (
            ("languages left out", left_out["languages"]),
            ("plans left out", left_out["plans"]),
        )
        if missed["off"] >= missed["mean_off"]
    ]
    unseen = [name for name in made["targets"] if name not in results["tested_in"]]
    if unseen:
        told.append(f"no result was tested in the target languages {', '.join(unseen)}")
    never = [name for name in counts if name not in results["bought"]]
    if never:
        told.append(f"the plan buys what no result bought: {', '.join(never)}")
    if spent > results["most_labels"]:
        told.append(
            f"the results reach {results['most_labels']:,} labels, the plan buys {spent:,}: of "
            "more than they reach, the predictor knows no difference"
        )
    if made["undecided"]:
        told.append(
            f"{made['undecided']:,} of {spent:,} labels were given out evenly: no gain was "
            "predicted from them in any language"
        )
    if predicted["even"]["mean"] >= predicted["plan"]["mean"]:
        told.append("as good a score is predicted of the same count in every language")
    return told


def _told(missed: Missed) -> dict[str, Any]:
    return {"off": missed.off, "mean_off": missed.mean_off, "folds": missed.folds}


def _near(learned: Learned, name: str, targets: Sequence[str]) -> dict[str, Any]:
    """How near a source language is to each target; null where nobody knows."""
    columns = learned.predictor.columns
    at = columns.bought.index(name)
    places = [columns.tested.index(target) for target in targets]
    near = {way: table[places, at].tolist() for way, table in columns.near.items()}
    return {
        way: {t: None if np.isnan(n) else n for t, n in zip(targets, row, strict=True)}
        for way, row in near.items()
    }


def _place(pool: Pool) -> dict[str, Any]:
    return {"how": dict(pool.how), "cwd": str(Path.cwd())}


def _refuse_unwritable(offered: Texts) -> None:
    """A plan file is read line by line, names without the white space around them."""
    for name in offered.sizes:
        if name != name.strip() or len(name.splitlines()) > 1:
            raise UsageError(
                f"a plan cannot hold the language {name!r}",
                "rename it: no white space at its ends, no line break in it",
            )
