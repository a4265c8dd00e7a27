"""What a campaign was asked for: `run.toml`, which a person may read and change mid-way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from polymux import toml
from polymux.errors import InputError

NAME = "run.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Training(_Section):
    """How the model of each round is trained; what is not given is as `polymux train` has it."""

    preset: str | None = None
    epochs: int | None = Field(default=None, ge=1)
    lr: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    continued: bool = False
    """From the last round's model; otherwise each round begins from the start model."""


class Costs(_Section):
    """What the budget counts, and what an example takes of it."""

    unit: Literal["examples", "tokens", "characters", "minutes", "money"] = "examples"
    rates: dict[str, float] = {}
    """Minutes or money by language; `*`: any other."""
    per: Literal["example", "token", "character"] = "token"
    measured: bool = True
    """Whether minutes that tools tell take the place of what was expected."""

    @property
    def counted(self) -> str:
        """The unit as a person calls it."""
        return "labels" if self.unit == "examples" else self.unit


class Limits(_Section):
    """What the choice must and may hold, over the whole campaign."""

    at_least: dict[str, int] = {}
    at_most: dict[str, int] = {}
    without: tuple[str, ...] = ()
    one_of: str | None = None
    near_duplicates: float | None = Field(default=None, ge=0)
    """Inside one batch: what is nearer than this is passed over."""


class Control(_Section):
    """A slice of each round is drawn at random: what choosing is worth can then be told."""

    share: float = Field(default=0.1, ge=0, le=0.5)
    """Of the labels; 0: none."""
    target: bool = False
    """Half of the slice are examples of the target sample, never trained on, for its quality."""
    trainings: int = Field(default=5, ge=3)
    """Folds of the slice, and trainings on chosen and on random labels."""
    worth: float = Field(default=0.0, ge=0, lt=1)
    """What a round has to add to the score; a round that surely adds less says stop."""


class Settings(_Section):
    """The whole file; paths in it are relative to its folder."""

    model: str
    task: Literal["token-classification", "text-classification", "question-answering"]
    source: tuple[str, ...] = Field(min_length=1)
    target: tuple[str, ...] = Field(min_length=1)
    test: tuple[str, ...] = ()
    """Labelled examples that every round's model is scored on."""
    budget: int = Field(ge=1)
    """In all, in the unit of the costs: labels, if nothing else is said."""
    rounds: int = Field(default=5, ge=1)
    strategy: str = "knn-uncertainty"
    seed: int = 0
    language: str | None = None
    """Where an example's language is told: a field, `folder` or `file`."""
    fields: dict[str, str] = {}
    on_error: Literal["stop", "skip"] = "stop"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    store: str | None = None
    """Where encodings are kept, or `off`; none: `store` in the campaign's folder."""
    canaries: bool = True
    """Whether known records go along, which show what a tool does to texts and offsets."""
    settle: Literal["majority", "unanimous"] = "majority"
    """Whose label counts where several people answered; what stays open is for a person."""
    training: Training = Training()
    control: Control = Control()
    costs: Costs = Costs()
    limits: Limits = Limits()


def read_settings(folder: Path) -> Settings:
    """Parse and check a campaign's file.

    Raises:
        InputError: the folder is no campaign, or its file says what cannot be: which key.
    """
    if not (folder / NAME).is_file():
        raise InputError(
            f"{folder} is no campaign: it has no {NAME}", "begin one with polymux init"
        )
    return toml.settings(
        folder / NAME,
        Settings,
        absent="begin the campaign with polymux init",
        reference="docs/how-to/campaign.md tells what can be given",
    )


def as_toml(settings: Settings) -> str:
    """The file, without what was not given."""
    import tomli_w

    told: dict[str, Any] = settings.model_dump(mode="json", exclude_none=True)
    kept = {name: value for name, value in told.items() if value not in ([], {})}
    return tomli_w.dumps(kept)
