"""The main job on real corpora: an English start model each, then one `select` over the whole pool.

    python benchmarks/real_data.py ENCODER WORK [udpos nli qa slots]

ENCODER is what `make encoder` left, runs/encoder/systems/encoder/1; the corpora are below
POLYMUX_DATA. Every strategy that needs no extra input, budgets 100 and 1000, one encoding pass. The
tables are written to `docs/results/NAME.md`.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLYMUX = str(Path(sys.executable).parent / "polymux")
RESULTS = Path(__file__).parent.parent / "docs" / "results"
STRATEGIES = (
    "knn-uncertainty,average-dist,uncertainty,uncertainty-knn,round-robin,random,egalitarian"
)


@dataclass(frozen=True, slots=True)
class Job:
    """One corpus: what the start model learns, what may be chosen, for whom."""

    task: str
    start: Sequence[str]
    epochs: int
    source: Sequence[str]
    target: Sequence[str]
    target_name: str


def _below(data: Path, pattern: str, without: set[str]) -> list[str]:
    return [str(path) for path in sorted(data.glob(pattern)) if path.parent.name not in without]


def half(path: Path, work: Path) -> str:
    """The first half of a column file's sentences, as a file."""
    blocks = lzma.decompress(path.read_bytes()).decode().strip("\n").split("\n\n")
    out = work / "de-ba" / "target.conll"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(blocks[: len(blocks) // 2]) + "\n\n", encoding="utf-8")
    return str(out)


def jobs(data: Path, work: Path) -> Mapping[str, Job]:
    """The pools of the paper (DeMuX 4), as far as there are corpora."""
    return {
        "udpos": Job(
            "token-classification",
            [str(data / "udpos/en/train.conllu.xz")],
            4,
            _below(data, "udpos/*/train.conllu.xz", {"en", "ur"}),
            [str(data / "udpos/ur/dev.conllu.xz")],
            "ur (dev)",
        ),
        "nli": Job(
            "text-classification",
            [str(data / "nli/en/train.jsonl.xz")],
            1,
            _below(data, "nli/*/train.jsonl.xz", {"en", "ur"}),
            [str(data / "nli/ur/dev.jsonl.xz")],
            "ur (dev)",
        ),
        "qa": Job(
            "question-answering",
            [str(data / "qa/en/train.json.xz")],
            1,
            _below(data, "qa/*/train.json.xz", {"en", "te"}),
            [str(data / "qa/te/dev.json.xz")],
            "te (dev)",
        ),
        "slots": Job(
            "token-classification",
            [str(data / "slots/en/dev.conll.xz")],
            20,
            _below(data, "slots/*/dev.conll.xz", {"en", "de-ba"}),
            [half(data / "slots/de-ba/dev.conll.xz", work)],
            "de-ba (half of dev)",
        ),
    }


def run(*arguments: str) -> float:
    """Run polymux; seconds."""
    began = time.perf_counter()
    subprocess.run([POLYMUX, *arguments], check=True)
    return time.perf_counter() - began


def prescribe(name: str, job: Job, encoder: str, work: Path) -> dict[str, Any]:
    """Start model, then select; what the manifests say."""
    start, out = work / f"{name}-start", work / f"{name}-chosen"
    trained = 0.0
    if not start.exists():
        trained = run(
            "train", encoder, "--task", job.task, "--out", str(start), "--epochs", str(job.epochs),
            "--lr", "5e-4", "--batch-size", "32",
            *(word for path in job.start for word in ("--train", path)),
        )  # fmt: skip
    seconds = run(
        "select", str(start), "--task", job.task, "--out", str(out), "--force", "--store", "off",
        "--language", "folder", "--on-error", "skip", "--budget", "100,1000",
        "--strategy", STRATEGIES,
        *(word for path in job.source for word in ("--source", path)),
        *(word for path in job.target for word in ("--target", path)),
    )  # fmt: skip
    manifests = {
        (strategy, budget): json.loads(
            (out / strategy / budget / "selection.json").read_text(encoding="utf-8")
        )
        for strategy in STRATEGIES.split(",")
        for budget in ("100", "1000")
    }
    return {"manifests": manifests, "seconds": seconds, "trained": trained}


def page(name: str, job: Job, told: Mapping[str, Any]) -> Iterator[str]:
    """The results as Markdown."""
    manifests = told["manifests"]
    last = manifests[STRATEGIES.rsplit(",", maxsplit=1)[-1], "1000"]
    source, target = last["source"], last["target"]
    yield f"# {name}: two pools in, a prescription out\n\n"
    yield f"`python benchmarks/real_data.py ENCODER WORK {name}` (2 cores, fp32)\n\n"
    yield "| | |\n|---|---|\n"
    yield f"| source | {source['read']:,} read, {source['duplicates']:,} duplicates, "
    yield f"{len(source['paths'])} files, {source['truncated']:,} truncated |\n"
    yield f"| left out | {source['rejected']:,} source lines rejected (`--on-error skip`) |\n"
    yield f"| target | {job.target_name}: {target['read']:,} read, "
    yield f"{target['duplicates']:,} duplicates |\n"
    yield f"| whole command | {told['seconds']:.0f} s |\n"
    yield f"| stages | {', '.join(f'{k} {v:.1f} s' for k, v in last['seconds'].items())} |\n"
    yield f"| peak memory | {last['peak_memory_mb']:.0f} MB |\n\n"
    yield "| strategy | budget | chosen | facts | languages |\n|---|--:|--:|---|---|\n"
    for (strategy, budget), manifest in manifests.items():
        chosen = manifest["languages"]["chosen"]
        counts = ", ".join(f"{language} {count}" for language, count in chosen.items())
        facts = ", ".join(
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in manifest["facts"].items()
        )
        yield f"| {strategy} | {budget} | {manifest['chosen']} | {facts} | {counts} |\n"


def main() -> None:
    """The corpora named, or all four."""
    encoder, work = sys.argv[1], Path(sys.argv[2])
    data = Path(os.environ["POLYMUX_DATA"])
    every = jobs(data, work)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or every:
        told = prescribe(name, every[name], encoder, work)
        text = "".join(page(name, every[name], told))
        (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
