"""What is typed reaches the work: options whose effect stands in what a command writes."""

from __future__ import annotations

import json
import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.worlds import write_world
from tests.demo.test_demo import SMALL
from tests.distill import worlds as distillations
from tests.models import tiny_model
from tests.prescribe.worlds import write_conllu

import polymux.demo
from polymux.cli import main
from polymux.demo import demo

TOKEN = "token-classification"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, pools of three languages, a target, gold and a plan."""
    folder = tmp_path_factory.mktemp("options")
    tiny_model(folder / "model", TOKEN)
    for language, count in {"en": 60, "de": 50, "hi": 40}.items():
        write_conllu(folder / "source", language, count)
    write_conllu(folder / "target", "ur", 30)
    write_conllu(folder / "gold", "zh", 20)
    (folder / "plan.csv").write_text("language,count\nen,7\nhi,3\n", encoding="utf-8")
    chosen(folder, "plain")
    return folder


def chosen(world: Path, name: str, *more: str) -> dict[str, Any]:
    """The record of a choice with these options."""
    main(
        [
            *("select", str(world / "model"), "--task", TOKEN, "--out", str(world / "out" / name)),
            *("--source", str(world / "source"), "--target", str(world / "target")),
            *("--budget", "10", "--store", "off", "--language", "folder", *more),
        ]
    )
    told: dict[str, Any] = json.loads((world / "out" / name / "selection.json").read_text("utf-8"))
    return told


def test_a_screen_is_decided_in_float32_and_alone_it_is_not(world: Path) -> None:
    screened = chosen(world, "screened", "--screen", "bfloat16", "--backend", "torch")
    assert screened["screen"]["dtype"] == "bfloat16"
    assert screened["screen"]["decided"] > 0
    assert (screened["settings"]["dtype"], screened["settings"]["backend"]) == ("float32", "torch")
    alone = chosen(world, "alone", "--screen", "bfloat16", "--screen-only")
    assert alone["settings"]["dtype"] == "bfloat16"
    assert alone["screen"]["only"] is True


def test_another_backend_reads_the_pool_and_verifies_the_choice(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = chosen(world, "openvino", "--backend", "openvino")
    assert told["settings"]["backend"] == "openvino"
    capsys.readouterr()
    main(["verify", str(world / "out/openvino"), "--backend", "torch", "--store", "off"])
    assert "the same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("strategy", "option", "given", "languages"),
    [
        ("gold", "--gold", "gold", {"zh": 10}),
        ("plan", "--plan", "plan.csv", {"en": 7, "hi": 3}),
        ("same-distribution", "--like", "out/plain", None),
    ],
)
def test_a_baseline_gets_what_it_needs(
    world: Path, strategy: str, option: str, given: str, languages: dict[str, int] | None
) -> None:
    told = chosen(world, strategy, "--strategy", strategy, option, str(world / given))
    if languages is None:
        plain = json.loads((world / "out/plain/selection.json").read_text("utf-8"))
        languages = plain["languages"]["chosen"]
    assert told["languages"]["chosen"] == languages


def test_limits_and_costs_hold(world: Path) -> None:
    told = chosen(
        *(world, "limited", "--budget", "40", "--budget-in", "tokens", "--at-least", "en=2"),
        *("--at-most", "hi=1", "--without", "de"),
    )
    lines = (world / "out/limited/to_label.jsonl").read_text("utf-8").splitlines()
    assert sum(len(json.loads(line)["tokens"]) for line in lines) <= 40
    counts = told["languages"]["chosen"]
    assert counts["en"] >= 2
    assert counts.get("hi", 0) <= 1
    assert "de" not in counts
    rated = chosen(
        *(world, "rated", "--budget", "40", "--budget-in", "minutes", "--rate", "hi=1"),
        *("--rate", "*=2", "--per", "example"),
    )
    counts = rated["languages"]["chosen"]
    minutes = sum(number * (1 if name == "hi" else 2) for name, number in counts.items())
    assert 38 < minutes <= 40


def test_what_is_written_has_the_target_examples_and_the_card_shows_them(world: Path) -> None:
    lines = (world / "out/plain/to_label.jsonl").read_text("utf-8").splitlines()
    page = (world / "out/plain/report.html").read_text("utf-8")
    for line in lines:
        nearest = [one["id"] for one in json.loads(line)["nearest"]]
        assert len(nearest) == 3
        assert all(name.startswith("ur/train.conllu#") for name in nearest)
    first = json.loads(lines[0])
    choices = page.split("<h2>The first choices")[1]
    assert first["surface"] in choices
    assert first["nearest"][0]["id"] in choices
    drawn = {
        name: sum(path.count("M") for path in re.findall(r'class="rim" d="([^"]+)"', group))
        for name, group in re.findall(r'<g class="dots (\w+)[^>]*>(.*?)</g>', page, re.DOTALL)
    }
    assert drawn == {"pool": 150, "target": 30, "chosen": 10}


def test_encodings_are_kept_where_nobody_names_a_store(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("one", "two"):
        main(
            [
                *("select", str(world / "model"), "--task", TOKEN, "--budget", "5"),
                *("--source", str(world / "source"), "--target", str(world / "target")),
                *("--out", str(tmp_path / name)),
            ]
        )
    assert list((tmp_path / "cache").rglob("*.parquet"))
    capsys.readouterr()
    main(["store", "ls"])
    assert "token-classification" in capsys.readouterr().out


def test_a_campaign_holds_what_was_typed_and_draws_a_tenth_unasked(tmp_path: Path) -> None:
    told = write_world(tmp_path)
    main(
        [
            *("init", str(tmp_path / "run"), "--model", told.model, "--task", told.task),
            *("--source", told.source[0], "--source", told.source[1], "--target", told.target[0]),
            *("--language", "folder"),
            *("--budget", "200", "--budget-in", "minutes", "--rate", "es=0.5", "--rate", "*=1"),
            *("--per", "example", "--at-least", "es=3", "--at-most", "es=9", "--without", "de"),
            *("--near-duplicates", "0.25", "--device", "cpu"),
        ]
    )
    run = tomllib.loads((tmp_path / "run/run.toml").read_text("utf-8"))
    assert run["budget"] == 200
    assert run["costs"] == {
        "unit": "minutes", "per": "example", "rates": {"es": 0.5, "*": 1.0}, "measured": True,
    }  # fmt: skip
    limits = run["limits"]
    assert (limits["at_least"], limits["at_most"]) == ({"es": 3}, {"es": 9})
    assert (limits["without"], limits["near_duplicates"]) == (["de"], 0.25)
    assert run["control"]["share"] == 0.1


def test_the_demo_prints_its_tables_and_the_way_to_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(polymux.demo, "demo", partial(demo, settings=SMALL))
    main(["demo", "--out", str(tmp_path / "demo")])
    printed = capsys.readouterr().out
    for name in ("knn-uncertainty", "random", "egalitarian", "untouched"):
        assert name in printed
    assert Path(printed.split("card: ")[1].strip()).stat().st_size > 10_000


def test_distill_leaves_a_student_and_its_report(tmp_path: Path) -> None:
    config = distillations.changed(
        distillations.CONFIG,
        model={"layers": 1, "hidden": 16, "intermediate": 16},
        training={"tokens": 4_000},
        teachers={"tokens": 4_000},
        evaluate={"sentences": 20},
        systems={"hl": {"loss": "hard"}, "student": {"loss": "soft"}},
    )
    distillations.write_world(tmp_path, config)
    main(["distill", str(tmp_path / "distill.toml"), "--device", "cpu"])
    (report,) = tmp_path.rglob("report.html")
    assert {"hl", "student"} <= set(re.findall(r"\bhl\b|\bstudent\b", report.read_text("utf-8")))
    assert list(tmp_path.rglob("systems/student/*/model.safetensors"))
