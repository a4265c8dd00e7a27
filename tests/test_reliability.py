"""What is fuzzed is what can be read: a target takes its own files, and stands broken ones."""

from __future__ import annotations

from pathlib import Path

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
