"""What is due in a campaign now: a step of the machine, or something that people do."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass

from polymux.campaign import judge, steps
from polymux.campaign.settings import NAME
from polymux.campaign.state import Round, State
from polymux.report.words import count

# The step, its round and its size in the unit of the budget.
Step = tuple[str, int, int]

# What `polymux next` does, by the name of the step.
_DOES = {
    "choose": "chooses for round {}",
    "close": "trains on the labels of round {}",
    "train": "trains on the labels of round {}",
    "score": "scores the model of round {}",
    "judge": "judges round {}",
}


@dataclass(frozen=True, slots=True)
class Due:
    """What was done, and what people must do now."""

    done: tuple[str, ...]
    waiting: int
    """Examples that nobody has answered."""
    finished: bool
    say: str


def step(state: State, closable: Collection[int] = ()) -> Step | None:
    """The next step; None: people are to do theirs, or all is done.

    `closable` are rounds that may be closed without all of their labels.
    """
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
            if open_in(one) and not partial:
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
    # No further round will learn from what came late.
    if state.rounds and steps.outdated(state, number - 1):
        return "train", number - 1, 0
    return next(unjudged, None)


def step_ahead(state: State) -> Step | None:
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


def open_in(one: Round) -> list[str]:
    """Ids that wait for an answer, or for a person to decide between answers."""
    return [*one.waiting, *one.conflicts]


def told(state: State, done: Collection[str] = ()) -> Due:
    """What is due now, with the command for each part of it."""
    run = shlex.quote(str(state.folder))
    waiting = sum(len(one.waiting) for one in state.rounds)
    conflicts = sum(len(open_in(one)) for one in state.rounds) - waiting
    say = []
    if waiting:
        numbers = " and ".join(str(one.number) for one in state.rounds if one.waiting)
        say.append(
            f"{count(waiting, 'example')} of round {numbers} wait{'s' * (waiting == 1)} for labels:"
            f" polymux export {run} --out FILE, then polymux import {run} FILE"
        )
    if conflicts:
        say.append(
            f"{count(conflicts, 'example')} {'was' if conflicts == 1 else 'were'} labelled in "
            f"different ways: polymux export {run} --conflicts --out FILE, "
            f"then polymux import {run} FILE --decide"
        )
    if state.ahead:
        say.append(f"round {state.ahead['round']} is chosen ahead; export gives it out next")
    due = step(state)
    if due is not None:
        does = _DOES[due[0]].format(due[1]).replace("model of round 0", "start model")
        say.append(f"polymux next {run} {does}")
    finished = not (waiting or conflicts or due)
    if finished and not say:
        say += _ended(state)
    return Due(tuple(done), waiting, finished, "\n".join(say))


def _ended(state: State) -> list[str]:
    model = steps.model_path(state, len(state.rounds))
    spent = f"{state.spent:,.10g} of {state.settings.budget:,} {state.settings.costs.unit}"
    say = [f"finished: {count(len(state.labelled), 'label')}, {spent}; the last model is {model}"]
    if state.left >= 1 and state.choosable:
        say.append(f"left to spend: {state.left:,.10g}, by more rounds in {NAME}")
    return say
