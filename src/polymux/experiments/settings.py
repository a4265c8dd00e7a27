"""The file that describes an experiment: parsed once, checked whole, before anything is begun."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from polymux import selection, toml
from polymux.encoders.facts import may_be_on_hub
from polymux.errors import InputError, UsageError
from polymux.selection import find_strategy

# What models, configurations and variants are called: folders are named after them.
Name = Annotated[str, Field(pattern=r"^\w[\w.+ -]*$")]
# The start model as it is, in results and tables.
UNTOUCHED = "untouched"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Training(_Section):
    """How a model learns; what is not given is as `polymux train` has it."""

    preset: str | None = None
    epochs: int | None = Field(default=None, ge=1)
    lr: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    accumulation: int = Field(default=1, ge=1)
    bucketed: bool = False
    """Batches of rows of like length, which saves padding."""
    max_length: int | None = Field(default=None, ge=8)
    stride: int = Field(default=128, ge=0)


class Model(_Section):
    """A start model, or an encoder and what it is fine-tuned on first."""

    path: str
    """A folder, or a name on the hub."""
    train: tuple[str, ...] = ()
    """PATHs of the labelled start language (DeMuX 4: English); none: the model is ready."""
    seed: NonNegativeInt = 0
    """One start model for all seeds, as in the paper."""
    training: Training = Training()
    """On the start language."""
    further: Training | None = None
    """On choices, where this model needs other settings than the experiment's."""


class Data(_Section):
    """PATHs with {language} in them, the name of a language or what `names` calls it.

    Where `language` is a field, a PATH may hold all languages.
    """

    train: str
    """What may be chosen from."""
    target: str | None = None
    """The unlabelled target sample; none: configurations say how they come by theirs."""
    test: str
    """What every model is scored on, by language."""
    languages: tuple[str, ...] = ()
    """None named: all that have a file to choose from, and are not `without`."""
    without: tuple[str, ...] = ("en",)
    """Never in the pool: the start language."""
    names: dict[str, str] = {}
    """What PATHs and the field call a language."""
    language: str | None = None
    """The field that says the language, alone or before a dash."""
    fields: dict[str, str] = {}
    """Columns by field, as `--field`."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a bad example does."""
    most_train: PositiveInt | None = None
    """The first so many examples of each language."""
    most_target: PositiveInt | None = None
    """Likewise of target samples."""
    most_test: PositiveInt | None = None
    """Likewise of tests."""


class Configuration(_Section):
    """What the model must become good at, and what may be labelled for it."""

    target: tuple[str, ...] = Field(min_length=1)
    """The languages that the model is scored in."""
    source: tuple[str, ...] = ()
    """None named: every language that is not a target."""
    carved: float | None = Field(default=None, gt=0)
    """The target sample is so many examples of each target's train split (below 1: that share),
    which leave the pool: where there is no other split to take it from."""
    sample: str | None = None
    """A PATH of the target sample, in place of the languages' own."""
    sampled: tuple[str, ...] = ()
    """Languages of the target sample, where others than the targets."""
    most_source: PositiveInt | None = None
    """So many examples of the pool, drawn by content."""
    most_target: PositiveInt | None = None
    """So many examples of the target sample, drawn by content."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Share of the words of the target sample that get a typing error."""
    mixed: float = Field(default=0.0, ge=0, le=1)
    """Share of the target languages' train splits that may be chosen, too."""
    plan: dict[str, PositiveInt] = {}
    """Examples a language, for the strategy plan (LITMUS)."""


class Strategy(_Section):
    """A strategy under a name of its own, with options of `polymux select`."""

    strategy: str
    like: str | None = None
    """Of same-distribution: the strategy whose language counts it copies."""
    k: PositiveInt = 1
    candidates: float | None = None
    ratio: float = 10.0
    average: str = "mean"
    distance: str = "l2"
    uncertainty: str | None = None
    near_duplicates: float | None = None
    prefilter: PositiveInt | None = None
    screen: str = "off"
    screen_only: bool = False


