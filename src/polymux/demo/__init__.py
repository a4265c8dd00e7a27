"""The health assistant: an English model, two languages that it must learn, a budget of labels.

Everything is made on the spot and offline: utterances in many languages from templates, a small
encoder, an English start model. `polymux.prescribe` chooses what to label by three strategies, the
templates answer, and each choice is trained on and scored.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from polymux import __version__
from polymux.demo.corpus import Plan, write_corpus
from polymux.demo.encoder import Shape, make_encoder
from polymux.demo.job import TASKS, Outcome, Settings, Training, run
from polymux.demo.table import commands, markdown, parts
from polymux.folders import check_free
from polymux.progress import Progress
from polymux.readers import read

__all__ = ["DemoResult", "Outcome", "Plan", "Settings", "Shape", "Training", "demo"]
# Written first, so that a folder with it is a demo's; the results are written last.
SETTINGS, RESULTS, TABLE = "polymux-demo.json", "results.json", "table.md"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo found, and where it is."""

    out: Path
    utterances: Mapping[str, int]
    """How many there are of each language."""
    outcomes: Mapping[str, Outcome]
    """By task: slots, intents."""
    table: str
    """Scores on the target languages, as Markdown."""
    parts: str
    """Who plays what."""
    commands: tuple[str, ...]
    """The first task again, by hand."""
    card: Path
    """The page that shows the first strategy's choice for the first task, with its reasons."""


def demo(
    out: str | Path,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
) -> DemoResult:
    """Run the whole demo into the folder `out`; an earlier demo there is replaced.

    The same seed gives the same utterances, and on the same machine the same scores.

    Raises:
        UsageError: `out` holds something that is not an earlier demo.
    """
    asked = settings or Settings()
    place = Path(out)
    tell = progress or _silent
    _clear(place)
    _write(place / SETTINGS, {"polymux": __version__, "seed": seed, **asdict(asked)})
    counts = write_corpus(place / "data", asked.plan, seed=seed)
    with _one_thread():
        make_encoder(
            _unlabelled(place / "data"),
            place / "encoder",
            asked.shape,
            seed=seed,
            progress=lambda _, done, total: tell("pre-train a small encoder", done, total),
        )
        outcomes = {name: run(name, place, asked, seed=seed, progress=tell) for name in asked.tasks}
    chosen = place / asked.tasks[0] / "chosen" / asked.strategies[0] / str(asked.budget)
    made = DemoResult(
        out=place,
        utterances=counts,
        outcomes=outcomes,
        table=markdown(outcomes, asked),
        parts=parts(asked.plan, counts),
        commands=commands(place, asked.tasks[0], asked, seed=seed),
        card=chosen / "report.html",
    )
    (place / TABLE).write_text(made.table, encoding="utf-8")
    results = {"utterances": counts, **{name: asdict(told) for name, told in outcomes.items()}}
    _write(place / RESULTS, results)
    return made


def _unlabelled(data: Path) -> list[str]:
    """Texts for the encoder: word by word as the slots task reads them, and as they are written.

    The two differ by more than punctuation where no spaces are written.
    """
    texts = []
    for example in read(str(data / "*" / "text.conll"), task="token-classification"):
        words = example.fields["tokens"]
        texts.append(" ".join(words))
        if len(example.text.split()) < len(words) // 2:
            texts.append(example.text)
    return texts


@contextmanager
def _one_thread() -> Iterator[None]:
    """Models this small gain next to nothing by a second thread, and wait long on a busy machine.

    One thread also adds up in the same order everywhere.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _clear(place: Path) -> None:
    """Remove an earlier demo, nothing else."""
    if not (place / SETTINGS).is_file():
        check_free(place, force=False)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("data", "encoder", *TASKS):
        shutil.rmtree(place / name, ignore_errors=True)
    for name in (RESULTS, TABLE):
        (place / name).unlink(missing_ok=True)


def _write(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _silent(stage: str, done: int, total: int | None) -> None:
    """For who asked for no progress."""
