"""A choice made again from its folder: the same, up to a tie, different, or not to be made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file, save_file
from tests.models import tiny_model
from tests.prescribe.worlds import noisy_pool, pool, sentences, write_conllu

import polymux as pm
from polymux.errors import InputError, ModelError, UsageError
from polymux.prescribe import select_many
from polymux.prescribe.verify import DIFFERENT, SAME, TIE
from polymux.selection import STRATEGIES
from polymux.selection.ties import TIES

TASK = "token-classification"
PLAN = {"en": 3, "de": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pools in files, and one choice a strategy and budget below `out`."""
    folder = tmp_path_factory.mktemp("world")
    tiny_model(folder / "model", TASK)
    for language, count in {"en": 60, "de": 50, "hi": 40}.items():
        write_conllu(folder / "source", language, count)
    write_conllu(folder / "target", "ur", 30)
    write_conllu(folder / "gold", "ur", 30, seed=1)
    write_conllu(folder / "known", "en", 5)
    model = pm.Model(folder / "model", task=TASK, device="cpu")
    made = select_many(
        model,
        pm.read(folder / "source", task=TASK, language="folder"),
        pm.read(folder / "target", task=TASK),
        budgets=[5, 20],
        strategies=list(STRATEGIES),
        seed=3,
        gold=pm.read(folder / "gold", task=TASK),
        like=PLAN,
        plan=PLAN,
        exclude=[pm.read(folder / "known", task=TASK)],
        exclude_target=True,
        ratio=2.0,
    )
    for (strategy, budget), choice in made.items():
        choice.write(folder / "out" / strategy / str(budget))
    return folder


@pytest.fixture
def copy(world: Path, tmp_path: Path) -> Path:
    """The world again, to be spoilt; what its manifests say lies in the first one."""
    return Path(shutil.copytree(world, tmp_path / "copy"))


def edited(folder: Path, change) -> Path:
    """A choice whose lines were changed by a function of the list of records."""
    path = folder / "to_label.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    change(records)
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return folder


