"""A screened choice is the exact model's: on arrays against all of the pool, and by real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import noisy_pool, pool

import polymux as pm
from polymux.encoders.probe import Fastest
from polymux.errors import UsageError
from polymux.prescribe import select_many
from polymux.prescribe.screen import screening, upper_quantile
from polymux.selection import STRATEGIES, Strategy

SIZES = {"en": 160, "de": 150, "hi": 140, "zh": 130, "ur": 120}
NAMES = [n for n in STRATEGIES if n not in ("gold", "plan", "same-distribution")]
BUDGETS = [5, 40]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    # WordPiece breaks ties by chance when trained: another world in each process.
    folder = tiny_model(
        tmp_path_factory.mktemp("model"), "token-classification", kind="roberta", dim=64
    )
    return pm.Model(folder, task="token-classification", device="cpu")


def chosen(model: pm.Model, **options):
    return select_many(
        model, pool(SIZES), noisy_pool(25), budgets=BUDGETS, strategies=NAMES, **options
    )


@pytest.fixture(scope="module")
def plain(model: pm.Model):
    return chosen(model)


@pytest.fixture(scope="module", params=["bfloat16", "float16", "int8"])
def screened(request: pytest.FixtureRequest, model: pm.Model, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return chosen(model, screen=request.param)


def test_the_screen_alone_would_choose_otherwise(model: pm.Model, plain) -> None:
    """Otherwise the tests below would show nothing."""
    low = chosen(model.reading_as("torch", "bfloat16"))
    assert any(low[key].rows != plain[key].rows for key in plain)


def test_every_strategy_chooses_as_if_all_had_been_read_exactly(plain, screened) -> None:
    for key, choice in plain.items():
        assert set(screened[key].ids) == set(choice.ids), key


def test_ranks_and_reasons_are_the_exact_models(plain, screened) -> None:
    """Also where two examples change places: only what ties in the last digit does."""
    for key, choice in plain.items():
        by_id = {pick.example.id: pick for pick in screened[key].picks}
        for place, (ours, theirs) in enumerate(zip(screened[key].picks, choice.picks, strict=True)):
            assert ours.uncertainty == pytest.approx(theirs.uncertainty, abs=1e-5), (key, place)
            ours = by_id[theirs.example.id]
            assert ours.uncertainty == pytest.approx(theirs.uncertainty, abs=1e-5)
            assert ours.distance == pytest.approx(theirs.distance, rel=1e-5)
            near, nearest = ours.nearest[0].distance, theirs.nearest[0].distance
            assert near == pytest.approx(nearest, rel=1e-5, abs=1e-5)
            assert ours.prediction["labels"] == theirs.prediction["labels"]


def test_the_manifest_says_how_many_were_decided_twice_and_by_which_bound(model, screened) -> None:
    manifest = screened["knn-uncertainty", 5].manifest
    assert manifest["model"]["fingerprint"] == model.fingerprint
    assert manifest["settings"]["dtype"] == "float32"
    told = manifest["screen"]
    assert told["dtype"] in ("bfloat16", "float16", "int8")
    assert told["backend"] == ("openvino" if told["dtype"] == "int8" else "torch")
    assert told["model"] != model.fingerprint
    assert told["sampled"] == 59
    assert 59 < told["decided"] <= sum(SIZES.values())
    assert sorted(told["bounds"]) == [
        "average-dist", "coverage", "knn-uncertainty", "round-robin", "transductive",
        "transductive-uncertainty", "transport", "uncertainty", "uncertainty-knn",
    ]  # fmt: skip
    assert all(value > 0 for value in told["bounds"].values())


def test_auto_takes_what_the_probe_found_and_says_when_nothing_is_faster(model, monkeypatch):
    found = Fastest("torch", "float16", {})
    monkeypatch.setattr(pm.Model, "fastest", lambda self, precision: found)
    one = select_many(
        model, pool(SIZES), noisy_pool(5), budgets=[5], strategies=["random"], screen="auto"
    )
    assert one["random", 5].manifest["screen"]["dtype"] == "float16"
    found = Fastest("torch", "float32", {})
    with pytest.raises(UsageError, match="nothing is faster"):
        select_many(
            model, pool(SIZES), noisy_pool(5), budgets=[5], strategies=["random"], screen="auto"
        )


def test_a_named_precision_is_read_by_the_backend_that_was_faster(model, monkeypatch) -> None:
    speed = {
        ("torch", "bfloat16"): 10.0,
        ("openvino", "bfloat16"): 20.0,
        ("openvino", "int8"): 30.0,
    }
    monkeypatch.setattr(pm.Model, "fastest", lambda self, precision: Fastest("x", "int8", speed))
    low = screening(model, "bfloat16", {}, only=False)
    assert (low.backend, low.dtype) == ("openvino", "bfloat16")


def test_draws_need_no_decision_beyond_what_they_choose(model) -> None:
    one = select_many(
        model,
        pool(SIZES),
        noisy_pool(25),
        budgets=[30],
        strategies=["random", "egalitarian"],
        screen="bfloat16",
    )
    assert one["random", 30].manifest["screen"]["decided"] <= 60


def test_a_second_run_reads_nothing_again(model, tmp_path: Path, monkeypatch) -> None:
    first = chosen(model, screen="bfloat16", store=tmp_path)
    monkeypatch.setattr(pm.Model, "encode_features", lambda *a, **k: pytest.fail("it encodes"))
    again = chosen(model, screen="bfloat16", store=tmp_path)
    assert {k: c.rows for k, c in again.items()} == {k: c.rows for k, c in first.items()}


def test_a_screen_that_does_not_pay_is_told(model) -> None:
    wide = select_many(
        model, pool(SIZES), noisy_pool(25), budgets=[500], strategies=["uncertainty"],
        screen="bfloat16",
    )  # fmt: skip
    assert "the screen did not pay" in " ".join(wide["uncertainty", 500].manifest["warnings"])


def test_screen_only_is_the_low_precision_choice_and_says_what_it_keeps(model) -> None:
    low = chosen(model.reading_as("torch", "bfloat16"))
    only = chosen(model, screen="bfloat16", screen_only=True)
    assert {k: c.rows for k, c in only.items()} == {k: c.rows for k, c in low.items()}
    told = only["uncertainty", 40].manifest
    assert told["settings"]["dtype"] == "bfloat16"
    assert told["screen"]["sampled"] == sum(SIZES.values())
    # The sample is the whole pool here, so the share is the true one.
    exact = chosen(model)
    both = set(exact["uncertainty", 40].rows) & set(only["uncertainty", 40].rows)
    assert told["screen"]["kept"]["uncertainty/40"] == {"of": 40, "share": len(both) / 40}
    assert f"it keeps {len(both) / 40:.0%}" in " ".join(told["warnings"])


def test_screen_only_judges_a_budget_in_any_unit_and_one_beyond_the_pool(model) -> None:
    for budget, unit in [(60, "tokens"), (5000, "examples")]:
        (one,) = select_many(
            model, pool(SIZES), noisy_pool(25), budgets=[budget], strategies=["uncertainty"],
            screen="bfloat16", screen_only=True, budget_in=unit,
        ).values()  # fmt: skip
        told = one.manifest["screen"]["kept"][f"uncertainty/{budget}"]
        assert f"of the {told['of']} that full precision chooses" in " ".join(
            one.manifest["warnings"]
        )


def test_own_strategies_and_unknown_screens_are_refused(model, monkeypatch) -> None:
    monkeypatch.setitem(STRATEGIES, "mine", lambda source, target, budget, seed: range(budget))
    assert not isinstance(STRATEGIES["mine"], Strategy)
    for options, what in [
        ({"strategies": ["mine"], "screen": "bfloat16"}, "nothing says which of them matter"),
        ({"strategies": ["random"], "screen": "int3"}, "there is no screen 'int3'"),
        ({"strategies": ["random"], "screen_only": True}, "--screen-only without a screen"),
    ]:
        with pytest.raises(UsageError, match=what):
            select_many(model, pool(SIZES), noisy_pool(5), budgets=[5], **options)


@pytest.mark.parametrize("count", [1, 59, 2994, 2995, 9000])
def test_the_bound_covers_its_quantile_with_its_confidence(count: int) -> None:
    """Of many samples, 95 % have a bound that 99.9 % of all errors do not exceed.

    Fewer than 2,995 errors cannot promise that; then it is the largest of them.
    """
    rng = np.random.default_rng(count)
    samples = rng.random((300, count))
    bounds = np.array([upper_quantile(sample) for sample in samples])
    if count < 2995:
        assert (bounds == samples.max(axis=1)).all()
    else:
        assert (bounds >= 0.999).mean() >= 0.92
        assert (bounds < samples.max(axis=1)).any() == (count > 4000)
