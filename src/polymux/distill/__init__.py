"""Teachers to one student: a balanced multilingual encoder from text, stage by stage.

After "You Can Have Your Data and Balance It Too" (SIGTYP 2023), of which only the slides were to be
had: what they leave open is a reconstruction, and a setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from polymux.distill.settings import Settings, read_settings, stands_on_teachers
from polymux.distill.work import NotMadeError, Work, processes
from polymux.errors import UsageError
from polymux.folders import claimed
from polymux.progress import Progress

__all__ = ["Distilled", "distill"]

# Names that a system would take from a stage or from a folder of its scores.
RESERVED = frozenset({"corpus", "tokenizer", "teachers", "evaluate", "report", "majority"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


@dataclass(frozen=True, slots=True)
class Distilled:
    """Where everything lies."""

    out: Path
    stages: tuple[str, ...]
    """Those that were asked for, all done now."""

    @property
    def report(self) -> Path:
        """The page, once the stage `report` is done."""
        return self.out / "report.html"

    def model(self, system: str, seed: int) -> Path:
        """A trained system, as a Hugging Face folder."""
        return self.out / "systems" / system / str(seed)


def distill(
    config: str | Path,
    *,
    stages: Sequence[str] = (),
    device: str = "auto",
    force: bool = False,
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
) -> Distilled:
    """Run the stages of a distillation, all of them unless some are named; finished ones are kept.

    `corpus`, `tokenizer`, `teachers`, each system by its name, `evaluate`, `report`. A killed run
    goes on inside a stage from its last checkpoint. What was made with other settings or from other
    data is never taken: it is refused, or made anew with `force`.

    Started by `accelerate launch` or `torchrun`, every training shares its rows among the
    processes; all else is done by each, and written by the first.

    Raises:
        InputError: the configuration or a text cannot be used: file, key, what to do.
        UsageError: no such stage, one that stands on another that is missing, or stale results.
        WorkError: a check of the run failed.
    """
    path = Path(config)
    settings = _for_device(read_settings(path), device)
    base = path.resolve().parent
    if not processes().is_main_process:
        progress = None
    work = Work(
        settings, base, base / settings.out, device, force, False, checkpoint_seconds, progress
    )
    known = _stages(settings)
    _check(work)
    strange = [stage for stage in stages if stage not in known]
    if strange:
        raise UsageError(f"no stage {strange[0]!r}", f"choose of: {', '.join(known)}")
    asked = [stage for stage in known if not stages or stage in stages]
    with claimed(work.out) if processes().is_main_process else nullcontext():
        for stage in known:
            if stage in asked:
                known[stage](work)
            elif any(stage in _ground(settings, other) for other in asked):
                # What is asked stands on it: it must be what these settings and data make.
                with suppress(NotMadeError):
                    known[stage](replace(work, checking=True))
    return Distilled(work.out, tuple(asked))


def _for_device(settings: Settings, device: str) -> Settings:
    """With the precision that `auto` stands for: it decides results, so that identities hold it."""
    from polymux.encoders.probe import has_bfloat16
    from polymux.encoders.pytorch import device_named

    if settings.training.precision != "auto":
        return settings
    told = "bfloat16" if has_bfloat16(device_named(device)) else "float32"
    training = settings.training.model_copy(update={"precision": told})
    return settings.model_copy(update={"training": training})


def _check(work: Work) -> None:
    """Look at every name that is used hours later, before anything is begun."""
    from importlib.util import find_spec

    from polymux.distill.learning.losses import loss_named
    from polymux.distill.text.sampling import check_options, sampling_named

    settings = work.settings
    for name, system in settings.systems.items():
        loss_named(system.loss)
        sampling_named(system.sampling)
        check_options(system.sampling, system.options)
        if loss_named(system.loss).relations and settings.teachers.cached != "no":
            raise UsageError(
                f"system {name} learns relations, and a cache keeps none",
                "give [teachers] cached = 'no', or a loss without +relation",
            )
        teacher = system.start.removeprefix("teacher:")
        if teacher != system.start and teacher not in settings.languages:
            raise UsageError(
                f"system {name} starts from the teacher of {teacher}, which there is not",
                f"choose of: {', '.join(settings.languages)}",
            )
        if name in RESERVED or not _NAME.fullmatch(name):
            raise UsageError(
                f"a system cannot be called {name!r}",
                "give a name of letters, digits, -, + and _ that is no stage's",
            )
    if find_spec("sklearn") is None or find_spec("matplotlib") is None:
        raise UsageError(
            "scikit-learn and matplotlib are not installed: probes and plots need them",
            "pip install 'polymux[distill]'",
        )


def _ground(settings: Settings, stage: str) -> set[str]:
    """The stages that a stage stands on."""
    first = {"corpus", "tokenizer"}
    if stage in settings.systems:
        teachers = stands_on_teachers(settings.systems[stage])
        return first | ({"teachers"} if teachers else set())
    whole = first | {"teachers", *settings.systems}
    return {
        "corpus": set[str](),
        "tokenizer": {"corpus"},
        "teachers": first,
        "evaluate": whole,
        "report": whole | {"evaluate"},
    }[stage]


def _stages(settings: Settings) -> dict[str, Callable[[Work], None]]:
    """What is done in which order; each system is a stage of its own."""
    from polymux.distill import stages
    from polymux.distill.evaluation import evaluate
    from polymux.distill.results import report
    from polymux.distill.systems import system
    from polymux.distill.teaching import teachers

    systems = {name: partial(system, name=name) for name in settings.systems}
    return {
        "corpus": stages.corpus,
        "tokenizer": stages.tokenizer,
        "teachers": teachers,
        **systems,
        "evaluate": evaluate,
        "report": report,
    }
