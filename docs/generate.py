"""Reference tables made from the code, between `<!-- generated: NAME -->` and `<!-- end -->`.

    python docs/generate.py

writes them into the pages, which are read in the repository as often as on the site; a test holds
them to the code.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import get_args, get_type_hints

import typer
from pydantic import BaseModel
from typer.core import TyperArgument, TyperCommand, TyperOption

import polymux
from polymux.cli import app
from polymux.diagnosis import CHECKS, RULES
from polymux.distill import settings
from polymux.distill.learning.losses import LOSSES
from polymux.distill.text.sampling import SAMPLINGS
from polymux.experiments import settings as experiment
from polymux.readers import READERS
from polymux.records import FIELDS
from polymux.selection import STRATEGIES, Strategy
from polymux.tasks import TASKS, measures
from polymux.train.presets import PRESETS

DOCS = Path(__file__).parent
MARKER = re.compile(r"<!-- generated: ([a-z-]+) -->.*?<!-- end -->", re.DOTALL)

# How the help of a command marks its example.
EXAMPLE = re.compile(r"\[dim\](.*?)\[/dim\]", re.DOTALL)


def first_line(thing: object) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text.removesuffix(".")


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def commands() -> Mapping[str, TyperCommand]:
    """Every command of the command line by name, in the order of its help."""
    found = typer.main.get_group(app).commands
    return {name: c for name, c in found.items() if isinstance(c, TyperCommand)}


def parameters(command: TyperCommand) -> list[TyperArgument | TyperOption]:
    """What can be given to a command, but for `--help`."""
    return [p for p in command.params if isinstance(p, TyperArgument | TyperOption)]


def _default(parameter: TyperArgument | TyperOption) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False or default == [] or callable(default):
        return ""
    return f"`{default}`"


def _value(parameter: TyperArgument | TyperOption, hint: object) -> str:
    """What stands in the place of the value: the choices where there are some."""
    if parameter.metavar:
        return parameter.metavar
    choices = [c for part in (hint, *get_args(hint)) for c in get_args(part)]
    words = [choice for choice in choices if isinstance(choice, str)]
    kinds = {int: "N", float: "X"}
    return "|".join(words) or next((kinds[k] for k in (hint, *choices) if k in kinds), "VALUE")


def _signature(parameter: TyperArgument | TyperOption, hint: object) -> str:
    if isinstance(parameter, TyperArgument):
        return f"`{_value(parameter, hint)}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.is_flag:
        return names
    return f"{names} {_value(parameter, hint)}" + (" ..." if parameter.multiple else "")


def _command(name: str, command: TyperCommand) -> str:
    hints = get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    rows = [
        (_signature(p, hints.get(p.name or "")), _default(p), p.help or "")
        for p in parameters(command)
    ]
    text = EXAMPLE.sub(r"```text\n\1\n```", inspect.cleandoc(command.help or ""))
    options = table(("option", "default", "what it does"), rows) if rows else ""
    return f"## polymux {name}\n\n{text}\n\n{options}\n"


def command_line() -> str:
    """Every command with its help and all of its options."""
    return "\n".join(_command(name, command) for name, command in commands().items())


def strategies() -> str:
    """Every strategy: what it does, what it needs, whether smaller choices are its prefixes."""
    return table(
        ("strategy", "what it chooses", "needs", "prefix-consistent"),
        (
            (
                f"`{name}`",
                rule.about,
                ", ".join(sorted(rule.needs)),
                "yes" if rule.is_prefix_consistent else "no",
            )
            for name, rule in STRATEGIES.items()
            if isinstance(rule, Strategy)
        ),
    )


def uncertainties() -> str:
    """Every uncertainty measure with its formula, by task, the default first."""
    return "\n\n".join(
        f"### {name}\n\n"
        + table(
            ("measure", "u(x)"),
            ((f"`{measure}`", TASKS[name].MEASURES[measure].about) for measure in measures(name)),
        )
        for name in TASKS
    )


def formats() -> str:
    """Every format by the name that `--format` takes, with its suffixes and tasks."""
    return table(
        ("format", "what is read", "suffixes", "tasks"),
        (
            (
                f"`{name}`",
                reader.about,
                " ".join(reader.suffixes),
                "any" if reader.tasks == tuple(FIELDS) else ", ".join(reader.tasks),
            )
            for name, reader in READERS.items()
        ),
    )


def presets() -> str:
    """Every preset of `polymux train --preset`."""
    return table(
        ("preset", "task", "learning rate", "epochs", "batch", "sub-words"),
        (
            (f"`{name}`", p.task or "any", *map(str, (p.lr, p.epochs, p.batch_size, p.max_length)))
            for name, p in PRESETS.items()
        ),
    )


def _public(name: str) -> str:
    thing = getattr(polymux, name)
    text = inspect.getdoc(thing) or "" if callable(thing) else ""
    if inspect.isfunction(thing) or inspect.isclass(thing):
        parameters = [
            str(p.replace(annotation=inspect.Parameter.empty))
            for p in inspect.signature(thing).parameters.values()
        ]
        call = f"{name}({', '.join(parameters)})"
        text = f"```text\n{call}\n```\n\n{text}"
        methods = [
            f"`.{key}`: {first_line(value)}."
            for key, value in vars(thing).items()
            if not key.startswith("_")
            and (inspect.isfunction(value) or isinstance(value, property))
        ]
        text = "\n\n".join([text, *methods]) if inspect.isclass(thing) else text
    elif isinstance(thing, dict):
        text = "A table: " + ", ".join(f"`{key}`" for key in thing) + "."
    return f"## {name}\n\n{text}\n"


def python() -> str:
    """Every public name with its signature and docstring."""
    return "\n".join(_public(name) for name in sorted(polymux.__all__, key=str.lower))


def distillation() -> str:
    """Every setting of a distillation with its default, section by section."""
    return _sections(SECTIONS)


def experiments() -> str:
    """Every setting of an experiment with its default, section by section."""
    return _sections(EXPERIMENT)


def experiment_presets() -> str:
    """The experiments that come along, with what their files say of themselves first."""
    return table(
        ("preset", "what"),
        ((f"`{name}`", _comment(path)) for name, path in experiment.presets().items()),
    )


def _comment(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    told = " ".join(line.removeprefix("# ") for line in takewhile(_is_comment, lines))
    return told.removesuffix(".")


def _is_comment(line: str) -> bool:
    return line.startswith("# ")


def _sections(sections: Mapping[str, type[BaseModel]]) -> str:
    parts = []
    inside = {*sections, *(name.split(".")[0] for name in sections)}
    for name, section in sections.items():
        rows = [
            (
                f"`{key}`",
                f"`{_told(field.default)}`" if not field.is_required() else "required",
                " ".join((field.description or "").split()),
            )
            for key, field in section.model_fields.items()
            if name or key not in inside
        ]
        title = f"## [{name}]" if name else "## The file itself"
        parts.append(f"{title}\n\n{first_line(section)}.\n\n" + table(TOLD, rows))
    return "\n\n".join(parts)


TOLD = ("setting", "default", "what")
SECTIONS: dict[str, type[BaseModel]] = {
    "": settings.Settings,
    "corpus": settings.Corpus,
    "tokenizer": settings.Tokenizer,
    "model": settings.Model,
    "training": settings.Training,
    "teachers": settings.Teachers,
    "systems.NAME": settings.System,
    "evaluate": settings.Evaluation,
}
EXPERIMENT: dict[str, type[BaseModel]] = {
    "": experiment.Experiment,
    "models.NAME": experiment.Model,
    "data": experiment.Data,
    "configurations.NAME": experiment.Configuration,
    "variants.NAME": experiment.Strategy,
    "training": experiment.Training,
}


def _told(value: object) -> str:
    """A default as TOML has it."""
    if value is None or "Undefined" in repr(value):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    return json.dumps(value)


def samplings() -> str:
    """Every sampling, and what it does."""
    return table(
        ("sampling", "what is kept and drawn"),
        ((f"`{name}`", first_line(rule)) for name, rule in SAMPLINGS.items()),
    )


def losses() -> str:
    """Every loss with its default weight and temperature."""
    return table(
        ("loss", "what is learned from", "alpha", "temperature"),
        (
            (f"`{n}`", rule.about, f"{rule.alpha:g}", f"{rule.temperature:g}")
            for n, rule in LOSSES.items()
        ),
    )


def systems() -> str:
    """The systems that are trained unless others are named."""
    return table(
        ("system", "settings"),
        (
            (f"`{n}`", ", ".join(f"`{k} = {json.dumps(v)}`" for k, v in told.items()))
            for n, told in settings.SYSTEMS.items()
        ),
    )


def checks() -> str:
    """Every check of a diagnosis, and the question that it answers."""
    return table(
        ("check", "what it asks"), ((f"`{n}`", inspect.getdoc(c) or "") for n, c in CHECKS.items())
    )


def recommendations() -> str:
    """The rules of `--strategy auto`, the first that holds first."""
    return table(
        ("rule", "strategy", "because", "results"),
        (
            (r.name, f"`{r.strategy}`", r.reason, ", ".join(f"[{p}](../{p})" for p in r.results))
            for r in RULES
        ),
    )


def modules() -> str:
    """The tree of the package: every module with the first line of its docstring."""
    root = Path(polymux.__file__).parent
    lines = []
    for path in sorted(root.rglob("*.py"), key=_place):
        depth = len(path.relative_to(root).parts) - 1 - (path.stem == "__init__")
        name = f"{path.parent.name}/" if path.stem == "__init__" else path.name
        about = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]
        lines.append(f"{'    ' * (depth + 1)}- `{name}` {about}")
    return "\n".join(lines)


def _place(path: Path) -> tuple[str, ...]:
    """A package before its modules."""
    return (*path.parent.parts, "" if path.stem == "__init__" else path.name)


GENERATED: dict[str, Callable[[], str]] = {
    "experiment-settings": experiments,
    "experiment-presets": experiment_presets,
    "distill-settings": distillation,
    "distill-samplings": samplings,
    "distill-losses": losses,
    "distill-systems": systems,
    "checks": checks,
    "command-line": command_line,
    "formats": formats,
    "modules": modules,
    "presets": presets,
    "python": python,
    "recommendations": recommendations,
    "strategies": strategies,
    "uncertainties": uncertainties,
}


def filled(page: str) -> str:
    """A page with what the code says now in its places."""
    return MARKER.sub(
        lambda at: f"<!-- generated: {at[1]} -->\n\n{GENERATED[at[1]]()}\n\n<!-- end -->", page
    )


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
