"""A pool narrowed before the model: what is kept, that it belongs to content, what it loses."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import pool

import polymux as pm
from polymux.errors import InputError, UsageError
from polymux.prescribe import recall, select_many
from polymux.prescribe.hashes import HashSet
from polymux.prescribe.prefilter import (
    BUCKETS,
    PRIOR,
    buckets_of,
    log_ratios,
    narrow,
)
from polymux.records import Example, Pool, PoolFile, content_hashes
from polymux.selection.draws import draws

SIZES = {"en": 60, "de": 50, "hi": 40, "zh": 30}
# Of 40 kept, chance would take 9 of the 40 Hindi ones; how many of the others come in is drawn, and
# over seeds and tokenizers between 34 and 40 are Hindi.
MOST = 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    folder = tiny_model(tmp_path_factory.mktemp("model"), "token-classification")
    return pm.Model(folder, task="token-classification", device="cpu")


def kept_of(model: pm.Model, source: Pool, target: Pool, keep: int, **options) -> list[Example]:
    return list(narrow(source, target, model, keep, sample=1, **options).pool)


def grams(example: Example, tokenizer) -> Counter[tuple[int, ...]]:
    ids = tokenizer(example.text, add_special_tokens=False)["input_ids"]
    return Counter([*((i,) for i in ids), *pairwise(ids)])


def slow_order(model: pm.Model, source: Sequence[Example], target: Sequence[Example], seed: int):
    """The same rule one example at a time, with real n-grams instead of buckets."""
    ours = [grams(example, model.tokenizer) for example in source]
    theirs = sum((grams(example, model.tokenizer) for example in target), Counter())
    whole = sum(ours, Counter())
    typical = whole.total() / len(source)
    keys = []
    for example, counts in zip(source, ours, strict=True):
        total = 0.0
        for gram, count in counts.items():
            p = whole[gram] / whole.total()
            q = (theirs[gram] + PRIOR * p) / (theirs.total() + PRIOR)
            total += count * math.log(q / p)
        u = draws(seed, "prefilter", content_hashes([example]))[0]
        keys.append(total / counts.total() * typical - math.log(-math.log(u)))
    return np.argsort(-np.array(keys))


def test_it_keeps_what_the_rule_keeps_example_by_example(model, monkeypatch) -> None:
    # So many buckets that no two n-grams share one.
    monkeypatch.setattr("polymux.prescribe.prefilter.BUCKETS", 10_000_019)
    source, target = pool(SIZES), pool({"ur": 25}, name="target")
    target = Pool.of([*target, *list(pool({"hi": 10}, seed=1))], target.task, name="target")
    order = slow_order(model, list(source), list(target), seed=3)
    for keep in (1, 20, 100):
        kept = kept_of(model, source, target, keep, seed=3)
        assert {e.id for e in kept} == {list(source)[i].id for i in order[:keep]}


def test_of_a_mixed_pool_it_keeps_what_is_written_like_the_target(model) -> None:
    kept = kept_of(model, pool(SIZES), pool({"hi": 20}, name="target", seed=7), 40)
    assert Counter(e.language for e in kept)["hi"] >= MOST


def test_questions_and_texts_are_narrowed_too(model) -> None:
    for fields in (
        lambda text: {"text": text, "text_pair": "on a mat"},
        lambda text: {"question": "who sat", "context": text},
    ):
        task = "text-classification" if "text" in fields("") else "question-answering"
        source, target = (
            Pool.of(
                [pm.Example(e.id, e.file, e.line, fields(e.text), None, e.language) for e in some],
                task,
            )
            for some in (pool(SIZES), pool({"hi": 20}, seed=7))
        )
        kept = kept_of(model, source, target, 40)
        assert Counter(e.language for e in kept)["hi"] >= MOST


def test_kept_examples_stand_as_they_were_and_in_order(model) -> None:
    source = pool(SIZES)
    kept = kept_of(model, source, pool({"ur": 25}), 50)
    assert kept == [e for e in source if e in kept]
    assert len(kept) == 50


def test_what_is_kept_belongs_to_content_however_the_pool_is_cut_and_ordered(model) -> None:
    examples, target = list(pool(SIZES)), pool({"ur": 25})
    whole = {e.id for e in kept_of(model, pool(SIZES), target, 60)}
    order = np.random.default_rng(0).permutation(len(examples))
    for cuts in ([0, 180], [0, 7, 7, 100, 180]):
        parts = [tuple(examples[i] for i in order[a:b]) for a, b in pairwise(cuts)]
        files = [PoolFile(f"f{n}", lambda part=part: iter(part)) for n, part in enumerate(parts)]
        split = Pool("token-classification", files, name="source")
        assert {e.id for e in kept_of(model, split, target, 60)} == whole


def test_memory_does_not_grow_with_the_pool(model, monkeypatch) -> None:
    for module in ("records", "prescribe.prefilter"):
        monkeypatch.setattr(f"polymux.{module}.SHARD_SIZE", 256)

    def large(count: int) -> Pool:
        def read():
            for number in range(count):
                yield Example(f"n#{number}", "n", number, {"tokens": tuple(f"{number:x}")})

        return Pool("token-classification", [PoolFile("n", read)], name="source")

    def peak(count: int) -> int:
        tracemalloc.start()
        narrow(large(count), pool({"ur": 25}), model, 50, sample=50)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    narrow(large(256), pool({"ur": 25}), model, 50, sample=50)
    few, many = peak(768), peak(3072)
    # Hashes and masks: what is promised is 32 bytes an example; an example with its words has 500.
    assert many - few < 60 * (3072 - 768)


def test_another_seed_draws_others(model) -> None:
    source, target = pool(SIZES), pool({"ur": 25})
    one, two = ({e.id for e in kept_of(model, source, target, 40, seed=seed)} for seed in (0, 1))
    assert one != two


def test_duplicates_and_barred_examples_take_no_place(model) -> None:
    examples = list(pool(SIZES))
    doubled = Pool.of(examples + examples, "token-classification", name="source")
    barred = HashSet()
    barred.add(content_hashes(examples[:100]))
    made = narrow(doubled, pool({"ur": 25}), model, 500, sample=5, barred=barred)
    assert [e.id for e in made.pool] == [e.id for e in examples[100:]]
    told = {n: made.facts[n] for n in ("read", "duplicates", "excluded", "eligible", "kept")}
    assert told == {"read": 360, "duplicates": 180, "excluded": 100, "eligible": 80, "kept": 80}


def test_neighbours_are_counted_inside_a_text_only(model) -> None:
    pair = Example("x", "x", 1, {"text": "the house", "text_pair": "the river"})
    joined = Example("x", "x", 1, {"text": "the house the river"})
    ids = model.tokenizer("the house the river", add_special_tokens=False)["input_ids"]
    assert len(buckets_of([joined], model.tokenizer)[0]) == 2 * len(ids) - 1
    assert len(buckets_of([pair], model.tokenizer)[0]) == 2 * len(ids) - 2


def test_a_bucket_unseen_in_the_target_costs_what_the_prior_says_and_no_more() -> None:
    source = np.zeros(BUCKETS, dtype=np.int64)
    source[:2] = 30, 10
    target = np.zeros(BUCKETS, dtype=np.int64)
    target[0] = 1000
    ratios = log_ratios(target, source)
    assert ratios[1] == pytest.approx(math.log(PRIOR / (1000 + PRIOR)))
    assert ratios[0] == pytest.approx(math.log((1000 + PRIOR * 0.75) / (1000 + PRIOR) / 0.75))
    assert ratios[2:].tolist() == [0.0] * (BUCKETS - 2)


def test_a_bad_line_stops_or_stays_bad(model) -> None:
    examples = list(pool({"en": 20}))
    bad = InputError("no words", "write some", file="x", line=7)
    empty = Example("empty#1", "x", 9, {"tokens": (" ",)})
    files = [
        PoolFile("none", lambda: iter([bad])),
        PoolFile("some", lambda: iter([*examples[:15], bad, empty, *examples[15:]])),
    ]
    target = pool({"de": 5})
    stopping = Pool("token-classification", files[1:], name="source")
    with pytest.raises(InputError, match="no words"):
        kept_of(model, stopping, target, 10)
    skipping = Pool("token-classification", files, skip_bad=True, name="source")
    choice = pm.select(model, skipping, target, budget=10, prefilter=10)
    assert len(choice) == 10
    assert choice.manifest["source"]["read"] == 10
    assert choice.manifest["source"]["rejected"] == 3


def test_the_choice_is_that_of_the_kept_examples(model) -> None:
    source, target = pool(SIZES), pool({"ur": 25}, name="target")
    kept = narrow(source, target, model, 90, sample=1, seed=2).pool
    one = pm.select(model, source, target, budget=20, seed=2, prefilter=90)
    other = pm.select(model, kept, target, budget=20, seed=2)
    assert one.ids == other.ids
    assert [p.example for p in one.picks] == [p.example for p in other.picks]
    assert one.manifest["settings"]["prefilter"] == 90
    assert one.manifest["prefilter"]["kept"] == 90


def test_recall_is_the_share_of_the_full_choice_that_was_kept(model, monkeypatch) -> None:
    monkeypatch.setattr(recall, "SMALLEST_CHOICE", 10)
    source, target = pool(SIZES), pool({"hi": 25}, name="target", seed=4)
    names = ["average-dist", "knn-uncertainty", "random"]
    made = select_many(
        model, source, target, budgets=[10], strategies=names, prefilter=60, prefilter_sample=180
    )
    kept = {e.id for e in narrow(source, target, model, 60, sample=1).pool}
    whole = select_many(model, source, target, budgets=[10], strategies=names)
    for name in names:
        told = made[name, 10].manifest["prefilter"]["recall"]
        want = len(kept & set(whole[name, 10].ids)) / 10
        found = told["strategies"][name]
        assert found["recall"] == pytest.approx(want)
        assert found["low"] <= want <= found["high"]
        assert told["random"] == pytest.approx(60 / 180, abs=1e-4)
        assert any("the prefilter kept" in w for w in made[name, 10].manifest["warnings"]) == (
            want < 0.9
        )


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # 8 of 10: Newcombe 1998, method 3.
    assert recall._share(8, 10) == {"recall": 0.8, "low": 0.4902, "high": 0.9433}


def test_a_prefilter_as_large_as_the_pool_narrows_nothing_and_says_so(model) -> None:
    source, target = pool(SIZES), pool({"ur": 25}, name="target")
    made = pm.select(model, source, target, budget=20, prefilter=1000)
    assert made.ids == pm.select(model, source, target, budget=20).ids
    assert "recall" not in made.manifest["prefilter"]
    assert (
        "--prefilter 1,000 narrowed nothing: only 180 may be chosen" in (made.manifest["warnings"])
    )


def test_a_prefilter_below_the_budget_is_refused(model) -> None:
    for wrong in (
        {"prefilter": 19},
        {"prefilter_sample": 5},
        {"prefilter": 30, "prefilter_sample": -1},
    ):
        with pytest.raises(UsageError, match="--prefilter"):
            pm.select(model, pool(SIZES), pool({"ur": 25}), budget=20, **wrong)
