"""The figures that polymux means to reach, and what one measured row is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured, once a repeat; without values `note` says why it was not."""

    what: str
    values: tuple[float, ...]
    unit: str
    """s, x (how many times as fast), MiB, GFLOP/s, share, ..."""
    note: str = ""
    figure: str | None = None
    """The line of `FIGURES` that it answers; of several the worst counts."""

    @property
    def middle(self) -> float:
        """The median of the repeats."""
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is to be reached, at least and if all goes well."""

    about: str
    least: float
    aim: float
    unit: str
    is_ceiling: bool = False
    """Whether less is better."""

    def reached(self, value: float) -> str:
        """`aim`, `yes` or `no`."""
        sign = -1 if self.is_ceiling else 1
        if sign * value >= sign * self.aim:
            return "aim"
        return "yes" if sign * value >= sign * self.least else "no"

    def worst(self, rows: Sequence[Row]) -> Row:
        """The row that decides."""
        return (max if self.is_ceiling else min)(rows, key=lambda row: row.middle)


# By name, in the order of the table.
FIGURES: dict[str, Figure] = {
    "same-choice": Figure(
        "share of the literal procedure's choice that fp32 makes too", 1.0, 1.0, "share"
    ),
    "fp32": Figure("end to end against the literal procedure, fp32", 4.3, 5.5, "x"),
    "screen-bf16": Figure("bf16 screen alone against it", 14, 20, "x"),
    "screen-int8": Figure("int8 screen alone against it", 9, 14, "x"),
    "decide-bf16": Figure(
        "bf16 screen and decide, fine-tuned model, average-dist and knn-uncertainty", 9, 14, "x"
    ),
    "decide-int8": Figure(
        "int8 screen and decide, fine-tuned model, average-dist and knn-uncertainty", 6, 10, "x"
    ),
    "kept": Figure(
        "share of the fp32 choice after deciding, all strategies, budgets 100 and 1000",
        *(0.99, 1.0, "share"),
    ),
    "flops-fp32": Figure("useful encoder FLOP/s over the GEMM peak, fp32", 0.75, 0.9, "share"),
    "flops-bf16": Figure("useful encoder FLOP/s over the GEMM peak, bf16", 0.7, 0.85, "share"),
    "encode-fp32": Figure("against sentence-transformers' encode, fp32", 1.0, 1.15, "x"),
    "encode-screen": Figure("against sentence-transformers' encode, screen", 3, 4, "x"),
    "knn-sklearn": Figure("kNN step 100k x 1k against scikit-learn's brute force", 2.5, 4, "x"),
    "knn-faiss": Figure("kNN step 100k x 1k against faiss", 0.8, 1.2, "x"),
    "choosing-gemm": Figure(
        "choosing step over the bare blocked GEMM of its size", 1.5, 1.2, "x", is_ceiling=True
    ),
    "memory": Figure("peak memory, 1M examples over 10k", 1.3, 1.1, "x", is_ceiling=True),
    "second": Figure(
        "a second strategy or budget on a filled store, over the first", 0.05, 0.02, "share",
        is_ceiling=True,
    ),
    "killed": Figure("work lost by kill -9", 1, 1, "shards", is_ceiling=True),
    "help": Figure("polymux --help", 0.3, 0.15, "s", is_ceiling=True),
    "overhead": Figure("select besides encoding, 10k pool", 3, 1.5, "s", is_ceiling=True),
    "live-teachers": Figure(
        "a student with live teachers of its size, over plain masked-LM", 1.5, 1.35, "x",
        is_ceiling=True,
    ),
    "cached-teachers": Figure(
        "a student with cached teachers, over plain masked-LM", 1.1, 1.0, "x", is_ceiling=True
    ),
    "authors-shape": Figure(
        "tokens/s over the shape of the method's authors, equal layers", 10, 20, "x"
    ),
}  # fmt: skip
