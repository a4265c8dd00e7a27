"""Other orders of the labels that a campaign bought: what each would have made of the first n."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from polymux.campaign.judge import LEAST, of_target
from polymux.campaign.state import State
from polymux.campaign.steps import model_of, pool, store_of
from polymux.campaign.trial import metric, trial
from polymux.errors import UsageError
from polymux.folders import write_text
from polymux.intervals import Parts, difference
from polymux.prescribe import select_many
from polymux.progress import Progress
from polymux.records import Example, Pool

AS_BOUGHT, RANDOM = "as bought", "random"
# Of the labels that may be ordered; all of them are the same in every order.
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Replay:
    """What orders of the bought labels made."""

    metric: str
    labels: int
    """Those that were put in other orders."""
    scored_on: str
    rows: tuple[dict[str, Any], ...]
    """One an order and n: order, n, scores (a training each), and against random a difference."""

    @property
    def caution(self) -> str:
        """What this cannot tell."""
        return (
            f"These are orders of the {self.labels} examples that were bought, and random is random"
            " among them. What was never bought, no order here can show."
        )


def replay(
    state: State, strategies: Sequence[str], *, seeds: int, progress: Progress | None
) -> Replay:
    """Train on the first n labels in each order, and score on labels outside of all orders.

    Scored on the labelled test set; else on target labels kept apart; else on the control slice,
    which then leaves the orders.

    Raises:
        UsageError: too few labels are there to be ordered or to be scored on.
    """
    labels = state.training(len(state.rounds))
    asked, where = _scored_on(state, labels)
    scored = {one.id for one in asked}
    ordered = [one for one in labels if one.id not in scored]
    sizes = sorted({int(share * len(ordered)) for share in SHARES})
    if len(asked) < LEAST or sizes[0] < 1:
        raise UsageError(
            f"{len(ordered)} labels to order and {len(asked)} to score on are too few",
            f"replay a campaign with {LEAST} labels of a test set, the target or a random slice",
        )
    names = list(dict.fromkeys([*strategies, RANDOM]))
    out = state.folder / "replay"
    out.mkdir(exist_ok=True)
    made: dict[tuple[str, int], list[Parts]] = {}
    for seed in range(seeds):
        orders = {(AS_BOUGHT, n): ordered[:n] for n in sizes}
        orders |= _chosen(state, ordered, names, sizes, seed, progress)
        for key, chosen in orders.items():
            name = _name(*key, seed, [*chosen, *asked])
            made.setdefault(key, []).append(trial(state, out, name, chosen, asked, seed, progress))
    told = metric(state.settings.task, asked)
    result = Replay(told, len(ordered), where, tuple(_row(made, *key) for key in made))
    text = json.dumps(asdict(result), ensure_ascii=False, indent=2) + "\n"
    write_text(out / "replay.json", text, force=True)
    return result


def _scored_on(state: State, labels: Sequence[Example]) -> tuple[list[Example], str]:
    target = of_target(state)
    if target:
        return target, "the test set" if state.settings.test else "target labels kept apart"
    # Of a round that is not labelled whole, what was also chosen would stand for all of its slice.
    done = [one.number for one in state.rounds if one.closed]
    drawn = state.slice_of(max(done, default=0))
    return [one for one in labels if one.id in drawn], "the slice that chance drew"


def _chosen(
    state: State,
    ordered: Sequence[Example],
    strategies: Sequence[str],
    sizes: Sequence[int],
    seed: int,
    progress: Progress | None,
) -> dict[tuple[str, int], list[Example]]:
    """The first n in the order of each strategy, by the start model."""
    task = state.settings.task
    known = {one.id: one for one in ordered}
    made = select_many(
        model_of(state, 0),
        Pool.of([replace(one, label=None) for one in ordered], task, name="bought"),
        pool(state, "target"),
        budgets=sizes,
        strategies=strategies,
        seed=seed,
        store=store_of(state),
        progress=progress,
    )
    return {key: [known[name] for name in choice.ids] for key, choice in made.items()}


def _name(order: str, n: int, seed: int, used: Sequence[Example]) -> str:
    """A name that a trial of other examples or labels does not have."""
    digest = blake2b(repr([(one.id, one.label) for one in used]).encode(), digest_size=6)
    return f"{order.replace(' ', '-')}-{n}-{seed}-{digest.hexdigest()}"


def _row(made: dict[tuple[str, int], list[Parts]], order: str, n: int) -> dict[str, Any]:
    ours = made[order, n]
    scores = [float(one[:, 0].sum() / max(one[:, 1].sum(), 1e-9)) for one in ours]
    row: dict[str, Any] = {"order": order, "n": n, "scores": scores, "mean": float(np.mean(scores))}
    if order != RANDOM:
        row["against_random"] = asdict(difference(ours, made[RANDOM, n]))
    return row
