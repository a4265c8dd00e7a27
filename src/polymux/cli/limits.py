"""Options that say what a budget is in, and what a choice must and may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import typer

from polymux.cli.output import pairs
from polymux.errors import UsageError

LIMITS = "What labels cost, and who can give them"

BudgetIn = Annotated[
    Literal["examples", "tokens", "characters", "minutes", "money"],
    typer.Option("--budget-in", help="What --budget counts.", rich_help_panel=LIMITS),
]
Rates = Annotated[
    list[str],
    typer.Option(
        "--rate",
        metavar="LANG=X",
        help="Minutes or money in a language; '*=X': any other. Repeats.",
        rich_help_panel=LIMITS,
    ),
]
Per = Annotated[
    Literal["example", "token", "character"],
    typer.Option("--per", help="What a rate is for.", rich_help_panel=LIMITS),
]
AtLeast = Annotated[
    list[str],
    typer.Option(
        "--at-least",
        metavar="LANG=N",
        help="Examples of a language, first of all. Repeats.",
        rich_help_panel=LIMITS,
    ),
]
AtMost = Annotated[
    list[str],
    typer.Option(
        "--at-most",
        metavar="LANG=N",
        help="No more examples of a language. Repeats.",
        rich_help_panel=LIMITS,
    ),
]
Without = Annotated[
    list[str],
    typer.Option(
        "--without",
        metavar="LANG",
        help="A language that nobody can annotate. Repeats.",
        rich_help_panel=LIMITS,
    ),
]
OneOf = Annotated[
    str | None,
    typer.Option(
        "--one-of",
        metavar="FIELD",
        help="Of those that share this field, one; `number`: the place in the file.",
        rich_help_panel=LIMITS,
    ),
]


def budgeting(
    budget_in: str,
    rate: Sequence[str],
    per: str,
    at_least: Sequence[str],
    at_most: Sequence[str],
    without: Sequence[str],
    one_of: str | None,
) -> dict[str, Any]:
    """The same for the library, by its names."""
    return {
        "budget_in": budget_in,
        "rates": _numbers(rate, "--rate", float),
        "per": per,
        "at_least": _numbers(at_least, "--at-least", int),
        "at_most": _numbers(at_most, "--at-most", int),
        "without": list(without),
        "one_of": one_of,
    }


def _numbers(given: Sequence[str], option: str, number: Callable[[str], Any]) -> dict[str, Any]:
    """LANGUAGE=NUMBER by language."""
    try:
        found = {name: number(value) for name, value in pairs(given, option).items()}
    except ValueError as error:
        raise UsageError(f"{option}: {error}", f"give {option} LANGUAGE=NUMBER") from error
    if any(value < 0 for value in found.values()):
        raise UsageError(f"{option}: a number below 0", "give a number from 0")
    return found
