"""Finished experiments as pages of docs/results.

    python benchmarks/proof.py docs/results/choosing-udpos.md runs/udpos Parts LP=looked/LP

RUN is what `polymux simulate PRESET --out RUN` left. The page holds what `polymux tables` says of
it but for the long list of all differences, with the commands, and what each strategy chose; and,
where folders of `polymux diagnose --out` are named after targets, what it measured before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
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
    """What all cells took, and how many there are."""
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text("utf-8").splitlines()]
    spent = {row["counts"]: sum(row["seconds"].values()) for row in rows}
    hours = sum(spent.values()) / 3600
    return f"{len(spent):,} cells; {hours:.1f} hours of one core that others used too."


def diagnosed(folders: Mapping[str, Path]) -> str:
    """What was measured before a label was bought, a line a target."""
    titles = ["target", "examples", "out of reach", "r(1)", "r(8)", "r(64)", "right / says"]
    titles.append("of ten nearest in its language: plain, centred, whitened")
    lines = [f"| {' | '.join(titles)} |", f"|---|{'--:|' * (len(titles) - 1)}"]
    for name, folder in folders.items():
        checks = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["checks"]
        measured = {key: one["measured"] for key, one in checks.items()}
        curve = {one["k"]: one for one in measured["correlation"]["curve"]}
        r = [
            f"{curve[k]['r']:.2f} ({curve[k]['low']:.2f} to {curve[k]['high']:.2f})"
            for k in (1, 8, 64)
        ]
        sure = measured["calibration"]["pools"]["target"]
        far = len(measured["reach"]["out_of_reach"]) / measured["reach"]["targets"]
        near = [measured["clusters"][kind]["of_ten"] for kind in ("plain", "centred", "whitened")]
        lines.append(
            f"| {name} | {measured['size']['examples']} | {far:.0%} | "
            f"{' | '.join(r)} | {sure['accuracy']['value']:.0%} / {sure['confidence']:.0%} | "
            f"{', '.join(f'{one:.0%}' for one in near)} |"
        )
    return "\n".join(lines)


def page(run: Path, title: str, looked: Mapping[str, Path]) -> str:
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
    if looked:
        sections.append(f"## What `polymux diagnose` measured before\n\n{diagnosed(looked)}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    target, folder, name, *named = sys.argv[1:]
    places = {one.partition("=")[0]: Path(one.partition("=")[2]) for one in named}
    Path(target).write_text(page(Path(folder), name, places), encoding="utf-8")
