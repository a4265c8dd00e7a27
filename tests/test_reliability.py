"""What is fuzzed is what can be read: a target takes its own files, and stands broken ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.reliability.targets import TARGETS

from polymux.annotation import FORMATS
from polymux.readers import READERS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_accepts_something_of_its_own_files_and_nothing_breaks_it(
    name: str, tmp_path: Path
) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert sum(target.attempt(seed, tmp_path) > 0 for seed in seeds) >= len(seeds) / 2
    for seed in seeds:
        for broken in (
            seed[: len(seed) // 2],
            seed[len(seed) // 2 :],
            seed.replace(b"1", b"\xff"),
            b"\xef\xbb\xbf" + seed,
            seed[:1] + b"[" * 5000,
            seed[:1] + seed.decode("utf-8", "replace").encode("utf-16"),
        ):
            target.attempt(broken, tmp_path)


def test_every_reader_and_every_format_is_fuzzed() -> None:
    # The hub's data sets are read from the files of the format that they are in.
    assert {f"reader {name}" for name in READERS if name != "hf"} <= set(TARGETS)
    assert {f"format {name}" for name in FORMATS} <= set(TARGETS)


def _parsed(seed: bytes) -> tuple[bytes, list[Any]] | None:
    """What stands before the JSON of a seed (which file it pretends to be), and its documents."""
    for start in range(3):
        try:
            return seed[:start], [json.loads(line) for line in seed[start:].splitlines()[:2]]
        except ValueError:
            continue
    return None


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _places(one, (*place, key))
    elif isinstance(value, list):
        for number, one in enumerate(value[:3]):
            yield from _places(one, (*place, number))


def _put(value: Any, place: tuple[Any, ...], other: object) -> Any:
    if not place:
        return other
    changed = copy.copy(value)
    changed[place[0]] = _put(value[place[0]], place[1:], other)
    return changed


HUGE = 10**400
OTHERS: tuple[object, ...] = (
    *(None, True, 3, 1e400, HUGE, "x", "\ud800", [3], ["x"], {"a": [1]}, [{}]),
)
# The first seed of a target, and the last: what is seldom written.
IN_JSON = {
    (name, which): told
    for name, target in TARGETS.items()
    for which, place in (("usual", 0), ("seldom", -1))
    if (told := _parsed(list(target.seeds())[place]))
}


@pytest.mark.parametrize(("name", "which"), IN_JSON)
def test_a_value_of_another_kind_is_told_of_wherever_it_stands(
    name: str, which: str, tmp_path: Path
) -> None:
    before, documents = IN_JSON[name, which]
    assert documents
    for number, document in enumerate(documents):
        for place in list(_places(document))[:80]:
            for other in OTHERS:
                changed = [*documents]
                changed[number] = _put(document, place, other)
                lines = (json.dumps(one) for one in changed)
                TARGETS[name].attempt(before + "\n".join(lines).encode(), tmp_path)
