"""`polymux select`: the main job from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from polymux.cli import limits, options, rules
from polymux.cli.diagnose import advised, tell_advice
from polymux.cli.dry_run import compare, stop_at_estimate
from polymux.cli.output import print_json, progress, refuse_leftovers, say, tell
from polymux.cli.store import store_folder
from polymux.errors import UsageError


def select(
    context: typer.Context,
    model: options.ModelPath,
    task: options.Task,
    source: options.Sources,
    target: options.Targets,
    budget: rules.Budgets,
    out: options.Out,
    strategy: rules.Strategies = "knn-uncertainty",
    seed: options.Seed = 0,
    exclude: options.Exclude = [],  # noqa: B006  (typer copies it)
    exclude_target: rules.ExcludeTarget = False,
    language: options.Language = None,
    uncertainty: rules.Uncertainty = None,
    gold: rules.Gold = [],  # noqa: B006
    like: rules.Like = None,
    plan: rules.Plan = None,
    distance: rules.Distance = "l2",
    average: rules.Average = "mean",
    k: rules.FirstK = 1,
    candidates: rules.Candidates = None,
    ratio: rules.Ratio = 10.0,
    near_duplicates: rules.NearDuplicates = None,
    budget_in: limits.BudgetIn = "examples",
    rate: limits.Rates = [],  # noqa: B006
    per: limits.Per = "token",
    at_least: limits.AtLeast = [],  # noqa: B006
    at_most: limits.AtMost = [],  # noqa: B006
    without: limits.Without = [],  # noqa: B006
    one_of: limits.OneOf = None,
    preset: rules.Preset = None,
    prefilter: options.Prefilter = None,
    prefilter_sample: options.PrefilterSample = None,
    max_length: options.MaxLength = None,
    stride: options.Stride = None,
    aggregate: rules.Aggregate = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    batch_tokens: options.BatchTokens = None,
    dtype: options.Dtype = "float32",
    screen: options.Screen = "off",
    screen_only: options.ScreenOnly = False,
    engine: options.Engine = "local",
    ray_address: options.RayAddress = None,
    workers: options.Workers = None,
    store: options.Store = None,
    store_dtype: options.StoreDtype = "float32",
    field: options.Fields = [],  # noqa: B006
    source_field: options.SourceFields = [],  # noqa: B006
    target_field: options.TargetFields = [],  # noqa: B006
    format_: options.Format = None,
    words: options.Words = None,
    on_error: options.OnError = "stop",
    force: options.Force = False,
    dry_run: options.DryRun = False,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Choose which examples of a pool to label, for a small unlabelled sample of what matters.

    [dim]polymux select xlm-roberta-base-pos --task token-classification
    --source 'ud/*/train.conllu' --target mine.txt --budget 500 --out chosen/[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.cli.inputs import loaded, pools
    from polymux.folders import check_free, claimed
    from polymux.prescribe import PRESETS, select_many
    from polymux.prescribe.estimate import job_of, left_in

    budgets, strategies = _numbers(budget), _names(strategy)
    bought = limits.budgeting(budget_in, rate, per, at_least, at_most, without, one_of)
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
        aggregate=aggregate or (PRESETS[preset].aggregate if preset else "joint"),
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        offline=offline,
        backend=backend,
    )
    gold_pool = pool("gold", gold) if gold else None
    strategies, auto = advised(
        (start, source_pool, target_pool, store_folder(store)),
        strategies=strategies,
        budgets=budgets,
        budget_in=budget_in,
        seed=seed,
        uncertainty=uncertainty,
    )
    costs = {name: bought.pop(name) for name in ("budget_in", "rates", "per")}
    job: dict[str, Any] = {
        "budgets": budgets,
        "strategies": strategies,
        "gold": gold_pool,
        "prefilter": prefilter,
        "prefilter_sample": prefilter_sample,
        "screen": screen,
        "store_dtype": store_dtype,
        **costs,
    }
    if dry_run:
        stop_at_estimate(
            start,
            source_pool,
            target_pool,
            out,
            {**job, "workers": _at_once(workers, device), "seed": seed},
            store_folder(store),
            json=json,
        )
        return
    with claimed(out), progress() as show:
        made = select_many(
            start,
            source_pool,
            target_pool,
            **job,
            estimated=left_in(out, job_of(start, source_pool, target_pool, **job)),
            seed=seed,
            uncertainty=uncertainty,
            exclude=[pool("exclude", [path]) for path in exclude],
            exclude_target=exclude_target,
            like=like,
            plan=plan,
            distance=distance,
            average=average,
            k=k,
            candidates=candidates,
            ratio=ratio,
            near_duplicates=near_duplicates,
            **bought,
            preset=preset,
            auto=auto,
            screen_only=screen_only,
            engine=engine,
            ray_address=ray_address,
            workers=workers,
            store=store_folder(store),
            spool=out.absolute().parent,
            progress=show,
        )
        _write(made, out, force=force)
    _print(made, out, json=json)


def _at_once(workers: int | None, device: str) -> int:
    """Processes that make encoding as many times as fast: cores are shared, GPUs are fed."""
    return workers or 1 if device == "cuda" else 1


def _numbers(budget: str) -> list[int]:
    parts = [part.strip() for part in budget.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(
            f"--budget {budget}: not a number of examples",
            "give a whole number above 0, or several with commas: --budget 100,1000",
        )
    return sorted({int(part) for part in parts})


def _names(strategy: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in strategy.split(",")))


def _write(made: Any, out: Path, *, force: bool) -> None:
    from polymux.folders import write_texts
    from polymux.prescribe.summary import summary_files

    if len(made) == 1:
        next(iter(made.values())).write(out, force=force)
    else:
        write_texts(out, summary_files(made), force=force)


def _print(made: Any, out: Path, *, json: bool) -> None:
    if json:
        print_json([choice.manifest for choice in made.values()])
        return
    for (strategy, budget), choice in made.items():
        tell_advice(choice.manifest["auto"])
        place = out if len(made) == 1 else out / strategy / str(budget)
        languages = choice.manifest["languages"]
        counts = (
            ", ".join(f"{name or '?'} {n}" for name, n in languages["chosen"].items())
            if languages
            else ""
        )
        say(f"{strategy}: {len(choice):,} examples" + (f" ({counts})" if counts else ""))
        print(f"  {place / 'to_label.jsonl'}")
    first = next(iter(made.values()))
    for warning in dict.fromkeys(
        w for choice in made.values() for w in choice.manifest["warnings"]
    ):
        tell(f"warning: {warning}")
    narrowed = first.manifest["prefilter"]
    if narrowed is not None:
        kept, read = narrowed["kept"], narrowed["read"]
        left = narrowed["duplicates"]
        tell(
            f"prefilter: kept {kept:,} of {read:,} ({left:,} duplicates left out) in "
            f"{narrowed['seconds']:,.0f} s"
        )
    for pool in ("source", "target"):
        facts = first.manifest[pool]
        tell(f"{pool}: {facts['read']:,} read, {facts['duplicates']:,} duplicates left out")
        for note in facts["notes"]:
            tell(f"{pool}: {note}")
    compare([choice.manifest["estimate"] for choice in made.values()])
    card = out if len(made) == 1 else out / "summary.md"
    print(f"  {card / 'report.html' if len(made) == 1 else card}")


COMMANDS: dict[str, Callable[..., None]] = {"select": select}
