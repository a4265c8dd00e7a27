"""The strategy recommended: the first rule that holds, with the results behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.diagnosis import RULES, Facts, Rule, advise, recommend
from polymux.errors import UsageError
from polymux.selection import STRATEGIES, Strategy

DOCS = Path(__file__).parents[2] / "docs"
SMALL = Rule(
    name="small",
    when=lambda facts: facts.budget is not None and facts.budget < 100,
    strategy="average-dist",
    reason="it is so",
    results=("results/udpos.md",),
)
TASK = "token-classification"


def test_every_rule_names_a_strategy_that_needs_nothing_and_pages_that_exist() -> None:
    for rule in RULES:
        strategy = STRATEGIES[rule.strategy]
        assert isinstance(strategy, Strategy)
        assert not strategy.needs
        assert rule.results
        assert all((DOCS / page).is_file() for page in rule.results)


def test_every_rule_but_the_last_rests_on_results() -> None:
    pages = [page for rule in RULES[:-1] for page in rule.results]
    assert pages
    assert all(page.startswith("results/") for page in pages)


def test_the_last_rule_holds_whatever_is_known() -> None:
    assert RULES[-1].when(Facts(task="question-answering"))
    assert not RULES[-1].measured


def put_first(patch: pytest.MonkeyPatch, first: Rule) -> None:
    """Put a rule before all others."""
    patch.setattr("polymux.diagnosis.rules.RULES", (first, *RULES))


def test_the_first_rule_that_holds_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, SMALL)
    assert recommend(Facts("text-classification", 50)).strategy == "average-dist"
    found = recommend(Facts("text-classification", 100))
    assert (found.strategy, found.rule) == (RULES[-1].strategy, RULES[-1].name)


def unasked() -> Facts:
    raise AssertionError("nobody needs a look at the pools")


def test_auto_stands_for_what_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, SMALL)
    names, advice = advise(["random", "auto"], [10, 20], TASK, unasked)
    assert names == ["random", "average-dist"]
    assert advice is not None
    assert advice.record["evidence"] == ["results/udpos.md"]
    assert advise(["random"], [10], TASK, unasked) == (["random"], None)
    names, _ = advise(["auto", "random", "average-dist"], [10], TASK, unasked)
    assert names == ["average-dist", "random"]
    with pytest.raises(UsageError, match="average-dist for 10, knn-uncertainty for 500"):
        advise(["auto"], [10, 500], TASK, unasked)


def test_a_rule_that_looks_at_the_pools_gets_what_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apart = Rule(
        name="apart",
        when=lambda facts: facts.correlation is not None and facts.correlation < 0.1,
        strategy="round-robin",
        reason="it is so",
        results=("results/udpos.md",),
        measured=True,
    )
    put_first(monkeypatch, apart)
    for r, strategy in ((0.05, "round-robin"), (0.5, RULES[-1].strategy)):
        seen = Facts(TASK, correlation=r)
        names, _ = advise(["auto"], [10], TASK, lambda seen=seen: seen)
        assert names == [strategy]
