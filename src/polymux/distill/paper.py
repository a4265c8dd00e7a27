"""The slides' numbers, as printed: points of 100 of POS and NER probes, by group of languages."""

from __future__ import annotations

from typing import Any

# task, set, group, method: in-language, zero-shot.
_TABLE = """
pos shared low-res hl 35.2 33.4
pos shared low-res hl-balanced 35.5 34.3
pos shared low-res soft 36.6 34.5
pos shared high-res hl 83.3 33.7
pos shared high-res hl-balanced 81.2 32.4
pos shared high-res soft 84.3 33.8
pos shared de hl 87.1 32.3
pos shared de hl-balanced 84.1 32.2
pos shared de soft 86.8 33.0
pos shared all hl 55.8 33.5
pos shared all hl-balanced 55.1 33.5
pos shared all soft 57.0 34.2
pos diverse low-res hl 53.1 35.8
pos diverse low-res hl-balanced 54.6 34.9
pos diverse low-res soft 55.7 35.9
pos diverse high-res hl 76.8 36.2
pos diverse high-res hl-balanced 73.4 34.7
pos diverse high-res soft 77.3 36.8
pos diverse de hl 87.7 36.8
pos diverse de hl-balanced 83.3 35.3
pos diverse de soft 87.4 38.1
pos diverse all hl 63.3 36.0
pos diverse all hl-balanced 62.7 34.8
pos diverse all soft 64.9 36.3
ner shared low-res hl 26.5 23.7
ner shared low-res hl-balanced 27.9 24.3
ner shared low-res soft 29.8 23.9
ner shared high-res hl 34.2 24.9
ner shared high-res hl-balanced 34.7 24.7
ner shared high-res soft 37.6 26.0
ner shared de hl 31.4 27.4
ner shared de hl-balanced 32.1 25.7
ner shared de soft 32.0 23.9
ner shared all hl 29.8 24.2
ner shared all hl-balanced 30.8 24.5
ner shared all soft 33.1 24.8
ner diverse low-res hl 25.7 12.8
ner diverse low-res hl-balanced 28.0 13.8
ner diverse low-res soft 29.9 12.9
ner diverse high-res hl 32.8 14.9
ner diverse high-res hl-balanced 29.9 15.1
ner diverse high-res soft 37.2 17.1
ner diverse de hl 32.5 14.8
ner diverse de hl-balanced 31.5 15.7
ner diverse de soft 35.3 17.2
ner diverse all hl 28.7 13.7
ner diverse all hl-balanced 28.8 14.4
ner diverse all soft 33.0 14.7
"""


def _rows() -> list[dict[str, Any]]:
    rows = []
    for line in _TABLE.split("\n")[1:-1]:
        task, language_set, group, method, *scores = line.split()
        for transfer, score in zip(("in-language", "zero-shot"), scores, strict=True):
            rows.append(
                {
                    "task": task,
                    "language_set": language_set,
                    "group": group,
                    "method": method,
                    "transfer": transfer,
                    "score": float(score),
                }
            )
    return rows


PAPER = _rows()
