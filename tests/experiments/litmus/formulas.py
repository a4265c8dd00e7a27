"""Made-up results: what bought labels do to scores is known, because it is a formula."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polymux.experiments.litmus.outcomes import Outcome
from polymux.records import Example, Pool

TEXT = "text-classification"
# Words of their own, and a share of the next language's.
WORDS = {
    "hi": "aba abe abi abo abu",
    "ur": "aba abe abi eda ede",
    "fa": "eda ede edi edo edu",
    "de": "ofa ofe ofi ofo ofu",
    "fi": "uga uge ugi ugo ugu",
}


def pool(sizes: Mapping[str, int], name: str = "source") -> Pool:
    """Distinct texts of each language's own words."""
    made = []
    for language, size in sizes.items():
        draw = random.Random(f"{language}{name}")
        texts: dict[str, None] = {}
        while len(texts) < size:
            texts[" ".join(draw.choices(WORDS[language].split(), k=6))] = None
        made += [
            Example(f"{language}#{i}", f"{language}.txt", i, {"text": text}, None, language)
            for i, text in enumerate(texts, 1)
        ]
    return Pool.of(made, TEXT, name=name)


Score = Callable[[str, Mapping[str, int]], float]


def only_one_helps(helper: str) -> Score:
    """Labels of one language raise every score, those of the others none."""

    def score(tested: str, chosen: Mapping[str, int]) -> float:
        base = 0.3 + 0.02 * (sum(map(ord, tested)) % 7)
        return base + 0.07 * math.log1p(chosen.get(helper, 0))

    return score


def outcomes(
    score: Score,
    tested: Sequence[str],
    bought: Sequence[str],
    plans: int,
    most: int = 300,
    seed: int = 0,
) -> list[Outcome]:
    """Random plans, the untouched model first, each tested in every language."""
    draw = random.Random(seed)
    chosen: list[dict[str, int]] = [{}]
    while len(chosen) < plans:
        total = draw.choice([most // 10, most // 3, most])
        cuts = [draw.random() ** 2 for _ in bought]
        counts = (int(total * cut / sum(cuts)) for cut in cuts)
        chosen.append({name: n for name, n in zip(bought, counts, strict=True) if n})
    return [Outcome(name, score(name, counts), counts) for counts in chosen for name in tested]


def lines(made: Sequence[Outcome], **more: Any) -> list[dict[str, Any]]:
    """Outcomes as lines of results."""
    shared = {"experiment": "e", "model": "m", "task": TEXT, "metric": "accuracy", **more}
    return [
        {
            **shared,
            "strategy": "random" if o.chosen else "untouched",
            "language": o.language,
            "score": o.score,
            "labels": sum(o.chosen.values()),
            "chosen": dict(o.chosen),
        }
        for o in made
    ]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
