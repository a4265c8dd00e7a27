"""What is kept of a model's kind saves making it, and never stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.models import tiny_model

from polymux.encoders import Model, facts
from polymux.encoders.kept import keep, place_of, recall

TASK = "token-classification"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "polymux" / "kinds"


def test_a_second_look_makes_no_model(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model(tmp_path / "model", kind="xlm-roberta", positions=64)
    first = Model(folder, task=TASK, backend="torch")
    assert first.max_length == 64
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(facts, "bare", lambda *_: pytest.fail("a model was made"))
    again = Model(folder, task=TASK, backend="torch")
    assert (again.max_length, again.fingerprint) == (64, first.fingerprint)


def test_another_configuration_is_another_kind(tmp_path: Path, cache: Path) -> None:
    for positions in (64, 32):
        folder = tiny_model(tmp_path / str(positions), kind="xlm-roberta", positions=positions)
        assert Model(folder, task=TASK, backend="torch").max_length == positions
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_what_cannot_be_read_is_as_if_nothing_were_kept(tmp_path: Path, text: str) -> None:
    place = place_of("kinds", {"a": 1})
    assert recall(place) is None
    keep(place, {"b": [1, 2]})
    assert recall(place) == {"b": [1, 2]}
    place.write_text(text, encoding="utf-8")
    assert recall(place) is None


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way", encoding="utf-8")
    folder = tiny_model(tmp_path / "model", kind="xlm-roberta", positions=64)
    assert Model(folder, task=TASK, backend="torch").max_length == 64
