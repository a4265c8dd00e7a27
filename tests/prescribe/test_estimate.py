"""What a select will take, told before, beside what it took."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import noisy_pool, pool

import polymux as pm
from polymux.prescribe import estimate as estimating
from polymux.prescribe import look
from polymux.prescribe.estimate import estimate, job_of, left_in
from polymux.records import Pool

SIZES = {"en": 600, "de": 500, "hi": 400, "zh": 300}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    folder = tiny_model(tmp_path_factory.mktemp("model"), "token-classification")
    return pm.Model(folder, task="token-classification", device="cpu")


def asked(model: pm.Model, source: Pool, target: Pool, **options):
    options = {"budgets": [20], "strategies": ["knn-uncertainty"], "seconds": 0.2, **options}
    return estimate(model, source, target, **options)


def test_tokens_and_disk_are_near_the_truth_and_stand_beside_it(model, tmp_path, monkeypatch):
    monkeypatch.setattr(look, "SAMPLE", 300)
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    made = asked(model, source, target)
    choice = pm.select(
        model, source, target, budget=20, store=tmp_path / "store", estimated=made.record()
    )
    said, true = choice.manifest["estimate"]["estimated"], choice.manifest["estimate"]["true"]
    tokens = sum(int(model.encode(list(p)).lengths.sum()) for p in (source, target))
    assert true["tokens"] == tokens
    assert said["tokens"] == made.tokens == pytest.approx(tokens, rel=0.1)
    disk = sum(p.stat().st_size for p in tmp_path.glob("store/*/*.parquet")) / 2**20
    assert true["disk_mb"] == pytest.approx(disk, abs=1e-3)
    assert said["disk_mb"] == pytest.approx(disk, rel=0.2)
    assert set(said["seconds"]) == set(true["seconds"])
    assert true["total_seconds"] == pytest.approx(sum(choice.manifest["seconds"].values()), rel=0.5)
    assert true["peak_memory_mb"] > 50


@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_tokens_are_near_the_truth_for_every_task(task, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(look, "SAMPLE", 200)
    reader = pm.Model(tiny_model(tmp_path, task), task=task, device="cpu", max_length=48, stride=8)
    texts = [" ".join(e.fields["tokens"] * (1 + n % 4)) for n, e in enumerate(pool(SIZES))]
    fields = [
        {"question": "where is it", "context": text}
        if task == "question-answering"
        else {"text": text}
        for text in texts
    ]
    examples = [pm.Example(f"x#{n}", "x", n, f) for n, f in enumerate(fields, 1)]
    source, target = (
        Pool.of(some, task, name=name)
        for some, name in ((examples[100:], "source"), (examples[:100], "target"))
    )
    made = asked(reader, source, target)
    true = int(reader.encode(examples[100:]).lengths.sum())
    assert made.pools["source"].tokens == pytest.approx(true, rel=0.1)
    assert made.seconds["encode source"] > 0


def test_examples_and_characters_are_counted_not_guessed(model) -> None:
    source, target = pool(SIZES), noisy_pool(60)
    counted = asked(model, source, target).pools
    assert counted["source"].examples == 1800
    assert counted["target"].examples == 60
    assert counted["source"].characters == sum(
        len(word) for example in source for word in example.fields["tokens"]
    )


def test_nothing_is_encoded_but_the_sample_and_nothing_is_kept(model, tmp_path, monkeypatch):
    monkeypatch.setattr(look, "SAMPLE", 100)
    read: list[int] = []
    whole = model.encode_features

    def counting(examples, features, tick=None):
        read.append(len(examples))
        return whole(examples, features, tick)

    monkeypatch.setattr(model, "encode_features", counting)
    made = asked(model, pool(SIZES), pool({"ur": 150}), store=tmp_path / "store")
    # The sample of both pools, a first example and a warm batch.
    assert sum(read) <= 200 + 1 + max(read)
    assert made.sampled["examples"] <= 200
    assert list(tmp_path.iterdir()) == []


def test_the_sample_belongs_to_content(model) -> None:
    examples = list(pool(SIZES))
    order = np.random.default_rng(0).permutation(len(examples))
    shuffled = Pool.of([examples[i] for i in order], "token-classification", name="source")
    one, other = (look.look_at(p, model, None, 0, None) for p in (pool(SIZES), shuffled))
    assert {e.id for e in one.sample} == {e.id for e in other.sample}
    assert len(one.sample) == look.SAMPLE
    assert one.counted.tokens == pytest.approx(other.counted.tokens, abs=1)


def test_a_pool_no_larger_than_the_sample_is_told_exactly(model) -> None:
    small = pool({"en": 200, "zh": 100})
    counted = asked(model, small, noisy_pool(40)).pools["source"]
    assert counted.tokens == int(model.encode(list(small)).lengths.sum())


def test_what_the_store_holds_costs_no_encoding(model, tmp_path) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    before = asked(model, source, target, store=tmp_path / "store")
    pm.select(model, source, target, budget=20, store=tmp_path / "store")
    after = asked(model, source, target, store=tmp_path / "store")
    assert (before.pools["source"].stored, after.pools["source"].stored) == (0, 1800)
    assert after.seconds["encode source"] < before.seconds["encode source"]
    assert after.disk_mb == pytest.approx(before.disk_mb, rel=0.05)


def test_longer_rows_cost_by_their_own_rate(model) -> None:
    trial = asked_trial(lengths=[10.0, 20.0], rates=[1.0, 3.0])
    # Ten positions at 1 s, fifteen at 2 s, forty at the 3 s of the longest that was timed.
    assert trial.forward(np.array([10, 15, 40])) == pytest.approx(10 + 30 + 120)


def asked_trial(lengths, rates):
    from polymux.prescribe.trial import Trial

    return Trial(
        examples=1, loading=0.0, lengths=np.array(lengths), rates=np.array(rates),
        preparing=0.0, putting=0.0, getting=0.0, shard_bytes=0.0, example_bytes=0.0, choosing=0.0,
        dim=8,
    )  # fmt: skip


def test_a_prefilter_is_reckoned_with(model) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    whole = asked(model, source, target)
    part = asked(model, source, target, prefilter=400, prefilter_sample=50)
    a_source = whole.pools["source"].tokens * 400 / 1800
    assert part.tokens == pytest.approx(whole.pools["target"].tokens + a_source, abs=2)
    assert part.seconds["prefilter"] > 0
    assert part.seconds["measure prefilter"] < part.seconds["encode source"]
    assert part.seconds["encode source"] < whole.seconds["encode source"]


def test_a_budget_in_another_unit_is_reckoned_in_the_examples_that_it_buys(model) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    each = sum(len(example.fields["tokens"]) for example in source) / 1800
    made = asked(model, source, target, budgets=[3000], budget_in="tokens", prefilter=1000)
    assert made.buys == pytest.approx(3000 / each, rel=0.05)
    by_rate = {"budget_in": "money", "rates": {"*": 0.5}}
    twice = asked(model, source, target, budgets=[3000], **by_rate)
    assert twice.buys == pytest.approx(2 * made.buys, abs=1)


def test_workers_share_the_encoding(model, monkeypatch) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    trial = asked_trial(lengths=[1.0], rates=[1.0])
    monkeypatch.setattr(estimating, "try_out", lambda *_, **__: trial)
    one, four = (asked(model, source, target, workers=n) for n in (1, 4))
    assert one.seconds["encode source"] > 1000
    assert four.seconds["encode source"] == pytest.approx(
        one.seconds["encode source"] / 4, rel=0.01
    )


def test_a_prefilter_is_proposed_where_the_source_takes_hours(model, monkeypatch) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    trial = asked_trial(lengths=[1.0], rates=[1.0])
    monkeypatch.setattr(estimating, "try_out", lambda *_, **__: trial)
    long = asked(model, source, target)
    assert long.seconds["encode source"] > estimating.WORTH_A_PREFILTER
    assert [line.split(" (")[0] for line in long.proposals] == ["--prefilter 400"]
    assert asked(model, source, target, prefilter=400).proposals == ()
    assert asked(model, source, target, budgets=[500]).proposals == ()
    trial = asked_trial(lengths=[1.0], rates=[1e-6])
    assert asked(model, source, target).proposals == ()


def test_an_estimate_of_another_job_is_not_compared(model, tmp_path) -> None:
    source, target = pool(SIZES), pool({"ur": 150}, name="target")
    made = asked(model, source, target)
    (tmp_path / "estimate.json").write_text(json.dumps(made.record()), encoding="utf-8")
    job = {"budgets": [20], "strategies": ["knn-uncertainty"], "prefilter": None, "screen": "off"}
    job |= {"store_dtype": "float32", "budget_in": "examples", "rates": {}, "per": "token"}
    same = job_of(model, source, target, prefilter_sample=None, **job)
    other = job_of(model, source, target, prefilter_sample=None, **{**job, "budgets": [21]})
    assert left_in(tmp_path, same)["tokens"] == made.tokens
    assert left_in(tmp_path, other) is None
    assert left_in(tmp_path / "nothing", same) is None
