"""Campaigns: choose, send to people, take labels back, train, choose again (DeMuX 3, 4).

A campaign is a folder that a person can read: `run.toml` says what was asked for, `ledger.jsonl`
what happened, `rounds/NN/` hold choices, models and scores.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from polymux.campaign import choose, due, judge, steps
from polymux.campaign import replay as replays
from polymux.campaign.card import facts_of
from polymux.campaign.due import Due
from polymux.campaign.exchange import export, fetch, send, take
from polymux.campaign.judge import too_few
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
from polymux.campaign.state import State, agreed, read_state
from polymux.campaign.steps import hardly_trained
from polymux.campaign.taking import Taken
from polymux.errors import UsageError
from polymux.folders import check_free, claimed, write_text, written
from polymux.prescribe.costs import checked, refuse_strangers
from polymux.progress import Progress, within
from polymux.report.rounds import rounds
from polymux.selection import STRATEGIES, Strategy, find_strategy, refuse_missing

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
    "hardly_trained",
    "init",
    "replay",
    "report",
    "send",
    "status",
    "take",
    "too_few",
]


def init(folder: str | Path, settings: Settings) -> State:
    """Begin a campaign in a folder that is not there yet, after looking at everything it needs.

    Raises:
        ModelError, InputError: the model does not load, or a pool cannot be read.
        UsageError: the folder is not empty, the pool is smaller than the budget, there is no such
            strategy, or a limit names a language that the pool does not have.
    """
    out = Path(folder)
    _refuse_taken(out)
    looked_at = State(
        out, settings, Ledger(out / "ledger.jsonl"), (), [], rates=settings.costs.rates
    )
    for name in ("source", "target", "test"):
        if getattr(settings, name):
            # A path that leads nowhere is found before the model is loaded, which takes longer.
            steps.pool(looked_at, name)
    model = steps.model_of(looked_at, 0)
    budgeting = choose.budgeting(settings)
    checked([settings.budget], budgeting)
    _refuse_strategy(settings)
    if settings.budget < settings.rounds:
        raise UsageError(
            f"a budget of {settings.budget} is too small for {settings.rounds} rounds",
            f"give --rounds {settings.budget} or fewer, or a larger --budget",
        )
    if settings.costs.unit != "examples":
        # Every example has to have its price.
        deque(map(looked_at.cost, steps.open_to_all(looked_at)), maxlen=0)
    source = steps.distinct(looked_at)
    limits = settings.limits
    if limits.at_least or limits.at_most or limits.without:
        refuse_strangers(budgeting, steps.languages(looked_at))
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


def _refuse_strategy(settings: Settings) -> None:
    """A strategy that does not exist, or needs what a campaign has not."""
    rule = find_strategy(settings.strategy)
    if not isinstance(rule, Strategy):
        return
    told = {"languages"} if settings.language is not None else set()
    if rule.needs - {"languages"}:
        fit = [
            name
            for name, one in STRATEGIES.items()
            if not (isinstance(one, Strategy) and one.needs - {"languages"})
        ]
        raise UsageError(
            f"a campaign has no place for what the strategy {settings.strategy} needs",
            f"choose one of: {', '.join(fit)}",
        )
    refuse_missing(settings.strategy, rule, dict.fromkeys(told, True))


def _refuse_taken(folder: Path) -> None:
    """A campaign begins in a folder of its own."""
    if (folder / NAME).is_file():
        raise UsageError(
            f"{folder} is a campaign already",
            f"`polymux status {shlex.quote(str(folder))}` tells where it stands; give another "
            "folder to a new one",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty", "give a folder that is not there yet")
    check_free(folder, force=False)


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
            step = due.step(state, open_) or (due.step_ahead(state) if ahead else None)
            if step is None:
                return due.told(state, done)
            name, number, count = step
            unit = state.settings.costs.counted
            if name == "choose":
                choose.choose(state, number, count, progress=within(progress, f"round {number}"))
                done.append(f"round {number}: chosen for {count} {unit}")
            elif name == "ahead":
                show = within(progress, f"round {number}, ahead")
                choose.choose(state, number, count, by=number - 2, progress=show)
                done.append(f"round {number}: chosen ahead for {count} {unit}")
            elif name == "close":
                waiting = due.open_in(state.rounds[number - 1])
                state.ledger.add("closed", round=number, waited_for=waiting)
                done.append(f"round {number}: closed" + (" in part" if waiting else ""))
            else:
                act, what = STEPS[name]
                act(
                    state,
                    number,
                    progress=within(progress, f"round {number}" if number else "start model"),
                )
                done.append(f"round {number}: {what}")
            if said is not None:
                said(done[-1])


STEPS: dict[str, tuple[Callable[..., None], str]] = {
    "train": (steps.learn, "trained"),
    "score": (steps.score, "scored"),
    "judge": (judge.judge, "judged"),
}


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
    write_text(path, rounds(facts_of(state)), force=True)
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
    """Where a campaign stands, as JSON has it: spent, left, what is due, scores so far."""
    state = read_state(Path(folder))
    return {
        "unit": state.settings.costs.unit,
        "budget": state.settings.budget,
        "spent": state.spent,
        "rates": dict(state.rates),
        "per": state.settings.costs.per,
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
                "conflicts": len(one.conflicts),
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
        "drawn": judge.drawn(state),
        "agreement": agreed(state),
        "due": due.told(state).say,
    }
