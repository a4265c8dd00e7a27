"""The file that describes a distillation: parsed once, checked whole, before anything is begun.

What the slides leave open is a setting here, and its default is ours: a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    model_validator,
)

from polymux import toml


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Corpus(_Section):
    """Where text comes from and how it is split."""

    text: str
    """A PATH with {language} in it."""
    split: Literal["documents", "blocks", "lines"] = "documents"
    """What stays together: documents (an empty line parts them in plain text), blocks of lines."""
    block_lines: int = Field(default=25, ge=1)
    """Lines a block."""
    dev: float = Field(default=0.02, gt=0, lt=0.5)
    """Share of the characters that the teachers are compared on."""
    test: float = Field(default=0.02, gt=0, lt=0.5)
    """Share of the characters whose words are guessed at the end."""
    largest: dict[str, int] = {}
    """Bytes of training text a language may have at most."""
    premiums: dict[str, float] = {}
    """Bytes of a language for a byte of English, where the table has none or another is wanted."""
    overlap: float = Field(default=0.01, ge=0, le=1)
    """Share of a probe's test sentences that may stand in the training text."""


class Tokenizer(_Section):
    """The one vocabulary of all models."""

    kind: Literal["bpe", "unigram"] = "bpe"
    """How words are cut."""
    vocabulary: int = Field(default=16000, ge=300)
    """Entries, 256 bytes and 5 special tokens among them."""
    path: str | None = None
    """A tokenizer to take instead of training one: a folder, or a name on the hub."""
    sampling: Literal["all", "balanced"] = "balanced"
    """What of the text it is trained on."""


class Model(_Section):
    """The shape of teachers and students."""

    type: str = "modernbert"
    """A model type of transformers that has a head for masked words."""
    layers: int = 6
    """Of a modernbert, as the three below."""
    hidden: int = 256
    """Width."""
    heads: int = 4
    """Of the attention."""
    intermediate: int = 384
    """Width of the gated feed-forward layer."""
    length: int = Field(default=128, ge=8)
    """Tokens a row, special ones included."""
    settings: dict[str, Any] = {}
    """What the configuration of `type` shall say; for other types than modernbert all of it."""

    @model_validator(mode="after")
    def _of_modernbert(self) -> Model:
        own = {"layers", "hidden", "heads", "intermediate"} & self.model_fields_set
        if self.type != "modernbert" and own:
            raise ValueError(
                f"{', '.join(sorted(own))} are of a modernbert: give what {self.type} calls them "
                "under [model.settings]"
            )
        return self


class Training(_Section):
    """How every model is trained."""

    tokens: int = Field(default=4_000_000, ge=1)
    """Of students and baselines."""
    batch_tokens: int = Field(default=8192, ge=1)
    """An update."""
    micro_batch: int = Field(default=32, ge=1)
    """Rows that go through the model together."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate at its highest."""
    warmup: float = Field(default=0.04, ge=0, le=1)
    """Share of the updates."""
    schedule: Literal["stable", "linear", "cosine", "constant"] = "stable"
    """Of the learning rate; `stable` cools down over the last fifth."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Never of biases and gains."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Of AdamW."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of forward passes; weights and softmax are float32. `auto`: bfloat16 where the device
    multiplies in it; name it to go on with a run on another machine."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` for the matrices of hidden layers, AdamW for the rest."""
    masked: float = Field(default=0.3, gt=0, lt=1)
    """Share of the tokens that are hidden."""
    random: float = Field(default=0.1, ge=0, le=1)
    """Of the hidden: share behind a random token of the same language."""
    kept: float = Field(default=0.1, ge=0, le=1)
    """Of the hidden: share that stays as it is."""
    packed: bool = True
    """Lines run on and rows are full; otherwise a row is a line, cut at the length."""

    @model_validator(mode="after")
    def _shares(self) -> Training:
        if self.random + self.kept > 1:
            raise ValueError("random and kept are shares of the hidden tokens: at most 1 together")
        return self


class Teachers(_Section):
    """One monolingual model a language."""

    tokens: int = Field(default=1_200_000, ge=1)
    """Of each teacher."""
    path: str | None = None
    """Ready ones, with {language} in it, instead of training them."""
    vocabulary: Literal["shared", "masked", "subset", "match"] = "shared"
    """`masked`: words of the language only; `subset`, `match`: words of their own."""
    cached: Literal["no", "top-k", "sampled"] = "no"
    """What is kept of their answers, where they are asked beforehand."""
    k: int = Field(default=32, ge=1)
    """Words kept of an answer."""
    maskings: int = Field(default=2, ge=1)
    """Different masks of a row, where teachers are cached."""
    weak: Literal["keep", "drop"] = "keep"
    """Whether a language whose teacher is no better than the student learns from words alone."""


