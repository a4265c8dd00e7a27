"""The documentation is a test: everything there is said, and what is said is there."""

from __future__ import annotations

import pkgutil
import re
import shlex
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.core import TyperCommand, TyperOption

import polymux as pm
from polymux.encoders import BACKENDS
from polymux.experiments.settings import read_experiment
from polymux.prescribe import PRESETS as CHOOSING
from polymux.selection import Strategy
from polymux.train.presets import PRESETS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def _generator() -> ModuleType:
    spec = spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
COMMANDS: dict[str, TyperCommand] = dict(generate.commands())


def page(name: str) -> str:
    """A page."""
    return (DOCS / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def called(program: str) -> list[list[str]]:
    """Every call of a program in a shell block of the documentation, as words."""
    lines = [
        line.split(" # ")[0].strip()
        for path in TEXTS
        for block in blocks(path.read_text("utf-8"), "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [shlex.split(line) for line in lines if line.split()[:1] == [program]]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_each_of_its_options_is_documented(name: str) -> None:
    section = page("reference/command-line.md").split(f"## polymux {name}\n")[1].split("\n## ")[0]
    for parameter in generate.parameters(COMMANDS[name]):
        if isinstance(parameter, TyperOption):
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert f"`{option}`" in section
            assert parameter.help, f"{name} {parameter.opts[0]} says nothing of itself"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example(name: str) -> None:
    assert f"polymux {name}" in (COMMANDS[name].help or "")


def test_every_table_is_documented_entry_by_entry() -> None:
    tables = page("reference/tables.md")
    formats = page("reference/formats.md")
    assert [
        name for name in (*pm.STRATEGIES, *CHOOSING, *PRESETS) if f"| `{name}` |" not in tables
    ] == []
    assert [name for name in pm.READERS if f"| `{name}` |" not in formats] == []
    assert [name for name in pm.TASKS if f"`{name}`" not in formats] == []


@pytest.mark.parametrize("task", pm.TASKS)
def test_every_measure_of_a_task_is_documented_its_default_first(task: str) -> None:
    section = page("reference/tables.md").split(f"### {task}\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `([a-z-]+)` \|", section.split("\n### ")[0], re.MULTILINE)
    assert sorted(named) == sorted(pm.TASKS[task].MEASURES)
    assert named[0] == pm.TASKS[task].DEFAULT_MEASURE


def test_the_method_explains_every_strategy() -> None:
    method = page("explanation/method.md")
    assert [
        name for name in pm.STRATEGIES if f"{name}**" not in method and f"`{name}`" not in method
    ] == []


def test_the_readme_lists_every_strategy_and_task_as_the_code_does() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, rule in pm.STRATEGIES.items():
        assert isinstance(rule, Strategy)
        assert f"| `{name}` | {rule.about} |" in readme
    assert [name for name in pm.TASKS if f"`{name}`" not in readme] == []


def test_every_backend_is_documented_with_every_dtype() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.*?`) \|", page("reference/backends.md"), re.MULTILINE)
    told = {(backend, dtype) for backend, cell in rows for dtype in re.findall(r"`(\w+)`", cell)}
    assert told == {
        (backend, dtype)
        for backend, module in BACKENDS.items()
        for dtype in import_module(module).DTYPES
    }


def test_every_public_name_is_documented() -> None:
    python = page("reference/python.md")
    assert [name for name in pm.__all__ if f"## {name}\n" not in python] == []


def test_every_generated_table_has_its_place() -> None:
    asked = re.findall(generate.MARKER, "".join(path.read_text("utf-8") for path in PAGES))
    assert sorted(asked) == sorted(generate.GENERATED)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_what_is_made_from_the_code_is_as_new_as_the_code(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text == generate.filled(text), "run: python docs/generate.py"


def test_the_targets_that_are_named_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {call[1] for call in called("make")}
    assert named >= {"demo", "test", "check", "docs"}
    assert named <= targets


def test_the_places_that_the_design_names_exist_and_each_way_of_the_data_is_short() -> None:
    text = generate.MARKER.sub("", page("design/index.md"))
    for name in re.findall(r"`((?:\w+\.)*\w+)`", text):
        assert pkgutil.resolve_name(f"polymux.{name}") is not None
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert steps.count(1) == 3
    assert max(steps) <= 9


@pytest.mark.parametrize("call", called("polymux"), ids=" ".join)
def test_the_commands_that_are_shown_can_be_given(call: list[str]) -> None:
    if call[1].startswith("-"):
        return
    COMMANDS[call[1]].make_context(call[1], call[2:], resilient_parsing=False).close()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", path.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", goal.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings]
            assert anchor in slugs, link


def test_the_strategy_that_is_shown_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    # Put there only so that it is taken away afterwards.
    monkeypatch.setitem(pm.STRATEGIES, "middle", pm.STRATEGIES["random"])
    code = blocks((DOCS / "how-to/own-strategy.md").read_text("utf-8"), "python")[0]
    assert code in (ROOT / "examples/own_strategy.py").read_text("utf-8")
    exec(compile(code, "own-strategy.md", "exec"), {})
    source = np.array([[9.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=np.float32)
    target = np.array([[0.0, 0.0], [2.0, 2.0]], dtype=np.float32)
    order = pm.select_encoded(source, np.zeros(3, np.float32), target, budget=2, strategy="middle")
    assert list(order) == [1, 2]


def test_the_experiment_that_is_shown_to_researchers_is_one_and_takes_their_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = page("tutorials/researcher.md")
    (file,) = blocks(shown, "toml")
    (tmp_path / "mine.toml").write_text(file, encoding="utf-8")
    (code,) = blocks(shown, "python")
    monkeypatch.setitem(pm.STRATEGIES, "middle", pm.STRATEGIES["random"])
    exec(compile(code, "own.py", "exec"), {"__name__": "own"})
    told = read_experiment(tmp_path / "mine.toml", more=["middle"])
    assert told.budgets == (10, 50)
    assert told.strategies[-1] == "middle"
    assert list(told.configurations) == ["Urdu", "both"]


@pytest.mark.parametrize("name", ["design/defects.md", "design/features.md"])
def test_every_test_that_a_page_names_is_there(name: str) -> None:
    told = set(re.findall(r"`(test_[a-z_0-9]+)`", page(name)))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_[a-z_0-9]+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(told) > 25
    assert told <= there
