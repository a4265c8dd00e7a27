"""Every option once, as an Annotated alias; defaults live in the library functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

TaskName = Literal["token-classification", "text-classification", "question-answering"]

# The parts of a command's help.
READING, RUNNING, SAFETY = "How files are read", "How the model runs", "Network and safety"
HUGE = "When there is very much"

ModelPath = Annotated[str, typer.Argument(metavar="MODEL", help="A local folder or a hub name.")]
Task = Annotated[TaskName, typer.Option("--task", help="What is labelled.")]
Sources = Annotated[
    list[str],
    typer.Option(
        "--source",
        metavar="PATH",
        help="What may be labelled: file, folder, quoted glob or hf://name. Repeats.",
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target", metavar="PATH", help="Unlabelled examples of what you care about. Repeats."
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")]
Exclude = Annotated[
    list[str],
    typer.Option("--exclude", metavar="PATH", help="Examples that may not be chosen. Repeats."),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="FIELD|folder|file",
        help="Where an example's language is told.",
        rich_help_panel=READING,
    ),
]
Fields = Annotated[
    list[str],
    typer.Option(
        "--field",
        metavar="NAME=COLUMN",
        help="Which column holds a field. Repeats.",
        rich_help_panel=READING,
    ),
]
SourceFields = Annotated[
    list[str],
    typer.Option(
        "--source-field",
        metavar="NAME=COLUMN",
        help="--field of the source only.",
        rich_help_panel=READING,
    ),
]
TargetFields = Annotated[
    list[str],
    typer.Option(
        "--target-field",
        metavar="NAME=COLUMN",
        help="--field of the target only.",
        rich_help_panel=READING,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="Read every PATH as this format.", rich_help_panel=READING
    ),
]
Words = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="MODULE:FUNCTION",
        help="Splits plain text into words (token tasks).",
        rich_help_panel=READING,
    ),
]
OnError = Annotated[
    Literal["stop", "skip"],
    typer.Option(
        "--on-error",
        help="Stop at a bad line, or skip, count and record it.",
        rich_help_panel=READING,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Decides every random draw.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace the files polymux wrote into --out before.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        help="Sub-words read of an example (128; 256 for QA windows).",
        rich_help_panel=RUNNING,
    ),
]
Stride = Annotated[
    int | None,
    typer.Option("--stride", help="Sub-words two QA windows share (128).", rich_help_panel=RUNNING),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where to run.", rich_help_panel=RUNNING),
]
Backend = Annotated[
    Literal["auto", "torch"],
    typer.Option("--backend", help="What runs the model.", rich_help_panel=RUNNING),
]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens", help="Sub-words in a batch, padding counted.", rich_help_panel=RUNNING
    ),
]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16"],
    typer.Option("--dtype", help="Precision of the model.", rich_help_panel=RUNNING),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never touch a network.", rich_help_panel=SAFETY)
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle", help="Load pickled weights, which can run code.", rich_help_panel=SAFETY
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that comes with the model.", rich_help_panel=SAFETY
    ),
]
Prefilter = Annotated[
    int | None,
    typer.Option(
        "--prefilter",
        metavar="N",
        help="Let the model see only N source examples, those most like the target by sub-words.",
        rich_help_panel=HUGE,
    ),
]
PrefilterSample = Annotated[
    int | None,
    typer.Option(
        "--prefilter-sample",
        metavar="N",
        help="Examples encoded to measure what it loses (2,000 or four budgets; 0: none).",
        rich_help_panel=HUGE,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Estimate time, memory and disk from a small timed sample, write it, and stop.",
        rich_help_panel=HUGE,
    ),
]
