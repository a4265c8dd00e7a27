"""Plans learned from results of made-up worlds, in which the best plan is known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.cli.test_model import polymux
from tests.experiments.litmus.formulas import TEXT, lines, only_one_helps, outcomes, pool, write
from tests.models import tiny_model

from polymux.encoders import Model
from polymux.errors import UsageError
from polymux.experiments.litmus import litmus
from polymux.experiments.litmus.outcomes import Outcome
from polymux.experiments.litmus.predictor import TREES
from polymux.prescribe import select
from polymux.prescribe.plan import read_plan
from polymux.records import Example, Pool

TESTED = ("hi", "ur", "fa", "fi")
SOURCE = {"hi": 400, "fa": 400, "de": 400, "fi": 400}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 20)
    monkeypatch.setitem(TREES, "learning_rate", 0.2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tiny_model(tmp_path_factory.mktemp("start"), TEXT)
    return Model(folder, task=TEXT, device="cpu", backend="torch")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty plans in a world where only Persian helps."""
    made = outcomes(only_one_helps("fa"), TESTED, tuple(SOURCE), plans=50)
    return write(tmp_path_factory.mktemp("results") / "results.jsonl", lines(made))


def target(name: str = "ur") -> Pool:
    return pool({name: 30}, "target")


def test_the_plan_buys_mostly_what_alone_helps(model: Model, results: Path) -> None:
    plan = litmus([results], model, pool(SOURCE), target(), budget=200)
    assert plan.counts["fa"] >= 150
    assert sum(plan.counts.values()) == 200
    told = plan.record["languages"]
    assert max(told, key=lambda name: told[name]["adds"]) == "fa"
    predicted = plan.record["predicted"]
    assert (
        predicted["plan"]["mean"]
        > predicted["even"]["mean"] + 0.02
        > predicted["nothing"]["mean"] + 0.2
    )


def test_a_language_that_no_result_bought_is_bought_for_its_sub_words(
    model: Model, tmp_path: Path
) -> None:
    # Whatever shares sub-words with what is tested helps; Hindi was never bought, but shares.
    near = {("fa", "ur"), ("fi", "fi"), ("de", "de"), ("fa", "fa")}

    def score(tested: str, chosen: Mapping[str, int]) -> float:
        return 0.2 + 0.001 * sum(n for name, n in chosen.items() if (name, tested) in near)

    made = outcomes(score, ("ur", "fa", "fi", "de"), ("fa", "de", "fi"), plans=60)
    plan = litmus(
        [write(tmp_path / "r.jsonl", lines(made))],
        model,
        pool({"hi": 400, "de": 400}),
        target(),
        budget=100,
    )
    assert plan.counts["hi"] > plan.counts["de"]
    assert "the plan buys what no result bought: hi" in plan.record["warnings"]
    near_ur = {
        name: told["nearness"]["overlap"]["ur"] for name, told in plan.record["languages"].items()
    }
    assert near_ur["hi"] > near_ur["de"]


def test_select_follows_the_plan_to_the_label(model: Model, results: Path, tmp_path: Path) -> None:
    source = pool({"fa": 50, "de": 50, "fi": 50})
    plan = litmus([results], model, source, target(), budget=60)
    file = tmp_path / "deep" / "plan.csv"
    plan.write(file)
    assert read_plan(file) == {name: n for name, n in plan.counts.items() if n}
    chosen = select(
        model, source, target(), budget=60, strategy="plan", plan=file, store=tmp_path / "store"
    )
    assert chosen.manifest["languages"]["chosen"] == read_plan(file)
    assert json.loads(file.with_suffix(".json").read_text("utf-8")) == plan.record


def test_the_plan_is_within_the_pool_and_a_small_pool_is_bought_whole(
    model: Model, results: Path
) -> None:
    source = pool({"fa": 30, "de": 40})
    plan = litmus([results], model, source, target(), budget=50)
    assert sum(plan.counts.values()) == 50
    # What alone helps is nearly all bought, though there are more German ones.
    assert 25 <= plan.counts["fa"] <= 30
    doubled = Pool.of([*source, *source], TEXT)
    whole = litmus([results], model, doubled, target(), budget=500)
    assert whole.counts == {"fa": 30, "de": 40}
    assert "the pool has 70 examples of the 500 asked for" in whole.record["warnings"]


