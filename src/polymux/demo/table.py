"""What the demo prints: scores on the targets, and the same by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import join
from statistics import fmean, stdev

from polymux.demo.corpus import Plan
from polymux.demo.job import FIELDS, TASKS, Outcome, Settings
from polymux.demo.utterances import language

UNTOUCHED = "untouched"


def rows(outcome: Outcome) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """For the untouched model and each strategy: scores of every training by language, and mean.

    In points of 100.
    """
    runs = {UNTOUCHED: (outcome.untouched,), **outcome.after}
    for strategy, trained in runs.items():
        by_language = {c: [100 * scores[c] for scores in trained] for c in outcome.untouched}
        mean = [100 * fmean(scores.values()) for scores in trained]
        yield strategy, {**by_language, "mean": mean}


def parts(plan: Plan, counts: Mapping[str, int]) -> str:
    """Who plays what: the labelled language, the source pool, the targets."""
    pool = ", ".join(f"{code} {counts[code]}" for code in plan.pool)
    targets = " and ".join(language(code).name for code in plan.targets)
    return (
        f"labelled: {counts[plan.start]} utterances in {language(plan.start).name}\n"
        f"source pool: {sum(counts[code] for code in plan.pool)} utterances in {len(plan.pool)} "
        f"languages ({pool})\n"
        f"target: {targets}, {plan.sample} unlabelled utterances each, "
        f"{plan.test} others to score\n"
    )


def markdown(outcomes: Mapping[str, Outcome], settings: Settings) -> str:
    """A table a task; the spread is the standard deviation over training seeds."""
    return "\n".join(_one(name, outcome, settings) for name, outcome in outcomes.items())


def _one(name: str, outcome: Outcome, settings: Settings) -> str:
    languages = [*outcome.untouched, "mean"]
    head = f"{name}: {outcome.score} x 100 on the target languages, {settings.budget} labels, "
    head += f"mean ± standard deviation of {len(settings.seeds)} trainings"
    cells = [["strategy", *languages, "languages chosen"]]
    for strategy, scores in rows(outcome):
        told = ", ".join(f"{c} {n}" for c, n in outcome.chosen.get(strategy, {}).items())
        cells.append([strategy, *(_cell(scores[c]) for c in languages), told])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    ruled = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:-1]), "-" * widths[-1]]
    return "\n".join([head, "", *(_line(r, widths) for r in [cells[0], ruled, *cells[1:]]), ""])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    inner = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
    return f"| {' | '.join([row[0].ljust(widths[0]), *inner, row[-1].ljust(widths[-1])])} |"


def _cell(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{fmean(values):.1f} ± {stdev(values):.1f}"


def commands(out: Path, name: str, settings: Settings, *, seed: int) -> tuple[str, ...]:
    """The main steps of one task on the command line, from the files that the demo wrote."""
    here, data = out / name, out / "data"
    task = ["--task", TASKS[name]]
    labels = [part for k, v in FIELDS[name].items() for part in ("--field", f"{k}={v}")]
    strategy = settings.strategies[0]
    start, better = str(here / "start-by-hand"), str(here / "better-by-hand")
    pool, sample, test = (str(data / "*" / f"{kind}.conll") for kind in ("pool", "sample", "test"))
    english = [str(data / settings.plan.start / "train.conll"), *labels]
    labelled = str(here / "labelled" / f"{strategy}.jsonl")
    by = ["--language", "folder", "--budget", str(settings.budget), "--strategy", strategy]
    draw, first = ["--seed", str(seed)], ["--seed", str(settings.seeds[0])]
    learn, further = settings.start.options, settings.further.options
    chosen = ["--out", str(here / "chosen-by-hand")]
    encoder, tested = str(out / "encoder"), ["--test", test, *labels, "--language", "folder"]
    steps = [
        ["train", encoder, *task, "--train", *english, *learn, *draw, "--out", start],
        ["select", start, *task, "--source", pool, "--target", sample, *by, *draw, *chosen],
        ["train", start, *task, "--train", labelled, *further, *first, "--out", better],
        ["evaluate", better, "--start", start, *task, *tested],
    ]
    return tuple(join(["polymux", *step]) for step in steps)
