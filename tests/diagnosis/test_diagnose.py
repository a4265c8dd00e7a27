"""The whole diagnosis on worlds built to have each defect, and on a clean one."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from tests.diagnosis.worlds import WORDS, clean, defects, pool_of, sentences
from tests.models import tiny_model

import polymux as pm
from polymux.cli import main
from polymux.diagnosis import Diagnosis, diagnose
from polymux.records import Pool
from polymux.selection import Target

TASK = "token-classification"
# A mean over words, which examples with like words share even in a model of random weights.
MEAN = "entropy-mean"
# Not read off the table of checks: one that is gone from there is missed here.
ALL = {
    *("size", "noise", "reach", "redundancy", "parallel", "fertility", "correlation"),
    *("calibration", "clusters", "expected"),
}
DEFECTS = defects()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pm.Model:
    folder = tiny_model(tmp_path_factory.mktemp("model"), TASK)
    return pm.Model(folder, task=TASK, device="cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worlds share a pool: it is read once."""
    return tmp_path_factory.mktemp("store")


def warnings(found: Diagnosis, check: str) -> list[str]:
    return [one.says for one in found.findings[check] if one.level == "warning"]


@pytest.fixture(scope="module")
def healthy(model: pm.Model, store: Path) -> Diagnosis:
    world = clean()
    return diagnose(model, world.source, world.target, budget=20, uncertainty=MEAN, store=store)


def test_of_a_clean_world_nothing_is_said_that_is_not_so(healthy: Diagnosis) -> None:
    assert set(healthy.results) == ALL - {"parallel"}
    assert healthy.of_level("warning") == []


@pytest.mark.parametrize(("check", "words"), DEFECTS, ids=str)
def test_a_world_with_a_defect_gets_the_warning(
    model: pm.Model, store: Path, check: str, words: str
) -> None:
    world = DEFECTS[check, words]
    found = diagnose(model, world.source, world.target, store=store)
    assert any(words in said for said in warnings(found, check))


def test_a_part_of_the_target_with_nothing_near_is_listed(model: pm.Model, store: Path) -> None:
    texts = sentences(390, 1)
    odd = [(word,) * 12 for word in WORDS[:30]]
    found = diagnose(
        model, pool_of(texts[:300], "source"), pool_of([*texts[300:], *odd], "target"), store=store
    )
    assert warnings(found, "reach")
    listed = {one.id for one in found.listed["reach"]}
    assert len(listed & {f"target.txt#{number}" for number in range(91, 121)}) >= 25
    assert len(listed - {f"target.txt#{number}" for number in range(91, 121)}) <= 5
    reached = found.record["checks"]["reach"]
    assert reached["examples"][0]["text"].split()[0] in WORDS
    assert found.facts.out_of_reach == pytest.approx(len(listed) / 120)


def test_a_parallel_pool_is_told_by_its_languages(model: pm.Model, store: Path) -> None:
    texts = sentences(500, 1)
    # A translation of another order: the mean of its words is nearly the same.
    both = [*texts[:200], *(words[::-1] for words in texts[:200])]
    languages = ["xx"] * 200 + ["yy"] * 200
    examples = list(pool_of(both, "source", languages))
    paired = [
        replace(example, id=f"{example.language}.txt#{number % 200 + 1}")
        for number, example in enumerate(examples)
    ]
    target = pool_of(texts[400:], "target")
    found = diagnose(model, Pool.of(paired, TASK, name="source"), target, store=store)
    assert "looks parallel" in warnings(found, "parallel")[0]
    places = np.random.default_rng(0).permutation(200).tolist()
    mixed = [
        replace(one, id=f"{one.language}.txt#{place}")
        for place, one in zip([*range(200), *places], examples, strict=True)
    ]
    again = diagnose(model, Pool.of(mixed, TASK, name="source"), target, store=store)
    assert warnings(again, "parallel") == []


