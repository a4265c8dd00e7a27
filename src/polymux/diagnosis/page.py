"""The page of a diagnosis, from what `diagnosis.json` says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from polymux.diagnosis.checks import CHECKS
from polymux.diagnosis.correlation import CLAIMED
from polymux.report.diagnosis import DiagnosisFacts, diagnosis


def page(record: Mapping[str, Any]) -> str:
    """What was found, as one self-contained HTML page."""
    checks = record["checks"]
    measured = {name: told["measured"] for name, told in checks.items()}
    curve = measured["correlation"]["curve"] if "correlation" in measured else []
    pools = measured["calibration"]["pools"] if "calibration" in measured else {}
    advice = record["recommendation"]
    facts: DiagnosisFacts = {
        "model": str(record["model"]["path"]),
        "task": record["task"],
        "budget": record["budget"],
        "target": record["target"]["eligible"],
        "pool": record["source"]["eligible"],
        "checks": [
            {
                "name": name,
                "asks": inspect.getdoc(CHECKS[name]) or "",
                "findings": told["findings"],
                "examples": told["examples"],
            }
            for name, told in checks.items()
        ],
        "correlation": [(one["k"], one["r"], one["low"], one["high"]) for one in curve],
        "claimed": CLAIMED,
        "reliability": {
            name: [(one["confidence"], one["accuracy"], one["n"]) for one in told["bins"]]
            for name, told in pools.items()
        },
        "strategy": advice["strategy"],
        "reason": advice["reason"],
        "evidence": advice["evidence"],
    }
    return diagnosis(facts)
