"""The experiments that come along: each parses, and counts data that is laid out as on the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from polymux.experiments import planned
from polymux.experiments.pools import LANGUAGE
from polymux.experiments.settings import Experiment, presets, read_experiment

PAPER = sorted(name for name in presets() if name.startswith("paper/"))
LOCAL = sorted(name for name in presets() if name.startswith("local/"))
ROWS = 10


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLYMUX_DATA", "POLYMUX_ENCODER", "POLYMUX_OTHER"):
        monkeypatch.setenv(name, os.environ.get(name, "/nowhere"))


@pytest.mark.parametrize("name", sorted(presets()))
def test_it_says_what_can_be_run(name: str) -> None:
    told = read_experiment(name)
    assert told.name == name.split("/")[-1]
    assert {"random", "egalitarian", told.best} <= set(told.strategies)


def test_the_paper_is_there_as_it_was() -> None:
    main = {name: read_experiment(name) for name in PAPER if "low-budget" not in name}
    assert len(main) == 4
    for name, told in main.items():
        assert list(told.models) == ["XLM-R", "InfoXLM", "RemBERT"]
        assert list(told.configurations) == ["HP", "MP", "LP", "Geo", "LPP"]
        assert told.rounds
        assert told.budgets[-1] == (5_000 if "tydiqa" in name else 10_000)
        assert (told.choice_seeds, told.train_seeds) == ((2, 22, 42), (2, 22, 42))


# What a row of each data set holds, by the last part of its name.
def rows(task: str, language: str) -> dict[str, list[Any]]:
    texts = [f"{language} {number}" for number in range(ROWS)]
    if task == "token-classification":
        return {"tokens": [text.split() for text in texts], "tags": [[0, 1]] * ROWS}
    if task == "text-classification":
        return {"premise": texts, "hypothesis": texts[::-1], "label": [0, 1] * (ROWS // 2)}
    return {
        "id": [f"{language}-{number}-0" for number in range(ROWS)],
        "question": texts,
        "context": [f"{text} is here" for text in texts],
        "answers": [{"text": [language], "answer_start": [0]}] * ROWS,
    }


def table(task: str, path: str, languages: Iterable[str]) -> datasets.Dataset:
    """Rows of these languages, their classes numbered as on the hub."""
    parts = [rows(task, language) for language in languages]
    columns = {key: [value for part in parts for value in part[key]] for key in parts[0]}
    if task == "token-classification":
        name = "pos_tags" if "udpos" in path else "ner_tags"
        columns[name] = columns.pop("tags")
        classes = ["NOUN", "VERB"] if "udpos" in path else ["O", "B-PER"]
        inner = datasets.List(datasets.ClassLabel(names=classes))
        features = {"tokens": datasets.List(datasets.Value("string")), name: inner}
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    made = datasets.Dataset.from_dict(columns)
    if task == "text-classification":
        made = made.cast_column("label", datasets.ClassLabel(names=["entailment", "neutral"]))
    return made


def asked(told: Experiment) -> Iterator[tuple[str, list[str]]]:
    """Every PATH on the hub that an experiment reads, and the languages in it."""
    data = told.data
    named = {one: data.names.get(one, one) for one in (*data.languages, "th")}
    for pattern in (data.train, data.target, data.test):
        if pattern is not None and LANGUAGE in pattern:
            yield from ((pattern.replace(LANGUAGE, name), [name]) for name in named.values())
        elif pattern is not None:
            yield pattern, list(named.values())
    for model in told.models.values():
        yield from ((path, ["english"]) for path in model.train)


def write_hub(folder: Path, told: Experiment) -> None:
    """Folders OWNER/NAME with a card that names a file a configuration and split."""
    cards: dict[Path, dict[str, dict[str, str]]] = {}
    for path, languages in asked(told):
        name, _, split = path.removeprefix("hf://").partition(":")
        owner, repository, *rest = name.split("/")
        place, config = folder / owner / repository, "".join(rest) or "default"
        file = place / config / f"{split}.parquet"
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        table(told.task, path, languages).to_parquet(file)
        cards.setdefault(place, {}).setdefault(config, {})[split] = f"{config}/{split}.parquet"
    for place, configs in cards.items():
        lines = ["---", "configs:"]
        for config, files in configs.items():
            lines += [f"- config_name: {config}", "  data_files:"]
            lines += [f"  - split: {s}\n    path: {path}" for s, path in files.items()]
        (place / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_experiments_count_data_laid_out_as_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    told = read_experiment(name)
    write_hub(tmp_path, told)
    monkeypatch.chdir(tmp_path)
    plan = planned(name)
    assert plan["start"] == dict.fromkeys(told.models, ROWS)
    each = len(told.strategies) * len(told.budgets) * len(told.train_seeds) * len(told.models)
    for key, configuration in told.configurations.items():
        counted = plan["configurations"][key]
        others = set(told.data.languages) - set(configuration.target)
        assert counted["trainings"] == each
        assert counted["source"] == ROWS * len(others)
        assert set(counted["test"]) == set(configuration.target)
        sample = ROWS if configuration.carved is None else round(ROWS * configuration.carved)
        assert counted["target"] == sample * len(configuration.target)


@pytest.mark.data
@pytest.mark.parametrize("name", LOCAL)
def test_the_local_experiments_count_the_corpora(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("POLYMUX_ENCODER", "POLYMUX_OTHER"):
        monkeypatch.setenv(variable, str(tmp_path))
    plan = planned(name)
    for told in plan["configurations"].values():
        assert told["source"] >= 100
        assert told["target"] >= 5
        assert min(told["test"].values()) >= 30
