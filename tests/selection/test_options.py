"""The options of the method page behind their names, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tests.selection.worlds import distances, neighbours, world

from polymux.errors import UsageError
from polymux.selection import STRATEGIES, Strategy, select_encoded
from polymux.selection.average_dist import macro_weights
from polymux.selection.distance import Target
from polymux.selection.quota import scaled


def arrays(w):
    return w.embeddings, w.uncertainty, w.target


def test_candidates_takes_the_smallest_k_whose_union_reaches_them() -> None:
    w = world(200, seed=5)
    k = 1
    while len(union := {r for near in neighbours(w, k) for r in near}) < 4 * 10:
        k += 1
    expected = sorted(union, key=lambda row: -w.uncertainty[row])[:10]
    chosen = select_encoded(*arrays(w), budget=10, candidates=4.0)
    assert chosen.tolist() == expected


def test_k_sets_the_first_k() -> None:
    w = world(100, targets=5, seed=6)
    union = {row for near in neighbours(w, 3) for row in near}
    assert len(union) >= 5
    expected = sorted(union, key=lambda row: -w.uncertainty[row])[:5]
    assert select_encoded(*arrays(w), budget=5, k=3).tolist() == expected


def test_the_candidates_reach_the_budget_and_not_one_more_as_in_the_release() -> None:
    # Two targets with disjoint nearest neighbours: |C| = 2 = B at k = 1; the release goes to k = 2.
    x = np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32)
    t = np.array([[0.1], [10.1]], dtype=np.float32)
    u = np.array([0.0, 9.0, 0.0, 8.0])
    assert sorted(select_encoded(x, u, t, budget=2).tolist()) == [0, 2]


def test_macro_gives_every_language_of_the_target_the_same_weight() -> None:
    target = Target.of(np.zeros((4, 2), dtype=np.float32))
    weights = macro_weights(target, ("ko", "ko", "ko", "ta"), seed=0)
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_d12_a_large_group_of_the_target_drowns_a_small_one_only_without_macro() -> None:
    rng = np.random.default_rng(0)
    big, small = np.array([0.0, 0.0]), np.array([10.0, 0.0])
    target = np.concatenate(
        [big + rng.normal(size=(60, 2)) * 0.1, small + rng.normal(size=(3, 2)) * 0.1]
    ).astype(np.float32)
    x = np.array([[0.0, 0.0], [5.0, 0.0], [9.0, 0.0]], dtype=np.float32)
    weights = macro_weights(Target.of(target), (None,) * 63, seed=1)
    # Seven clusters, none of them of both groups: the three far ones are one or more of them.
    assert weights[60:].sum() >= 1 / 7 - 1e-12
    assert weights.sum() == pytest.approx(1)
    options = {"budget": 1, "strategy": "average-dist"}
    u = np.zeros(3)
    names = ["big"] * 60 + ["small"] * 3
    macro = {"average": "macro", "target_languages": names}
    assert select_encoded(x, u, target, **options).tolist() == [0]
    # The big group at (-3, -3), the small one at (10, 0), each with half the weight:
    # (4.2 + 10) / 2 is more than (13.4 + 0.2) / 2.
    target[:60] -= 3
    x = np.array([[0.0, 0.0], [10.0, 0.2]], dtype=np.float32)
    assert select_encoded(x, u[:2], target, **options).tolist() == [0]
    assert select_encoded(x, u[:2], target, **options, **macro).tolist() == [1]


def test_the_order_of_the_target_decides_nothing() -> None:
    w = world(200, targets=40, seed=12)
    for strategy in ("average-dist", "knn-uncertainty", "round-robin", "uncertainty-knn"):
        options = {"budget": 20, "strategy": strategy, "average": "macro"}
        there = select_encoded(w.embeddings, w.uncertainty, w.target[::-1], **options)
        assert select_encoded(*arrays(w), **options).tolist() == there.tolist()


def test_macro_works_with_a_seed_below_zero_and_another_seed_may_cut_other_clusters() -> None:
    target = Target.of(world(1, targets=60, seed=3).target)
    cuts = {tuple(macro_weights(target, (None,) * 60, seed)) for seed in range(-3, 3)}
    assert len(cuts) > 1


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_macro_cuts_a_target_of_equal_vectors_into_no_more_clusters_than_it_has(
    distinct: int,
) -> None:
    vectors = np.arange(distinct, dtype=np.float32).repeat(20)[:, None]
    weights = macro_weights(Target.of(vectors), (None,) * len(vectors), seed=0)
    assert weights.tolist() == pytest.approx([1 / len(vectors)] * len(vectors))


def test_ratio_decides_how_many_uncertain_ones_uncertainty_knn_looks_at() -> None:
    w = world(100, seed=9)
    least_sure = np.argsort(-w.uncertainty, kind="stable")[:15]
    nearest = distances(w).min(axis=1)
    expected = sorted(least_sure, key=lambda row: nearest[row])[:5]
    got = select_encoded(*arrays(w), budget=5, strategy="uncertainty-knn", ratio=3.0)
    assert got.tolist() == expected


def test_cosine_ignores_length() -> None:
    x = np.array([[5.0, 0.1], [0.5, 0.5]], dtype=np.float32)
    t = np.array([[1.0, 0.0]], dtype=np.float32)
    u = np.zeros(2)
    options = {"budget": 1, "strategy": "average-dist"}
    assert select_encoded(x, u, t, **options).tolist() == [1]
    assert select_encoded(x, u, t, distance="cosine", **options).tolist() == [0]


def test_quotas_scale_by_largest_remainder() -> None:
    assert scaled({"a": 1, "b": 1, "c": 1}, 10) == {"a": 4, "b": 3, "c": 3}
    assert scaled({"de": 5095, "eu": 84, "hi": 3323, "mr": 92, "nl": 556}, 10) == {
        "de": 5, "eu": 0, "hi": 4, "mr": 0, "nl": 1,
    }  # fmt: skip


def test_a_plan_gives_its_counts_and_others_fill_what_a_language_lacks() -> None:
    w = world(300, seed=3)
    quotas = {"aa": 9, "bb": 1}
    chosen = select_encoded(
        *arrays(w), budget=50, strategy="plan", languages=w.languages, quotas=quotas
    )
    names = [w.languages[i] for i in chosen]
    assert (names.count("aa"), names.count("bb"), names.count("cc")) == (45, 5, 0)
    have = w.languages.count("aa")
    chosen = select_encoded(
        *arrays(w), budget=have + 20, strategy="plan", languages=w.languages, quotas=quotas
    )
    names = [w.languages[i] for i in chosen]
    assert (names.count("aa"), names.count("bb")) == (have, 20)


@pytest.mark.parametrize(
    "option",
    [
        {"budget": 0},
        {"budget": 5, "k": 0},
        {"budget": 5, "ratio": 0.5},
        {"budget": 5, "candidates": 0.1},
        {"budget": 5, "ratio": float("nan")},
        {"budget": 5, "ratio": float("inf")},
        {"budget": 5, "candidates": float("nan")},
        {"budget": 5, "candidates": float("inf")},
        {"budget": 5, "candidates": 1e308},
        {"budget": 5, "near_duplicates": float("nan")},
        {"budget": 5, "near_duplicates": float("inf")},
        {"budget": 5, "near_duplicates": -1.0},
        {"budget": 5, "distance": "manhattan"},
        {"budget": 5, "average": "median"},
        {"budget": 5, "strategy": "magic"},
        {"budget": 5, "strategy": "egalitarian"},
        {"budget": 5, "strategy": "plan"},
        {
            "budget": 5,
            "strategy": "plan",
            "languages": ["a", "b"] * 10,
            "quotas": {"a": -2, "b": 9},
        },
    ],
)
def test_an_option_without_sense_is_refused_with_its_fix(option: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        select_encoded(*arrays(world(20)), **option)
    assert refused.value.hint


def test_a_strategy_of_ones_own_is_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def shortest(source, target, budget, seed):
        """The smallest vectors."""
        return np.argsort(np.linalg.norm(source.embeddings, axis=1), kind="stable")[:budget]

    monkeypatch.setitem(STRATEGIES, "shortest", shortest)
    w = world(50)
    with pytest.raises(UsageError, match="no more than the budget"):
        select_encoded(*arrays(w), budget=4, strategy="shortest", near_duplicates=0.1)
    chosen = select_encoded(*arrays(w), budget=4, strategy="shortest")
    assert chosen.tolist() == np.argsort(np.linalg.norm(w.embeddings, axis=1))[:4].tolist()


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda s, t, b, seed: np.zeros(b, dtype=int), "twice"),
        (lambda s, t, b, seed: np.arange(b + 1), "not 4"),
        (lambda s, t, b, seed: np.arange(b) + 1000, "outside"),
        (lambda s, t, b, seed: np.linspace(0, 1, b), "whole numbers"),
        (lambda s, t, b, seed: None, "whole numbers"),
        (lambda s, t, b, seed: {0, 1, 2, 3}, "whole numbers"),
        (lambda s, t, b, seed: list("0123"), "whole numbers"),
        (lambda s, t, b, seed: [[0, 1], [2]], "whole numbers"),
    ],
)
def test_a_strategy_of_ones_own_is_held_to_the_rules(monkeypatch, wrong, what: str) -> None:
    monkeypatch.setitem(STRATEGIES, "wrong", wrong)
    with pytest.raises(UsageError, match=what):
        select_encoded(*arrays(world(50)), budget=4, strategy="wrong")


def test_every_strategy_says_its_rule_in_one_line() -> None:
    for rule in STRATEGIES.values():
        assert isinstance(rule, Strategy)
        assert 10 < len(rule.about) < 90
