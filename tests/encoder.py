"""The encoder of `make encoder`, in small: made once by the same command, and kept in `runs/`."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tests.distill.worlds import changed

from polymux.distill import distill

ROOT = Path(__file__).parent.parent
LANGUAGES = ["en", "hi", "ur", "fa", "eu"]
# Enough for the words of these languages to be told apart, in well under a minute.
SMALL = {
    "languages": LANGUAGES,
    "out": "encoder",
    "corpus": {"largest": dict.fromkeys(LANGUAGES, 400_000)},
    "tokenizer": {"vocabulary": 3000},
    "model": {"layers": 2, "hidden": 96, "heads": 3, "intermediate": 144},
    "training": {"tokens": 400_000},
}


def start_encoder() -> Path:
    """A folder with the encoder; needs POLYMUX_DATA. Made anew when its settings or text change."""
    kept = ROOT / "runs" / "tests"
    kept.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "examples/distill/encoder.toml").read_text("utf-8")
    with (kept / "lock").open("w") as lock:
        # Tests run in several processes: one makes it, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        config = kept / "encoder.toml"
        config.write_text(changed(text, **SMALL), encoding="utf-8")
        stages = ["corpus", "tokenizer", "encoder"]
        return distill(config, stages=stages, device="cpu", force=True).model("encoder", 1)
