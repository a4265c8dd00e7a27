"""Options that say by which rule a choice is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from polymux.cli.options import RUNNING

CHOOSING = "How to choose"

Budgets = Annotated[
    str, typer.Option("--budget", metavar="N[,N...]", help="How many examples to choose.")
]
Strategies = Annotated[
    str, typer.Option("--strategy", metavar="NAME[,NAME...]", help="Rules by name, or auto.")
]
ExcludeTarget = Annotated[
    bool,
    typer.Option(
        "--exclude-target",
        help="Leave out what stands in the target too.",
        rich_help_panel=CHOOSING,
    ),
]
Uncertainty = Annotated[
    str | None,
    typer.Option(
        "--uncertainty",
        metavar="NAME",
        help="The measure that decides.",
        rich_help_panel=CHOOSING,
    ),
]
Gold = Annotated[
    list[str],
    typer.Option(
        "--gold",
        metavar="PATH",
        help="The labelled-language pool of `gold`.",
        rich_help_panel=CHOOSING,
    ),
]
Like = Annotated[
    Path | None,
    typer.Option(
        "--like",
        metavar="OUT",
        help="The choice `same-distribution` copies.",
        rich_help_panel=CHOOSING,
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="CSV language,count of `plan`.", rich_help_panel=CHOOSING
    ),
]
Distance = Annotated[
    Literal["l2", "cosine"],
    typer.Option("--distance", help="How far two embeddings are.", rich_help_panel=CHOOSING),
]
Average = Annotated[
    Literal["mean", "macro"],
    typer.Option(
        "--average",
        help="average-dist: over examples, or per language first.",
        rich_help_panel=CHOOSING,
    ),
]
FirstK = Annotated[
    int, typer.Option("--k", help="knn-uncertainty: the first k.", rich_help_panel=CHOOSING)
]
Candidates = Annotated[
    float | None,
    typer.Option(
        "--candidates",
        metavar="C",
        help="knn-uncertainty: smallest k that reaches C budgets.",
        rich_help_panel=CHOOSING,
    ),
]
Ratio = Annotated[
    float,
    typer.Option(
        "--ratio",
        help="uncertainty-knn: budgets of least sure looked at.",
        rich_help_panel=CHOOSING,
    ),
]
NearDuplicates = Annotated[
    float | None,
    typer.Option(
        "--near-duplicates",
        metavar="X",
        help="Pass over what is nearer than X.",
        rich_help_panel=CHOOSING,
    ),
]
Preset = Annotated[
    Literal["released-code"] | None,
    typer.Option(
        "--preset", help="As the paper's released code reads it.", rich_help_panel=CHOOSING
    ),
]
Aggregate = Annotated[
    Literal["joint", "surest", "mean", "worst"] | None,
    typer.Option(
        "--aggregate",
        help="How the windows of a long context become one (joint).",
        rich_help_panel=RUNNING,
    ),
]
