"""Where a campaign stands, read from its ledger and its rounds: no state is kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from polymux.annotation import Answer, Batch, Item
from polymux.annotation.agreement import (
    LEAST,
    Rule,
    Settled,
    agreement,
    majority,
    settle,
    unanimous,
)
from polymux.campaign.costs import cost_by, measured_rates, overrun, paid
from polymux.campaign.ledger import Ledger
from polymux.campaign.settings import Settings, read_settings
from polymux.errors import InputError
from polymux.records import FIELDS, Example

# Whose label counts, whatever the others said; and the rules for those who have not been asked.
ADJUDICATOR = "adjudicator"
RULES: Mapping[str, Rule] = {"majority": majority, "unanimous": unanimous}


@dataclass(slots=True)
class Round:
    """One round: what was issued, what came back."""

    number: int
    issued: dict[str, Example] = field(default_factory=dict)
    """By id, in the order of the ranking; replacements follow."""
    answers: dict[str, dict[str | None, Answer]] = field(default_factory=dict)
    """By id and annotator, the latest of each."""
    wanted: float = 0.0
    """What this round is for, in the unit of the budget."""
    replaced: float = 0.0
    """What was given out for those that nobody could label."""
    closed: bool = False
    """Nothing more is waited for."""
    settle: Rule = majority
    """Whose label counts where several people answered."""

    @property
    def waiting(self) -> list[str]:
        """Ids that nobody answered."""
        return [] if self.closed else [name for name in self.issued if name not in self.answers]

    @property
    def settled(self) -> Settled:
        """The labels by id, and what a person has to decide."""
        found = settle({name: given.values() for name, given in self.answers.items()}, self.settle)
        decided = {
            name: given[ADJUDICATOR].label
            for name, given in self.answers.items()
            if ADJUDICATOR in given
        }
        labels = {n: label for n, label in found.labels.items() if n not in decided}
        labels |= {n: label for n, label in decided.items() if label is not None}
        open_ = tuple(name for name in found.conflicts if name not in decided)
        return Settled(labels, open_)

    @property
    def conflicts(self) -> list[str]:
        """Ids that a person has to decide."""
        return [] if self.closed else list(self.settled.conflicts)

    @property
    def labelled(self) -> list[Example]:
        """Examples with the label they were given, in the order of issue."""
        labels = self.settled.labels
        return [
            replace(example, label=labels[name])
            for name, example in self.issued.items()
            if name in labels
        ]

    @property
    def unusable(self) -> list[str]:
        """Ids that were skipped or rejected by all who answered, or by who decides."""
        return [
            name
            for name, given in self.answers.items()
            if all(
                answer.state != "labelled"
                for answer in ([given[ADJUDICATOR]] if ADJUDICATOR in given else given.values())
            )
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
    drawn: dict[str, int] = field(default_factory=dict)
    """Ids of the source that chance drew, and for which round; known to the ledger alone."""
    chance: set[str] = field(default_factory=set)
    """Those of them that no strategy had chosen before."""
    held: set[str] = field(default_factory=set)
    """Ids of the target sample that chance drew: for scores, never for training."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """What a language takes, as expected or as measured."""
    ahead: Mapping[str, Any] | None = None
    """The next round's choice, made before this one's labels are in, and not given out yet."""

    @property
    def labelled(self) -> list[Example]:
        """All labels that were bought so far."""
        return [example for one in self.rounds for example in one.labelled]

    def slice_of(self, number: int) -> set[str]:
        """Ids that chance drew up to a round.

        What later rounds add is no part of it before all of that is labelled: until then only what
        was also chosen is.
        """
        return {name for name, since in self.drawn.items() if since <= number}

    def training(self, number: int) -> list[Example]:
        """The labels that the model of a round learns from: of all rounds so far."""
        rounds = self.rounds[:number]
        return [one for part in rounds for one in part.labelled if one.id not in self.held]

    def learned(self, number: int) -> int | None:
        """How many labels the model of a round was trained on; later answers are not among them."""
        file = self.place(number) / "model" / "training.json"
        if not file.is_file():
            return None
        count: int = json.loads(file.read_text(encoding="utf-8"))["examples"]
        return count

    @property
    def issued(self) -> list[Example]:
        """Everything that was ever given to people."""
        return [example for one in self.rounds for example in one.issued.values()]

    @property
    def cost(self) -> Callable[[Example], float]:
        """What an example costs, in the unit of the budget."""
        return cost_by(self.settings.costs, self.rates)

    @property
    def spent(self) -> float:
        """What was paid so far: for labels, those in conflict among them; minutes of all answers.

        However many people answer, a label is paid once, unless minutes are told.
        """
        costs, cost = self.settings.costs, self.cost
        total = 0.0
        for one in self.rounds:
            unusable = set(one.unusable)
            for name, answers in one.answers.items():
                example, is_labelled = one.issued[name], name not in unusable
                total += paid(costs, cost, example, answers.values(), is_labelled=is_labelled)
        return total

    @property
    def left(self) -> float:
        """What of the budget is not spent yet."""
        return max(0.0, self.settings.budget - self.spent)

    @property
    def overrun(self) -> str | None:
        """What was spent beyond the budget and how that can be, in one sentence; None: nothing."""
        return overrun(self.settings.costs, self.spent - self.settings.budget)

    def missing(self, one: Round) -> float:
        """What of a round nobody could label and nothing took the place of."""
        unusable = set(one.unusable)
        lost = sum(self.cost(e) for name, e in one.issued.items() if name in unusable)
        return max(0.0, lost - one.replaced)

    @property
    def choosable(self) -> int:
        """Examples of the source that were never issued."""
        return max(0, self.pool - len(self.issued) + len(self.held))

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


def read_state(folder: Path, *more: Mapping[str, Any]) -> State:
    """Read a campaign from its folder, as it would stand after more events."""
    settings = read_settings(folder)
    ledger = Ledger(folder / "ledger.jsonl")
    rounds: dict[int, Round] = {}
    labels: tuple[str, ...] = ()
    pool = 0
    drawn: dict[str, int] = {}
    chance: set[str] = set()
    held: set[str] = set()
    ahead: Mapping[str, Any] | None = None
    rule = RULES[settings.settle]
    for event in chain(ledger, more):
        kind = event["event"]
        labels = tuple(event.get("labels", labels))
        pool = event.get("source", pool)
        if kind == "ahead":
            ahead = event
        if "round" not in event or kind == "ahead":
            continue
        one = rounds.setdefault(event["round"], Round(event["round"], settle=rule))
        if kind == "issued":
            one.replaced += event["wanted"] if one.issued else 0.0
            one.wanted = one.wanted or event["wanted"]
            one.issued |= issued_in(folder / event["file"], settings.task, event["ids"])
            drawn = dict.fromkeys(event.get("slice", ()), event["round"]) | drawn
            chance.update(set(event["ids"]) & drawn.keys())
            held.update(event.get("held", ()))
            ahead = None
        elif kind == "answers":
            for told in event["answers"]:
                answer = _answer(told)
                one.answers.setdefault(answer.id, {})[answer.annotator] = answer
        elif kind == "closed":
            one.closed = True
    in_order = [rounds[number] for number in sorted(rounds)]
    timed = (
        (example, one.answers.get(name, {}).values())
        for one in in_order
        for name, example in one.issued.items()
    )
    rates = measured_rates(settings.costs, timed)
    return State(
        folder, settings, ledger, labels, in_order, pool, drawn, chance, held, rates, ahead
    )


def issued_in(path: Path, task: str, ids: list[str]) -> dict[str, Example]:
    """The examples of a `to_label.jsonl`, by id, unlabelled whatever stands there now."""
    wanted, found = set(ids), {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            kept = {"text": told.get("surface"), "prediction": told.get("prediction")}
            one = Example(
                told["id"],
                told["file"],
                told["line"],
                _fields(told, task),
                language=told.get("language"),
                extra={name: value for name, value in kept.items() if value is not None},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                "this line was changed and cannot be read",
                "take the file back from a copy",
                file=str(path),
                line=number,
            ) from error
        if one.id in wanted:
            found[one.id] = one
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
        Item(name, example.fields, rank, example.extra.get("text"), example.language)
        for rank, (name, example) in enumerate(examples.items(), start=1)
    )


def suggested(item: Item, example: Example, labels: Sequence[str]) -> Item:
    """An item with what the model that chose it says, unless nobody may give such a label."""
    told = example.extra.get("prediction") or {}
    label, scores = told.get("labels", told.get("label", told.get("answers"))), told.get("scores")
    if isinstance(label, list):
        label = tuple(label)
    given = (label,) if isinstance(label, str) else label
    if label is None or (isinstance(given, tuple) and not set(given) <= set(labels)):
        return item
    # Of a sentence its least sure word.
    score = told.get("score", min(scores) if scores else None)
    return replace(item, label=label, score=score)


def agreed(state: State) -> dict[str, dict[str, Any]]:
    """How far annotators agree, by language, where two or more labelled the same."""
    answers = {
        name: [answer for who, answer in given.items() if who != ADJUDICATOR]
        for one in state.rounds
        for name, given in one.answers.items()
    }
    asked = {name: one.issued[name] for one in state.rounds for name in one.issued}
    found = agreement(answers, Batch(state.settings.task, state.labels, items(asked)))
    return {language or "": asdict(one) | {"least": LEAST} for language, one in found.items()}


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