class System(_Section):
    """One model that is made from all languages."""

    loss: str = "soft"
    """Of the table of losses."""
    sampling: str = "balanced"
    """Of the table of samplings."""
    unit: Literal["bytes", "characters", "tokens"] = "bytes"
    """What languages are measured by; bytes are divided by the premium."""
    options: dict[str, float] = {}
    """Of the sampling: alpha, tau, epochs."""
    alpha: float | None = Field(default=None, ge=0, le=1)
    """Weight of the teacher; none: the loss's own."""
    temperature: float | None = Field(default=None, gt=0)
    """None: the loss's own."""
    relation_weight: float = Field(default=1.0, ge=0)
    """Of relations beside words."""
    compute: Literal["student", "total"] = "student"
    """`total`: as much as teachers and the first system that asks them together."""
    start: str = "random"
    """`random`, `teacher:LANGUAGE`, or a model's path."""
    teachers: Literal["own", "shuffled"] = "own"
    """`shuffled` is a control: each language is answered by another one's teacher."""

    @model_validator(mode="after")
    def _of_the_loss(self) -> System:
        if self.loss == "hard" and self.alpha is not None:
            raise ValueError("alpha weighs a teacher's words: loss = 'hard' has none")
        if self.loss != "hard" and self.compute == "total":
            raise ValueError("compute = 'total' is for loss = 'hard': others spend it on teachers")
        return self


def stands_on_teachers(system: System) -> bool:
    """Whether teachers decide a system: it asks them, begins as one, or may use their compute."""
    begins = system.start.startswith("teacher:")
    return system.loss != "hard" or system.compute == "total" or begins


# Those of the slides, and the one that could refute them (METHOD.md 2.1, 2.2).
SYSTEMS: dict[str, dict[str, Any]] = {
    "student": {"loss": "soft", "sampling": "balanced"},
    "hl": {"loss": "hard", "sampling": "all"},
    "hl-balanced": {"loss": "hard", "sampling": "balanced"},
    "hl-unimax": {"loss": "hard", "sampling": "unimax", "compute": "total"},
}


class Evaluation(_Section):
    """What is scored, on which data."""

    pos: str | None = None
    """A PATH with {language} and {split} (train, dev, test) in it."""
    ner: str | None = None
    """The same for names."""
    without: dict[Literal["pos", "ner"], tuple[str, ...]] = {}
    """Languages for which a probe has no data, as in `{ ner = ["vi"] }`."""
    sentences: int = Field(default=400, ge=1)
    """Lines of each language whose words are guessed."""
    mask_seeds: tuple[NonNegativeInt, ...] = Field(default=(1, 2, 3), min_length=1)
    """Each line is scored once under each."""
    train_words: int = Field(default=15_000, ge=1)
    """Words a probe learns from at most, in whole sentences."""
    resamples: int = Field(default=1000, ge=1)
    """Of the bootstrap."""

    def probes(self, languages: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
        """What is probed: by task, the PATH of its data and the languages that have any."""
        asked: dict[Literal["pos", "ner"], str | None] = {"pos": self.pos, "ner": self.ner}
        return {
            task: (
                path,
                tuple(lang for lang in languages if lang not in self.without.get(task, ())),
            )
            for task, path in asked.items()
            if path
        }


class Settings(_Section):
    """The whole file."""

    out: str
    """Where everything is written."""
    languages: tuple[str, ...] = Field(min_length=1)
    """In the order of the tables."""
    groups: dict[str, tuple[str, ...]] = {}
    """Languages whose scores are averaged, by name."""
    seeds: tuple[NonNegativeInt, ...] = Field(default=(1,), min_length=1)
    """One training of each system a seed; teachers take the first."""
    paper: Literal["shared", "diverse"] | None = None
    """The language set whose numbers on the slides stand beside ours."""
    corpus: Corpus
    tokenizer: Tokenizer = Tokenizer()
    model: Model = Model()
    training: Training = Training()
    teachers: Teachers = Teachers()
    systems: dict[str, System] = Field(
        default_factory=lambda: {name: System(**told) for name, told in SYSTEMS.items()}
    )
    evaluate: Evaluation = Evaluation()

    @model_validator(mode="before")
    @classmethod
    def _known_systems(cls, told: Any) -> Any:
        """A system of a known name takes its settings from the table, but for what is given."""
        if isinstance(told, dict) and isinstance(told.get("systems"), dict):
            systems = {
                name: {**SYSTEMS.get(name, {}), **system} if isinstance(system, dict) else system
                for name, system in told["systems"].items()
            }
            return {**told, "systems": systems}
        return told

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        strange = {m for members in self.groups.values() for m in members} - set(self.languages)
        if strange:
            raise ValueError(f"groups name languages that are not there: {sorted(strange)}")
        absent = {lang for some in self.evaluate.without.values() for lang in some}
        absent -= set(self.languages)
        if absent:
            raise ValueError(
                f"evaluate.without names languages that are not there: {sorted(absent)}"
            )
        if len(set(self.languages)) < len(self.languages) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("give each language and each seed once")
        if "all" in self.groups:
            raise ValueError("the group `all` is there without being named")
        equal = {s.sampling for s in self.systems.values() if s.compute == "student"}
        if not self.training.packed and len(equal) > 1:
            raise ValueError(
                "with packed = false rows differ in length, and systems of other samplings would "
                "have other numbers of updates: give one sampling, or packed = true"
            )
        return self


def read_settings(path: Path) -> Settings:
    """Parse and check a file; paths in it are relative to its folder.

    Raises:
        InputError: it is not there, is no TOML, or says something that cannot be: which key, and
            what can be given.
    """
    return toml.settings(
        path,
        Settings,
        absent="give the path of a .toml file; docs/how-to/distill.md has one to begin with",
        reference="docs/reference/distill.md tells of every setting",
    )
