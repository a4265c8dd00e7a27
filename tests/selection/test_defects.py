"""Defects of the released code that choosing must never have (D1-D17)."""

from __future__ import annotations

import numpy as np
import pytest
from tests.selection.worlds import world

from polymux.selection import select_encoded


def choose(w, **options):
    return select_encoded(w.embeddings, w.uncertainty, w.target, **options)


@pytest.mark.parametrize("pool", [1, 2, 100, 255, 256, 257, 300])
@pytest.mark.parametrize("targets", [1, 10, 11, 50])
def test_d01_any_pool_size_and_target_size_works(pool: int, targets: int) -> None:
    chosen = choose(world(pool, targets=targets), budget=50)
    assert sorted(set(chosen.tolist())) == sorted(chosen.tolist())
    assert len(chosen) == min(50, pool)


@pytest.mark.parametrize(("pool", "targets", "budget"), [(5000, 11, 4000), (5000, 1, 500)])
def test_d02_knn_never_comes_out_short(pool: int, targets: int, budget: int) -> None:
    assert len(choose(world(pool, targets=targets), budget=budget)) == budget


def test_d03_egalitarian_below_the_number_of_languages_is_not_random() -> None:
    w = world(370, seed=1)
    languages = [f"l{i % 37}" for i in range(370)]
    chosen = choose(w, budget=10, strategy="egalitarian", languages=languages)
    assert len({languages[i] for i in chosen}) == 10
    assert set(chosen) != set(choose(w, budget=10, strategy="random"))


def test_d04_egalitarian_never_repeats() -> None:
    w = world(150)
    languages = [f"l{i % 3}" for i in range(150)]
    chosen = choose(w, budget=120, strategy="egalitarian", languages=languages)
    assert len(set(chosen.tolist())) == 120


def test_d05_a_small_language_gives_all_it_has_and_the_others_fill_up() -> None:
    w = world(1010)
    languages = ["small"] * 10 + ["one"] * 500 + ["two"] * 500
    chosen = choose(w, budget=90, strategy="egalitarian", languages=languages)
    names = [languages[i] for i in chosen]
    assert (names.count("small"), names.count("one"), names.count("two")) == (10, 40, 40)


@pytest.mark.parametrize("strategy", ["average-dist", "uncertainty", "knn-uncertainty"])
def test_d10_a_budget_above_the_pool_takes_the_whole_pool(strategy: str) -> None:
    assert sorted(choose(world(1200), budget=5000, strategy=strategy)) == list(range(1200))


def test_d15_random_draws_belong_to_the_content_not_to_the_row() -> None:
    w = world(100, seed=3)
    order = np.random.default_rng(0).permutation(100)
    p = w.permuted(order)
    options = {"budget": 10, "strategy": "random", "seed": 5}
    there = order[choose(p, keys=p.hashes, **options)]
    assert there.tolist() == choose(w, keys=w.hashes, **options).tolist()


def test_d16_a_plan_larger_than_a_language_ends_and_unknown_languages_are_no_error() -> None:
    w = world(30)
    chosen = choose(
        w, budget=20, strategy="plan", languages=["aa"] * 5 + ["bb"] * 25,
        quotas={"aa": 100, "bb": 1, "zz": 7},
    )  # fmt: skip
    assert sorted(chosen[chosen < 5].tolist()) == [0, 1, 2, 3, 4]
    assert len(chosen) == 20