def test_the_same_is_planned_again(model: Model, results: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "r.jsonl"
    shuffled.write_text("".join(reversed(results.read_text("utf-8").splitlines(True))), "utf-8")
    one, other = (
        litmus([path], model, pool(SOURCE), target(), budget=40, seed=3)
        for path in (results, shuffled)
    )
    assert one.csv == other.csv
    assert one.record["predicted"] == other.record["predicted"]


def test_what_the_plan_rests_on_is_told(model: Model, results: Path, tmp_path: Path) -> None:
    sizes, apart = tmp_path / "sizes.csv", tmp_path / "apart.csv"
    sizes.write_text("language,bytes\nhi,100\nfi,5\n", "utf-8")
    apart.write_text("fa,ur,0.5\n", "utf-8")
    record = litmus(
        [results], model, pool(SOURCE), target("de"), budget=1000, sizes=sizes, distances=apart
    ).record
    assert record["targets"] == {"de": 30}
    assert record["results"]["used"] == 200
    assert record["results"]["tested_in"] == dict.fromkeys(sorted(TESTED), 50)
    assert {"pre-training size", "labels by distance", "mean overlap"} <= set(record["columns"])
    assert record["languages"]["de"]["nearness"] == {
        "overlap": {"de": pytest.approx(1)},
        "distance": {"de": 1.0},
    }
    assert record["languages"]["fa"]["nearness"]["distance"] == {"de": None}
    warned = " | ".join(record["warnings"])
    assert "no result was tested in the target languages de" in warned
    assert "the plan buys 1,000: of more labels" in warned


def test_a_predictor_that_knows_no_better_than_the_mean_is_told(
    model: Model, tmp_path: Path
) -> None:
    # Labels change nothing: what differs are the languages, of which the mean knows all.
    made = outcomes(lambda tested, chosen: 0.1 * len(tested) + 0.3 * (tested == "fi"),
                    TESTED, tuple(SOURCE), plans=20)  # fmt: skip
    record = litmus(
        [write(tmp_path / "r.jsonl", lines(made))], model, pool(SOURCE), target(), budget=40
    ).record
    warned = " | ".join(record["warnings"])
    assert re.search(r"of plans left out, predictions .* and the mean by 0\.0: .* knows no", warned)
    assert "40 of 40 labels were given out where no gain was predicted" in warned
    assert "as good a score is predicted of the same count in every language" in warned


def test_what_has_no_language_is_left_out_and_told(model: Model, tmp_path: Path) -> None:
    rows = lines(outcomes(only_one_helps("fa"), TESTED, tuple(SOURCE), plans=20))
    rows += [{**row, "chosen": {}} for row in rows[-3:]]
    nameless = Example("#1", "f", 1, {"text": "aba"})
    record = litmus(
        [write(tmp_path / "r.jsonl", rows)],
        model,
        Pool.of([*pool(SOURCE), nameless], TEXT),
        Pool.of([*target(), nameless, nameless], TEXT),
        budget=10,
    ).record
    warned = " | ".join(record["warnings"])
    for what in ("3 results", "1 examples of the source", "1 examples of the target"):
        assert f"left out, because nobody noted the language: {what}" in warned


def test_pools_without_languages_and_names_no_plan_can_hold_are_refused(
    model: Model, results: Path
) -> None:
    nameless = Pool.of([Example("#1", "f", 1, {"text": "aba"})], TEXT, name="target")
    with pytest.raises(UsageError, match="no example of target has a language"):
        litmus([results], model, pool(SOURCE), nameless, budget=5)
    odd = Pool.of([Example("#1", "f", 1, {"text": "aba"}, None, "h\ni")], TEXT)
    with pytest.raises(UsageError, match=r"a plan cannot hold the language 'h\\ni'"):
        litmus([results], model, odd, target(), budget=5)


@pytest.mark.parametrize(("budget", "step"), [(0, None), (-3, None), (10, 0)])
def test_a_budget_or_a_step_that_buys_nothing_is_refused(
    model: Model, results: Path, budget: int, step: int | None
) -> None:
    with pytest.raises(UsageError, match="nothing to buy"):
        litmus([results], model, pool(SOURCE), target(), budget=budget, step=step)


def test_pools_of_another_task_than_the_models_are_refused(model: Model, results: Path) -> None:
    words = Pool.of([Example("#1", "f", 1, {"tokens": ("a",)}, None, "hi")], "token-classification")
    with pytest.raises(UsageError, match="the model was loaded for text-classification"):
        litmus([results], model, words, target(), budget=5)


@pytest.fixture
def asked(model: Model, results: Path, tmp_path: Path) -> list[object]:
    """The command with its pools on disk, a folder a language."""
    for name, made in (("source", pool(SOURCE)), ("target", target())):
        for example in made:
            file = tmp_path / name / str(example.language) / "texts.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(dict(example.fields)) + "\n")
    return [
        *("litmus", results, "--model", model.path, "--task", TEXT),
        *("--source", tmp_path / "source", "--target", tmp_path / "target"),
        *("--budget", 100),
    ]


def test_the_command_plans_what_the_function_does(
    asked: list[object],
    model: Model,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "plan.csv"
    assert polymux(*asked, "--language", "folder", "--out", out) == 0
    printed = capsys.readouterr().out.splitlines()
    same = litmus([results], model, pool(SOURCE), target(), budget=100)
    assert out.read_text("utf-8") == same.csv
    assert printed[0].split() == ["language", "labels", "of", "adds"]
    assert [line.split()[:2] for line in printed[1 : len(read_plan(out)) + 1]] == [
        [name, str(count)] for name, count in read_plan(out).items()
    ]
    assert printed[-1] == str(out)
    assert polymux(*asked, "--language", "folder", "--out", out) == 2
    assert "is there already" in capsys.readouterr().err
    assert polymux(*asked, "--language", "folder", "--out", out, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["predicted"] == same.record["predicted"]


def test_the_command_refuses_what_cannot_be(
    asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert polymux(*asked, "--out", tmp_path / "plan.csv") == 2
    assert "--language FIELD, folder or file" in capsys.readouterr().err
    assert polymux(*asked, "--language", "folder", "--out", tmp_path / "plan.json") == 2
    assert "a plan is no JSON" in capsys.readouterr().err
    few = tmp_path / "few.jsonl"
    write(few, lines([Outcome("ur", 0.5, {})], task="question-answering"))
    asked[1] = few
    assert polymux(*asked, "--language", "folder", "--out", tmp_path / "plan.csv") == 2
    told = capsys.readouterr().err
    assert "0 results (50 needed)" in told
    assert "1 more are of another task, not asked for, or of no language" in told
    assert not (tmp_path / "plan.csv").exists()
