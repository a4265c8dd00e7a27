"""What an experiment would do, counted without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polymux.experiments.pools import Corpora
from polymux.experiments.settings import folder_of, model_path, read_experiment


def planned(experiment: str | Path) -> dict[str, Any]:
    """What an experiment would do: its data is read and counted, no model runs.

    Raises:
        InputError: the file says what cannot be, or data or a model is not as it says.
    """
    told = read_experiment(experiment)
    corpora = Corpora(told, folder_of(experiment))
    models = {n: model_path(one.path, corpora.folder) for n, one in told.models.items()}
    configurations = {}
    for name in told.configurations:
        setting = corpora.setting(name)
        strategies = [s for s in told.strategies if setting.gold or told.rule(s).strategy != "gold"]
        size = sum(1 for _ in setting.source)
        configurations[name] = {
            "source": size,
            "source_languages": len({example.language for example in setting.source}),
            "target": setting.targets,
            "gold": sum(1 for _ in setting.gold or ()),
            "short": [n for n in told.budgets if n > size],
            "test": {language: len(some) for language, some in setting.tests.items()},
            "trainings": sum(len(told.pairs(one, setting.targets)) for one in strategies)
            * len(told.budgets)
            * len(told.models),
        }
    return {
        "experiment": told.name,
        "models": models,
        "start": {
            name: sum(1 for _ in corpora.start(name)) if model.train else 0
            for name, model in told.models.items()
        },
        "configurations": configurations,
        "trainings": sum(one["trainings"] for one in configurations.values()),
    }
