"""`polymux verify`: a choice made again, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell

# Differences shown of one choice; --json has them all.
SHOWN = 10
DIFFERS = 1


def verify_command(
    context: typer.Context,
    out: options.Past,
    model: options.ModelNow = None,
    source: options.SourcesNow = [],  # noqa: B006  (typer copies it)
    target: options.TargetsNow = [],  # noqa: B006
    gold: options.GoldNow = [],  # noqa: B006
    exclude: options.ExcludeNow = [],  # noqa: B006
    allow_changed: options.AllowChanged = False,
    device: options.OtherDevice = None,
    backend: options.OtherBackend = None,
    batch_tokens: options.OtherBatchTokens = None,
    dtype: options.OtherDtype = None,
    engine: options.Engine = "local",
    ray_address: options.RayAddress = None,
    workers: options.Workers = None,
    store: options.NoStore = "off",
    words: options.WordsAgain = None,
    offline: options.Offline = False,
    allow_pickle: options.AllowPickle = False,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Make a choice again from its selection.json: the same, the same up to a tie, or different.

    Exits with 0 for the same (up to a tie too), 1 for different, 2 if it cannot be made again.

    [dim]polymux verify chosen/ --batch-tokens 256[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.prescribe.verify import DIFFERENT, verify

    with progress() as show:
        verdict = verify(
            out,
            model=model,
            source=source or None,
            target=target or None,
            gold=gold or None,
            exclude=[[path] for path in exclude] or None,
            device=device,
            backend=backend,
            dtype=dtype,
            batch_tokens=batch_tokens,
            engine=engine,
            ray_address=ray_address,
            workers=workers,
            words=words,
            allow_changed=allow_changed,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
            offline=offline,
            store=None if store == "off" else Path(store),
            progress=show,
        )
    if json:
        print_json({"verdict": verdict.verdict, "choices": [_record(c) for c in verdict.choices]})
    else:
        for choice in verdict.choices:
            _print(choice)
    for note in dict.fromkeys(note for choice in verdict.choices for note in choice.notes):
        tell(f"note: {note}")
    if verdict.verdict == DIFFERENT:
        raise typer.Exit(DIFFERS)


def _record(choice: Any) -> dict[str, Any]:
    return {**asdict(choice), "verdict": choice.verdict, "comparisons": choice.comparisons}


def _print(choice: Any) -> None:
    """One line, the ties by name, the differences as a short table."""
    print(f"{choice.strategy}/{choice.budget}: {choice.verdict}")
    for name in choice.comparisons:
        gaps = [tie.gap for tie in choice.ties if tie.comparison == name]
        allowed = max(tie.tolerance for tie in choice.ties if tie.comparison == name)
        print(f"  {name}: {len(gaps)}, at most {max(gaps):.2g} apart (tolerance {allowed:.2g})")
    if choice.differences:
        for line in _table(choice.differences[:SHOWN]):
            print(f"  {line}".rstrip())
    if len(choice.differences) > SHOWN:
        print(f"  and {len(choice.differences) - SHOWN:,} more (--json has them all)")


def _table(differences: Sequence[Any]) -> Iterator[str]:
    """Aligned columns."""
    rows = [("id", "rank then", "now", "key", "gap", "tolerance", "comparison")]
    rows += [
        (
            d.id or "",
            str(d.rank_then or "-"),
            str(d.rank_now or "-"),
            *("-" if n is None else f"{n:.6g}" for n in (d.key, d.gap, d.tolerance)),
            d.comparison,
        )
        for d in differences
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


COMMANDS: dict[str, Callable[..., None]] = {"verify": verify_command}
