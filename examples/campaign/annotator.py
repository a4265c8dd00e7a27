"""A person who fills in a round of the demo: labels stand in the demo's own pools.

    python examples/campaign/annotator.py round.csv demo/data

Reads the sheet that `polymux export --to csv` wrote, and writes the label of each word beside it;
canaries are labelled already and stay as they are.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import polymux as pm


def known(data: Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The labels of every sentence of the demo, by its words."""
    files = [str(data / "*" / f"{name}.conll") for name in ("pool", "test")]
    pool = pm.read(*files, task="token-classification")
    return {example.fields["tokens"]: example.label for example in pool}


def fill_in(sheet: Path, data: Path) -> tuple[int, int]:
    """Write labels into the sheet; gives how many sentences it holds, and canaries among them."""
    labels = known(data)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    columns = {name: place for place, name in enumerate(head)}
    sentences: dict[str, list[list[str]]] = {}
    for row in rows:
        if row[columns["id"]]:
            sentences.setdefault(row[columns["id"]], []).append(row)
    for words in sentences.values():
        # A cell that could be a formula has an apostrophe before it.
        tokens = tuple(row[columns["word"]].removeprefix("'") for row in words)
        for row, label in zip(words, labels.get(tokens, ()), strict=False):
            row[columns["label"]] = label
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return len(sentences), sum(name.startswith("polymux:canary:") for name in sentences)


if __name__ == "__main__":
    count, canaries = fill_in(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"{count} sentences filled in, {canaries} of them canaries")
