"""Results of an experiment that never ran: scores drawn from known truths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

TRUTHS = {"random": 0.40, "egalitarian": 0.42, "knn-uncertainty": 0.50, "average-dist": 0.43}


def write(
    folder: Path,
    *,
    truths: Mapping[str, float] = TRUTHS,
    untouched: float | None = 0.35,
    configs: Mapping[str, Sequence[str]] = {"LP": ["ur"], "Geo": ["te", "mr"]},
    budgets: Sequence[int] = (10, 100, 1000),
    choices: Sequence[int] = (2, 22, 42),
    trainings: Sequence[int] | None = None,
    per_label: float = 0.05,
    luck: float = 0.01,
    setting: str = "low-budget",
    task: str = "udpos",
    model: str = "small",
    examples: int = 100,
    counts: bool = True,
    seed: int = 0,
) -> Path:
    """A folder with `results.jsonl` and counts; a score rises by `per_label` each decade."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counts").mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    rounds = (0, *budgets) if setting == "rounds" else (0, budgets[0])

    def add(strategy: str, config: str, budget: int, seeds: tuple[Any, Any], truth: float) -> None:
        name = f"counts/{len(rows)}.npz"
        kept = {}
        for language in configs[config]:
            right = generator.binomial(10, np.clip(truth, 0, 1), size=examples)
            kept[language] = np.stack([right, np.full(examples, 10)], axis=1)
            score = float(right.sum() / (10 * examples))
            rows.append(
                {
                    "experiment": "world",
                    "model": model,
                    "task": task,
                    "config": config,
                    "setting": setting,
                    "strategy": strategy,
                    "budget": budget,
                    "choice_seed": seeds[0],
                    "train_seed": seeds[1],
                    "round": rounds.index(budget) if budget in rounds else 1,
                    "language": language,
                    "metric": "accuracy",
                    "score": score,
                    "scores": {"accuracy": score},
                    "examples": examples,
                    "labels": budget,
                    "chosen": {"hi": budget // 2, "fa": budget - budget // 2} if budget else {},
                    "seconds": {"choose": 0.1},
                    **({"counts": name} if counts else {}),
                }
            )
        np.savez(folder / name, **kept)

    for config in configs:
        if untouched is not None:
            add("untouched", config, 0, (None, None), untouched)
        for budget in budgets:
            for strategy, truth in truths.items():
                for choice in choices:
                    for training in trainings or [choice]:
                        drawn = truth + per_label * np.log10(budget) + generator.normal(0, luck)
                        add(strategy, config, budget, (choice, training), drawn)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "results.jsonl").write_text(text, encoding="utf-8")
    return folder
