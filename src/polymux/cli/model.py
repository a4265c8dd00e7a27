"""`polymux train | evaluate | predict`: what happens to a model, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell

if TYPE_CHECKING:
    from polymux.evaluate import Evaluation


def _paths(name: str, help_text: str) -> Any:
    return typer.Option(name, metavar="PATH", help=f"{help_text} Repeats.")


def train(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    train_paths: Annotated[list[str], _paths("--train", "Labelled examples.")],
    out: options.Out,
    dev: Annotated[
        list[str], _paths("--dev", "Labelled examples to score the finished model on.")
    ] = [],  # noqa: B006  (typer copies it)
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="The paper's settings, such as xlm-r/udpos."),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Learning rate at its highest.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Rows a batch.")] = None,
    accumulation: Annotated[
        int, typer.Option("--accumulation", metavar="N", help="Batches an update.")
    ] = 1,
    bucketed: Annotated[
        bool, typer.Option("--bucketed", help="Batches of like length: less padding, faster.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="All labels, one a line: a new head."),
    ] = None,
    seed: options.Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where this training was interrupted.")
    ] = False,
    tracker: Annotated[
        str | None,
        typer.Option(
            "--tracker", metavar="NAME[,NAME...]", help="tensorboard, wandb, ...: accelerate's."
        ),
    ] = None,
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    device: options.Device = "auto",
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Fine-tune a model on labelled examples; its head is made anew where it has none.

    [dim]polymux train xlm-roberta-base --task token-classification
    --train en/train.conllu --dev en/dev.conllu --out start/[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools
    from polymux.evaluate import evaluate as score
    from polymux.train import read_labels
    from polymux.train import train as run
    from polymux.train.job import Job

    read = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    pool, dev_pool = read("train", train_paths), read("dev", dev) if dev else None
    if not resume and Job(out, resume, force).checkpoint.is_dir():
        tell("a training that was interrupted is begun anew; --resume would go on with it")
    with progress() as show:
        trained = run(
            model,
            pool,
            out,
            preset=preset,
            epochs=epochs,
            lr=lr,
            batch_size=batch_size,
            accumulation=accumulation,
            bucketed=bucketed,
            labels=None if labels is None else read_labels(labels),
            seed=seed,
            resume=resume,
            trackers=tracker.split(",") if tracker else (),
            max_length=max_length,
            stride=128 if stride is None else stride,
            device=device,
            force=force,
            offline=offline,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
            progress=show,
        )
    tell(_told(trained.manifest))
    for note in trained.notes:
        tell(note)
    scored = None
    if dev_pool is not None:
        made = loaded(
            out,
            task=task,
            device=device,
            max_length=trained.manifest["max_length"],
            stride=trained.manifest["stride"],
            offline=offline,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
        )
        with progress() as show:
            scored = score(made, dev_pool, out=out / "dev", force=True, progress=show)
    if json:
        print_json({**trained.manifest, "dev": scored and scored.record})
        return
    if scored is not None:
        _table(scored)
    print(out)


def _told(manifest: Mapping[str, Any]) -> str:
    """One line on a training."""
    recipe, losses = manifest["recipe"], manifest["epoch_losses"]
    begun = f", the first {manifest['resumed_at']:,} before" if manifest["resumed_at"] else ""
    return (
        f"{manifest['examples']:,} examples, {manifest['updates']:,} updates{begun}; preset "
        f"{manifest['preset']}, lr {recipe['lr']:g}, batch {recipe['batch_size']}; loss "
        f"{losses[0]:.3f} to {losses[-1]:.3f}"
    )


def evaluate(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    test: Annotated[list[str], _paths("--test", "Labelled examples.")],
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="MODEL", help="The untouched model, scored beside it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where predictions and scores are written."),
    ] = None,
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    device: options.Device = "auto",
    batch_tokens: options.BatchTokens = None,
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Score a model on labelled examples, language by language.

    [dim]polymux evaluate better/ --start start/ --task token-classification
    --test 'test/*.conllu' --language file --out scores/[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools, tell_rejected
    from polymux.evaluate import evaluate as run

    load = partial(
        loaded,
        task=task,
        device=device,
        max_length=max_length,
        stride=stride,
        batch_tokens=batch_tokens,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    read = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    pool = read("test", test)
    beside = None if start is None else load(start)
    with progress() as show:
        scored = run(load(model), pool, start=beside, out=out, force=force, progress=show)
    tell_rejected(pool)
    if scored.strangers:
        named = ", ".join(f"{label!r} ({n:,})" for label, n in scored.strangers.items())
        tell(f"warning: labels that the model does not know, counted as wrong: {named}")
    if scored.unlabelled:
        tell(f"{scored.unlabelled:,} examples without a label were left out")
    if json:
        print_json(scored.record)
        return
    _table(scored)
    if out is not None:
        print(out / "predictions.jsonl")


def predict(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    input_paths: Annotated[list[str], _paths("--input", "Examples.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="JSON lines to write.")],
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    device: options.Device = "auto",
    batch_tokens: options.BatchTokens = None,
    language: options.Language = None,
    field: options.Fields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Write what a model says of examples, as a file that reads like a labelled one.

    [dim]polymux predict better/ --task token-classification
    --input new.txt --out predicted.jsonl[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools, tell_rejected
    from polymux.evaluate import predict as run

    read = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    pool = read("input", input_paths)
    told = loaded(
        model,
        task=task,
        device=device,
        max_length=max_length,
        stride=stride,
        batch_tokens=batch_tokens,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    with progress() as show:
        count = run(told, pool, out, force=force, progress=show)
    tell_rejected(pool)
    print(f"{count:,} predictions: {out}")


def _table(scored: Evaluation) -> None:
    """Scores in points of 100, a language a row; with a start model its main score beside them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("language", overflow="fold")
    heads = ["examples", *scored.average]
    if scored.start_languages is not None:
        heads += [f"start {scored.main}", "difference"]
    for head in heads:
        table.add_column(head, justify="right")
    for name, scores in scored.languages.items():
        start = None if scored.start_languages is None else scored.start_languages[name]
        table.add_row(name, f"{scored.examples[name]:,}", *_cells(scored, scores, start))
    if len(scored.languages) > 1:
        total = f"{sum(scored.examples.values()):,}"
        table.add_row("mean", total, *_cells(scored, scored.average, scored.start_average))
    width = None if Console().is_terminal else 200
    # What a file calls a language is no markup: it may be [/red] or :smile:.
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


def _cells(
    scored: Evaluation, scores: Mapping[str, float], start: Mapping[str, float] | None
) -> list[str]:
    cells = [f"{100 * scores[name]:.1f}" for name in scored.average]
    if start is not None:
        before = 100 * start[scored.main]
        cells += [f"{before:.1f}", f"{100 * scores[scored.main] - before:+.1f}"]
    return cells


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
}
