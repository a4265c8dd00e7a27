"""Tables end to end: every file, what they hold, hostile names, results from elsewhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.experiments.tables.worlds import write

from polymux.cli import main
from polymux.errors import InputError, UsageError
from polymux.experiments.tables import Tables, tables
from polymux.experiments.tables.latex import escaped, latex
from polymux.report.results import figures
from polymux.report.table import Table

HOSTILE = "a<script>alert(1)</script>|&\"'`*_$%#{}\\^~\u202e\x07"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("tables")
    configs = {"LP": ["ur"], "Geo": ["te", "mr"]}
    results = write(folder / "world", trainings=(1, 2), configs=configs)
    return tables([results], folder / "out", named="knn-uncertainty")


def rows(made: Tables, name: str) -> list[dict[str, str]]:
    with (made.out / "csv" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_that_is_told_is_there(whole: Tables) -> None:
    there = {str(p.relative_to(whole.out)) for p in whole.out.rglob("*") if p.is_file()}
    assert there == set(whole.files)
    kinds = {"csv", "latex", "markdown", "figures"}
    assert {name.split("/")[0] for name in there if "/" in name} == kinds


def test_the_lead_says_who_wins_by_how_much_and_how_sure_it_is(whole: Tables) -> None:
    assert whole.lead[0].startswith(
        "knn-uncertainty, named before the run, beats the best baseline in 6 of 6 cells (100 %, "
        "95 % interval 16 to 100); its mean difference is +"
    )
    assert "picked after seeing the scores" in whole.lead[1]
    assert "better beyond its 95 % interval in 6 of 6" in whole.lead[2]


def test_every_table_of_strategies_holds_random_and_the_untouched_model(whole: Tables) -> None:
    shown = [
        {row[0].split(" (")[0] for row in table.rows}
        for sheet in whole.sheets
        if sheet.name not in {"unsure", "luck", "languages"}
        for table in sheet.tables
    ]
    assert len(shown) > 10
    assert [names for names in shown if not {"random", "untouched"} <= names] == []


def test_the_scores_are_those_of_the_rows(whole: Tables) -> None:
    text = (whole.out.parent / "world/results.jsonl").read_text("utf-8")
    asked = ("Geo", "random", 100)
    wanted = [
        row["score"]
        for row in map(json.loads, text.splitlines())
        if (row["config"], row["strategy"], row["budget"]) == asked
    ]
    (found,) = (
        r for r in rows(whole, "scores")
        if (r["config"], r["strategy"], r["budget"]) == ("Geo", "random", "100")
    )  # fmt: skip
    assert float(found["mean"]) == pytest.approx(sum(wanted) / len(wanted), abs=1e-6)
    assert (found["trainings"], found["languages"], found["metric"]) == ("6", "te mr", "accuracy")


def test_who_was_named_before_is_told_and_the_rest_is_not(whole: Tables) -> None:
    named = {r["strategy"] for r in rows(whole, "wins") if r["named_before"] == "true"}
    assert named == {"knn-uncertainty"}


def test_the_manifest_holds_what_the_csv_files_do(whole: Tables) -> None:
    manifest = json.loads((whole.out / "tables.json").read_text("utf-8"))
    assert manifest["named_before"] == "knn-uncertainty"
    assert len(manifest["tables"]["differences"]) == len(rows(whole, "differences"))
    assert manifest["lead"] == list(whole.lead)


def test_figures_are_whole_files_that_ask_no_host(whole: Tables) -> None:
    figures = sorted((whole.out / "figures").iterdir())
    assert {f.name.rstrip("0123456789.svg") for f in figures} == {"gain", "curve", "language"}
    for file in figures:
        root = ET.fromstring(file.read_text("utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        links = [v for e in root.iter() for n, v in e.attrib.items() if n.endswith("href")]
        assert all(link.startswith("#") for link in links)


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Results of which each row was changed."""
    file = write(folder, configs={"LP": ["ur"]}, trainings=(1, 2), counts=False) / "results.jsonl"
    told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row in told:
        change(row)
    file.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    return file


def test_fewer_labels_than_were_asked_for_are_told(tmp_path: Path) -> None:
    short = changed(tmp_path / "short", lambda row: row.update(chosen={"hi": 3}))
    text = (tables([short], tmp_path / "a").out / "tables.md").read_text("utf-8")
    assert "have fewer labels than their budget, for want of examples" in text
    full = changed(tmp_path / "full", lambda row: row.update(chosen={"hi": row["budget"]}))
    text = (tables([full], tmp_path / "b").out / "tables.md").read_text("utf-8")
    assert "for want of examples" not in text


