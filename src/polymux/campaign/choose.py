"""Choose a round: the ranking of a strategy, and the slice that chance draws, as one file."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polymux.campaign.control import OF_TARGET, mixed, slice_of
from polymux.campaign.settings import Settings
from polymux.campaign.state import State
from polymux.campaign.steps import model_of, model_path, pool, store_of
from polymux.diagnosis import advise, diagnose
from polymux.errors import BudgetError
from polymux.folders import write_text
from polymux.prescribe import select
from polymux.prescribe.costs import Budgeting
from polymux.prescribe.files import to_label
from polymux.progress import Progress
from polymux.records import Example, Pool, Prescription


def choose(
    state: State, number: int, budget: int, *, by: int | None = None, progress: Progress | None
) -> None:
    """Choose a round's examples; what was issued stays out.

    The model of the round before chooses, or of round `by`: then it is a choice ahead, given out
    only if people are done before that model is there. A second choice of a round replaces examples
    that nobody could label.
    """
    before = sum(1 for _ in _issued(state.ledger, number))
    others = sum(one.wanted for one in state.rounds if one.number != number)
    here = [one.wanted for one in state.rounds if one.number == number]
    wanted = others + max(float(budget), *here, 0.0)
    drawn = slice_of(state, wanted, pool(state, "source"), pool(state, "target"))
    aside = _affordable([*drawn.fresh, *drawn.held], budget, state)
    left = int(budget - sum(map(state.cost, aside)) + 1e-6)
    model = model_of(state, number - 1 if by is None else by)
    name = "choice" if by is None else "ahead"
    stem = f"{name}-{before + 1}" if before else name
    folder = state.place(number) / stem
    lines: list[dict[str, Any]] = []
    if left > 0 and state.choosable > len(drawn.fresh):
        # Where what is left of the round buys nothing, the round is as large as it can be.
        with suppress(BudgetError):
            if not _is_there(folder, _question(state, number, left, aside, by)):
                _ranked(state, model, number, left, aside, progress).write(folder)
            lines = _lines(folder / "to_label.jsonl")
    if aside:
        lines = mixed(lines, _as_chosen(state, model, aside, progress), state.settings.seed)
    file = folder.with_name(f"{stem.replace('choice', 'to_label')}.jsonl")
    _write(file, lines)
    fresh = [one.id for one in drawn.fresh if one in aside]
    state.ledger.add(
        "issued" if by is None else "ahead",
        # While this was chosen, what had been chosen ahead may have gone out.
        unless=given_out(number, before),
        round=number,
        file=file.relative_to(state.folder).as_posix(),
        ids=[line["id"] for line in lines],
        wanted=budget,
        slice=[*drawn.known, *fresh],
        held=[one.id for one in aside[len(fresh) :]],
    )


def _affordable(wanted: Sequence[Example], budget: int, state: State) -> list[Example]:
    """The first of them that the budget buys."""
    found: list[Example] = []
    left = float(budget)
    for example in wanted:
        left -= state.cost(example)
        if left < -1e-6:
            break
        found.append(example)
    return found


def _ranked(
    state: State,
    model: Any,
    number: int,
    budget: int,
    aside: Sequence[Example],
    progress: Progress | None,
) -> Prescription:
    barred = [*state.issued, *aside]
    pools = pool(state, "source"), pool(state, "target")
    (strategy,), advice = advise(
        [state.settings.strategy],
        [budget if state.settings.costs.unit == "examples" else None],
        state.settings.task,
        lambda: diagnose(model, *pools, seed=state.settings.seed, store=store_of(state)).facts,
    )
    return select(
        model,
        *pools,
        budget=budget,
        strategy=strategy,
        auto=None if advice is None else advice.record,
        seed=state.settings.seed + number,
        exclude=[Pool.of(barred, state.settings.task, name="issued")] if barred else [],
        **_limits(state, budget, barred),
        store=store_of(state),
        progress=progress,
    )


def _limits(state: State, budget: int, before: Sequence[Example]) -> dict[str, Any]:
    """What is left of the campaign's limits, as `select` takes them."""
    costs, limits = state.settings.costs, state.settings.limits
    out = {name for one in state.rounds for name in one.unusable} | state.held
    held = Counter(
        one.language for one in before if one.id not in out and not one.id.startswith(OF_TARGET)
    )
    room = budget if costs.unit == "examples" else sum(limits.at_least.values())
    at_least = {}
    for language, count in limits.at_least.items():
        # What this round has no room for, the next one sees to.
        at_least[language] = min(room, max(0, count - held[language]))
        room -= at_least[language]
    at_most = {name: max(0, n - held[name]) for name, n in limits.at_most.items()}
    now = {"rates": state.rates, "at_least": at_least, "at_most": at_most}
    return {**budgeting(state.settings), **now, "near_duplicates": limits.near_duplicates}


def budgeting(settings: Settings) -> Budgeting:
    """What the budget counts and what limits the choice, by the names of `select`."""
    costs, limits = settings.costs, settings.limits
    return Budgeting(
        budget_in=costs.unit,
        rates=costs.rates,
        per=costs.per,
        at_least=limits.at_least,
        at_most=limits.at_most,
        without=limits.without,
        one_of=limits.one_of,
    )


def _as_chosen(
    state: State, model: Any, aside: Sequence[Example], progress: Progress | None
) -> list[dict[str, Any]]:
    """The slice with all that a chosen example has, so that nobody can tell it apart."""
    made = select(
        model,
        Pool.of(aside, state.settings.task, name="slice"),
        pool(state, "target"),
        budget=len(aside),
        strategy="random",
        store=store_of(state),
        progress=progress,
    )
    return [json.loads(line) for line in to_label(made.picks)]


def _issued(events: Iterable[Mapping[str, Any]], number: int) -> Iterator[Mapping[str, Any]]:
    return (e for e in events if e["event"] == "issued" and e["round"] == number)


def given_out(number: int, before: int) -> Callable[[Iterable[Mapping[str, Any]]], bool]:
    """Whether more of a round was given out than one knew of."""
    return lambda events: sum(1 for _ in _issued(events, number)) > before


def _question(
    state: State, number: int, budget: int, aside: Sequence[Example], by: int | None
) -> str:
    """All that decides a choice, in short."""
    barred = [*state.issued, *aside]
    told = [
        model_path(state, number - 1 if by is None else by),
        state.settings.model_dump(exclude={"rounds", "budget", "training", "control", "test"}),
        budget,
        number,
        _limits(state, budget, barred),
        sorted(one.id for one in barred),
    ]
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _is_there(folder: Path, question: str) -> bool:
    """Whether a kill left this very choice; another one there is thrown away."""
    mark = folder.with_name(f".{folder.name}.of")
    if mark.is_file() and mark.read_text(encoding="utf-8") == question:
        return (folder / "selection.json").is_file()
    shutil.rmtree(folder, ignore_errors=True)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(question, encoding="utf-8")
    return False


def _write(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    ranked = [{**line, "rank": rank} for rank, line in enumerate(lines, start=1)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ranked)
    write_text(file, text, force=True)


def _lines(file: Path) -> list[dict[str, Any]]:
    # splitlines would also break at the line separators that JSON leaves as they are.
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]
