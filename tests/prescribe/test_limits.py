"""Every strategy honours what a choice may cost and must hold; without limits nothing changes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import pool, sentences, write_conllu

import polymux as pm
from polymux.errors import BudgetError, UsageError
from polymux.prescribe import select_many
from polymux.prescribe.costs import ANY, UNITS, group_of, words_in
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.verify import SAME, verify
from polymux.records import Example, Pool
from polymux.selection import STRATEGIES
from polymux.selection.ask import Arrays

TASK = "token-classification"
SIZES = {"en": 60, "de": 50, "hi": 30}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    return pm.Model(
        tiny_model(tmp_path_factory.mktemp("model") / "m", TASK), task=TASK, device="cpu"
    )


def ranked(model: pm.Model, strategies: Any = tuple(STRATEGIES), **options: Any) -> Any:
    """Choices of each strategy from a pool of three languages, for a fourth."""
    given: dict[str, Any] = {"budgets": [20], "ratio": 2.0, "seed": 3}
    if "gold" in strategies:
        given["gold"] = pool(SIZES, name="gold", seed=1)
    if "plan" in strategies:
        given |= {"like": {"en": 3, "de": 1}, "plan": {"en": 3, "de": 1, "hi": 1}}
    source = options.pop("source", None) or pool(SIZES)
    target = pool({"ur": 25}, name="target")
    return select_many(model, source, target, strategies=list(strategies), **(given | options))


def languages(choice: Any) -> Counter[str]:
    return Counter(pick.example.language for pick in choice.picks)


def test_without_limits_the_choice_is_what_it_was(model: pm.Model) -> None:
    plain = ranked(model)
    same = ranked(model, at_least={"en": 0}, at_most={"hi": 1000})
    assert {key: made.ids for key, made in plain.items()} == {k: m.ids for k, m in same.items()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_minimums_maximums_and_barred_languages_are_honoured(
    model: pm.Model, strategy: str
) -> None:
    limits = {"at_least": {"hi": 6}, "at_most": {"en": 4}, "without": ["de"]}
    given: dict[str, Any] = {}
    if strategy == "gold":
        given["gold"] = pool(SIZES, name="gold", seed=1)
    if strategy in ("plan", "same-distribution"):
        given["plan" if strategy == "plan" else "like"] = {"en": 1, "hi": 1}
    (made,) = select_many(
        model,
        pool(SIZES),
        pool({"ur": 25}, name="target"),
        budgets=[20],
        strategies=[strategy],
        ratio=2.0,
        **given,
        **limits,
    ).values()
    counts = languages(made)
    assert set(counts) <= {"en", "hi"}
    assert counts["en"] <= 4
    assert counts["hi"] >= 6
    assert len(made.ids) == len(set(made.ids)) == 20
    assert [pick.rank for pick in made.picks] == list(range(1, 21))


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit != "examples"])
def test_a_budget_is_spent_and_never_more(model: pm.Model, unit: str) -> None:
    rates = {"en": 0.25, "hi": 2.0, ANY: 0.5} if unit in ("minutes", "money") else {}
    made = ranked(model, budgets=[150], budget_in=unit, rates=rates)

    def cost(example: Example) -> float:
        if unit == "characters":
            return float(sum(map(len, example.fields["tokens"])))
        return len(example.fields["tokens"]) * rates.get(str(example.language), rates.get(ANY, 1.0))

    whole = [cost(example) for example in pool(SIZES)]
    for (strategy, _), choice in made.items():
        if strategy == "gold":
            continue
        spent = sum(cost(pick.example) for pick in choice.picks)
        assert spent == pytest.approx(choice.manifest["facts"]["spent"])
        assert spent <= 150
        if strategy in ("plan", "same-distribution"):
            continue
        chosen = set(choice.ids)
        # Nothing that is left would still fit.
        left = [c for c, e in zip(whole, pool(SIZES), strict=True) if e.id not in chosen]
        assert min(left) > 150 - spent
    assert made["knn-uncertainty", 150].manifest["settings"]["budget_in"] == unit


def test_knn_doubles_until_its_candidates_can_spend_the_budget(model: pm.Model) -> None:
    (few,) = ranked(model, ["knn-uncertainty"], budgets=[40], budget_in="tokens").values()
    (many,) = ranked(model, ["knn-uncertainty"], budgets=[400], budget_in="tokens").values()
    assert many.manifest["facts"]["k"] > few.manifest["facts"]["k"]
    assert many.manifest["facts"]["spent"] > 390


def parallel() -> Pool:
    """The same sentences, in two languages, by their number."""
    lines = sentences("en", 40)
    made = [
        Example(f"{code}.conll#{n}", code, n, {"tokens": (*words, code)}, language=code,
                extra={"sent_id": f"s{n}"})
        for code in ("en", "de")
        for n, words in enumerate(lines, start=1)
    ]  # fmt: skip
    return Pool.of(made, TASK, name="source")


@pytest.mark.parametrize("field", ["sent_id", "number"])
def test_of_a_parallel_pool_each_sentence_is_bought_once(model: pm.Model, field: str) -> None:
    strategies = ["knn-uncertainty", "average-dist", "uncertainty", "random", "egalitarian"]
    plain = ranked(model, strategies, source=parallel(), budgets=[30])
    made = ranked(model, strategies, source=parallel(), budgets=[30], one_of=field)
    for key, choice in made.items():
        numbers = [pick.example.id.split("#")[1] for pick in choice.picks]
        assert len(set(numbers)) == 30
        assert choice.manifest["facts"]["passed_over"]["one_of"] > 0
        twice = [pick.example.id.split("#")[1] for pick in plain[key].picks]
        assert len(set(twice)) < 30


def test_what_was_bought_bars_its_group_and_barred_languages_take_no_place_in_a_prefilter(
    model: pm.Model,
) -> None:
    bought = Pool.of([e for e in parallel() if e.language == "en"][:25], TASK)
    options: dict[str, Any] = {"source": parallel(), "exclude": [bought], "budgets": [10]}
    (made,) = ranked(model, ["random"], one_of="number", prefilter=50, **options).values()
    assert made.manifest["prefilter"]["kept"] == 50
    assert min(int(pick.example.id.split("#")[1]) for pick in made.picks) > 25
    (made,) = ranked(model, ["random"], without=["de"], prefilter=100).values()
    assert made.manifest["prefilter"]["kept"] == made.manifest["prefilter"]["eligible"] == 90


def test_a_prefilter_counts_examples_whatever_the_budget_is_in(model: pm.Model) -> None:
    options: dict[str, Any] = {"budgets": [360], "budget_in": "tokens", "prefilter": 80}
    (made,) = ranked(model, ["random"], **options).values()
    told = made.manifest["prefilter"]["recall"]
    each = sum(len(e.fields["tokens"]) for e in pool(SIZES)) / 140
    assert (told["sample"], told["budget"]) == (140, round(360 / each))


def test_no_more_texts_are_held_than_are_shown_or_walked(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    whole = EncodedPool.examples

    def counting(self: EncodedPool, rows: Any) -> Any:
        asked.append(len(rows))
        return whole(self, rows)

    monkeypatch.setattr(EncodedPool, "examples", counting)
    monkeypatch.setattr("polymux.prescribe.asked.MAP_POINTS", 5)
    ranked(model, ["random"], budgets=[200], budget_in="characters")
    # First those of the target sample.
    assert max(asked[1:]) < 70


def test_near_duplicates_and_costs_go_together(model: pm.Model) -> None:
    options = {"budgets": [100], "budget_in": "tokens"}
    plain = ranked(model, ["average-dist"], **options)["average-dist", 100]
    apart = ranked(model, ["average-dist"], near_duplicates=2.0, **options)["average-dist", 100]
    assert apart.manifest["facts"]["near_duplicates"] > 0
    assert apart.ids != plain.ids
    assert apart.manifest["facts"]["spent"] <= 100


def test_a_rule_of_ones_own_is_held_to_the_limits(
    model: pm.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(source: Arrays, target: Arrays, budget: int, seed: int) -> np.ndarray:
        """The first ones."""
        return np.arange(min(budget, len(source.hashes)))

    monkeypatch.setitem(STRATEGIES, "first", first)
    made = ranked(model, ["first"], at_most={"en": 3}, at_least={"hi": 5})["first", 20]
    assert languages(made) == {"en": 3, "hi": 5, "de": 12}


def test_a_pool_without_languages_needs_none(model: pm.Model) -> None:
    bare = Pool.of([replace(example, language=None) for example in pool(SIZES)], TASK)
    made = ranked(
        model, ["knn-uncertainty"], source=bare, budgets=[90], budget_in="money", rates={ANY: 1.0}
    )
    assert 80 < made["knn-uncertainty", 90].manifest["facts"]["spent"] <= 90


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget_in": "beans"}, "no budget in 'beans'"),
        ({"budget_in": "money"}, "needs what an example takes"),
        ({"budget_in": "money", "rates": {"en": 1.0}}, "no rate for the language '(de|hi)'"),
        ({"budget_in": "money", "rates": {ANY: 0.0}}, "not above 0"),
        ({"rates": {ANY: 1.0}}, "has no rates"),
        ({"budget_in": "tokens", "budgets": [10, 20]}, "several budgets"),
        ({"budget_in": "tokens", "budgets": [1]}, "buy no example"),
        ({"at_least": {"xx": 1}}, "no example of xx"),
        ({"at_least": {"en": 21}}, "asks for 21 of a budget of 20"),
        ({"at_least": {"en": 2}, "at_most": {"en": 1}}, "more en is asked for"),
        ({"at_least": {"en": 2}, "without": ["en"]}, "more en is asked for"),
        ({"one_of": "nothing"}, "has no nothing"),
        ({"budget_in": "money", "rates": {ANY: 1.0}, "per": "mile"}, "no rate per 'mile'"),
    ],
)
def test_what_cannot_be_is_refused(model: pm.Model, options: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        ranked(model, ["random"], **options)
    assert error.value.hint


def test_limits_that_leave_nothing_are_refused_with_the_reason(model: pm.Model) -> None:
    with pytest.raises(BudgetError, match="140 are of languages that may have no more") as error:
        ranked(model, ["knn-uncertainty"], at_most=dict.fromkeys(SIZES, 0))
    assert error.value.hint == "raise --at-most"
    bought = Pool.of([e for e in parallel() if e.language == "en"], TASK)
    with pytest.raises(BudgetError, match="40 are of groups bought before"):
        ranked(model, ["random"], source=parallel(), exclude=[bought], one_of="number")


def test_what_is_short_is_told(model: pm.Model) -> None:
    made = ranked(model, ["random"], budgets=[40], at_least={"hi": 35})["random", 40]
    assert languages(made)["hi"] == 30
    assert any("hi by 5" in warning for warning in made.manifest["warnings"])


@pytest.mark.parametrize("prefilter", [None, 70])
def test_a_limited_choice_can_be_made_again(
    model: pm.Model, tmp_path: Path, prefilter: int | None
) -> None:
    for language, count in SIZES.items():
        write_conllu(tmp_path / "source", language, count)
    write_conllu(tmp_path / "target", "ur", 25)
    write_conllu(tmp_path / "bought", "en", 10)
    made = select_many(
        model,
        pm.read(tmp_path / "source", task=TASK, language="folder"),
        pm.read(tmp_path / "target", task=TASK),
        budgets=[120],
        budget_in="minutes",
        rates={"en": 0.5, ANY: 1.5},
        at_least={"hi": 4},
        without=["de"],
        one_of="number",
        exclude=[pm.read(tmp_path / "bought", task=TASK)],
        prefilter=prefilter,
    )
    made["knn-uncertainty", 120].write(tmp_path / "out")
    assert verify(tmp_path / "out").verdict == SAME
    told = json.loads((tmp_path / "out/selection.json").read_text("utf-8"))
    assert told["settings"]["rates"] == {"en": 0.5, ANY: 1.5}
    assert told["languages"]["chosen"].keys() == {"en", "hi"}


def test_words_are_counted_in_every_script() -> None:
    def of(**fields: Any) -> int:
        return words_in(Example("a#1", "a", 1, fields))

    assert of(tokens=("a b", "c")) == 2
    assert of(text="two words", text_pair="and three more") == 5
    assert of(text="天気がいい") == 5
    assert of(text="सुबह  हुई") == 2


def test_a_group_is_a_field_or_a_place() -> None:
    example = Example("x/y#7", "x/y", 1, {"text": "a"}, source_id="k", extra={"doc": 3})
    groups = [group_of(example, name) for name in (None, "number", "source_id", "doc")]
    assert groups == [None, "7", "k", 3]
