"""One target under a coverage-guided fuzzer, in a process of its own (atheris, on libFuzzer).

python -m tests.reliability.fuzz TARGET --seconds 300 --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
# What one input may take before it counts as a finding of its own.
HANG_SECONDS = 20
MOST_MEMORY_MB = 3000
LONGEST = 60_000


@dataclass(frozen=True)
class Fuzzed:
    """What came of one target."""

    target: str
    seconds: float
    inputs: int
    accepted: int
    """Inputs of which something was accepted."""
    features: int
    """Edges of polymux's own code that were reached, as libFuzzer counts them."""
    bad: tuple[str, ...]
    """One traceback of each kind, and how the process ended where it should not have."""


def fuzzed(target: str, seconds: int, folder: Path) -> Fuzzed:
    """Fuzz one target for so long; what was found stays in the folder."""
    place = folder / target.replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.reliability.fuzz", target]
    with (place / "log").open("wb") as log:
        code = subprocess.run(
            [*command, "--seconds", str(seconds), "--out", str(place)],
            check=False, stdout=log, stderr=log,
        ).returncode  # fmt: skip
    said = (place / "log").read_text("utf-8", errors="replace").strip()
    done = re.search(r"Done (\d+) runs in (\d+) second", said)
    counts = json.loads((place / "counts.json").read_text("utf-8"))
    bad = [path.read_text("utf-8") for path in sorted(place.glob("traceback-*.txt"))]
    if code or not done:
        bad.append(f"exit {code}: {''.join(said.splitlines()[-1:])}")
    covered = re.findall(r"cov: (\d+)", said)
    return Fuzzed(
        target,
        float(done[2]) if done else 0.0,
        int(done[1]) if done else counts["inputs"],
        counts["accepted"],
        int(covered[-1]) if covered else 0,
        tuple(bad),
    )


class Counting:
    """Runs the target on each input, and keeps one traceback of each kind."""

    def __init__(self, attempt: Callable[[bytes, Path], int], out: Path, inputs: Path) -> None:
        self.attempt = attempt
        self.out = out
        self.inputs = inputs
        self.counts = {"inputs": 0, "accepted": 0}

    def __call__(self, data: bytes) -> None:
        """One input."""
        try:
            self.counts["accepted"] += self.attempt(data, self.inputs) > 0
        except Exception as error:  # noqa: BLE001 - every kind is what is looked for
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            kind = "-".join(f"{Path(frame.filename).stem}{frame.lineno}" for frame in frames)
            path = self.out / f"traceback-{kind}.txt"
            if not path.exists():
                told = "".join(traceback.format_exception(error))
                # Where the repository lies is nobody's business.
                path.write_text(told.replace(f"{ROOT}/", ""), "utf-8")
                path.with_suffix(".input").write_bytes(data)
        self.counts["inputs"] += 1
        if self.counts["inputs"] % 50 == 0:
            (self.out / "counts.json").write_text(json.dumps(self.counts), "utf-8")


def main() -> None:
    """Fuzz the named target in this process, which libFuzzer ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["polymux"]):
        from tests.reliability.targets import TARGETS
    target = TARGETS[asked.target]
    corpus = asked.out / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    with TemporaryDirectory() as inputs:
        run = Counting(target.attempt, asked.out, Path(inputs))
        options = {
            "max_total_time": asked.seconds, "timeout": HANG_SECONDS, "max_len": LONGEST,
            "rss_limit_mb": MOST_MEMORY_MB, "seed": 1, "artifact_prefix": f"{asked.out}/",
        }  # fmt: skip
        atheris.Setup(["fuzz", str(corpus), *(f"-{k}={v}" for k, v in options.items())], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
