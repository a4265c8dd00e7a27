"""Answers of people, taken into the ledger: what fits is kept, what does not is told."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polymux.annotation import Answer, Batch, checked
from polymux.annotation.batch import State as AnswerState
from polymux.annotation.canaries import PREFIX, Read, Reading, canaries, reading_of
from polymux.campaign.state import ADJUDICATOR, State, items
from polymux.errors import InputError, UsageError


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import took, and what it could not."""

    answers: tuple[Answer, ...]
    refused: tuple[InputError, ...]
    known: int
    """Answers that were there before, word for word."""
    corrected: int = 0
    """Those of the answers that take the place of another one of the same annotator."""
    waiting: int = 0
    """Examples that nobody has answered yet."""
    nameless: int = 0
    """Corrected ones that name nobody, as those before did: it may have been another person."""
    note: str = ""
    """What the canaries showed."""

    def count(self, state: AnswerState) -> int:
        """Answers of this state."""
        return sum(answer.state == state for answer in self.answers)


def take(
    state: State, read: Read, place: str, *, annotator: str | None = None, decides: bool = False
) -> Taken:
    """Take answers to what was issued; the good part is kept, word for word, in the ledger.

    Labels of a round that was closed without them count from the next training on. `annotator` is
    who gave those that name nobody; `decides`: they come from the one whose word is the last.

    Raises:
        UsageError: nothing was issued yet.
        InputError: the answers cannot be read at all, or canaries came back damaged.
    """
    if not state.rounds:
        raise UsageError("nothing was issued yet", "run polymux next first")
    rounds = {name: one for one in state.rounds for name in one.issued}
    everything = {name: one.issued[name] for name, one in rounds.items()}
    batch = Batch(state.settings.task, state.labels, items(everything))
    anew = f"polymux export {shlex.quote(str(state.folder))} --no-canaries"
    reading = reading_of(read, place, batch, anew) if state.settings.canaries else Reading()
    good: dict[int, list[Answer]] = {}
    bad: list[InputError] = []
    known = corrected = nameless = 0
    decided: set[str] = set()
    for answer in _read(batch, reading, read, place):
        if isinstance(answer, InputError):
            bad.append(answer)
            continue
        if decides:
            if answer.id in decided:
                what = f"{answer.id}: a second decision"
                bad.append(InputError(what, "one person decides", file=place, line=answer.line))
                continue
            decided.add(answer.id)
        # A file's own name says less than who imports it.
        if decides or answer.annotator in (None, annotator and Path(place).stem):
            answer = replace(answer, annotator=ADJUDICATOR if decides else annotator)
        who = answer.annotator or ""
        if not who.isprintable() or (who == ADJUDICATOR and not decides):
            what = f"{answer.id}: an annotator cannot be called {who!a}"
            hint = "give the name in visible signs; who has the last word imports with --decide"
            bad.append(InputError(what, hint, file=place, line=answer.line))
            continue
        before = rounds[answer.id].answers.get(answer.id, {}).get(answer.annotator)
        if _same(before, answer):
            known += 1
        else:
            corrected += before is not None
            nameless += before is not None and answer.annotator is None
            good.setdefault(rounds[answer.id].number, []).append(answer)
    for number, answers in good.items():
        told = [_told(answer) for answer in answers]
        state.ledger.add("answers", round=number, file=place, answers=told)
    taken = tuple(answer for answers in good.values() for answer in answers)
    answered = {answer.id for answer in taken}
    waiting = sum(name not in answered for one in state.rounds for name in one.waiting)
    return Taken(taken, tuple(bad), known, corrected, waiting, nameless, reading.note)


def _read(batch: Batch, reading: Reading, read: Read, place: str) -> Iterator[Answer | InputError]:
    """Answers to the batch, read as its canaries showed, without them."""
    view = reading.view(replace(batch, items=(*batch.items, *canaries(batch))))
    found = list(read(view))
    _refuse_strangers(view, found, place)
    for answer in checked(view, found, place):
        if isinstance(answer, InputError):
            yield answer
        elif not answer.id.startswith(PREFIX):
            try:
                yield reading.back(batch, answer)
            except InputError as error:
                yield InputError(error.what, error.hint, file=place, line=answer.line)


def _refuse_strangers(view: Batch, found: Sequence[Answer | InputError], place: str) -> None:
    """A file of another campaign is one error, not one for each of its lines."""
    issued = view.by_id
    names = {answer.id for answer in found if isinstance(answer, Answer)}
    own = {name for name in names if not name.startswith(PREFIX)}
    if len(own) > 1 and not own & issued.keys():
        raise InputError(
            f"none of its {len(own)} ids is of this campaign; the first is {min(own)!r}",
            "import what this campaign exported, with its ids untouched",
            file=place,
        )


def _same(before: Answer | None, now: Answer) -> bool:
    return before is not None and (before.state, before.label) == (now.state, now.label)


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"id": answer.id, "state": answer.state}
    if answer.label is not None:
        label = answer.label
        told["label"] = list(label) if isinstance(label, tuple) else label
    if answer.annotator is not None:
        told["annotator"] = answer.annotator
    if answer.seconds is not None:
        told["seconds"] = answer.seconds
    return told
