"""The pictures of how-to/label-studio.md, made again with a Label Studio that is new.

LABEL_STUDIO_TOKEN, LABEL_STUDIO_USERNAME and LABEL_STUDIO_PASSWORD are those of one account;
`npm install playwright-core` has to have been run here, and Chromium is at CHROMIUM.

    python docs/screenshots.py http://localhost:8080
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from polymux.annotation import Batch, Item, label_studio_server
from polymux.demo.utterances import SLOTS, language, utterances

DOCS = Path(__file__).parent
LANGUAGES = ("ar", "es", "fa", "de", "ru", "fr")
PROJECT = "health"


def batch() -> Batch:
    """Utterances in several scripts, each with a suggestion."""
    spoken = [one for code in LANGUAGES for one in utterances(language(code), 2, seed=5)]
    items = tuple(
        Item(
            f"pool/{one.language}.conll#{number}",
            {"tokens": one.tokens},
            rank=number,
            language=one.language,
            label=one.tags,
            score=round(0.31 + 0.04 * number, 2),
        )
        for number, one in enumerate(spoken, start=1)
    )
    labels = ("O", *(f"{letter}-{slot}" for slot in SLOTS for letter in "BI"))
    return Batch("token-classification", labels, items)


if __name__ == "__main__":
    sent = label_studio_server.send(batch(), sys.argv[1], PROJECT)
    script = ["node", str(DOCS / "screenshots.mjs"), sent.page, str(DOCS / "assets/label-studio")]
    subprocess.run(script, check=True)
