"""What `--prefilter` loses on real text: the share of the full choice that it keeps.

    python benchmarks/prefilter.py MODEL [--cap 300]

MODEL is a tagger that `polymux train` made. The pool is the first CAP training sentences of every
language of POLYMUX_DATA/udpos but en and ur; the targets are the dev sentences of ur and te (for te
its own training sentences are in the pool, for ur none are).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from polymux import Model, read
from polymux.prescribe import select_many
from polymux.prescribe.prefilter import narrow
from polymux.records import Example, Pool, content_hashes

TASK = "token-classification"
SHARES = (0.5, 0.2, 0.05)
STRATEGIES = ("knn-uncertainty", "average-dist", "uncertainty", "uncertainty-knn", "round-robin")
BUDGET = 200
Row = dict[str, str | int | float]


def pool_of(data: Path, cap: int) -> Pool:
    """The first sentences of every training file, but of English and Urdu."""
    examples: list[Example] = []
    for path in sorted(data.glob("udpos/*/train.conllu.xz")):
        if path.parent.name not in ("en", "ur"):
            examples += islice(read(path, task=TASK, language="folder"), cap)
    return Pool.of(examples, TASK, name="source")


def rows(
    model: Model, source: Pool, targets: dict[str, Pool], store: Path, shares: Sequence[float]
) -> list[Row]:
    """A row a target, share and strategy: what was kept of the choice from the whole pool."""
    made: list[Row] = []
    for name, target in targets.items():
        whole = select_many(
            model, source, target, budgets=[BUDGET], strategies=STRATEGIES, store=store
        )
        size = next(iter(whole.values())).manifest["source"]["read"]
        for share in shares:
            start = time.perf_counter()
            kept = narrow(source, target, model, round(share * size), sample=1).kept
            seconds = round(time.perf_counter() - start, 1)
            for strategy in STRATEGIES:
                chosen = [pick.example for pick in whole[strategy, BUDGET].picks]
                recall = float(kept.contains(content_hashes(chosen)).mean())
                row: Row = {"target": name, "kept": share, "strategy": strategy}
                made.append({**row, "recall": round(recall, 3), "seconds": seconds})
    return made


def table(found: Sequence[Row]) -> str:
    """The rows as Markdown: a line a target and share, a column a strategy."""
    lines = [f"| target | kept (by lot) | {' | '.join(STRATEGIES)} | seconds |"]
    lines.append("|---|--:|" + "--:|" * (len(STRATEGIES) + 1))
    for first in range(0, len(found), len(STRATEGIES)):
        group = found[first : first + len(STRATEGIES)]
        recalls = " | ".join(f"{row['recall']:.2f}" for row in group)
        kept, seconds = group[0]["kept"], group[0]["seconds"]
        lines.append(f"| {group[0]['target']} | {kept:.2f} | {recalls} | {seconds} |")
    return "\n".join(lines)


def measure(model_folder: str, data: Path, cap: int) -> list[Row]:
    """The rows of this model on the corpora below `data`."""
    model = Model(model_folder, task=TASK, device="cpu", offline=True)
    targets = {
        name: read(data / f"udpos/{name}/dev.conllu.xz", task=TASK, name="target")
        for name in ("ur", "te")
    }
    with tempfile.TemporaryDirectory() as store:
        return rows(model, pool_of(data, cap), targets, Path(store), SHARES)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--cap", type=int, default=300)
    given = parser.parse_args()
    print(table(measure(given.model, Path(os.environ["POLYMUX_DATA"]), given.cap)))


if __name__ == "__main__":
    main()
