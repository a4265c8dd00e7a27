"""What each tool makes of a dump when a person agrees with every suggestion: bytes to bytes."""

from __future__ import annotations

import json
from collections.abc import Callable

from polymux.annotation import Batch

Finish = Callable[[bytes, Batch], bytes]


def as_it_is(dumped: bytes, batch: Batch) -> bytes:
    """The labels stand in the dump where a person would write them."""
    return dumped


def prodigy(dumped: bytes, batch: Batch) -> bytes:
    """What `db-out` tells of tasks that were accepted as they came."""
    lines = []
    for number, line in enumerate(dumped.rstrip(b"\n").split(b"\n")):
        done = json.loads(line) | {
            "_input_hash": -number,
            "_task_hash": number,
            "_view_id": "ner_manual",
            "answer": "accept",
            "_timestamp": 1707211049,
            "_annotator_id": "campaign-ada",
            "_session_id": "campaign-ada",
        }
        lines.append(json.dumps(done, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


FINISH: dict[str, Finish] = {"jsonl": as_it_is, "prodigy": prodigy}
