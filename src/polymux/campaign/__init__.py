"""Campaigns: choose, send to people, take labels back, train, choose again (DeMuX 3, 4).

A campaign is a folder that a person can read: `run.toml` says what was asked for, `ledger.jsonl`
what happened, `rounds/NN/` hold choices, models and scores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.annotation import FORMATS, Sent, Server, format_named
from polymux.campaign import steps
from polymux.campaign.ledger import Ledger
from polymux.campaign.settings import NAME, Settings, Training, as_toml, read_settings
from polymux.campaign.state import State, read_state
from polymux.campaign.steps import Taken
from polymux.errors import UsageError
from polymux.folders import check_free, claimed, written
from polymux.progress import Progress

__all__ = [
    "Settings",
    "State",
    "Taken",
    "Training",
    "advance",
    "export",
    "fetch",
    "init",
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
    looked_at = State(out, settings, Ledger(out / "ledger.jsonl"), (), [])
    model = steps.model_of(looked_at, 0)
    source = steps.distinct(looked_at)
    for name in ("target", "test"):
        if getattr(settings, name):
            # Reading it to its end finds what is bad in it.
            deque(steps.pool(looked_at, name), maxlen=0)
    if source < settings.budget:
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


def advance(folder: str | Path, *, partial: bool = False, progress: Progress | None = None) -> Due:
    """Do whatever is due: choose, or with the round's labels in train, score and choose again.

    Doing it twice does nothing twice; killed anywhere, it goes on. `partial` closes a round that
    still waits for some answers.

    Raises:
        UsageError: another process works on this campaign.
    """
    out = Path(folder)
    read_settings(out)
    done: list[str] = []
    with claimed(out):
        _record_changes(read_state(out))
        while True:
            state = read_state(out)
            step = _due(state, partial=partial)
            if step is None:
                return _told(state, done)
            name, number, count = step
            if name == "choose":
                steps.choose(state, number, count, progress=progress)
                done.append(f"round {number}: {count} examples chosen")
            elif name == "close":
                state.ledger.add("closed", round=number, waited_for=state.rounds[-1].waiting)
                partial = False
            else:
                {"train": steps.learn, "score": steps.score}[name](state, number, progress=progress)
                done.append(f"round {number}: {name}d")


def _due(state: State, *, partial: bool) -> tuple[str, int, int] | None:
    """The next step, its round and its size; None: people are to do theirs, or all is done."""
    number = len(state.rounds)
    if steps.unscored(state, 0):
        return "score", 0, 0
    if number == 0:
        return "choose", 1, steps.share(state, 1)
    now = state.rounds[-1]
    if not now.closed:
        missing = now.wanted - (len(now.issued) - len(now.unusable))
        missing = min(missing, state.choosable)
        if missing > 0 and not partial:
            return "choose", number, missing
        if now.waiting and not partial:
            return None
        return "close", number, 0
    if not steps.trained(state, number) and state.labelled:
        return "train", number, 0
    if steps.unscored(state, number):
        return "score", number, 0
    more = steps.share(state, number + 1)
    return ("choose", number + 1, more) if number < state.settings.rounds and more else None


def _told(state: State, done: Sequence[str]) -> Due:
    now = state.rounds[-1]
    waiting = len(now.waiting)
    if waiting:
        place = state.place(now.number)
        say = (
            f"{waiting} examples of round {now.number} wait for labels: {place}; "
            f"polymux export writes them for a tool, polymux import takes the labels back"
        )
    else:
        say = (
            f"finished: {len(state.labelled)} labels of {state.settings.budget}; "
            f"the last model is {steps.model_path(state, now.number)}"
        )
    return Due(tuple(done), waiting, not waiting, say)


def _record_changes(state: State) -> None:
    """What a person changed in `run.toml` since the ledger last told of it."""
    now = state.settings.model_dump(mode="json")
    before: dict[str, Any] = {}
    for event in state.ledger:
        before = event.get("settings", before)
    if now != before:
        state.ledger.add("changed", source=steps.distinct(state), settings=now)


def export(folder: str | Path, out: str | Path, format_: str) -> int:
    """Write what waits for labels as a file of an annotation tool; how many examples.

    Where a tool is set up by a file (Label Studio's interface), that is written beside it.

    Raises:
        UsageError: nothing waits, or the format is only read.
    """
    state = read_state(Path(folder))
    made = format_named(format_)
    if made.dump is None:
        raise UsageError(f"{format_} is only read", "choose a format that is written")
    if made.tasks and state.settings.task not in made.tasks:
        raise UsageError(
            f"{format_} has no place for {state.settings.task}", "choose another format"
        )
    batch = steps.waiting(state)
    path = Path(out)
    files = {path: made.dump(batch)}
    if made.beside is not None:
        end, text_of = made.beside
        files[path.with_suffix(end)] = text_of(batch).encode()
    for file, data in files.items():
        draft = file.with_name(f".{file.name}.part")
        draft.write_bytes(data)
        draft.replace(file)
    return len(batch.items)


def send(
    folder: str | Path, format_: str, url: str, project: str, *, progress: Progress | None = None
) -> Sent:
    """Send what waits for labels to a tool's server, with what the model says of it.

    What is there is not sent again, so an export that was killed goes on.

    Raises:
        UsageError: nothing waits, the format has no server, or its address, the token or the
            project is a wrong one.
        WorkError: the server does not answer, or refuses.
    """
    out = Path(folder)
    read_settings(out)
    server = _server(format_)
    with claimed(out):
        batch = steps.waiting(read_state(out), suggested=True)
        return server.send(batch, url, project, progress)


def take(folder: str | Path, path: str | Path, format_: str) -> Taken:
    """Take labels back from a tool's file, as often as wanted; what was taken before is known.

    Raises:
        UsageError: no round waits for labels, or another process works on this campaign.
    """
    out = Path(folder)
    read_settings(out)
    with claimed(out):
        state = read_state(out)
        batch = steps.issued(state)
        answers = format_named(format_).load(Path(path), batch)
        return steps.take(state, batch, answers, str(path))


def fetch(folder: str | Path, format_: str, url: str, project: str) -> Taken:
    """Take labels back from a tool's server, as often as wanted; what was taken before is known.

    Raises:
        UsageError: as `take`, or the format has no server, or its address, the token or the
            project is a wrong one.
        WorkError: the server does not answer; then nothing was taken.
    """
    out = Path(folder)
    read_settings(out)
    server = _server(format_)
    with claimed(out):
        state = read_state(out)
        batch = steps.issued(state)
        page, answers = server.fetch(batch, url, project)
        return steps.take(state, batch, answers, page)


def _server(format_: str) -> Server:
    server = format_named(format_).server
    if server is None:
        served = ", ".join(name for name, one in FORMATS.items() if one.server is not None)
        raise UsageError(f"{format_} has no server", f"with --url choose one of: {served}")
    return server


def status(folder: str | Path) -> dict[str, Any]:
    """Where a campaign stands, as JSON has it: spent, left, waited for, scores so far."""
    state = read_state(Path(folder))
    return {
        "budget": state.settings.budget,
        "labelled": len(state.labelled),
        "left": state.left,
        "rounds": [
            {
                "round": one.number,
                "issued": len(one.issued),
                "labelled": len(one.labelled),
                "unusable": len(one.unusable),
                "waiting": len(one.waiting),
                "closed": one.closed,
            }
            for one in state.rounds
        ],
        "scores": [{"round": number, **scores} for number, scores in state.scores()],
    }
