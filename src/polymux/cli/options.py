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
Run = Annotated[Path, typer.Argument(metavar="RUN", help="The campaign's folder.")]
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
    Literal["auto", "torch", "openvino"],
    typer.Option(
        "--backend",
        help="What runs the model; auto tries once what is fastest here.",
        rich_help_panel=RUNNING,
    ),
]
Screen = Annotated[
    Literal["off", "auto", "bfloat16", "float16", "int8"],
    typer.Option(
        "--screen",
        help="Read the pool in low precision, then decide near the cut in full.",
        rich_help_panel=RUNNING,
    ),
]
ScreenOnly = Annotated[
    bool,
    typer.Option(
        "--screen-only",
        help="Decide nothing again; say what share is kept on a sample.",
        rich_help_panel=RUNNING,
    ),
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine", help="Who encodes: this machine, or Ray's workers.", rich_help_panel=RUNNING
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="The Ray cluster (without it, Ray on this machine).",
        rich_help_panel=RUNNING,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="How many processes read (local: 1; ray: one a GPU, or for four cores).",
        rich_help_panel=RUNNING,
    ),
]
Past = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="What select wrote: one choice, or STRATEGY/BUDGET/ of it."),
]
ModelNow = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Where the model stands now."),
]
SourcesNow = Annotated[
    list[str],
    typer.Option("--source", metavar="PATH", help="Where the source stands now. Repeats."),
]
TargetsNow = Annotated[
    list[str],
    typer.Option("--target", metavar="PATH", help="Where the target sample stands now. Repeats."),
]
GoldNow = Annotated[
    list[str],
    typer.Option("--gold", metavar="PATH", help="Where the pool of `gold` stands now. Repeats."),
]
ExcludeNow = Annotated[
    list[str],
    typer.Option(
        "--exclude", metavar="PATH", help="Where what was excluded stands now, each. Repeats."
    ),
]
AllowChanged = Annotated[
    bool,
    typer.Option("--allow-changed", help="Compare even if model or files are not what they were."),
]
WordsAgain = Annotated[
    str | None,
    typer.Option(
        "--words",
        metavar="MODULE:FUNCTION",
        help="The function that split texts, given again: it is code to run.",
        rich_help_panel=SAFETY,
    ),
]
OtherDevice = Annotated[
    Literal["auto", "cpu", "cuda"] | None,
    typer.Option("--device", help="Where to run (as then).", rich_help_panel=RUNNING),
]
OtherBackend = Annotated[
    Literal["auto", "torch", "openvino"] | None,
    typer.Option("--backend", help="What runs the model (as then).", rich_help_panel=RUNNING),
]
OtherDtype = Annotated[
    Literal["float32", "bfloat16", "float16"] | None,
    typer.Option("--dtype", help="Precision of the model (as then).", rich_help_panel=RUNNING),
]
OtherBatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens",
        help="Sub-words in a batch (as then, unless --device is given).",
        rich_help_panel=RUNNING,
    ),
]
NoStore = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="DIR|off",
        help="Where encodings are kept; those in DIR are believed.",
        rich_help_panel=RUNNING,
    ),
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
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="DIR|off",
        help="Where encodings are kept for next time (the user's cache).",
        rich_help_panel=RUNNING,
    ),
]
StoreDtype = Annotated[
    Literal["float32", "float16"],
    typer.Option(
        "--store-dtype",
        help="How embeddings are kept; float16 takes half the disk.",
        rich_help_panel=RUNNING,
    ),
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
