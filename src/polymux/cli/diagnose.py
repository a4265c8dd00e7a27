"""`polymux diagnose`: what a model and two pools say before a label is bought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polymux.cli import options
from polymux.cli.output import print_json, printable, progress, refuse_leftovers, tell
from polymux.cli.store import store_folder

if TYPE_CHECKING:
    from polymux.diagnosis import Diagnosis, Finding
    from polymux.encoders import Model
    from polymux.records import Pool

# Target examples shown of one check; --json and --out have them all.
SHOWN = 5
# Characters shown of a text.
WIDTH = 72


def diagnose_command(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    source: options.Sources,
    target: options.Targets,
    budget: Annotated[
        int | None, typer.Option("--budget", metavar="N", help="How many labels you can buy.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where diagnosis.html and .json are written."),
    ] = None,
    seed: options.Seed = 0,
    language: options.Language = None,
    uncertainty: Annotated[
        str | None, typer.Option("--uncertainty", metavar="NAME", help="The measure of doubt.")
    ] = None,
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    batch_tokens: options.BatchTokens = None,
    dtype: options.Dtype = "float32",
    workers: options.Workers = None,
    engine: options.Engine = "local",
    store: options.Store = None,
    field: options.Fields = [],  # noqa: B006  (typer copies it)
    source_field: options.SourceFields = [],  # noqa: B006
    target_field: options.TargetFields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Look at a model and two pools before you spend: what is wrong with them, which strategy.

    [dim]polymux diagnose xlm-roberta-base-pos --task token-classification
    --source 'ud/*/train.conllu' --target mine.txt --budget 500[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools, tell_notes
    from polymux.diagnosis import PAGE, diagnose
    from polymux.folders import check_free

    if out is not None:
        check_free(out, force=force)

    pool = pools(
        field,
        task=task,
        language=language,
        format=format_,
        words=words,
        on_error=on_error,
        offline=offline,
    )
    source_pool = pool("source", source, source_field)
    target_pool = pool("target", target, target_field)
    start = loaded(
        model,
        task=task,
        device=device,
        max_length=max_length,
        stride=stride,
        batch_tokens=batch_tokens,
        dtype=dtype,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        offline=offline,
        backend=backend,
    )
    with progress() as show:
        found = diagnose(
            start,
            source_pool,
            target_pool,
            budget=budget,
            seed=seed,
            uncertainty=uncertainty,
            engine=engine,
            workers=workers,
            store=store_folder(store),
            spool=None if out is None else out.absolute().parent,
            progress=show,
        )
    if out is not None:
        found.write(out, force=force)
    if json:
        print_json(found.record)
        return
    _print(found)
    for read in (source_pool, target_pool):
        tell_notes(read)
    if out is not None:
        print(out / PAGE)


def _print(found: Diagnosis) -> None:
    from polymux.diagnosis import RULES

    pools = [found.about[name]["eligible"] for name in ("source", "target")]
    print(f"{'looked at':10} {pools[0]:,} examples of the pool, {pools[1]:,} of the target sample")
    for name, findings in found.findings.items():
        for finding in findings:
            _print_one(name, finding)
        for one in found.listed.get(name, ())[:SHOWN]:
            print(f"           {printable(one.id)}: {printable(one.text)[:WIDTH]} ({one.why})")
        more = len(found.listed.get(name, ())) - SHOWN
        if more > 0:
            print(f"           and {more:,} more (--out or --json has them all)")
    advice = found.recommendation
    pages = ", ".join(f"docs/{page}" for page in advice.evidence)
    print(f"{'strategy':10} {advice.strategy}: {advice.reason} ({pages})")
    warnings = len(found.of_level("warning"))
    tell(f"{warnings} warning{'s' * (warnings != 1)}")
    if warnings and not any(rule.measured for rule in RULES if rule.name == advice.rule):
        tell("the strategy rests on results for this task elsewhere, not on what was found here")


def _print_one(name: str, finding: Finding) -> None:
    mark = "" if finding.level == "good" else f"{finding.level}: "
    print(f"{name:10} {mark}{finding.says}")
    if finding.do:
        print(f"           -> {finding.do}")


def advised(
    seen: tuple[Model, Pool, Pool, Path | None],
    *,
    strategies: Sequence[str],
    budgets: Sequence[int],
    budget_in: str,
    **looking: Any,
) -> tuple[list[str], dict[str, Any] | None]:
    """The strategies with `auto` resolved, and the record of why; `seen`: model, pools, store."""
    from polymux.diagnosis import advise, diagnose

    model, source, target, store = seen
    names, advice = advise(
        strategies,
        budgets if budget_in == "examples" else [None],
        model.task,
        lambda: diagnose(model, source, target, store=store, **looking).facts,
    )
    return names, None if advice is None else advice.record


def tell_advice(told: Mapping[str, Any] | None) -> None:
    """Say what `auto` took, and why."""
    if told is not None:
        tell(f"auto: {told['strategy']}, because {told['reason']}")


COMMANDS: dict[str, Callable[..., None]] = {"diagnose": diagnose_command}
