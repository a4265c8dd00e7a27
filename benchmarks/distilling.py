"""What a student costs: teachers live and cached against plain training, and the authors' shape.

    POLYMUX_DATA=CORPORA python benchmarks/run.py distilling

Every row is a training of the product's own loop on real text; seconds an update are medians, and
ratios are between trainings that took turns.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from corpora import data
from figures import Row
from polymux.distill.learning import network
from polymux.distill.learning.cached import read_cache, write_cache
from polymux.distill.learning.masking import Masking, collate
from polymux.distill.learning.teachers import Live, Teaching
from polymux.distill.learning.training import Lesson
from polymux.distill.text.blocks import Block, Rows, stream_of
from polymux.distill.text.sampling import Draw, all_data
from polymux.distill.text.tokenizer import train_tokenizer
from polymux.encoders.probe import has_bfloat16
from polymux.readers import read
from polymux.train import Recipe, fit

LANGUAGES = ("te", "ur", "ru", "de")
LINES = 2500
LENGTH = 128
VOCABULARY = 16_000
# The shape that the method's authors used elsewhere, its vocabulary and its batch.
AUTHORS = {
    "num_hidden_layers": 6,
    "hidden_size": 512,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Text that is cut, and what it is cut with."""

    tokenizer: Any
    packed: Mapping[str, Rows]
    lines: Mapping[str, Rows]

    def masking(self, repeats_after: int = 0) -> Masking:
        """As in pre-training."""
        made = self.tokenizer
        special = frozenset(made.all_special_ids)
        return Masking(
            0.3, made.mask_token_id, made.pad_token_id, special, 1, repeats_after=repeats_after
        )


def ground() -> Ground:
    """Some thousand lines of four languages."""
    texts = {}
    for language in LANGUAGES:
        path = data() / "text" / f"{language}.txt.xz"
        pool = read(str(path), task="text-classification", name="text")
        lines = (str(e.fields["text"]) for shard in pool.shards() for e in shard.examples)
        texts[language] = [line for line, _ in zip(lines, range(LINES), strict=False)]
    everything = [line for lines in texts.values() for line in lines]
    made = train_tokenizer(everything, kind="bpe", vocabulary=VOCABULARY, length=LENGTH)
    streams = {language: stream_of(lines, made, 1.0) for language, lines in texts.items()}

    def rows(*, packed: bool) -> dict[str, Rows]:
        return {
            language: Rows(s, len(s.ends), LENGTH, packed, made.cls_token_id, made.sep_token_id)
            for language, s in streams.items()
        }

    return Ground(made, rows(packed=True), rows(packed=False))


@dataclass(slots=True)
class Timed:
    """A training that can be gone on with, and what its updates took."""

    model: Any
    draw: Draw
    masking: Masking
    loss: Callable[[Any, Mapping[str, Tensor]], Tensor]
    recipe: Recipe
    rows_an_update: int

    def run(self) -> float:
        """Tokens of text a second: the median over updates but the first."""
        at: list[float] = []
        rows = self.draw.rows
        none: list[Block] = []
        fit(
            self.model,
            none,
            partial(collate, masking=self.masking, rows=rows),
            self.loss,
            self.recipe,
            units=lambda batch: len(batch["gold"]),
            drawn=self.draw,
            before=lambda update: at.append(time.perf_counter()),
            device="cpu",
        )
        at.append(time.perf_counter())
        tokens = sum(own.mean_tokens + 2 for own in rows) / len(rows) * self.rows_an_update
        return float(tokens / median(np.diff(at)[1:].tolist()))


def timed(
    model: Any,
    rows: Mapping[str, Rows],
    masking: Masking,
    loss: Any,
    *,
    rows_an_update: int,
    precision: str,
    updates: int,
) -> Timed:
    """A short training in the product's own loop."""
    phases = all_data(dict.fromkeys(rows, 1.0), 1.0, {}).phases
    draw = Draw.planned(rows, phases, updates=updates, rows_an_update=rows_an_update, seed=1)
    recipe = Recipe(
        lr=1e-4,
        batch_size=min(32, rows_an_update),
        steps=updates,
        weight_decay=0.1,
        clip=1.0,
        precision=precision,
    )
    return Timed(model, draw, masking, loss, recipe, rows_an_update)