class Experiment(_Section):
    """The whole file."""

    name: str = "experiment"
    """In results; otherwise that of the file."""
    corpus: str
    """What tables call the task."""
    task: Literal["token-classification", "text-classification", "question-answering"]
    """What the model does."""
    setting: str
    """What tables call this kind of experiment, such as low-budget."""
    models: dict[Name, Model] = Field(min_length=1)
    chooser: str | None = None
    """The model that chooses for all; none: each for itself."""
    data: Data
    configurations: dict[Name, Configuration] = Field(min_length=1)
    strategies: tuple[str, ...] = Field(min_length=1)
    """Names of the table, or of `variants`."""
    variants: dict[Name, Strategy] = {}
    best: str = "knn-uncertainty"
    """The strategy that is named before the run, for win rates."""
    budgets: tuple[PositiveInt, ...] = Field(min_length=1)
    """Labels. In one round each is an experiment of its own; in several, the sum so far."""
    rounds: bool = False
    """Whether the budgets are rounds of one campaign, each chosen by the model of the one before
    (DeMuX 4); otherwise the start model chooses for each."""
    continued: bool = False
    """In rounds, train from the last round's model, not from the start model."""
    choice_seeds: tuple[NonNegativeInt, ...] = Field(default=(2, 22, 42), min_length=1)
    """Of what strategies draw."""
    train_seeds: tuple[NonNegativeInt, ...] = Field(default=(2, 22, 42), min_length=1)
    """Of the order of the rows, dropout and a new head."""
    seeds: Literal["paired", "crossed"] = "paired"
    """Each choice seed with its training seed, or with every one: that tells the luck of the draw
    from that of training."""
    training: Training = Training()

    @model_validator(mode="after")
    def _agree(self) -> Experiment:
        for name in self.strategies:
            try:
                find_strategy(self.rule(name).strategy)
            except UsageError as error:
                raise ValueError(f"{error.what}; {error.hint}") from error
        if "best" in self.model_fields_set and self.best not in self.strategies:
            raise ValueError(f"best names {self.best}, which is not among the strategies")
        if self.chooser is not None and self.chooser not in self.models:
            raise ValueError(f"chooser names {self.chooser}, which is not among the models")
        if self.chooser is not None and self.rounds:
            raise ValueError("in rounds each model chooses for itself: leave chooser out")
        if self.seeds == "paired" and len(self.choice_seeds) != len(self.train_seeds):
            raise ValueError("paired seeds need as many choice_seeds as train_seeds")
        if list(self.budgets) != sorted(set(self.budgets)):
            raise ValueError("give budgets from small to large, each once")
        return self

    @model_validator(mode="after")
    def _vary(self) -> Experiment:
        for name, rule in self.variants.items():
            if name in {*selection.STRATEGIES, UNTOUCHED}:
                raise ValueError(f"variants.{name} has the name of something else: rename it")
            if (rule.strategy == "same-distribution") != (rule.like is not None):
                raise ValueError(f"variants.{name}: same-distribution needs like, others have none")
            if rule.like is not None and rule.like not in self.strategies:
                raise ValueError(f"variants.{name}.like names {rule.like}, which is not asked for")
            if rule.like is not None and self.rule(rule.like).like is not None:
                raise ValueError(f"variants.{name}.like names {rule.like}, which copies itself")
        copies = [name for name in self.strategies if self.rule(name).like is not None]
        if self.rounds and copies:
            raise ValueError(f"in rounds no choice is copied: leave {', '.join(copies)} out")
        if "same-distribution" in self.strategies:
            raise ValueError("same-distribution copies a strategy: name it in a variant's like")
        return self

    @model_validator(mode="after")
    def _have_targets(self) -> Experiment:
        for name, told in self.configurations.items():
            if self.data.target is None and told.carved is None and told.sample is None:
                raise ValueError(
                    f"without data.target, configurations.{name} needs carved or sample"
                )
            planned = [s for s in self.strategies if self.rule(s).strategy == "plan"]
            if planned and not told.plan:
                raise ValueError(f"the strategy {planned[0]} needs configurations.{name}.plan")
        return self

    def pairs(self, name: str, targets: int) -> tuple[tuple[int, int], ...]:
        """Choice seed and training seed of every repetition of a strategy.

        One that draws nothing for so many target examples has one choice, whatever the seed: it
        goes by the first.
        """
        first = self.choice_seeds[0]
        if not self._is_seeded(name, targets):
            return tuple((first, t) for t in self.train_seeds)
        if self.seeds == "paired":
            return tuple(zip(self.choice_seeds, self.train_seeds, strict=True))
        return tuple((c, t) for c in self.choice_seeds for t in self.train_seeds)

    def _is_seeded(self, name: str, targets: int) -> bool:
        rule = self.rule(name)
        strategy = find_strategy(rule.strategy)
        if not isinstance(strategy, selection.Strategy):
            return True
        if strategy.seeded_from is not None and targets >= strategy.seeded_from:
            return True
        return rule.average != "mean" or rule.prefilter is not None or rule.screen != "off"

    def further(self, model: str) -> Training:
        """How a model learns from a choice."""
        return self.models[model].further or self.training

    def rule(self, name: str) -> Strategy:
        """What a name among the strategies stands for."""
        return self.variants.get(name, Strategy(strategy=name))


