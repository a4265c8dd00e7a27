"""Thirds of languages: how they are cut, and that the scores are those of evaluate."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.test_model import conll, polymux
from tests.train.worlds import pool, start

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.evaluate import evaluate
from polymux.experiments.tiers import TIERS, thirds, tiers
from polymux.records import Pool

TOKEN = "token-classification"


def test_the_best_third_comes_first_and_one_left_over_goes_to_it() -> None:
    scores = {"ur": 0.2, "fr": 0.9, "tr": 0.5, "de": 0.8}
    assert thirds(scores) == {"fr": "HP", "de": "HP", "tr": "MP", "ur": "LP"}


def test_two_left_over_go_to_the_first_two_thirds() -> None:
    scores = {name: 1 - place / 10 for place, name in enumerate("abcde")}
    assert list(thirds(scores).values()) == ["HP", "HP", "MP", "MP", "LP"]


def test_equal_scores_stand_in_the_order_of_their_names() -> None:
    assert thirds({"c": 0.5, "a": 0.5, "b": 0.5}) == {"a": "HP", "b": "MP", "c": "LP"}


@given(st.dictionaries(st.text(max_size=4), st.floats(0, 1), min_size=3, max_size=30))
def test_no_language_of_a_lower_third_is_better_and_sizes_differ_by_at_most_one(
    scores: dict[str, float],
) -> None:
    third = thirds(scores)
    order = [TIERS.index(third[name]) for name in sorted(scores, key=lambda n: -scores[n])]
    ranks = {name: TIERS.index(tier) for name, tier in third.items()}
    assert all(
        ranks[one] <= ranks[other]
        for one in scores
        for other in scores
        if scores[one] > scores[other]
    )
    sizes = [order.count(place) for place in range(3)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[2] <= 1


def test_two_languages_are_refused_by_their_names() -> None:
    with pytest.raises(UsageError, match="need 3 languages, and there are 2: de, fr"):
        thirds({"fr": 0.1, "de": 0.2})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(start(tmp_path_factory.mktemp("start"), TOKEN), task=TOKEN, device="cpu")


def languages(names: str, count: int = 40) -> Pool:
    """Examples that take turns in these languages; `-` is none."""
    given = [
        replace(e, language=None if (name := names[i % len(names)]) == "-" else name)
        for i, e in enumerate(pool(TOKEN, count))
    ]
    return Pool.of(given, TOKEN, name="test")


def test_scores_and_counts_are_those_of_evaluate_the_best_first(model: Model) -> None:
    test = languages("abcde")
    told, scored = tiers(model, test), evaluate(model, test)
    assert {row.language: row.score for row in told.rows} == {
        name: scores[scored.main] for name, scores in scored.languages.items()
    }
    assert {row.language: row.examples for row in told.rows} == scored.examples
    assert [row.score for row in told.rows] == sorted((r.score for r in told.rows), reverse=True)
    assert told.main == scored.main == "accuracy"


def test_what_is_no_candidate_and_what_has_no_language_is_left_out_and_told(model: Model) -> None:
    told = tiers(model, languages("abcd-"), without=["b"])
    assert sorted(row.language for row in told.rows) == ["a", "c", "d"]
    assert told.without == ("b",)
    assert told.nameless == 8


def test_equals_in_two_thirds_are_told(model: Model) -> None:
    # The same examples in four languages: all score the same.
    examples = [replace(e, language=name) for name in "abcd" for e in pool(TOKEN, 5)]
    told = tiers(model, Pool.of(examples, TOKEN))
    assert told.tied == ("a", "b", "c", "d")
    assert [row.tier for row in told.rows] == ["HP", "HP", "MP", "LP"]


def test_a_pool_without_languages_and_a_stranger_among_those_left_out_are_refused(
    model: Model,
) -> None:
    with pytest.raises(UsageError, match="need 3 languages, and there are 0: -") as refused:
        tiers(model, pool_without_languages())
    assert "--language" in refused.value.hint
    with pytest.raises(UsageError, match="no labelled example is in xx"):
        tiers(model, languages("abc"), without=["xx"])


def pool_without_languages() -> Pool:
    return Pool.of([replace(e, language=None) for e in pool(TOKEN, 5)], TOKEN)


def test_the_command_writes_a_file_that_runs_nothing_and_prints_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = start(tmp_path / "start", TOKEN)
    made = [(e.fields["tokens"], e.label) for e in pool(TOKEN, 20)]
    for place, name in enumerate(("ur", "h,i", "t\x1br", "=de")):
        conll(tmp_path / "corpus" / name / "test.conll", made[5 * place : 5 * place + 5])  # type: ignore[arg-type]
    asked = ("tiers", body, "--task", TOKEN, "--test", tmp_path / "corpus", "--device", "cpu")
    out = tmp_path / "tiers.csv"
    assert polymux(*asked, "--language", "folder", "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    assert "'=de" in {row["language"] for row in rows}
    for row in rows:
        row["language"] = row["language"].removeprefix("'")
    assert {row["language"]: float(row["score"]) for row in rows} == told["scores"]
    assert told["tiers"] == {
        tier: [row["language"] for row in rows if row["tier"] == tier] for tier in TIERS
    }
    assert sorted(told["scores"]) == ["=de", "h,i", "t\x1br", "ur"]
    assert polymux(*asked, "--language", "folder", "--out", out) == 2
    assert "is there already" in capsys.readouterr().err
    assert polymux(*asked, "--language", "folder", "--out", out, "--force") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["tier", "language", "accuracy", "examples"]
    assert [line.rsplit(maxsplit=2)[0].split(maxsplit=1) for line in printed[1:5]] == [
        [row["tier"], row["language"].replace("\x1b", " ")] for row in rows
    ]
    assert printed[5] == str(out)
