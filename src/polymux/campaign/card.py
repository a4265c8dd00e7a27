"""What a campaign's card says, gathered from its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polymux.campaign.judge import drawn, judgement
from polymux.campaign.state import Round, State, agreed
from polymux.report.rounds import RunFacts, Turn


def facts_of(state: State) -> RunFacts:
    """The campaign as `polymux.report.rounds` shows it."""
    scores = dict(state.scores())
    settings = state.settings
    metric = next((name for one in scores.values() for name in one), None)
    start: Turn = {
        "round": 0,
        "trained": 0,
        "issued": 0,
        "labelled": 0,
        "unusable": 0,
        "waiting": 0,
        "conflicts": 0,
        "languages": {},
        "score": _score(scores, 0),
        "seconds": 0.0,
    }
    turns = [_turn(one, state.learned(one.number), scores) for one in state.rounds]
    judged = [(one.number, judgement(state, one.number)) for one in state.rounds]
    return RunFacts(
        title=state.folder.resolve().name,
        model="/".join(Path(settings.model).parts[-2:]),
        task=settings.task,
        strategy=settings.strategy,
        budget=settings.budget,
        spent=state.spent,
        left=state.left,
        overrun=state.overrun,
        unit=settings.costs.counted,
        metric=metric,
        turns=[start, *turns],
        judged=[
            {"round": number, **told}  # type: ignore[typeddict-item]
            for number, told in judged
            if told
        ],
        drawn=drawn(state),  # type: ignore[typeddict-item]
        agreement=agreed(state),  # type: ignore[typeddict-item]
        changes=_changes(state),
    )


def _turn(one: Round, trained: int | None, scores: Mapping[int, Mapping[str, float]]) -> Turn:
    labelled = one.labelled
    languages = Counter(example.language for example in labelled if example.language)
    answers = [answer for given in one.answers.values() for answer in given.values()]
    return {
        "round": one.number,
        "trained": trained,
        "issued": len(one.issued),
        "labelled": len(labelled),
        "unusable": len(one.unusable),
        "waiting": len(one.waiting),
        "conflicts": len(one.conflicts),
        "languages": dict(languages.most_common()),
        "score": _score(scores, one.number),
        "seconds": float(sum(answer.seconds or 0.0 for answer in answers)),
    }


def _score(scores: Mapping[int, Mapping[str, float]], number: int) -> float | None:
    return next(iter(scores.get(number, {}).values()), None)


def _changes(state: State) -> list[str]:
    """Each changed setting, with when."""
    told: list[str] = []
    before: dict[str, Any] = {}
    for event in state.ledger:
        now = event.get("settings", before)
        if before:
            told += [
                f"{event['at'][:10]}: {key} is {json.dumps(now[key], ensure_ascii=False)}, "
                f"it was {json.dumps(before.get(key), ensure_ascii=False)}"
                for key in now
                if now[key] != before.get(key)
            ]
        before = now
    return told
