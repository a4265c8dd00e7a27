"""PARTS: every benchmark by name, what it tells, and the function that measures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from figures import Row


@dataclass(frozen=True, slots=True)
class Given:
    """What was asked on the command line, for the parts that ask."""

    quick: bool
    repeats: int
    literal_share: float
    million: bool
    work: Path
    """Where models stay, so that they are made once."""


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark."""

    about: str
    rows: Callable[[Given], Iterable[Row]]
    is_usual: bool = True
    """Whether it runs where no part is named."""


def _module(name: str) -> Any:
    """A part's module; it and all that it needs is imported only where it measures."""
    if not (Path(__file__).parent / f"{name}.py").exists():
        sys.exit(f"there is no benchmarks/{name}.py")
    return import_module(name)


def _end_to_end(given: Given) -> Iterable[Row]:
    rows: Iterable[Row] = _module("end_to_end").rows(
        quick=given.quick,
        work=given.work,
        repeats=given.repeats,
        literal_share=given.literal_share,
    )
    return rows


def _flops(given: Given) -> Iterable[Row]:
    rows: Iterable[Row] = _module("flops").rows(
        quick=given.quick, work=given.work, repeats=given.repeats
    )
    return rows


def _by_size(name: str) -> Callable[[Given], Iterable[Row]]:
    """A part that may go up to a million examples."""

    def call(given: Given) -> Iterable[Row]:
        rows: Iterable[Row] = _module(name).rows(quick=given.quick, million=given.million)
        return rows

    return call


def _with_models(name: str) -> Callable[[Given], Iterable[Row]]:
    """A part that makes models, and keeps them."""

    def call(given: Given) -> Iterable[Row]:
        rows: Iterable[Row] = _module(name).rows(quick=given.quick, work=given.work)
        return rows

    return call


def _choosing(given: Given) -> Iterator[Row]:
    """Steps by size; the figures are about 100,000 examples."""
    sizes = (10_000, 100_000, 1_000_000) if given.million else (10_000, 100_000)
    found = list(_module("choosing").rows(quick=given.quick, sizes=sizes, repeat=given.repeats))
    asked = 5_000 if given.quick else 100_000
    seconds = {(row["size"], row["what"]): row["seconds"] for row in found}
    for row in found:
        yield Row(f"{row['size']:,}: {row['what']}", (row["seconds"],), "s", row["note"])
    for (size, what), spent in seconds.items():
        if what.startswith("polymux, ") and not what.endswith("nearest"):
            over = spent / seconds[size, "bare product"]
            figure = "choosing-gemm" if size == asked else None
            yield Row(f"{size:,}: {what}, over the bare product", (over,), "x", figure=figure)
        if size == asked and what.endswith("nearest") and not what.startswith("polymux"):
            ours = f"polymux, {what.rpartition(', ')[2]}"
            yield Row(
                f"{size:,}: {ours} against {what}",
                (spent / seconds[size, ours],),
                "x",
                figure="knn-sklearn" if what.startswith("scikit-learn") else "knn-faiss",
            )


def _tuned(given: Given) -> str:
    return str(_module("networks").fine_tuned("2x64" if given.quick else "6x256", given.work))


def _store(given: Given) -> Iterator[Row]:
    """What a filled store saves: commands by the clock on the wall, and inside `select_many`."""
    sizes = {"count": 600, "layers": 2, "width": 64} if given.quick else {}
    found = {row.what: row for row in _module("store").measured(_module("corpora").data(), **sizes)}
    for row in found.values():
        yield Row(row.what, (row.seconds,), "s", f"{row.cpu:.2f} s of processor time")
        if row.inside is not None:
            yield Row(f"{row.what}: inside select_many", (row.inside,), "s")
    first, second = found["first"], found["second"]
    yield Row("second over first, whole commands", (second.seconds / first.seconds,), "share")
    yield Row("second over first", (second.inside / first.inside,), "share",
              "inside select_many: without imports", "second")  # fmt: skip


def _ray_workers(given: Given) -> Iterator[Row]:
    """This process against Ray's workers, which share its cores."""
    sizes = {"sentences": 300, "runs": 1} if given.quick else {"runs": given.repeats}
    found = _module("ray_workers").measure(**sizes)
    alone = found[0][-1]
    for engine, workers, start, spent in found:
        name = f"{engine}, {workers} worker{'s' if workers > 1 else ''}"
        yield Row(name, (spent,), "s", f"{start:.1f} s to start")
        if engine != "local":
            yield Row(f"{name}: against this process", (alone / spent,), "x")


def _dry_run(given: Given) -> Iterator[Row]:
    """What was said beside what then was true."""
    cap = 20 if given.quick else 300
    for row in _module("dry_run").measure(_tuned(given), _module("corpora").data(), cap):
        note = f"said {row['said']:,.0f}, true {row['true']:,.0f}"
        yield Row(f"{row['what']}: said over true", (row["ratio"],), "x", note)


def _distilling(given: Given) -> Iterable[Row]:
    rows: Iterable[Row] = _module("distilling").rows(quick=given.quick, repeats=given.repeats)
    return rows


def _prefilter(given: Given) -> Iterator[Row]:
    """The share of the full choice that is left, by what is kept of the pool."""
    cap = 20 if given.quick else 300
    for row in _module("prefilter").measure(_tuned(given), _module("corpora").data(), cap):
        what = f"{row['target']}, {100 * row['kept']:.3g} % kept, {row['strategy']}"
        yield Row(what, (row["recall"],), "share", f"{row['seconds']} s to narrow")


PARTS: dict[str, Part] = {
    "end_to_end": Part(
        "From a folder with a model and two files of sentences to the choice, loading included: "
        "12 x 768, 2,000 UD sentences of mixed languages, Urdu as the target.",
        _end_to_end,
    ),
    "kept": Part(
        "The share of the fp32 choice that screen and decide makes: fine-tuned models, "
        "6,000 UD sentences, budgets 100 and 1000.",
        _with_models("kept"),
    ),
    "flops": Part(
        "Useful GEMM FLOP/s of the encoder (real tokens only) against the peak measured between.",
        _flops,
    ),
    "choosing": Part(
        "The choosing step against scikit-learn, faiss and small-text, 1,000 targets, 768 "
        "dimensions; medians.",
        _choosing,
    ),
    "memory": Part(
        "Peak memory of `polymux select` by the size of the pool: 2 layers x 64, 500 targets.",
        _by_size("memory"),
    ),
    "growth": Part(
        "What work costs as it grows: pools, shards, rounds of a campaign, cells of an experiment; "
        "2 layers x 64.",
        _by_size("growth"),
    ),
    "store": Part("A second strategy and budget on a filled store, against the first.", _store),
    "killed": Part(
        "What `kill -9` in the middle of encoding costs the next run.", _with_models("killed")
    ),
    "ray_workers": Part(
        "The Ray engine by number of workers, which share this machine's cores.", _ray_workers
    ),
    "dry_run": Part("What `--dry-run` said, beside what then was true.", _dry_run),
    "prefilter": Part("The share of the full choice that `--prefilter` keeps.", _prefilter),
    "startup": Part("What a command costs besides encoding.", _with_models("startup")),
    "distilling": Part(
        "Tokens a second of `polymux distill`'s trainings: teachers live and cached against plain "
        "training, and one change after the other from the authors' shape; rows of 128.",
        _distilling,
    ),
    "gpu": Part("The 12 x 768 model on a CUDA device.", _with_models("gpu"), is_usual=False),
}