def test_equal_trainings_are_called_no_stability(tmp_path: Path) -> None:
    same = changed(tmp_path / "same", lambda row: row.update(score=0.5))
    assert "no stability" in (tables([same], tmp_path / "a").out / "tables.md").read_text("utf-8")
    other = changed(tmp_path / "other", lambda row: None)
    text = (tables([other], tmp_path / "b").out / "tables.md").read_text("utf-8")
    assert "no stability" not in text


def test_targets_with_other_budgets_are_told_apart_and_have_no_mean(tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    lines = ["config,budget,strategy,score", "LP,500,random,40", "HP,100,random,60"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sheet = next(s for s in tables([file], tmp_path / "out").sheets if s.name == "scores")
    first = sheet.tables[0]
    assert list(first.header) == ["strategy", "LP (500)", "HP (100)", "mean"]
    assert {row[0]: row[1:] for row in first.rows}["random"] == ["40.0", "60.0", "–"]


def test_semicolons_between_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("strategy;score\nrandom;40\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column") as raised:
        tables([file], tmp_path / "out")
    assert "not ;" in str(raised.value)


def mapped(folder: Path, **strategies: str) -> Path:
    """Results with a map beside them, in which strategies may have other names."""
    results = write(folder, configs={"LP": ["ur"]}, budgets=(10,))
    first = json.loads((results / "results.jsonl").read_text("utf-8").splitlines()[0])
    names = ["random", "knn-uncertainty", "gold"]
    chosen = {strategies.get(name, name): [[0.5, 0.5], [1.0, 2.0]] for name in names}
    file = results / "maps" / first["model"] / "LP.json"
    file.parent.mkdir(parents=True)
    told = {"of": {}, "explained": [0.5, 0.25], "target": [[1, 1], [2, 2], [3, 3]]}
    told["pool"] = [[n, n % 2] for n in range(5)]
    file.write_text(json.dumps({**told, "chosen": chosen}), encoding="utf-8")
    return results


def test_maps_are_drawn_of_random_choice_and_of_strategies(tmp_path: Path) -> None:
    made = tables([mapped(tmp_path / "world")], tmp_path / "out")
    figures = sorted((made.out / "figures").glob("map*.svg"))
    assert len(figures) == 2
    for file in figures:
        root = ET.fromstring(file.read_text("utf-8"))
        # Pool, target and choice are a path each, of as many strokes as there are points.
        strokes = {
            path.attrib["d"].count("M"): path.attrib["stroke"]
            for path in root.findall(".//{*}path")
            if "stroke" in path.attrib
        }
        assert strokes[5] == "var(--muted)"
        assert strokes[3] == "var(--ink)"
        assert strokes[2].startswith("var(--s")
    page = made.page.read_text("utf-8")
    assert "Where choices lie" in page
    assert "75%" in page
    assert "Where choices lie" not in (made.out / "tables.md").read_text("utf-8")


def test_the_rest_of_the_languages_is_grey_and_random_choice_on_a_map_is_not() -> None:
    counts = {f"l{n}": 20.0 - n for n in range(10)}
    stack: Any = {"key": "languages0", "title": "t", "rows": {"random": counts}}
    plane: Any = {"key": "map0", "title": "t", "strategy": "random"}
    plane |= {key: [[0.0, 1.0]] for key in ("pool", "target", "chosen")}
    record: Any = {"rivals": [], "forests": [], "panels": [], "stacks": [stack], "planes": [plane]}
    made = figures(record)
    assert "var(--s7)" in made["languages"][0].svg
    assert "var(--s0)" in made["maps"][0].svg
    assert "var(--s7)" not in made["maps"][0].svg


def test_a_broken_map_is_named_with_what_to_do(tmp_path: Path) -> None:
    world = mapped(tmp_path / "world")
    (file,) = (world / "maps").rglob("*.json")
    far = "1" * 400
    for text in (
        "{", "[]", "[" * 100_000, '{"pool": 1}', '{"pool": [[1]], "target": [], "chosen": {}}',
        *(f'{{"pool": [[0, {x}]], "target": [], "chosen": {{}}}}' for x in (far, "1e308", "NaN")),
    ):  # fmt: skip
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="not a map") as raised:
            tables([world], tmp_path / "out")
        assert raised.value.file == str(file)


def test_the_same_results_give_the_same_bytes(whole: Tables, tmp_path: Path) -> None:
    again = tables([whole.out.parent / "world"], tmp_path / "out", named="knn-uncertainty")
    for name in whole.files:
        assert (again.out / name).read_bytes() == (whole.out / name).read_bytes(), name


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        told = dict(attrs)
        self.links += [v for n in ("src", "href", "xlink:href") if (v := told.get(n))]
        self.ids += [v] if (v := told.get("id")) else []


def seen(made: Tables) -> Seen:
    parser = Seen()
    parser.feed(made.page.read_text("utf-8"))
    return parser


def test_the_page_runs_no_script_and_asks_no_host(whole: Tables) -> None:
    parser = seen(whole)
    assert not parser.tags & {"script", "link", "img", "iframe", "object"}
    assert all(link.startswith("#") for link in parser.links)
    assert len(parser.ids) == len(set(parser.ids))
    assert "default-src 'none'" in whole.page.read_text("utf-8")


def hostile(tmp_path: Path) -> Path:
    file = write(tmp_path, budgets=(10, 100)) / "results.jsonl"
    told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row in told:
        row |= dict.fromkeys(("model", "task", "setting", "metric", "experiment"), HOSTILE)
        row["strategy"] = row["strategy"].replace("knn-uncertainty", HOSTILE)
        row["config"] = f"={row['config']}{HOSTILE}"
        row["chosen"] = {HOSTILE: 3, "=x": 2}
        del row["counts"]
    file.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    return file


def test_names_that_are_code_stay_names_everywhere(tmp_path: Path) -> None:
    made = tables([hostile(tmp_path / "world")], tmp_path / "out", named=HOSTILE)
    assert not seen(made).tags & {"script", "img"}
    assert "<script" not in (made.out / "tables.md").read_text("utf-8")
    for file in (made.out / "figures").iterdir():
        assert ET.fromstring(file.read_text("utf-8")).find(".//{*}script") is None
    assert rows(made, "scores")[0]["config"].startswith("'=")
    text = (made.out / "latex/scores.tex").read_text("utf-8")
    assert r"\textless{}script\textgreater{}" in text
    assert "\x07" not in text


@pytest.mark.parametrize("name", ["=x", "＝x", " =x", "\n=x", "+1", "-x", "@x", "\tx"])
def test_a_name_that_a_spreadsheet_would_run_begins_with_an_apostrophe(
    tmp_path: Path, name: str
) -> None:
    world = write(tmp_path / "world", budgets=(10,), configs={name: ["ur"]}, counts=False)
    made = tables([world], tmp_path / "out")
    assert {row["config"] for row in rows(made, "scores")} == {f"'{name}"}


def test_latex_shows_every_character_as_it_is() -> None:
    assert escaped("50 % & $x_1$ [a] #2\n~") == (r"50 \% \& \$x\_1\$ {[}a{]} \#2 \textasciitilde{}")
    shown = latex(Table("A_b", ["x", "y"], [["1", "−2 ± 3"]]))
    assert shown.splitlines() == [
        *(r"\begin{table}", r"\centering", r"\caption{A\_b}", r"\begin{tabular}{lr}"),
        *(r"\toprule", r"x & y \\", r"\midrule", r"1 & $-$2 $\pm$ 3 \\", r"\bottomrule"),
        *(r"\end{tabular}", r"\end{table}"),
    ]


def told(made: Tables) -> str:
    return (made.out / "tables.md").read_text("utf-8")


def test_a_table_from_elsewhere_gives_what_it_allows_and_says_what_it_cannot(
    tmp_path: Path,
) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("strategy,score\nEN-FT,30\nrandom,40\nmine,45\n", encoding="utf-8")
    made = tables([file], tmp_path / "out")
    assert made.lead[0] == (
        "mine, the only strategy that is no baseline, beats the best baseline in 1 of 1 cells "
        "(100 %; all share task and target, so that no interval can be given); its mean difference "
        "is +5.0 points, from random +5.0."
    )
    for said in ("One seed each", "One budget each", "tell no budget", "does not tell model"):
        assert said in told(made)
    assert {r["low"] for r in rows(made, "differences")} == {""}
    assert not (made.out / "csv/curves.csv").exists()


@pytest.mark.parametrize(
    ("truths", "dull", "level"),
    [
        ({"random": 0.6, "gold": 0.8, "mine": 0.7}, False, False),
        ({"random": 0.6, "gold": 0.6, "mine": 0.7}, False, True),
        ({"random": 0.3, "gold": 0.3, "mine": 0.3}, True, True),
    ],
)
def test_where_no_choice_could_show_that_is_told(
    truths: dict[str, float], dull: bool, level: bool, tmp_path: Path
) -> None:
    made = tables(
        [write(tmp_path / "world", truths=truths, untouched=0.5, per_label=0, budgets=(10,))],
        tmp_path / "out",
    )
    assert ("nothing that was bought, gold neither, lifts the score" in told(made)) == dull
    assert ("(gold) are worth no more than random ones" in told(made)) == level


def test_seeds_without_examples_have_intervals_over_seeds(tmp_path: Path) -> None:
    made = tables([write(tmp_path / "world", counts=False)], tmp_path / "out")
    found = rows(made, "differences")
    assert {r["interval_over"] for r in found} == {"seeds"}
    assert all(float(r["low"]) <= float(r["difference"]) <= float(r["high"]) for r in found)


@pytest.mark.parametrize(
    ("asked", "named"), [("MyName", "MyName"), ("KNN-Uncertainty", "knn-uncertainty")]
)
def test_a_strategy_is_named_as_the_table_from_elsewhere_spells_it(
    tmp_path: Path, asked: str, named: str
) -> None:
    file = tmp_path / "theirs.csv"
    told_of = "strategy,score\nEN-FT,30\nRand,40\nMyName,45\nKNN-Uncertainty,50\n"
    file.write_text(told_of, encoding="utf-8")
    made = tables([file], tmp_path / "out", named=asked)
    assert made.lead[0].startswith(f"{named}, named before the run, beats")
    with pytest.raises(UsageError, match="no result is of a strategy myname"):
        tables([file], tmp_path / "other", named="myname")


def refuse(constant: str) -> None:
    raise ValueError(constant)


def test_an_infinite_f_is_null_to_every_reader_of_json(tmp_path: Path) -> None:
    world = write(tmp_path / "world", trainings=(1, 2), budgets=(10,), counts=False)
    file = world / "results.jsonl"
    told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row in told:
        row["score"] = 0.4 + (row["choice_seed"] or 0) / 100
    file.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    made = tables([world], tmp_path / "out")
    text = (made.out / "tables.json").read_text("utf-8")
    found = json.loads(text, parse_constant=refuse)["tables"]["luck"]
    assert {(row["f"], row["p"]) for row in found} == {(None, 0.0)}
    assert {row["f"] for row in rows(made, "luck")} == {""}


def test_without_a_name_given_before_the_lead_says_that_it_was_picked(tmp_path: Path) -> None:
    made = tables([write(tmp_path / "world")], tmp_path / "out")
    assert "the one with the largest mean gain" in made.lead[0]
    assert "No strategy was named before the run" in made.lead[1]


def test_without_any_baseline_scores_are_all_there_is(tmp_path: Path) -> None:
    file = tmp_path / "theirs.csv"
    file.write_text("strategy,score,seed\nmine,45,1\nmine,47,2\n", encoding="utf-8")
    made = tables([file], tmp_path / "out")
    assert made.lead == ["Nothing here can be compared with a baseline."]
    assert ["mine", "46.0 ± 1.4"] in [list(row) for row in made.main.rows]
    assert "There is no row of random" in told(made)


def test_a_name_that_no_row_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no result is of a strategy knn") as error:
        tables([write(tmp_path / "world")], tmp_path / "out", named="knn")
    assert "knn-uncertainty" in error.value.hint
    assert not (tmp_path / "out").exists()


def run(arguments: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    main([*map(str, arguments)])
    return capsys.readouterr().out


def test_the_command_prints_the_main_table_and_the_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, out = write(tmp_path / "world"), tmp_path / "out"
    shown = run(["tables", world, "--best", "knn-uncertainty", "--out", out], capsys)
    assert shown.startswith("knn-uncertainty, named before the run, beats the best baseline")
    assert "\nknn-uncertainty (named before)  " in shown
    assert f"\n{out / 'tables.html'}\n" in shown
    machine = run(["tables", world, "--out", out, "--force", "--json"], capsys)
    assert json.loads(machine)["out"] == str(out)


def test_no_name_moves_the_cursor_of_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "theirs.csv"
    told_of = "setting,strategy,score\n{0},EN-FT,30\n{0},random,40\n{0},mine{0},45\n"
    file.write_text(told_of.format("\x1b[2J\x9b2J\u202e"), encoding="utf-8")
    shown = run(["tables", file, "--out", tmp_path / "out"], capsys)
    assert "mine [2J 2J" in shown
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["tables", str(write(tmp_path / "world")), "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "is not empty" in capsys.readouterr().err
