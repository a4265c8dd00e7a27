"""Campaigns: choose, send to people, take labels back, train, choose again (DeMuX 3, 4).

A campaign is a folder that a person can read: `run.toml` says what was asked for, `ledger.jsonl`
what happened, `rounds/NN/` hold choices, models and scores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.campaign import choose, judge, steps
from polymux.campaign import replay as replays
from polymux.campaign.card import facts_of
from polymux.campaign.exchange import export, fetch, send, take
from polymux.campaign.ledger import Ledger
from polymux.campaign.replay import Replay
from polymux.campaign.settings import (
    NAME,
    Control,
    Costs,
    Limits,
    Settings,
    Training,
    as_toml,
    read_settings,
)
from polymux.campaign.state import Round, State, agreed, read_state
from polymux.campaign.steps import Taken
from polymux.errors import UsageError
from polymux.folders import check_free, claimed, written
from polymux.prescribe.costs import checked
from polymux.progress import Progress
from polymux.report.rounds import rounds

__all__ = [
    "Control",
    "Costs",
    "Limits",
    "Replay",
    "Settings",
    "State",
    "Taken",
    "Training",
    "advance",
    "export",
    "fetch",
    "init",
    "replay",
    "report",
    "send",
    "status",
    "take",
]


@dataclass(frozen=True, slots=True)
class Due:
    """What was done, and what people must do now."""

    done: tuple[str, ...]
    waiting: int
    """Examples that nobody has answered."""
    finished: bool
    say: str


def init(folder: str | Path, settings: Settings) -> State:
    """Begin a campaign in a folder that is not there yet, after looking at everything it needs.

    Raises:
        ModelError, InputError: the model does not load, or a pool cannot be read.
        UsageError: the folder is not empty, or the pool is smaller than the budget.
    """
    out = Path(folder)
    check_free(out, force=False)
    looked_at = State(
        out, settings, Ledger(out / "ledger.jsonl"), (), [], rates=settings.costs.rates
    )
    model = steps.model_of(looked_at, 0)
    checked([settings.budget], choose.budgeting(settings))
    if settings.costs.unit != "examples":
        # Every example has to have its price.
        deque(map(looked_at.cost, steps.open_to_all(looked_at)), maxlen=0)
    source = steps.distinct(looked_at)
    for name in ("target", "test"):
        if getattr(settings, name):
            # Reading it to its end finds what is bad in it.
            deque(steps.pool(looked_at, name), maxlen=0)
    if settings.costs.unit == "examples" and source < settings.budget:
        raise UsageError(
            f"the source has {source:,} different examples for a budget of {settings.budget:,}",
            "give more --source, or a smaller --budget",
        )
    with claimed(out), written(out, force=False) as draft:
        (draft / NAME).write_text(as_toml(settings), encoding="utf-8")
        told = settings.model_dump(mode="json")
        Ledger(draft / "ledger.jsonl").add(
            "begun", labels=list(model.labels), source=source, settings=told
        )
    return read_state(out)


def advance(
    folder: str | Path,
    *,
    partial: bool = False,
    ahead: bool = False,
    said: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Due:
    """Do whatever is due: choose, or with the round's labels in train, score and choose again.

    Doing it twice does nothing twice; killed anywhere, it goes on. `partial` closes a round that
    has some answers and still waits for others; `said` hears of each step when it is done. `ahead`
    chooses the next round while this one is being labelled, with the model there is; a choice of
    the trained model takes its place unless it was given out.

    Raises:
        UsageError: another process works on this campaign.
    """
    out = Path(folder)
    read_settings(out)
    done: list[str] = []
    with claimed(out):
        _record_changes(read_state(out))
        # Only what people have seen is closed without all of them.
        open_ = {one.number for one in read_state(out).rounds if partial and one.answers}
        while True:
            state = read_state(out)
            step = _due(state, open_) or (_due_ahead(state) if ahead else None)
            if step is None:
                return _told(state, done)
            name, number, count = step
            if name == "choose":
                choose.choose(state, number, count, progress=progress)
                done.append(f"round {number}: chosen for {count} {_unit(state)}")
            elif name == "ahead":
                choose.choose(state, number, count, by=number - 2, progress=progress)
                done.append(f"round {number}: chosen ahead for {count} {_unit(state)}")
            elif name == "close":
                waiting = _open(state.rounds[number - 1])
                state.ledger.add("closed", round=number, waited_for=waiting)
                done.append(f"round {number}: closed" + (" in part" if waiting else ""))
            else:
                act, what = STEPS[name]
                act(state, number, progress=progress)
                done.append(f"round {number}: {what}")
            if said is not None:
                said(done[-1])


def _unit(state: State) -> str:
    unit = state.settings.costs.unit
    return "labels" if unit == "examples" else unit


STEPS: dict[str, tuple[Callable[..., None], str]] = {
    "train": (steps.learn, "trained"),
    "score": (steps.score, "scored"),
    "judge": (judge.judge, "judged"),
}


def _due(state: State, closable: Collection[int]) -> tuple[str, int, int] | None:
    """The next step, its round and its size; None: people are to do theirs, or all is done."""
    if steps.unscored(state, 0):
        return "score", 0, 0
    # Judging comes last: nobody waits for it.
    numbers = (one.number for one in state.rounds)
    unjudged = (("judge", number, 0) for number in numbers if judge.unjudged(state, number))
    for one in state.rounds:
        number = one.number
        if not one.closed:
            partial = number in closable
            missing = steps.affordable(state, state.missing(one))
            if missing > 0 and not partial:
                return "choose", number, missing
            if _open(one) and not partial:
                return next(unjudged, None)
            return "close", number, 0
        if not steps.trained(state, number) and state.training(number):
            return "train", number, 0
        if steps.unscored(state, number):
            return "score", number, 0
    number = len(state.rounds) + 1
    more = steps.share(state, number)
    if more and (number <= state.settings.rounds or not state.rounds):
        return "choose", number, more
    return next(unjudged, None)


def _due_ahead(state: State) -> tuple[str, int, int] | None:
    """The next round's choice, once, while the only open round waits for labels."""
    number = len(state.rounds) + 1
    is_open = [not one.closed for one in state.rounds]
    if state.ahead or is_open.count(True) != 1 or number > state.settings.rounds:
        return None
    if number > 2 and not steps.trained(state, number - 2):
        return None
    waiting = sum(state.cost(one.issued[name]) for one in state.rounds for name in one.waiting)
    more = steps.share(state, number, but=waiting)
    return ("ahead", number, more) if more > 0 else None


