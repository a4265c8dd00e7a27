"""From files to the choice: the literal procedure, every backend and screen, sentence-transformers.

Each contestant reads the same two files of sentences and the same model folder from the beginning,
its weights included, `repeats` times in turn, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import literal
import polymux as pm
from corpora import TASK, pools
from figures import Row
from machine import has_bfloat16
from networks import accuracy, fine_tuned, untrained
from polymux.prescribe import select_many
from polymux.prescribe.screen import calibrate, screening

BUDGET = 100
ALL = tuple(literal.CHOOSE)
LITERAL = "the literal procedure"
TUNED = "polymux, torch fp32, fine-tuned"
# Of a fine-tuned model: margins of random weights are all alike. Uncertainty is told as it comes.
DECIDED = ("average-dist", "knn-uncertainty", "uncertainty")
SCREENS = {"bfloat16": "bf16", "int8": "int8"}
# What a manifest says of a screen that is told here: how many examples both models read.
SAID = ("sampled", "decided", "rounds")
Chosen = dict[str, list[int]]
# What was chosen, and what there is to say of it.
Contestant = Callable[[], tuple[Chosen, str]]


def polymux(
    folder: Path, source: pm.Pool, target: pm.Pool, strategies: Sequence[str], **options: Any
) -> tuple[Chosen, str]:
    """Everything that `polymux select --store off` does but for writing files."""
    model = pm.Model(folder, task=TASK, backend=options.pop("backend", "torch"))
    if "alone" in options:
        model = low(model, options.pop("alone"), source)
    made = select_many(model, source, target, budgets=[BUDGET], strategies=strategies, **options)
    told = made[strategies[0], BUDGET].manifest.get("screen")
    note = ", ".join(f"{name} {told[name]}" for name in SAID if name in told) if told else ""
    return {name: made[name, BUDGET].rows for name in strategies}, note


def low(model: pm.Model, screen: str, source: pm.Pool) -> pm.Model:
    """The same model as a screen reads this pool, for a choice of its own."""
    reader = screening(model, screen, {}, only=False) or model
    calibrate(reader, source, 0)
    return reader


def missing(*, screen: str | None = None, backend: str | None = None) -> str:
    """Why this machine or installation cannot run it; empty where it can."""
    if screen == "bfloat16" and not has_bfloat16():
        return "the CPU has neither avx512_bf16 nor AMX"
    needs_openvino = backend == "openvino" or screen == "int8"
    if needs_openvino and ("openvino" not in pm.BACKENDS or find_spec("openvino") is None):
        return "openvino is not there"
    if screen == "int8" and find_spec("nncf") is None:
        return "nncf is not there"
    return ""


def encode(folder: Path, texts: Sequence[str], size: int) -> tuple[Chosen, str]:
    """sentence-transformers, mean pooling, the same weights and texts; it sorts by length too."""
    from sentence_transformers import SentenceTransformer

    from polymux.encoders.pytorch import quiet

    with quiet():
        model = SentenceTransformer(str(folder), device="cpu")
        model.max_seq_length = literal.LENGTH
        model.encode(list(texts), batch_size=size, show_progress_bar=False)
    return {}, ""


def to_the_letter(
    folder: Path, source: Sequence[pm.Example], target: Sequence[pm.Example]
) -> tuple[Chosen, str]:
    """The literal procedure, by all its strategies."""
    return literal.choose(folder, source, target, BUDGET), ""


class Clock:
    """Seconds of each contestant by round, and what it chose last."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.chosen: dict[str, Chosen] = {}
        self.notes: dict[str, str] = {}

    def run(self, name: str, contestant: Contestant, share: float = 1.0) -> None:
        """Time it once; where it read but a share of the pool, as if it had read all."""
        began = time.perf_counter()
        chosen, note = contestant()
        self.seconds.setdefault(name, []).append((time.perf_counter() - began) / share)
        if share == 1.0:
            self.chosen[name], self.notes[name] = chosen, note

    def times(self, slower: str, faster: str) -> tuple[float, ...]:
        """How many times as fast, round by round."""
        pairs = zip(self.seconds[slower], self.seconds[faster], strict=True)
        return tuple(a / b for a, b in pairs)


