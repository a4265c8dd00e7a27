"""Finished experiments as pages of docs/results.

    POLYMUX_DATA=CORPORA python benchmarks/proof.py docs/results/choosing-ner.md runs/ner "Names"

The run is what `polymux simulate local/NAME --out RUN` left. The page holds what `polymux tables`
says of it but for the long list of all differences, with the commands, what each strategy chose,
and what `polymux diagnose` says of each target's pools; their encodings are in the run's store.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polymux as pm
from polymux.experiments.pools import Corpora
from polymux.experiments.settings import folder_of, read_experiment

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


def diagnosed(run: Path, preset: str) -> str:
    """What could be measured before a label was bought, a line a target."""
    titles = ["target", "examples", "out of reach", "r(1)", "r(8)", "r(64)", "right / says"]
    titles += ["of ten nearest in its language: plain, centred, whitened", "recommended"]
    lines = [f"| {' | '.join(titles)} |", f"|---|{'--:|' * (len(titles) - 2)}---|"]
    experiment = read_experiment(preset)
    corpora = Corpora(experiment, folder_of(preset))
    name = next(iter(experiment.models))
    how = experiment.further(name)
    start = run / "models" / name
    model = pm.Model(start, task=experiment.task, max_length=how.max_length, stride=how.stride)
    for config in experiment.configurations:
        setting = corpora.setting(config)
        found = pm.diagnose(
            model,
            setting.source,
            setting.target,
            budget=max(experiment.budgets),
            store=run / "store",
        )
        lines.append(f"| {config} | {' | '.join(measured(found.record))} |")
    return "\n".join(lines)


def measured(record: dict[str, Any]) -> list[str]:
    """The cells of a line."""
    told = {name: one["measured"] for name, one in record["checks"].items()}
    curve = {one["k"]: one for one in told["correlation"]["curve"]}
    sure = told["calibration"]["pools"]["target"]
    near = [told["clusters"][kind]["of_ten"] for kind in ("plain", "centred", "whitened")]
    return [
        f"{told['size']['examples']}",
        f"{len(told['reach']['out_of_reach']) / told['reach']['targets']:.0%}",
        *(
            f"{curve[k]['r']:.2f} ({curve[k]['low']:.2f} to {curve[k]['high']:.2f})"
            for k in (1, 8, 64)
        ),
        f"{sure['accuracy']['value']:.0%} / {sure['confidence']:.0%}",
        ", ".join(f"{one:.0%}" for one in near),
        record["recommendation"]["strategy"],
    ]


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
    told = diagnosed(run, f"local/{name}")
    sections.append(f"## What `polymux diagnose` measures before\n\n{told}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    target, folder, name = sys.argv[1:]
    Path(target).write_text(page(Path(folder), name), encoding="utf-8")