_VARIABLE = re.compile(r"\$\{?(\w+)")
PRESETS = Path(__file__).parent / "presets"


def presets() -> dict[str, Path]:
    """The experiments that come along, by name: the paper's, and `local/...`."""
    return {
        path.relative_to(PRESETS).with_suffix("").as_posix(): path
        for path in sorted(PRESETS.rglob("*.toml"))
    }


def read_experiment(path: str | Path, more: Sequence[str] = ()) -> Experiment:
    """Parse and check a file, or a preset by its name; `more` strategies take part.

    Raises:
        InputError: it is not there, is no TOML, or says something that cannot be.
        UsageError: one of `more` cannot take part.
    """
    known = presets()
    place = known.get(str(path), Path(path))
    told = toml.settings(
        place,
        Experiment,
        absent=f"give the path of a .toml file, or one of: {', '.join(known)}",
        reference="docs/reference/experiments.md tells of every setting",
    )
    named = {"name": place.stem} if told.name == "experiment" else {}
    together = {"strategies": tuple(dict.fromkeys((*told.strategies, *more)))}
    try:
        return Experiment.model_validate(told.model_dump(exclude_unset=True) | named | together)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"{', '.join(more)} cannot take part: {said}", f"leave it out, or change {place}"
        ) from error


def folder_of(experiment: str | Path) -> Path:
    """Where the file of an experiment, or of a preset, lies: its paths are relative to it."""
    return presets().get(str(experiment), Path(experiment)).resolve().parent


def anchored(path: str, folder: Path) -> str:
    """A PATH of the file with its variables, relative to the file's folder.

    Raises:
        InputError: a variable is not set.
    """
    filled = os.path.expandvars(path)
    missing = _VARIABLE.search(filled)
    if missing is not None:
        raise InputError(
            f"{missing[1]} is not set in the environment: {path}", f"export {missing[1]}=..."
        )
    return filled if "://" in filled else str(folder / filled)


def model_path(path: str, folder: Path) -> str:
    """The folder of a model, relative to the file's folder, or its name on the hub.

    Raises:
        InputError: it can be neither.
    """
    local = anchored(path, folder)
    if Path(local).is_dir():
        return local
    if Path(path).is_dir() and not Path(path).is_absolute():
        raise InputError(
            f"there is no model folder {local}; {Path(path).resolve()} is there",
            "paths are relative to the experiment's file, not to where you stand",
        )
    if may_be_on_hub(path) and not _VARIABLE.search(path):
        return path
    raise InputError(
        f"there is no model folder {local}",
        "give a folder, relative to the experiment's file, or a name on the hub",
    )
