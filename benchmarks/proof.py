"""Finished experiments as pages of docs/results.

    python benchmarks/proof.py docs/results/choosing-udpos.md runs/udpos "Parts of speech"

RUN is what `polymux simulate PRESET --out RUN` left. The page holds what `polymux tables` says of
it but for the long list of all differences, with the commands, and what each strategy chose.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

POLYMUX = str(Path(sys.executable).parent / "polymux")
# Of the tables of `polymux tables`, in this order; the others are long and can be made again.
KEPT = ("scores", "curves", "unsure")


def tables(run: Path, best: str, out: Path) -> dict[str, Any]:
    """Make the tables of a run; gives their manifest."""
    subprocess.run(
        [POLYMUX, "tables", str(run), "--best", best, "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    made: dict[str, Any] = json.loads((out / "tables.json").read_text(encoding="utf-8"))
    return made


def first_block(text: str) -> str:
    """The first table with its caption."""
    blocks = text.strip().split("\n\n")
    return "\n\n".join(blocks[:2])


def chosen(made: dict[str, Any]) -> str:
    """What each strategy chose at the last budget, by target: the three largest languages."""
    told: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for row in made["tables"].get("languages", []):
        told.setdefault((row["strategy"], row["config"]), []).append(
            (float(row["labels"]), row["language"])
        )
    configs = list(dict.fromkeys(config for _, config in told))
    lines = [f"| strategy | {' | '.join(configs)} |", f"|---|{'---|' * len(configs)}"]
    for strategy in dict.fromkeys(name for name, _ in told):
        cells = []
        for config in configs:
            most = sorted(told.get((strategy, config), []), reverse=True)[:3]
            cells.append(", ".join(f"{language} {count:.0f}" for count, language in most))
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(run: Path) -> str:
    """What a training took, and how many there are."""
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text("utf-8").splitlines()]
    spent = {row["counts"]: sum(row["seconds"].values()) for row in rows}
    hours = sum(spent.values()) / 3600
    return f"{len(spent):,} trainings and {len(rows):,} rows; {hours:.1f} hours of one core."


def page(run: Path, title: str) -> str:
    """A page of docs/results."""
    asked = json.loads((run / "experiment.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        made = tables(run, asked["best"], Path(place) / "tables")
        texts = {
            path.stem: path.read_text(encoding="utf-8")
            for path in (Path(place) / "tables" / "markdown").glob("*.md")
        }
    name, best = asked["name"], asked["best"]
    commands = (
        f"polymux simulate local/{name} --out runs/{name}\n"
        f"polymux tables runs/{name} --best {best} --out tables"
    )
    sections = [
        f"# {title}\n\n```bash\n{commands}\n```\n",
        "\n".join(f"- {sentence}" for sentence in made["lead"]) + "\n",
        seconds(run) + "\n",
        f"## Win rates\n\n{first_block(texts['wins'])}\n",
    ]
    names = {"scores": "Scores", "curves": "Whole learning curves", "unsure": "Cells whose spread "
             "exceeds the gain"}  # fmt: skip
    sections += [f"## {names[key]}\n\n{texts[key].strip()}\n" for key in KEPT if key in texts]
    sections.append(f"## Languages chosen at the last budget\n\n{chosen(made)}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    target, folder, name = sys.argv[1:]
    Path(target).write_text(page(Path(folder), name), encoding="utf-8")