def scaled_model(world: Path, to: Path, by: float, only: str = "") -> Path:
    """The model with its weights multiplied."""
    folder = Path(shutil.copytree(world / "model", to))
    weights = load_file(folder / "model.safetensors")
    changed = {n: (w * by if only in n else w).astype(w.dtype) for n, w in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_every_strategy_and_budget_is_the_same_made_again(world, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    for batch_tokens in (None, 40):
        verdict = pm.verify(world / "out", batch_tokens=batch_tokens)
        assert {(c.strategy, c.budget) for c in verdict.choices} == {
            (name, budget) for name in STRATEGIES for budget in (5, 20)
        }
        assert [c.strategy for c in verdict.choices if c.verdict == DIFFERENT] == []
        ran = verdict.choices[0].ran
        assert ran["settings"] == ({"batch_tokens": [1024, 40]} if batch_tokens else {})
        assert ran["distance_apart"] < 1e-4
    assert verdict.verdict in (SAME, TIE)


def test_a_choice_of_a_smaller_budget_alone_is_verified_alone(world) -> None:
    verdict = pm.verify(world / "out/knn-uncertainty/5")
    assert verdict.verdict == SAME
    assert len(verdict.choices) == 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_example_swapped_for_another_is_different_and_named(copy, name) -> None:
    larger = (copy / "out" / name / "20/to_label.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = copy / "out" / name / "5"
    fewer = (chosen / "to_label.jsonl").read_text(encoding="utf-8").splitlines()
    known = {json.loads(line)["id"] for line in fewer}
    other = next(r for r in map(json.loads, reversed(larger)) if r["id"] not in known)

    def swap(records: list[dict]) -> None:
        records[2] = {**other, "rank": 3}

    verdict = pm.verify(edited(chosen, swap))
    assert verdict.verdict == DIFFERENT
    told = {d.id: d for d in verdict.differences}
    assert (told[other["id"]].rank_then, told[other["id"]].rank_now) == (3, None)
    if name in TIES:
        assert told[other["id"]].gap > told[other["id"]].tolerance


def test_a_swapped_id_is_different_though_the_content_is_not(copy) -> None:
    def swap(records: list[dict]) -> None:
        records[0]["id"], records[1]["id"] = records[1]["id"], records[0]["id"]

    verdict = pm.verify(edited(copy / "out/random/5", swap))
    assert verdict.verdict == DIFFERENT
    assert [d.rank_then for d in verdict.differences] == [1, 2]


def test_labels_that_were_added_change_no_verdict(copy) -> None:
    def label(records: list[dict]) -> None:
        for record in records:
            record["labels"] = ["O"] * len(record["tokens"])
        records.reverse()

    assert pm.verify(edited(copy / "out/random/5", label)).verdict == SAME


@pytest.mark.parametrize("name", TIES)
def test_a_model_that_differs_in_the_last_digit_is_the_same_up_to_a_tie(
    world, tmp_path, name
) -> None:
    model = scaled_model(world, tmp_path / "model", 1 + 1e-7)
    with pytest.raises(InputError, match=r"the model .* is another"):
        pm.verify(world / "out" / name / "20", model=model)
    verdict = pm.verify(world / "out" / name / "20", model=model, allow_changed=True)
    assert verdict.verdict in (SAME, TIE)
    assert "the model" in verdict.choices[0].notes[0]


def test_two_examples_closer_than_the_tolerance_may_change_places(world, copy) -> None:
    # The same choice with two neighbours in rank exchanged, under a model of which all
    # uncertainties are within a hair: a head of almost nothing is sure of nothing.
    model = scaled_model(world, copy / "flat", 1e-7, only="classifier.weight")
    one = pm.select(
        pm.Model(model, task=TASK, device="cpu"),
        pm.read(world / "source", task=TASK, language="folder"),
        pm.read(world / "target", task=TASK),
        budget=10,
        strategy="uncertainty",
    )
    one.write(copy / "flat-out")

    def swap(records: list[dict]) -> None:
        records[3]["rank"], records[8]["rank"] = records[8]["rank"], records[3]["rank"]

    verdict = pm.verify(edited(copy / "flat-out", swap))
    assert verdict.verdict == TIE
    assert verdict.comparisons == ("order by -uncertainty",)
    assert all(0 <= tie.gap <= tie.tolerance == 2e-5 for tie in verdict.choices[0].ties)


def test_a_model_that_was_trained_further_is_refused_and_then_different(world, tmp_path) -> None:
    model = tiny_model(tmp_path / "further", TASK, seed=5)
    with pytest.raises(InputError, match=r"the model .* is another"):
        pm.verify(world / "out", model=model)
    verdict = pm.verify(world / "out/knn-uncertainty/20", model=model, allow_changed=True)
    assert verdict.verdict == DIFFERENT
    assert all(d.gap is None or d.gap > d.tolerance for d in verdict.differences)


def test_one_line_more_in_the_source_is_refused_by_its_fingerprint(world, copy) -> None:
    more = copy / "source/de/train.conllu"
    words = "".join(f"{i}\t{word}\t_\tNOUN" + "\t_" * 6 + "\n" for i, word in enumerate("xyz", 1))
    more.write_text(more.read_text(encoding="utf-8") + words + "\n", encoding="utf-8")
    chosen = world / "out/random/20"
    manifest = json.loads((chosen / "selection.json").read_text(encoding="utf-8"))
    with pytest.raises(InputError) as raised:
        pm.verify(chosen, source=[copy / "source"])
    assert "the source is another" in raised.value.what
    assert manifest["source"]["fingerprint"] in raised.value.what
    assert "(150 examples) then" in raised.value.what
    assert "(151 examples) now" in raised.value.what
    assert "--allow-changed" in raised.value.hint
    assert "target" not in raised.value.what


@pytest.mark.parametrize("gone", ["target", "exclude"])
def test_the_fingerprint_that_differs_is_named(world, gone) -> None:
    other = pm.read(world / "gold", task=TASK)
    with pytest.raises(InputError, match="the target is" if gone == "target" else "excluded"):
        pm.verify(world / "out/random/5", **{gone: other if gone == "target" else [other]})


def test_the_pool_of_gold_is_named_as_such(world) -> None:
    with pytest.raises(InputError, match="the gold pool is another"):
        pm.verify(world / "out/gold/5", gold=[world / "known"])


def test_more_excluded_than_then_is_refused(world) -> None:
    with pytest.raises(UsageError, match="2 pools are given as excluded, 1 were"):
        pm.verify(world / "out/random/5", exclude=[[world / "known"], [world / "gold"]])


def test_files_that_stand_elsewhere_now_are_found_where_they_are_said_to_be(copy, world) -> None:
    verdict = pm.verify(
        copy / "out",
        model=copy / "model",
        source=[copy / "source"],
        target=[copy / "target"],
        gold=[copy / "gold"],
        exclude=[[copy / "known"]],
    )
    assert verdict.verdict == SAME


def test_relative_paths_are_those_of_the_folder_where_the_choice_was_made(
    world, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(world)
    made = pm.select(
        pm.Model("model", task=TASK, device="cpu"),
        pm.read("conllu:source", task=TASK, language="folder"),
        pm.read("target/*/train.conllu", task=TASK),
        budget=4,
    )
    made.write(tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    assert pm.verify(tmp_path / "out").verdict == SAME
    manifest = json.loads((tmp_path / "out/selection.json").read_text(encoding="utf-8"))
    for name in ("source", "target"):
        manifest[name]["cwd"] = "/nowhere/any/more"
    (tmp_path / "out/selection.json").write_text(json.dumps(manifest), encoding="utf-8")
    monkeypatch.chdir(world)
    assert pm.verify(tmp_path / "out").verdict == SAME


def test_pools_in_memory_are_given_again(world, tmp_path) -> None:
    model = pm.Model(world / "model", task=TASK, device="cpu")
    source, target = pool({"en": 30, "de": 20}), noisy_pool(20)
    pm.select(model, source, target, budget=6).write(tmp_path / "out")
    with pytest.raises(UsageError, match="made in memory"):
        pm.verify(tmp_path / "out")
    assert pm.verify(tmp_path / "out", source=source, target=target).verdict == SAME


def first_middle_last(words: str) -> list[str]:
    """A way to split texts."""
    return [part for part in words.split("a") if part]


def test_a_function_that_splits_texts_is_given_again_not_run_unasked(world, tmp_path) -> None:
    for name, language in (("source", "en"), ("target", "de")):
        lines = [" ".join(words) for words in sentences(language, 20)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "splitting.py").write_text(
        "split = lambda text: [w for w in text.split('t') if w]\n"
    )
    words = f"{tmp_path}/splitting.py:split"
    model = pm.Model(world / "model", task=TASK, device="cpu")
    for number, given in enumerate((words, first_middle_last)):
        pools = [pm.read(tmp_path / f"{n}.txt", task=TASK, words=given) for n in
                 ("source", "target")]  # fmt: skip
        pm.select(model, *pools, budget=5).write(tmp_path / f"out{number}")
        told = given if isinstance(given, str) else "test_verify:first_middle_last"
        with pytest.raises(UsageError, match="code to run") as raised:
            pm.verify(tmp_path / f"out{number}")
        assert told in raised.value.what
        assert pm.verify(tmp_path / f"out{number}", words=given).verdict == SAME


def test_other_options_are_part_of_the_question(world, tmp_path) -> None:
    model = pm.Model(world / "model", task=TASK, device="cpu", max_length=6)
    made = select_many(
        model,
        pm.read(world / "source", task=TASK),
        pm.read(world / "target", task=TASK, on_error="skip"),
        budgets=[9],
        strategies=["average-dist", "knn-uncertainty", "uncertainty-knn"],
        uncertainty="mnlp",
        distance="cosine",
        average="macro",
        k=2,
        candidates=1.5,
        ratio=3.0,
        near_duplicates=0.01,
        preset="released-code",
    )
    for (strategy, budget), choice in made.items():
        choice.write(tmp_path / strategy / str(budget))
    assert pm.verify(tmp_path).verdict == SAME


def test_a_strategy_of_ones_own_is_the_same_or_different(world, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(STRATEGIES, "mine", lambda source, target, budget, seed: range(budget))
    model = pm.Model(world / "model", task=TASK, device="cpu")
    pools = (pm.read(world / "source", task=TASK), pm.read(world / "target", task=TASK))
    pm.select(model, *pools, budget=4, strategy="mine").write(tmp_path / "out")
    assert pm.verify(tmp_path / "out").verdict == SAME
    monkeypatch.setitem(STRATEGIES, "mine", lambda source, target, budget, seed: [0, 1, 3, 2])
    verdict = pm.verify(tmp_path / "out")
    assert verdict.verdict == DIFFERENT
    assert [(d.rank_then, d.rank_now) for d in verdict.differences] == [(3, 4), (4, 3)]


def test_settings_of_another_version_are_told_and_break_nothing(copy) -> None:
    path = copy / "out/uncertainty/5/selection.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["polymux"] = "0.0.9"
    manifest["settings"] |= {"screen": "bfloat16", "sorcery": 3}
    del manifest["model"]["contents"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    verdict = pm.verify(path.parent)
    assert verdict.verdict == SAME
    notes = "\n".join(verdict.choices[0].notes)
    assert "made by polymux 0.0.9, verified by" in notes
    assert "does not know: sorcery" in notes
    assert "may be another" in notes


def test_a_manifest_allows_itself_nothing(copy) -> None:
    weights = load_file(copy / "model/model.safetensors")
    (copy / "model/model.safetensors").unlink()
    torch.save(
        {n: torch.from_numpy(w) for n, w in weights.items()}, copy / "model/pytorch_model.bin"
    )
    path = copy / "out/uncertainty/5/selection.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["model"] |= {"path": str(copy / "model"), "allow_pickle": True}
    manifest["settings"]["allow_pickle"] = True
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelError, match="pickled"):
        pm.verify(path.parent)
    verdict = pm.verify(path.parent, allow_pickle=True, allow_changed=True)
    assert verdict.verdict == SAME


def cut(folder: Path) -> None:
    path = folder / "selection.json"
    path.write_bytes(path.read_bytes()[:200])


def last_line_gone(folder: Path) -> None:
    path = folder / "to_label.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")


def half_a_line(folder: Path) -> None:
    path = folder / "to_label.jsonl"
    path.write_bytes(path.read_bytes()[:-100])


def of_another_encoding(folder: Path) -> None:
    path = folder / "to_label.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"id"', b'"i\xff"'))


def nested(folder: Path) -> None:
    (folder / "selection.json").write_text("[" * 100_000)


def of_another_command(folder: Path) -> None:
    (folder / "selection.json").write_text('{"task": "token-classification"}')


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (cut, "no whole JSON"),
        (last_line_gone, "ranks are not 1 to 5"),
        (half_a_line, "no line of a choice"),
        (of_another_encoding, "no line of a choice"),
        (nested, "no whole JSON"),
        (of_another_command, "does not tell of strategy"),
        (lambda folder: (folder / "to_label.jsonl").unlink(), "no to_label.jsonl"),
        (lambda folder: (folder / "selection.json").unlink(), "no selection.json here"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_with_a_hint(copy, spoil, what) -> None:
    folder = copy / "out/random/5"
    spoil(folder)
    with pytest.raises(InputError, match=what) as raised:
        pm.verify(folder)
    assert raised.value.hint
