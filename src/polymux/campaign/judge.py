"""What the control slice says of a round: quality on pool and target, and the gain over random.

Nothing here is a label that a model was trained on: the slice is scored out of fold, the target on
labels that are never trained on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count as counting
from pathlib import Path
from typing import Any

import numpy as np

from polymux.campaign.settings import NAME, Settings
from polymux.campaign.state import State
from polymux.campaign.steps import model_of, pool, trained
from polymux.campaign.trial import counts, metric, trial
from polymux.folders import write_text
from polymux.intervals import Interval, Parts, difference, gain, score_interval
from polymux.progress import Progress
from polymux.records import Example, content_hashes
from polymux.selection.draws import draws

# Fewer labels say nothing.
LEAST = 10
# More target examples would make the interval no narrower than the trainings leave it.
MOST_TESTED = 1000


@dataclass(frozen=True, slots=True)
class _Asked:
    """What there is to judge a round by."""

    slice_: tuple[Example, ...]
    """Random labels of the source."""
    others: tuple[Example, ...]
    """All other labels."""
    chosen: tuple[Example, ...]
    """What the strategy chose, in the order of issue; chance may have drawn it, too."""
    target: tuple[Example, ...]
    """Labels of the target that no model is trained on."""


def unjudged(state: State, number: int) -> bool:
    """Whether a trained round has enough random labels to be judged by, and was not."""
    if not state.settings.control.share or not trained(state, number):
        return False
    if (_place(state, number) / "control.json").is_file():
        return False
    return _random(state, number) >= LEAST


def too_few(settings: Settings) -> str:
    """Why a campaign of this size will never be judged, and what to do; empty: it will be."""
    share, budget = settings.control.share, settings.budget
    if not share or settings.costs.unit != "examples" or share * budget >= LEAST:
        return ""
    enough = f"{math.ceil(100 * LEAST / budget) / 100:g}, or " if budget >= 2 * LEAST else ""
    return (
        f"{share:g} of {budget} labels are drawn at random, and it takes {LEAST} to say anything "
        f"of what choosing is worth, some dozens to say much: set share = {enough}0 to draw none, "
        f"under [control] in {NAME}"
    )


def drawn(state: State) -> dict[str, int] | None:
    """How many labels chance drew so far, and how many it takes to judge by; None: no slice."""
    if not state.settings.control.share:
        return None
    return {"labels": _random(state, len(state.rounds)), "least": LEAST}


def _random(state: State, number: int) -> int:
    slice_ = state.slice_of(number)
    return sum(one.id in slice_ for one in state.training(number))


def judge(state: State, number: int, *, progress: Progress | None) -> None:
    """Write `control/control.json` of a round: intervals, and what they say."""
    asked = _asked(state, number)
    out = _place(state, number)
    out.mkdir(parents=True, exist_ok=True)
    count = len(asked.slice_) - -(-len(asked.slice_) // state.settings.control.trainings)
    gains = len(asked.target) >= LEAST and len(asked.chosen) >= count
    tick = _ticking(state, number, 3 if gains else 1, progress)
    parts = _out_of_fold(state, number, asked, tick)
    told: dict[str, Any] = {
        "labels": len(asked.slice_),
        "trained": len(asked.slice_) + len(asked.others),
        "metric": metric(state.settings.task, asked.slice_),
        "pool": asdict(score_interval(np.array(list(parts.values())))),
        "parts": {name: list(one) for name, one in parts.items()},
    }
    last: Interval | None
    if len(asked.target) >= LEAST:
        now, before = (counts(model_of(state, n), asked.target) for n in (number, number - 1))
        told["target"] = asdict(score_interval(now))
        last = difference([now], [before])
        if gains:
            told["gain"] = _gain(state, number, asked, count, tick) | {"at": count}
    else:
        last = _step(state, number, asked, parts)
    if last is not None:
        told["last"] = asdict(last)
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    write_text(out / "control.json", text, force=True)


def _ticking(
    state: State, number: int, times: int, progress: Progress | None
) -> Callable[[], None]:
    """Tells of each training that is done, and of nothing inside it."""
    total = times * state.settings.control.trainings
    done = counting(1)

    def tick() -> None:
        if progress is not None:
            progress("judging (labels can go out meanwhile)", next(done), total)

    if progress is not None:
        progress("judging (labels can go out meanwhile)", 0, total)
    return tick


def judgement(state: State, number: int) -> dict[str, Any] | None:
    """What `judge` wrote of a round, with a verdict for what is left now; None: nothing."""
    file = _place(state, number) / "control.json"
    if not file.is_file():
        return None
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    del told["parts"]
    return told | {"verdict": verdict(told, state.settings.control.worth)}


def verdict(told: Mapping[str, Any], worth: float) -> str:
    """`change strategy`, `stop`, `go on`, or `cannot tell` where an interval holds 0."""
    pays, last = told.get("gain"), told.get("last")
    if pays and pays["high"] < 0:
        return "change strategy"
    if last and last["high"] < worth:
        return "stop"
    decisive = pays or last
    return "go on" if decisive and decisive["low"] > 0 else "cannot tell"


def _place(state: State, number: int) -> Path:
    return state.place(number) / "control"


def _asked(state: State, number: int) -> _Asked:
    labels, slice_ = state.training(number), state.slice_of(number)
    return _Asked(
        tuple(one for one in labels if one.id in slice_),
        tuple(one for one in labels if one.id not in slice_),
        tuple(one for one in labels if one.id not in state.chance),
        tuple(of_target(state)),
    )


def of_target(state: State) -> list[Example]:
    """Labels of the target that no model is trained on: the test set's, or the slice's own."""
    if not state.settings.test:
        return [one for part in state.rounds for one in part.labelled if one.id in state.held]
    known = [one for one in pool(state, "test") if one.label is not None]
    drawn = draws(state.settings.seed, "test of the control", content_hashes(known))
    return [known[at] for at in np.argsort(drawn, kind="stable")[:MOST_TESTED].tolist()]


def _out_of_fold(
    state: State, number: int, asked: _Asked, tick: Callable[[], None]
) -> dict[str, tuple[float, float]]:
    """Each example of the slice, scored by a model that learned from all labels but its fold."""
    found: dict[str, tuple[float, float]] = {}
    out = _place(state, number)
    for fold, (held, rest) in enumerate(_blocks(state, asked.slice_)):
        made = trial(state, out, f"fold-{fold + 1}", [*asked.others, *rest], held, fold, None)
        tick()
        found |= {one.id: (a, b) for one, (a, b) in zip(held, made.tolist(), strict=True)}
    return found


def _gain(
    state: State, number: int, asked: _Asked, count: int, tick: Callable[[], None]
) -> dict[str, Any]:
    """The gain of `count` chosen labels over as many random ones, on the target."""
    chosen: list[Parts] = []
    random: list[Parts] = []
    out = _place(state, number)
    for block, (_, rest) in enumerate(_blocks(state, asked.slice_)):
        for name, labels, made in (
            ("chosen", asked.chosen, chosen),
            ("random", rest, random),
        ):
            tried = f"{name}-{block + 1}"
            made.append(trial(state, out, tried, labels[:count], asked.target, block, None))
            tick()
    return asdict(gain(chosen, random))


def _blocks(
    state: State, slice_: Sequence[Example]
) -> Iterator[tuple[list[Example], list[Example]]]:
    """Each block of the slice, and what is not in it."""
    count = state.settings.control.trainings
    for block in range(count):
        held = [one for at, one in enumerate(slice_) if at % count == block]
        yield held, [one for at, one in enumerate(slice_) if at % count != block]


def _step(
    state: State, number: int, asked: _Asked, parts: Mapping[str, tuple[float, float]]
) -> Interval | None:
    """How much better this round is than the last on the slice, each scored on what it never saw.

    None: the last round's model was trained on examples of the slice that nobody scored.
    """
    file = _place(state, number - 1) / "control.json"
    before: dict[str, Any] = {}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))["parts"]
    seen = {one.id for one in state.training(number - 1)} if number > 1 else set()
    fresh = [one for one in asked.slice_ if one.id not in seen]
    if fresh:
        scored = counts(model_of(state, number - 1), fresh).tolist()
        before |= dict(zip([one.id for one in fresh], scored, strict=True))
    shared = [one.id for one in asked.slice_ if one.id in before]
    if len(shared) < LEAST:
        return None
    return difference(
        [np.array([parts[name] for name in shared])], [np.array([before[name] for name in shared])]
    )
