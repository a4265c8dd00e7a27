"""The paper's training settings by name, and two of our own."""

from __future__ import annotations

from dataclasses import dataclass

from polymux.errors import UsageError
from polymux.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Preset:
    """What a training is done with where nothing else was asked."""

    task: str | None
    """None: any."""
    lr: float
    epochs: int
    batch_size: int = 64
    max_length: int = 128
    """Sub-words."""

    def recipe(
        self,
        lr: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        accumulation: int = 1,
        seed: int = 0,
        *,
        bucketed: bool = False,
    ) -> Recipe:
        """These settings, but for what was asked otherwise."""
        return Recipe(
            lr=self.lr if lr is None else lr,
            epochs=self.epochs if epochs is None else epochs,
            batch_size=self.batch_size if batch_size is None else batch_size,
            accumulation=accumulation,
            bucketed=bucketed,
            seed=seed,
        )


TASK = {
    "udpos": "token-classification",
    "ner": "token-classification",
    "xnli": "text-classification",
    "tydiqa": "question-answering",
}
# Table 8: learning rate and epochs of further training, by model and corpus.
TABLE_8 = {
    "xlm-r": {"ner": (2e-5, 10), "udpos": (2e-5, 10), "xnli": (5e-6, 10), "tydiqa": (1e-5, 3)},
    "infoxlm": {"ner": (2e-5, 10), "udpos": (2e-5, 10), "xnli": (5e-6, 10), "tydiqa": (1e-5, 3)},
    "rembert": {"ner": (8e-6, 10), "udpos": (8e-6, 10), "xnli": (8e-6, 10), "tydiqa": (1e-5, 3)},
}
# English fine-tuning as released: the rates of Table 8, QA on SQuAD v2.
START_EPOCHS = {"udpos": 10, "ner": 10, "xnli": 2, "tydiqa": 2}
START_EPOCHS_REMBERT = START_EPOCHS | {"udpos": 3, "ner": 3}
# As released: batches of 64 and 128 sub-words; QA 32 and windows of 256.
SIZES = {"question-answering": {"batch_size": 32, "max_length": 256}}


def _paper() -> dict[str, Preset]:
    made = {}
    for model, corpora in TABLE_8.items():
        start = START_EPOCHS_REMBERT if model == "rembert" else START_EPOCHS
        for corpus, (lr, epochs) in corpora.items():
            task = TASK[corpus]
            sizes = SIZES.get(task, {})
            made[f"{model}/{corpus}"] = Preset(task, lr, epochs, **sizes)
            made[f"start/{model}/{corpus}"] = Preset(task, lr, start[corpus], **sizes)
    return made


PRESETS: dict[str, Preset] = {
    **_paper(),
    # Models of a few million weights, as the demo makes one: they bear and need a higher rate.
    "small": Preset(None, 5e-4, 10, batch_size=32),
}
DEFAULT = {
    "token-classification": "xlm-r/udpos",
    "text-classification": "xlm-r/xnli",
    "question-answering": "xlm-r/tydiqa",
}


def preset_of(name: str | None, task: str) -> Preset:
    """The preset of this name, or the task's default; another task's is refused."""
    name = DEFAULT[task] if name is None else name
    fitting = [n for n, p in PRESETS.items() if p.task in (None, task)]
    if name not in fitting:
        raise UsageError(f"no preset {name!r} for {task}", f"choose one of: {', '.join(fitting)}")
    return PRESETS[name]