def dense_loss(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy as transformers makes it: the head runs on every position."""
    labels = torch.full_like(batch["input_ids"], -100)
    labels[batch["row"], batch["place"]] = batch["gold"]
    inputs = {n: batch[n] for n in ("input_ids", "attention_mask") if n in batch}
    value: Tensor = model(**inputs, labels=labels).loss
    return value


def hard() -> Lesson:
    """True words only, the head on masked positions."""
    return Lesson(torch.zeros(len(LANGUAGES)))


def soft(teaching: Teaching) -> Lesson:
    """A teacher's words only."""
    return Lesson(torch.ones(len(LANGUAGES)), teaching=teaching)


def own_precision() -> str:
    """What `polymux distill` trains in on this machine."""
    return "bfloat16" if has_bfloat16("cpu") else "float32"


def small(made: Any, seed: int) -> Any:
    """The default shape."""
    settings = network.modernbert(6, 256, 4, 384)
    return network.new("modernbert", settings, made, LENGTH, seed=seed)


def teaching_rows(text: Ground, *, repeats: int, updates: int, rows: int) -> Iterator[Row]:
    """Plain, live and cached in turns: each repeat is one short training of each."""
    live = Live([small(text.tokenizer, seed) for seed in range(2, 2 + len(LANGUAGES))])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        few = {language: cut(own, rows * updates) for language, own in text.packed.items()}
        masking = text.masking(repeats_after=1)
        write_cache(
            place,
            live,
            list(few.values()),
            masking,
            kind="top-k",
            k=32,
            autocast=getattr(torch, own_precision()),
        )
        cache = read_cache(place)
        lessons = {
            "plain masked-LM": hard(),
            "student, live teachers of its size": soft(live),
            "student, cached teachers (top-32)": soft(cache),
        }
        speeds: dict[str, list[float]] = {name: [] for name in lessons}
        for _ in range(repeats):
            for name, lesson in lessons.items():
                run = timed(
                    small(text.tokenizer, 1),
                    few,
                    masking,
                    lesson,
                    rows_an_update=rows,
                    precision=own_precision(),
                    updates=updates,
                )
                speeds[name].append(run.run())
    for name, found in speeds.items():
        yield Row(f"6 x 256, 16k words, {own_precision()}: {name}", tuple(found), "tokens/s")
    plain = speeds["plain masked-LM"]
    for figure, (name, found) in zip(
        ("live-teachers", "cached-teachers"), list(speeds.items())[1:], strict=True
    ):
        ratios = tuple(a / b for a, b in zip(plain, found, strict=True))
        yield Row(f"{name}: times as long as plain", ratios, "x", figure=figure)


def cut(rows: Rows, most: int) -> Rows:
    """The first lines of a language that make about so many rows."""
    tokens = most * (rows.length - 2)
    lines = max(1, int(np.searchsorted(rows.stream.ends, tokens)))
    return Rows(rows.stream, lines, rows.length, rows.packed, rows.begin, rows.end)


def shape_rows(text: Ground, *, repeats: int, updates: int) -> Iterator[Row]:
    """From the authors' shape to ours at the same layers, one change a row."""
    steps: list[tuple[str, int, Any, str, Mapping[str, Rows], int]] = [
        ("a line a row, dense head, 100k words, fp32, 8 rows", 100_000, dense_loss, "float32",
         text.lines, 8),
        ("head on masked positions only", 100_000, hard(), "float32", text.lines, 8),
        ("and 16k words", VOCABULARY, hard(), "float32", text.lines, 8),
        (f"and {own_precision()}", VOCABULARY, hard(), own_precision(), text.lines, 8),
        ("and full rows (packing)", VOCABULARY, hard(), own_precision(), text.packed, 8),
        ("and 64 rows an update", VOCABULARY, hard(), own_precision(), text.packed, 64),
    ]  # fmt: skip
    first: list[float] = []
    for what, words, loss, precision, rows, count in steps:
        model = network.new("bert", AUTHORS | {"vocab_size": words}, text.tokenizer, LENGTH, seed=1)
        run = timed(
            model,
            rows,
            text.masking(),
            loss,
            rows_an_update=count,
            precision=precision,
            updates=updates,
        )
        speeds = [run.run() for _ in range(repeats)]
        first = first or speeds
        yield Row(f"BERT 6 x 512: {what}", tuple(speeds), "tokens/s")
        gained = tuple(a / b for a, b in zip(speeds, first, strict=True))
        is_last = what == steps[-1][0]
        yield Row(
            f"BERT 6 x 512: {what}, over the authors' shape",
            gained,
            "x",
            figure="authors-shape" if is_last else None,
        )


def rows(*, quick: bool, repeats: int) -> Iterator[Row]:
    """All rows of this part."""
    text = ground()
    yield from teaching_rows(
        text, repeats=1 if quick else repeats, updates=3 if quick else 8, rows=8 if quick else 64
    )
    yield from shape_rows(text, repeats=1 if quick else repeats, updates=3 if quick else 5)
