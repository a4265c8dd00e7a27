"""LITMUS: how many labels of which language, learned from earlier results (DeMuX, section 4.3).

It knows languages only: how many examples of each, never which. `select --strategy plan` draws them
at random.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux import __version__
from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.experiments.litmus.allotment import best
from polymux.experiments.litmus.grounds import Judge, grounds
from polymux.experiments.litmus.outcomes import read_outcomes
from polymux.experiments.litmus.predictor import Columns, Known, check_enough, learn
from polymux.experiments.litmus.relations import (
    Texts,
    by_distance,
    by_overlap,
    read_distances,
    read_sizes,
    texts_of,
)
from polymux.folders import check_new, write_text
from polymux.prescribe.pools import place_of
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
    for pool in (source, target):
        if pool.task != model.task:
            raise UsageError(
                f"the model was loaded for {model.task}, {pool.name} was read for {pool.task}",
                "give both the same task",
            )
    outcomes = read_outcomes(results, model.task, only)
    check_enough(outcomes.rows, outcomes.other + outcomes.nameless)
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
    judge = Judge(learn(outcomes.rows, columns), sorted(offered.sizes), sorted(aimed.sizes))
    each = max(1, budget // STEPS) if step is None else step
    chosen = best(judge.means, offered.sizes, budget, step=each, seed=seed, progress=progress)
    asked = {
        "polymux": __version__,
        "model": model.path,
        "paths": [str(path) for path in results],
        "source": place_of(source),
        "target": place_of(target),
        "sizes": None if sizes is None else str(sizes),
        "distances": None if distances is None else str(distances),
        "budget": budget,
        "step": each,
        "seed": seed,
    }
    return Plan(chosen.counts, asked | grounds(outcomes, judge, chosen, budget, offered, aimed))


def _refuse_unwritable(offered: Texts) -> None:
    """A plan file is read line by line, names without the white space around them."""
    for name in offered.sizes:
        if name != name.strip() or len(name.splitlines()) > 1:
            raise UsageError(
                f"a plan cannot hold the language {name!r}",
                "rename it: no white space at its ends, no line break in it",
            )