def test_labels_in_the_pool_tell_of_calibration(model: pm.Model, store: Path) -> None:
    world = clean()
    wrong = [replace(e, label=("B-PER",) * len(e.fields["tokens"])) for e in world.source]
    found = diagnose(model, Pool.of(wrong, TASK, name="source"), world.target, store=store)
    assert "overconfident" in warnings(found, "calibration")[0]


def test_what_is_measured_is_what_the_model_and_a_plain_count_give(
    model: pm.Model, healthy: Diagnosis
) -> None:
    world = clean()
    source, target = model.encode(list(world.source)), model.encode(list(world.target))
    lies = Target.of(source.embeddings).all(target.embeddings)
    measured = {name: result.record for name, result in healthy.results.items()}
    assert measured["reach"]["median_distance"] == pytest.approx(np.median(lies.min(axis=1)))
    nearest = np.argsort(lies, axis=1, kind="stable")[:, :8]
    doubts = source.uncertainty[MEAN][nearest].mean(axis=1)
    at_eight = measured["correlation"]["curve"][7]
    assert at_eight["r"] == pytest.approx(
        np.corrcoef(target.uncertainty[MEAN], doubts)[0, 1], abs=1e-6
    )
    assert healthy.facts.correlation == at_eight["r"]
    assert healthy.recommendation.strategy == "knn-uncertainty"


def test_the_order_of_the_files_changes_nothing(
    model: pm.Model, store: Path, healthy: Diagnosis
) -> None:
    world = clean()
    backwards = Pool.of(reversed(list(world.source)), TASK, name="source")
    again = diagnose(model, backwards, world.target, budget=20, uncertainty=MEAN, store=store)
    assert {n: r.findings for n, r in again.results.items()} == healthy.findings


def write(path: Path, texts: list[tuple[str, ...]]) -> str:
    path.write_text("".join(" ".join(words) + "\n" for words in texts), encoding="utf-8")
    return str(path)


def test_the_command_prints_findings_and_writes_the_record(
    model: pm.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = sentences(90, 1)
    given = ["diagnose", str(model.path), "--task", TASK, "--store", "off", "--budget", "10"]
    given += ["--source", write(tmp_path / "pool.txt", texts[:80])]
    given += ["--target", write(tmp_path / "mine.txt", [*texts[80:], ("\x1b[31mred", "12")])]
    main([*given, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "warning: the target sample has 11 examples" in printed
    assert "knn-uncertainty" in printed.splitlines()[-2]
    assert "\x1b" not in printed
    record = json.loads((tmp_path / "out" / "diagnosis.json").read_text("utf-8"))
    assert record["checks"]["size"]["measured"]["examples"] == 11
    page = (tmp_path / "out" / "diagnosis.html").read_text("utf-8")
    for check in record["checks"].values():
        assert all(one["says"] in unescape(page) for one in check["findings"])
    assert "\x1b" not in page
    main([*given, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["checks"] == record["checks"]
    with pytest.raises(SystemExit) as stop:
        main([*given, "--out", str(tmp_path / "out")])
    assert stop.value.code == 2


def test_select_with_auto_says_what_it_took_and_why(
    model: pm.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = sentences(90, 1)
    given = ["select", str(model.path), "--task", TASK, "--store", "off", "--budget", "10"]
    given += ["--source", write(tmp_path / "pool.txt", texts[:60])]
    given += ["--target", write(tmp_path / "mine.txt", texts[60:])]
    main([*given, "--strategy", "auto,random", "--out", str(tmp_path / "out")])
    assert "auto: knn-uncertainty" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "out/knn-uncertainty/10/selection.json").read_text("utf-8"))
    assert manifest["strategy"] == "knn-uncertainty"
    assert "results/choosing-udpos.md" in manifest["auto"]["evidence"]
    beside = json.loads((tmp_path / "out/random/10/selection.json").read_text("utf-8"))
    assert beside["auto"] is None
