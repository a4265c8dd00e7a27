"""The main job from pools to files, on small random models."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.models import tiny_model
from tests.prescribe.worlds import noisy_pool, pool, write_conllu

import polymux as pm
from polymux.errors import UsageError
from polymux.prescribe import select_many
from polymux.records import Pool, PoolFile
from polymux.selection import STRATEGIES

SIZES = {"en": 60, "de": 50, "hi": 40, "zh": 30}
NEEDS_NOTHING = [n for n in STRATEGIES if n not in ("gold", "plan", "same-distribution")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    folder = tiny_model(tmp_path_factory.mktemp("model"), "token-classification")
    return pm.Model(folder, task="token-classification", device="cpu")


@pytest.fixture(scope="module")
def every(model: pm.Model) -> dict[tuple[str, int], pm.Prescription]:
    target = pool({"ur": 25}, name="target")
    return select_many(model, pool(SIZES), target, budgets=[5, 40], strategies=NEEDS_NOTHING)


def test_one_pass_answers_every_strategy_and_budget(every) -> None:
    assert {name for name, _ in every} == set(NEEDS_NOTHING)
    assert len(every) == len(NEEDS_NOTHING) * 2
    for (_, budget), choice in every.items():
        assert len(choice) == budget
        assert len(set(choice.rows)) == budget


def test_the_choice_equals_the_strategies_on_the_models_own_numbers(model, every) -> None:
    source, target = list(pool(SIZES)), list(pool({"ur": 25}, name="target"))
    numbers, aim = model.encode(source), model.encode(target)
    for name in ("average-dist", "uncertainty", "knn-uncertainty", "uncertainty-knn"):
        rows = pm.select_encoded(
            numbers.embeddings,
            numbers.uncertainty["margin-min"],
            aim.embeddings,
            budget=40,
            strategy=name,
            keys=numbers.hashes,
        )
        assert every[name, 40].rows == rows.tolist()


def test_reasons_are_true(model, every) -> None:
    choice = every["knn-uncertainty", 5]
    aim = model.encode(list(pool({"ur": 25}, name="target")))
    for pick in choice.picks:
        alone = model.encode([pick.example])
        gaps = np.linalg.norm(
            alone.embeddings.astype(np.float64) - aim.embeddings.astype(np.float64), axis=1
        )
        assert pick.distance == pytest.approx(gaps.mean(), rel=1e-5)
        assert pick.nearest[0].id == f"ur#{gaps.argmin() + 1}"
        assert pick.nearest[0].distance == pytest.approx(gaps.min(), rel=1e-5)
        assert pick.uncertainty == pytest.approx(alone.uncertainty["margin-min"][0], abs=1e-5)
        assert len(pick.prediction["labels"]) == len(pick.example.fields["tokens"])


def test_permuting_the_pool_gives_the_same_examples(model) -> None:
    examples = list(pool(SIZES))
    order = np.random.default_rng(0).permutation(len(examples))
    shuffled = Pool.of([examples[i] for i in order], "token-classification", name="source")
    target = pool({"ur": 25}, name="target")
    one = pm.select(model, pool(SIZES), target, budget=30)
    other = pm.select(model, shuffled, target, budget=30)
    assert set(one.ids) == set(other.ids)


def test_duplicates_excluded_and_overlapping_examples_are_left_out_and_counted(model) -> None:
    examples = list(pool({"en": 40}))
    doubled = Pool.of([*examples, *examples[:10]], "token-classification", name="source")
    target = Pool.of(examples[30:], "token-classification", name="target")
    gone = Pool.of(examples[:5], "token-classification", name="exclude")
    choice = pm.select(model, doubled, target, budget=100, exclude=[gone])
    counts = choice.manifest["source"]
    assert (counts["read"], counts["duplicates"], counts["excluded"]) == (50, 10, 5)
    assert counts["overlap"] == 10
    assert len(choice) == 35
    assert not {f"en#{n}" for n in range(1, 6)} & set(choice.ids)
    assert any("also stand in the target" in w for w in choice.manifest["warnings"])
    assert any("larger than the pool" in w for w in choice.manifest["warnings"])
    apart = pm.select(model, doubled, target, budget=100, exclude=[gone], exclude_target=True)
    assert len(apart) == 25


def test_unicode_forms_of_one_text_are_duplicates(model) -> None:
    words = [("Köln", "ist"), ("Ko\u0308ln", "ist"), ("Bonn", "ist")]
    examples = [
        pm.Example(f"x#{i}", "x", i, {"tokens": tokens}) for i, tokens in enumerate(words, 1)
    ]
    source = Pool.of(examples, "token-classification")
    choice = pm.select(model, source, pool({"ur": 20}), budget=3)
    assert sorted(choice.ids) == ["x#1", "x#3"]


def test_gold_plan_and_same_distribution_follow_what_is_given(model, tmp_path: Path) -> None:
    target = pool({"ur": 20}, name="target")
    first = pm.select(model, pool(SIZES), target, budget=20)
    first.write(tmp_path / "first")
    made = select_many(
        model,
        pool(SIZES),
        target,
        budgets=[20],
        strategies=["gold", "plan", "same-distribution"],
        gold=pool({"ur": 50}, name="gold", seed=3),
        plan={"de": 3, "zh": 1},
        like=tmp_path / "first",
    )
    assert {pick.example.language for pick in made["gold", 20].picks} == {"ur"}
    assert Counter(p.example.language for p in made["plan", 20].picks) == {"de": 15, "zh": 5}
    assert dict(made["same-distribution", 20].manifest["languages"]["chosen"]) == dict(
        first.manifest["languages"]["chosen"]
    )


def test_a_language_told_in_one_file_only_still_counts(model) -> None:
    named, unnamed = list(pool({"de": 30})), list(noisy_pool(30))
    mixed = Pool(
        "token-classification",
        [PoolFile("a", lambda: iter(unnamed)), PoolFile("b", lambda: iter(named))],
        name="source",
    )
    together = Pool.of([*unnamed, *named], "token-classification", name="source")
    for source in (mixed, together):
        choice = pm.select(model, source, pool({"ur": 20}), budget=60, strategy="egalitarian")
        assert choice.manifest["languages"]["pool"] == {"": 30, "de": 30}
        assert choice.manifest["languages"]["chosen"] == {"": 30, "de": 30}


def test_what_is_excluded_is_excluded_from_the_gold_pool_too(model) -> None:
    target = pool({"ur": 20}, name="target")
    choice = pm.select(
        model, pool(SIZES), target, budget=50, strategy="gold", exclude_target=True,
        gold=Pool.of([*target, *pool({"ur": 25}, seed=9)], "token-classification", name="gold"),
    )  # fmt: skip
    assert choice.manifest["source"]["excluded"] >= 20
    texts = {pick.example.fields["tokens"] for pick in choice.picks}
    assert not texts & {example.fields["tokens"] for example in target}


def test_a_plan_of_strangers_is_refused_with_the_languages_there_are(model) -> None:
    with pytest.raises(UsageError, match="xx") as refused:
        pm.select(model, pool(SIZES), pool({"ur": 20}), budget=5, strategy="plan", plan={"xx": 3})
    assert "de, en, hi, zh" in refused.value.hint


@pytest.mark.parametrize("option", [{"plan": {"de": 1}}, {"like": "x"}, {"gold": pool({"ur": 3})}])
def test_what_no_strategy_asked_for_would_use_is_refused(model, option) -> None:
    with pytest.raises(UsageError, match="is for the strategy"):
        pm.select(model, pool(SIZES), pool({"ur": 20}), budget=5, **option)


def test_the_manifest_holds_all_that_was_asked(model, tmp_path: Path) -> None:
    write_conllu(tmp_path, "en", 30)
    source = pm.read(tmp_path, task="token-classification", language="folder", name="source")
    choice = pm.select(
        model, source, pool({"ur": 20}), budget=5, near_duplicates=0.1, strategy="plan",
        plan={"en": 2}, seed=4,
    )  # fmt: skip
    settings = choice.manifest["settings"]
    assert settings["near_duplicates"] == 0.1
    assert settings["quotas"] == {"en": 2}
    assert choice.manifest["seed"] == 4
    assert choice.manifest["source"]["how"]["language"] == "folder"
    assert choice.manifest["source"]["how"]["paths"] == [str(tmp_path)]


@pytest.mark.parametrize("strategy", ["egalitarian", "plan", "same-distribution", "gold"])
def test_a_strategy_without_what_it_needs_is_refused_before_the_model_runs(
    model, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polymux.prescribe.pools.encode", None)
    unnamed = noisy_pool(30)
    with pytest.raises(UsageError, match=strategy) as refused:
        pm.select(model, unnamed, unnamed, budget=3, strategy=strategy)
    assert "--" in refused.value.hint


def test_a_code_mixed_noisy_target_is_no_trouble(model) -> None:
    choice = pm.select(model, pool(SIZES), noisy_pool(40), budget=15)
    assert len(choice) == 15


def test_the_second_run_on_a_store_encodes_nothing(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"budget": 20, "store": tmp_path / "store"}
    first = pm.select(model, pool(SIZES), pool({"ur": 20}), **arguments)
    monkeypatch.setattr(type(model), "forward", None)
    second = pm.select(model, pool(SIZES), pool({"ur": 20}), **arguments)
    assert second.rows == first.rows
    with pytest.raises(TypeError):
        pm.select(model, pool(SIZES), pool({"ur": 20}), budget=20)


def test_to_label_reads_back_as_the_chosen_examples_and_trains_when_labelled(
    model, tmp_path: Path
) -> None:
    for language, size in SIZES.items():
        write_conllu(tmp_path / "ud", language, size)
    source = pm.read(tmp_path / "ud", task="token-classification", language="folder")
    choice = pm.select(model, source, pool({"ur": 20}), budget=12)
    choice.write(tmp_path / "out")
    lines = (tmp_path / "out/to_label.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["rank"] for r in records] == list(range(1, 13))
    assert [r["id"] for r in records] == choice.ids
    assert records[0]["id"].startswith(records[0]["language"] + "/train.conllu#")
    assert "labels" not in records[0]
    back = list(pm.read(tmp_path / "out/to_label.jsonl", task="token-classification"))
    assert [e.fields["tokens"] for e in back] == [p.example.fields["tokens"] for p in choice.picks]
    assert [e.language for e in back] == [p.example.language for p in choice.picks]
    labelled = "".join(
        json.dumps({**r, "labels": ["O"] * len(r["tokens"])}, ensure_ascii=False) + "\n"
        for r in records
    )
    (tmp_path / "labelled.jsonl").write_text(labelled, encoding="utf-8")
    again = list(pm.read(tmp_path / "labelled.jsonl", task="token-classification"))
    assert all(e.label == ("O",) * len(e.fields["tokens"]) for e in again)


def test_the_files_of_a_choice(every, tmp_path: Path) -> None:
    choice = every["average-dist", 5]
    choice.write(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "report.html",
        "selection.json",
        "to_label.jsonl",
    ]
    manifest = json.loads((tmp_path / "out/selection.json").read_text(encoding="utf-8"))
    assert manifest["strategy"] == "average-dist"
    assert manifest["source"]["read"] == sum(SIZES.values())
    assert sum(manifest["languages"]["chosen"].values()) == 5
    assert manifest["languages"]["pool"] == SIZES
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "5 examples to label" in page


@pytest.mark.parametrize("bound", ["HELD_EXAMPLES", "HELD_CHARACTERS"])
def test_a_pool_too_large_to_be_held_is_read_twice_for_the_same_choice(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    read: list[str] = []

    def chosen() -> tuple[list[str], int]:
        read.clear()
        source = pm.read(write_conllu(tmp_path, "en", 30), task="token-classification")
        real = source.shards
        source.shards = lambda: read.append("") or real()  # type: ignore[method-assign]
        choice = pm.select(model, source, pool({"ur": 5}, name="target"), budget=5)
        return list(choice.files["to_label.jsonl"]()), len(read)

    held, once = chosen()
    monkeypatch.setattr(f"polymux.prescribe.pools.{bound}", 29)
    again, twice = chosen()
    assert again == held
    assert (once, twice) == (1, 2)


def test_a_file_that_changes_during_the_work_is_noticed(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polymux.prescribe.pools.HELD_EXAMPLES", 0)
    path = write_conllu(tmp_path, "en", 30)
    source = pm.read(path, task="token-classification")
    real = source.shards
    calls = []

    def shards():
        calls.append(1)
        if len(calls) == 2:
            text = path.read_text(encoding="utf-8").replace("London", "Leeds")
            path.write_text(text, encoding="utf-8")
        return real()

    source.shards = shards  # type: ignore[method-assign]
    with pytest.raises(pm.records.InputError, match="changed"):
        pm.select(model, source, pool({"ur": 20}), budget=25)


def test_a_strategy_of_ones_own_sees_the_eligible_pool_only(
    model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def longest(source, target, budget, seed):
        """The farthest from the origin."""
        seen.append((source.embeddings.shape[0], len(target.hashes)))
        return np.argsort(-np.linalg.norm(source.embeddings, axis=1), kind="stable")[:budget]

    monkeypatch.setitem(STRATEGIES, "longest", longest)
    examples = list(pool({"en": 30}))
    doubled = Pool.of([*examples[:10], *examples], "token-classification")
    choice = pm.select(model, doubled, pool({"ur": 20}), budget=4, strategy="longest")
    assert seen == [(30, 20)]
    norms = np.linalg.norm(model.encode(examples).embeddings, axis=1)
    expected = {examples[i].id for i in np.argsort(-norms)[:4]}
    assert set(choice.ids) == expected


def test_what_the_model_cannot_see_is_rejected_with_the_rest_when_skipping(
    model, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    # A private-use character: fine for the reader, nothing for this model's tokenizer.
    rows = [{"tokens": ["cat"]}, {"tokens": ["\ue000"]}, {"tokens": ["mat"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = pm.read(path, task="token-classification", on_error="skip")
    choice = pm.select(model, source, pool({"ur": 20}, name="target"), budget=100)
    assert sorted(choice.ids) == ["mixed.jsonl#1", "mixed.jsonl#3"]
    assert choice.manifest["source"]["rejected"] == 1
    # Reading the chosen again stops early; what was rejected after them is not forgotten.
    early = pm.select(model, source, pool({"ur": 20}, name="target"), budget=1)
    assert early.files["rejected.jsonl"] is not None
    choice.write(tmp_path / "out")
    left_out = json.loads((tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8"))
    assert (left_out["file"], left_out["line"]) == (str(path), 2)
