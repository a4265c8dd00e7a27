"""`polymux select --dry-run`: what it would take, before; how near that was, afterwards."""

from __future__ import annotations

import json as js
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polymux.cli.output import print_json, progress, tell


def stop_at_estimate(
    model: Any,
    source: Any,
    target: Any,
    out: Path,
    job: Mapping[str, Any],
    store: Path | None,
    *,
    json: bool,
) -> None:
    """Estimate a job, write that and nothing else into `out`, print it."""
    from polymux.cli.inputs import tell_notes
    from polymux.folders import ESTIMATE, write_texts
    from polymux.prescribe.estimate import estimate

    with progress() as show:
        made = estimate(model, source, target, **job, store=store, progress=show)
    record = made.record()
    text = js.dumps(record, ensure_ascii=False, indent=2) + "\n"
    write_texts(out, {ESTIMATE: lambda: [text]}, force=True)
    if json:
        print_json(record)
        return
    for pool in (source, target):
        tell_notes(pool)
    _print(record)
    print(f"  {out / ESTIMATE}")


def _print(record: Mapping[str, Any]) -> None:
    print(f"{'':16}{'examples':>12}{'in the store':>14}{'sub-words':>14}{'time':>10}")
    seconds = dict(record["seconds"])
    for name, pool in record["pools"].items():
        spent = seconds.pop(f"encode {name}")
        row = f"{pool['examples']:>12,}{pool['stored']:>14,}{pool['tokens']:>14,}"
        print(f"{name:16}{row}{duration(spent):>10}")
    for stage, spent in seconds.items():
        print(f"{stage:16}{duration(spent):>50}")
    print(f"{'all':16}{record['tokens']:>40,}{duration(record['total_seconds']):>10}")
    if record["job"]["screen"] != "off":
        tell("the screen is reckoned in, but not what is then decided in float32")
    tried = record["sampled"]
    tell(
        f"from {tried['examples']:,} examples encoded in {tried['seconds']:.0f} s; duplicates are "
        "not known yet"
    )
    print(f"disk {record['disk_mb']:,.0f} MB, memory {record['peak_memory_mb']:,.0f} MB")
    for proposal in record["proposals"]:
        print(f"cheaper: {proposal}")


def compare(estimates: Sequence[Mapping[str, Any] | None]) -> None:
    """Say how near an estimate was, where there was one; the last choice made knows all seconds."""
    for told in filter(None, estimates[:1]):
        said = told["estimated"]["total_seconds"]
        was = max(each["true"]["total_seconds"] for each in estimates if each)
        tell(f"estimated {duration(said)}, took {duration(was)}")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
