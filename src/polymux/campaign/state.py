"""Where a campaign stands, read from its ledger and its rounds: no state is kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from polymux.annotation import Answer, Item
from polymux.annotation.agreement import majority
from polymux.campaign.ledger import Ledger
from polymux.campaign.settings import Settings, read_settings
from polymux.errors import InputError
from polymux.records import FIELDS, Example


@dataclass(slots=True)
class Round:
    """One round: what was issued, what came back."""

    number: int
    issued: dict[str, Example] = field(default_factory=dict)
    """By id, in the order of the ranking; replacements follow."""
    answers: dict[str, dict[str | None, Answer]] = field(default_factory=dict)
    """By id and annotator, the latest of each."""
    wanted: int = 0
    """Labels that this round is for."""
    closed: bool = False
    """Nothing more is waited for."""

    @property
    def waiting(self) -> list[str]:
        """Ids that nobody answered."""
        return [] if self.closed else [name for name in self.issued if name not in self.answers]

    @property
    def labelled(self) -> list[Example]:
        """Examples with the label they were given, in the order of issue."""
        found = []
        for name, example in self.issued.items():
            given = self.answers.get(name, {}).values()
            votes = [answer.label for answer in given if answer.label is not None]
            label = majority(votes) if votes else None
            if label is not None:
                found.append(replace(example, label=label))
        return found

    @property
    def unusable(self) -> list[str]:
        """Ids that were skipped or rejected by all who answered."""
        return [
            name
            for name, given in self.answers.items()
            if all(answer.state != "labelled" for answer in given.values())
        ]


@dataclass(slots=True)
class State:
    """A whole campaign."""

    folder: Path
    settings: Settings
    ledger: Ledger
    labels: tuple[str, ...]
    """Those that may be given."""
    rounds: list[Round]
    pool: int = 0
    """Different examples in the source."""

    @property
    def labelled(self) -> list[Example]:
        """All labels that were bought so far."""
        return [example for one in self.rounds for example in one.labelled]

    @property
    def issued(self) -> list[Example]:
        """Everything that was ever given to people."""
        return [example for one in self.rounds for example in one.issued.values()]

    @property
    def left(self) -> int:
        """Labels of the budget that are not bought yet."""
        return max(0, self.settings.budget - len(self.labelled))

    @property
    def choosable(self) -> int:
        """Examples of the source that were never issued."""
        return max(0, self.pool - len(self.issued))

    def place(self, number: int) -> Path:
        """The folder of a round; 0 is the start."""
        return self.folder / "rounds" / f"{number:02d}"

    def scores(self) -> list[tuple[int, dict[str, float]]]:
        """What the models of the rounds scored on the labelled test set; 0 is the start."""
        found = []
        for number in range(len(self.rounds) + 1):
            file = self.place(number) / "evaluation" / "evaluation.json"
            if file.is_file():
                told = json.loads(file.read_text(encoding="utf-8"))
                found.append((number, {told["main"]: told["average"][told["main"]]}))
        return found


def read_state(folder: Path) -> State:
    """Read a campaign from its folder."""
    settings = read_settings(folder)
    ledger = Ledger(folder / "ledger.jsonl")
    rounds: dict[int, Round] = {}
    labels: tuple[str, ...] = ()
    pool = 0
    for event in ledger:
        kind = event["event"]
        labels = tuple(event.get("labels", labels))
        pool = event.get("source", pool)
        if "round" not in event:
            continue
        one = rounds.setdefault(event["round"], Round(event["round"]))
        if kind == "issued":
            one.issued |= issued_in(folder / event["file"], settings.task, event["ids"])
            one.wanted = one.wanted or event["wanted"]
        elif kind == "answers":
            for told in event["answers"]:
                answer = _answer(told)
                one.answers.setdefault(answer.id, {})[answer.annotator] = answer
        elif kind == "closed":
            one.closed = True
    in_order = [rounds[number] for number in sorted(rounds)]
    return State(folder, settings, ledger, labels, in_order, pool)


def issued_in(path: Path, task: str, ids: list[str]) -> dict[str, Example]:
    """The examples of a `to_label.jsonl`, by id, unlabelled whatever stands there now."""
    wanted, found = set(ids), {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            fields = _fields(told, task)
        except (ValueError, KeyError, AttributeError) as error:
            raise InputError(
                "this line was changed and cannot be read",
                "take the file back from a copy",
                file=str(path),
                line=number,
            ) from error
        if told["id"] in wanted:
            found[told["id"]] = Example(
                told["id"], told["file"], told["line"], fields, language=told.get("language")
            )
    if missing := wanted - set(found):
        raise InputError(
            f"{sorted(missing)[0]} was issued and stands there no more",
            "take the file back from a copy",
            file=str(path),
        )
    return found


def _fields(told: Mapping[str, Any], task: str) -> dict[str, str | tuple[str, ...]]:
    fields: dict[str, str | tuple[str, ...]] = {}
    for name in FIELDS[task]:
        value = told.get(name.rstrip("?")) if name.endswith("?") else told[name]
        if value is not None:
            fields[name.rstrip("?")] = tuple(value) if isinstance(value, list) else value
    return fields


def items(examples: Mapping[str, Example]) -> tuple[Item, ...]:
    """Examples as they go to people."""
    return tuple(
        Item(name, example.fields, rank, language=example.language)
        for rank, (name, example) in enumerate(examples.items(), start=1)
    )


def _answer(told: Mapping[str, Any]) -> Answer:
    label = told.get("label")
    return Answer(
        told["id"],
        {},
        told["state"],
        tuple(label) if isinstance(label, list) else label,
        told.get("annotator"),
        told.get("seconds"),
    )
