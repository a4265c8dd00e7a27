"""The control slice: labels of examples that nobody chose, marked as such in the ledger alone.

The slice is the first part of the pool in the order of hash(seed, control, content), whatever was
chosen: a random sample of all of it. What of it was bought already costs nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polymux.campaign.state import State
from polymux.prescribe.costs import group_of
from polymux.records import Example, Pool, content_hashes
from polymux.selection.draws import draws

# An id of the target sample may be one of the source, too.
OF_TARGET = "target:"
# Purposes of the draws.
_SOURCE, _TARGET = "control", "control of the target"


@dataclass(frozen=True, slots=True)
class Slice:
    """What of the slice has to be labelled yet."""

    fresh: tuple[Example, ...]
    """Of the source."""
    known: tuple[str, ...]
    """Ids that were issued before."""
    held: tuple[Example, ...]
    """Of the target sample: for scores, never for training."""


def slice_of(state: State, wanted: float, source: Pool, target: Pool) -> Slice:
    """What makes the slice as large as its share of `wanted`, replacements included.

    In examples, whatever the budget counts: what they cost must not decide which they are.
    """
    control = state.settings.control
    if control.share and state.settings.costs.unit != "examples":
        without = state.settings.limits.without
        costs = [state.cost(one) for one in source if one.language not in without]
        wanted /= float(np.mean(costs)) if costs else 1.0
    size = int(np.floor(control.share * wanted + 0.5))
    of_target = size // 2 if control.target else 0
    seed = state.settings.seed
    fresh: list[Example] = []
    known: list[str] = []
    if size > of_target:
        issued = {_hash(one): one.id for one in state.issued if one.id not in state.held}
        unusable = {name for one in state.rounds for name in one.unusable}
        limits = state.settings.limits
        room = _room(state, unusable)
        groups = _groups(source, set(issued), limits.one_of)
        # As many again, where a language may not be bought any more.
        count = size - of_target + len(unusable)
        if room or limits.one_of:
            count += size
        for example in _in_order(source, seed, _SOURCE, count, limits.without):
            if len(fresh) + len(known) == size - of_target:
                break
            name, group = issued.get(_hash(example)), group_of(example, limits.one_of)
            if name is not None:
                known += [] if name in unusable else [name]
            elif group is not None and group in groups:
                continue
            elif room.get(example.language, 1) > 0:
                if example.language in room:
                    room[example.language] -= 1
                groups.add(group)
                fresh.append(example)
    return Slice(tuple(fresh), tuple(known), tuple(_held(state, of_target, target)))


def _room(state: State, unusable: set[str]) -> Counter[str | None]:
    """How many more of a language may be bought, where there is a limit.

    The slice of a pool of which a language is used up stands for the rest of it.
    """
    most = state.settings.limits.at_most
    out = unusable | state.held
    bought = Counter(one.language for one in state.issued if one.id not in out)
    return Counter({name: count - bought[name] for name, count in most.items()})


def _groups(source: Pool, issued: set[bytes], one_of: str | None) -> set[Hashable]:
    """Groups of which one was bought."""
    if one_of is None:
        return set()
    return {group_of(example, one_of) for example in source if _hash(example) in issued}


def _held(state: State, size: int, target: Pool) -> Iterator[Example]:
    """Examples of the target that were not issued, as many as its part of the slice lacks."""
    unusable = {name for one in state.rounds for name in one.unusable}
    missing = size - len(state.held - unusable)
    if missing <= 0:
        return
    issued = {_hash(example) for example in state.issued}
    for example in _in_order(target, state.settings.seed, _TARGET, size + len(issued)):
        if missing and _hash(example) not in issued:
            missing -= 1
            yield replace(example, id=OF_TARGET + example.id)


def _in_order(
    pool: Pool, seed: int, purpose: str, count: int, without: Collection[str] = ()
) -> list[Example]:
    """The `count` different examples with the smallest draws, smallest first."""
    held: dict[bytes, tuple[float, Example]] = {}
    for shard in pool.shards():
        examples = [one for one in shard.examples if one.language not in without]
        # Copies have the same draw and would crowd others out.
        hashes, first = np.unique(content_hashes(examples), axis=0, return_index=True)
        examples = [examples[place] for place in first.tolist()]
        drawn = draws(seed, purpose, hashes)
        for place in np.argsort(drawn, kind="stable")[:count].tolist():
            held.setdefault(hashes[place].tobytes(), (drawn[place], examples[place]))
        smallest = sorted(held.items(), key=lambda one: one[1][0])[:count]
        held = dict(smallest)
    return [example for _, example in held.values()]


def _hash(example: Example) -> bytes:
    return content_hashes([example]).tobytes()


def mixed(
    chosen: Sequence[dict[str, Any]], slice_: Sequence[dict[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Lines in the order that people see: the ranking, with the slice strewn in by chance."""
    drawn = np.random.default_rng(seed)
    places = [place / max(1, len(chosen)) for place in range(len(chosen))]
    places += drawn.random(len(slice_)).tolist()
    lines = [*chosen, *slice_]
    return [lines[at] for at in np.argsort(places, kind="stable").tolist()]