def contestants(
    folder: Path, source: pm.Pool, target: pm.Pool
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """On the untrained model: what can run here, and why the others cannot."""
    able: dict[str, Contestant] = {}
    unable: dict[str, str] = {}
    run = partial(polymux, folder, source, target)
    for backend in ("torch", "openvino"):
        name, why = f"polymux, {backend} fp32", missing(backend=backend)
        if why:
            unable[name] = why
        else:
            able[name] = partial(run, ALL, backend=backend)
    for screen, short in SCREENS.items():
        name, why = f"polymux, {short} screen alone", missing(screen=screen)
        if why:
            unable[name] = why
        else:
            able[name] = partial(run, ALL, alone=screen)
    texts = [" ".join(e.fields["tokens"]) for pool in (source, target) for e in pool]
    for size in (32, 64):
        name = f"sentence-transformers encode, batches of {size}"
        if find_spec("sentence_transformers") is None:
            unable[name] = "sentence-transformers is not there"
        else:
            able[name] = partial(encode, folder, texts, size)
    return able, unable


def deciders(
    folder: Path, source: pm.Pool, target: pm.Pool
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Screen and decide by the fine-tuned model, a strategy at a time."""
    able: dict[str, Contestant] = {}
    unable: dict[str, str] = {}
    for screen, short in SCREENS.items():
        for strategy in DECIDED:
            name = f"polymux, {short} screen and decide, {strategy}, fine-tuned"
            if why := missing(screen=screen):
                unable[name] = why
            else:
                able[name] = partial(polymux, folder, source, target, [strategy], screen=screen)
    return able, unable


def warm_up(folder: Path, work: Path) -> None:
    """Import what is imported at first use, with a few sentences."""
    source, target = pools(work / "warm", 8, 4)
    literal.choose(folder, list(source), list(target), 2)
    able, _ = contestants(folder, source, target)
    for contestant in able.values():
        contestant()


def rows(*, quick: bool, work: Path, repeats: int, literal_share: float) -> Iterator[Row]:
    """Seconds of every contestant, and how many times as fast as the literal procedure."""
    shape = "2x64" if quick else "12x768"
    source, target = pools(work, 200 if quick else 2000)
    folder = untrained(shape, work)
    tuned = fine_tuned(shape, work)
    yield Row(
        f"accuracy of the fine-tuned model, {shape}", (accuracy(tuned),), "share", "English, dev"
    )
    able, unable = contestants(folder, source, target)
    more, fewer = deciders(tuned, source, target)
    able |= more
    able[TUNED] = partial(polymux, tuned, source, target, ALL)
    warm_up(folder, work)
    clock = Clock()
    examples, aims = list(source), list(target)
    for repeat in range(repeats):
        share = literal_share if repeat else 1.0
        part = examples[: round(share * len(examples))]
        clock.run(LITERAL, partial(to_the_letter, folder, part, aims), share)
        for name, contestant in able.items():
            clock.run(name, contestant)
    note = "" if literal_share == 1 else f"the first whole, the others {literal_share:g} of it"
    yield Row(LITERAL, tuple(clock.seconds[LITERAL]), "s", note)
    for name in able:
        note = "; ".join(filter(None, [_same(name, clock), clock.notes[name]]))
        yield Row(name, tuple(clock.seconds[name]), "s", note)
    yield from _ratios(clock)
    for name, why in (unable | fewer).items():
        yield Row(name, (), "s", why, _figure_of(name))


def _same(name: str, clock: Clock) -> str:
    """How much of the fp32 choice on the same weights a contestant made."""
    chosen = clock.chosen[name]
    if not chosen:
        return ""
    against = TUNED if name.endswith("fine-tuned") else LITERAL
    shares = {
        strategy: len({*rows} & {*clock.chosen[against][strategy]}) / len(rows)
        for strategy, rows in chosen.items()
    }
    told = ", ".join(f"{strategy} {100 * share:.4g} %" for strategy, share in shares.items())
    return "" if name == against else f"of {against}'s choice: {told}"


def _figure_of(name: str) -> str | None:
    """The figure that a contestant answers."""
    screen = next((short for short in SCREENS.values() if f"{short} screen" in name), None)
    if name.endswith(" fp32"):
        return "fp32"
    if screen is not None and "alone" in name:
        return f"screen-{screen}"
    if screen is not None and name.endswith(", fine-tuned") and ", uncertainty," not in name:
        return f"decide-{screen}"
    return None


def _ratios(clock: Clock) -> Iterator[Row]:
    """Against the literal procedure and against sentence-transformers."""
    fastest = min(
        (name for name in clock.seconds if name.endswith(" fp32")),
        key=lambda name: sum(clock.seconds[name]),
    )
    for name in clock.seconds:
        if not name.startswith("polymux"):
            continue
        figure = _figure_of(name)
        yield Row(
            f"{name}: against the literal procedure",
            clock.times(LITERAL, name),
            "x",
            figure=None if figure == "fp32" and name != fastest else figure,
        )
    for name in (name for name in clock.seconds if name.endswith(" fp32")):
        for strategy, rows in clock.chosen[name].items():
            same = len({*rows} & {*clock.chosen[LITERAL][strategy]}) / len(rows)
            yield Row(f"{name}: the literal choice, {strategy}", (same,), "share",
                      figure="same-choice")  # fmt: skip
    yield from _against_encode(clock, fastest)


def _against_encode(clock: Clock, fastest: str) -> Iterator[Row]:
    """Choosing, whole, against the faster of sentence-transformers' two; it only encodes."""
    rivals = [name for name in clock.seconds if name.startswith("sentence-transformers")]
    screens = [name for name in clock.seconds if name.endswith("screen alone")]
    if not rivals:
        return
    rival = min(rivals, key=lambda name: sum(clock.seconds[name]))
    yield Row(f"{fastest}: against {rival}", clock.times(rival, fastest), "x", figure="encode-fp32")
    for name in screens:
        # The figure is about the screen that this machine would take.
        figure = "encode-screen" if name == screens[0] else None
        yield Row(f"{name}: against {rival}", clock.times(rival, name), "x", figure=figure)