def _open(one: Round) -> list[str]:
    """Ids that wait for an answer, or for a person to decide between answers."""
    return [] if one.closed else [*one.waiting, *(c.id for c in one.settled.conflicts)]


def _told(state: State, done: Sequence[str]) -> Due:
    waiting = sum(len(one.waiting) for one in state.rounds)
    conflicts = sum(len(_open(one)) for one in state.rounds) - waiting
    say = []
    if waiting:
        numbers = " and ".join(str(one.number) for one in state.rounds if one.waiting)
        say.append(
            f"{waiting} examples of round {numbers} wait for labels; polymux export writes them "
            "for a tool, polymux import takes the labels back"
        )
    if conflicts:
        say.append(
            f"{conflicts} examples were labelled in different ways; polymux export --conflicts "
            "writes them, polymux import --decide takes the decisions back"
        )
    if state.ahead:
        say.append(f"round {state.ahead['round']} is chosen ahead; export gives it out next")
    if not say:
        say.append(
            f"finished: {len(state.labelled)} labels, {state.spent:,.10g} of "
            f"{state.settings.budget:,} {state.settings.costs.unit}; "
            f"the last model is {steps.model_path(state, len(state.rounds))}"
        )
        if state.left >= 1 and state.choosable:
            say.append(f"{state.left:,.10g} are left: more rounds in {NAME} would spend them")
    return Due(tuple(done), waiting, not (waiting or conflicts), "\n".join(say))


def _record_changes(state: State) -> None:
    """What a person changed in `run.toml` since the ledger last told of it."""
    now = state.settings.model_dump(mode="json")
    before: dict[str, Any] = {}
    for event in state.ledger:
        before = event.get("settings", before)
    if now != before:
        state.ledger.add("changed", source=steps.distinct(state), settings=now)


def report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the campaign's card, by default as `report.html` in its folder; gives its place."""
    state = read_state(Path(folder))
    path = state.folder / "report.html" if out is None else Path(out)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(rounds(facts_of(state)), encoding="utf-8")
    draft.replace(path)
    return path


def replay(
    folder: str | Path,
    strategies: Sequence[str],
    *,
    seeds: int = 3,
    progress: Progress | None = None,
) -> Replay:
    """Put the bought labels in other orders and tell what the first of each would have made.

    `RUN/replay/replay.json` holds the same; a killed replay goes on.

    Raises:
        UsageError: too few labels, or another process works on this campaign.
    """
    out = Path(folder)
    read_settings(out)
    with claimed(out):
        return replays.replay(read_state(out), strategies, seeds=seeds, progress=progress)


def status(folder: str | Path) -> dict[str, Any]:
    """Where a campaign stands, as JSON has it: spent, left, waited for, scores so far."""
    state = read_state(Path(folder))
    return {
        "unit": state.settings.costs.unit,
        "budget": state.settings.budget,
        "spent": state.spent,
        "rates": dict(state.rates),
        "labelled": len(state.labelled),
        "left": state.left,
        "overrun": state.overrun,
        "rounds": [
            {
                "round": one.number,
                "issued": len(one.issued),
                "labelled": len(one.labelled),
                "trained": state.learned(one.number),
                "unusable": len(one.unusable),
                "waiting": len(one.waiting),
                "conflicts": 0 if one.closed else len(one.settled.conflicts),
                "closed": one.closed,
            }
            for one in state.rounds
        ],
        "scores": [{"round": number, **scores} for number, scores in state.scores()],
        "control": [
            {"round": one.number, **told}
            for one in state.rounds
            if (told := judge.judgement(state, one.number))
        ],
        "agreement": agreed(state),
    }
