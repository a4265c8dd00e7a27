"""A budget in tokens, money or minutes is spent over the rounds, within the limits of languages."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.worlds import answered, write_world

from polymux.annotation import Answer
from polymux.campaign import (  # fmt: skip
    Control,
    Costs,
    Limits,
    Settings,
    Training,
    advance,
    export,
    init,
    status,
    take,
)
from polymux.campaign.costs import TIMED, measured_rates, overrun, paid
from polymux.campaign.state import State, read_state
from polymux.errors import UsageError
from polymux.records import Example


@dataclass(frozen=True)
class World:
    settings: Settings


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = write_world(tmp_path_factory.mktemp("world"))
    update = {"rounds": 2, "test": (), "training": Training(epochs=1, lr=1e-3, batch_size=8)}
    return World(settings.model_copy(update=update))


def finished(run: Path, settings: Settings, seconds: float | None = None, **but: Any) -> State:
    """A campaign from its beginning to its end."""
    init(run, settings)
    sheet = run.parent / "round.jsonl"
    while not advance(run).finished:
        export(run, sheet, "jsonl", force=True)
        answered(sheet, **but)
        but = {}
        if seconds is not None:
            lines = [json.loads(line) for line in sheet.read_text("utf-8").splitlines()]
            timed = [json.dumps(told | {"seconds": seconds}) + "\n" for told in lines]
            sheet.write_text("".join(timed), "utf-8")
        take(run, sheet, "jsonl")
    return read_state(run)


def words(example: Example) -> int:
    return len(example.fields["tokens"])


def test_a_budget_in_words_is_spent_over_the_rounds(world: World, tmp_path: Path) -> None:
    update = {"budget": 120, "costs": Costs(unit="tokens")}
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    assert len(state.rounds) == 2
    assert state.spent == sum(map(words, state.labelled))
    assert 100 < state.spent <= 120
    assert sum(words(e) for e in state.rounds[0].labelled) <= 60
    told = status(tmp_path / "run")
    assert (told["unit"], told["spent"], told["left"]) == ("tokens", state.spent, 120 - state.spent)


def test_money_is_spent_by_the_rate_of_each_language(world: World, tmp_path: Path) -> None:
    rates = {"es": 0.5, "*": 2.0}
    update = {
        "budget": 100,
        "costs": Costs(unit="money", rates=rates, per="example"),
        "limits": Limits(at_least={"de": 10}, at_most={"es": 30}),
        "control": Control(share=0.2),
    }
    state = finished(tmp_path / "run", world.settings.model_copy(update=update), but={1: "skipped"})
    counts = Counter(example.language for example in state.labelled)
    assert counts["de"] >= 10
    assert counts["es"] <= 30
    assert state.spent == 0.5 * counts["es"] + 2.0 * counts["de"]
    assert 90 < state.spent <= 100


def test_a_language_that_nobody_can_annotate_is_never_asked_for(
    world: World, tmp_path: Path
) -> None:
    update = {
        "budget": 30,
        "limits": Limits(without=("de",)),
        "control": Control(share=0.5),
    }
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    assert {example.language for example in state.issued} == {"es"}
    assert len(state.labelled) == 30


def test_of_each_group_one_is_bought_in_the_whole_campaign(world: World, tmp_path: Path) -> None:
    update = {"budget": 40, "limits": Limits(one_of="number"), "control": Control(share=0.0)}
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    numbers = [example.id.split("#")[1] for example in state.labelled]
    assert len(set(numbers)) == len(numbers) == 40


def test_minutes_are_those_that_the_tool_told(world: World, tmp_path: Path) -> None:
    update = {
        "budget": 20,
        "rounds": 2,
        "costs": Costs(unit="minutes", rates={"*": 0.5}, per="example"),
        "limits": Limits(at_least={"es": 10, "de": 10}),
        "control": Control(share=0.0),
    }
    # Half a minute was expected, a quarter is what it took: the second round buys more.
    state = finished(tmp_path / "run", world.settings.model_copy(update=update), seconds=15.0)
    first, second = state.rounds
    assert len(first.labelled) == 20
    assert state.rates["es"] == pytest.approx(0.25)
    assert len(second.labelled) == 60
    assert state.spent == pytest.approx(20.0)


def test_a_rate_is_measured_once_enough_labels_tell_of_their_time() -> None:
    costs = Costs(unit="minutes", rates={"*": 1.0, "hi": 3.0}, per="token")
    example = Example("a#1", "a", 1, {"tokens": ("x", "y")}, language="hi")

    def answers(count: int, state: Any = "labelled") -> list[tuple[Example, list[Answer]]]:
        label = ("O", "O") if state == "labelled" else None
        return [(example, [Answer("a#1", {}, state, label, None, 60.0)])] * count

    assert measured_rates(costs, answers(TIMED - 1)) == {"*": 1.0, "hi": 3.0}
    assert measured_rates(costs, answers(TIMED)) == {"*": 1.0, "hi": 0.5}
    # What was skipped took time too.
    both = [*answers(TIMED), *answers(TIMED, "skipped")]
    assert measured_rates(costs, both) == {"*": 1.0, "hi": 1.0}
    plain = costs.model_copy(update={"measured": False})
    assert measured_rates(plain, answers(TIMED)) == {"*": 1.0, "hi": 3.0}
    given = answers(1)[0][1]

    def took(how: Costs, *, is_labelled: bool) -> float:
        return paid(how, lambda one: 7.0, example, given, is_labelled=is_labelled)

    assert took(costs, is_labelled=True) == took(costs, is_labelled=False) == 1.0
    assert (took(plain, is_labelled=True), took(plain, is_labelled=False)) == (7.0, 0.0)


def test_minutes_add_up_with_several_annotators() -> None:
    costs = Costs(unit="minutes", rates={"*": 9.0}, per="example")
    example = Example("a#1", "a", 1, {"tokens": ("x",)}, language="hi")
    three = [Answer("a#1", {}, "labelled", ("O",), who, 60.0) for who in "abc"]
    rates = measured_rates(costs, [(example, three)] * TIMED)
    assert rates["hi"] == 3.0
    assert paid(costs, lambda one: rates["hi"], example, three, is_labelled=True) == 3.0


def test_a_language_that_is_used_up_stops_nothing(world: World, tmp_path: Path) -> None:
    update = {
        "budget": 70,
        "limits": Limits(at_least={"de": 40}),
        "control": Control(share=0.0),
    }
    # The first round has room for 35 of them.
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    assert Counter(example.language for example in state.labelled)["de"] == 40
    assert len(state.labelled) == 70


def test_a_pool_that_is_used_up_but_for_barred_languages_ends_it(
    world: World, tmp_path: Path
) -> None:
    update = {
        "budget": 4000,
        "costs": Costs(unit="characters"),
        "limits": Limits(without=("es",)),
    }
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    assert len(state.labelled) == 40
    assert state.spent < 4000
    plain = {"budget": 41, "costs": Costs(), "limits": Limits(without=("es",))}
    with pytest.raises(UsageError, match="40 different examples for a budget of 41"):
        init(tmp_path / "other", world.settings.model_copy(update=plain))


def test_what_is_barred_needs_no_rate(world: World, tmp_path: Path) -> None:
    update = {
        "budget": 20,
        "costs": Costs(unit="money", rates={"es": 0.1}),
        "limits": Limits(without=("de",)),
    }
    state = finished(tmp_path / "run", world.settings.model_copy(update=update))
    assert 18 < state.spent <= 20
    with pytest.raises(UsageError, match="no rate for the language 'de'"):
        init(tmp_path / "x", world.settings.model_copy(update=update | {"limits": Limits()}))


def test_what_cannot_be_is_told_at_the_beginning(world: World, tmp_path: Path) -> None:
    for update, said in (
        ({"costs": Costs(unit="money")}, "needs what an example takes"),
        ({"limits": Limits(at_least={"es": 12})}, "asks for 12 of a budget of 11"),
    ):
        with pytest.raises(UsageError, match=said):
            init(tmp_path / "run", world.settings.model_copy(update=update))
        assert not (tmp_path / "run").exists()


def test_what_was_spent_beyond_the_budget_is_one_sentence_with_its_reason() -> None:
    assert overrun(Costs(), 0.0) is None
    assert (overrun(Costs(), 1.0) or "").startswith("1 label more than the budget: answers came")
    assert (overrun(Costs(), 2.0) or "").startswith("2 labels more than")
    minutes = Costs(unit="minutes", rates={"*": 1.0})
    assert "1.5 minutes more than the budget: labels took more" in (overrun(minutes, 1.5) or "")
