"""The command line: each command parses, calls one library function, prints."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import polymux
from polymux.cli import (
    campaign,
    choose,
    demo,
    diagnose,
    distill,
    exchange,
    experiments,
    languages,
    model,
    results,
    store,
    tables,
    verify,
)
from polymux.cli.output import set_verbosity, tell
from polymux.errors import PolymuxError

app = typer.Typer(
    name="polymux",
    help="Which examples to label, in any language.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Arguments that are left over are looked at by the commands, which know what they mean.
LEFTOVERS = {"allow_extra_args": True}
MODULES = (
    choose,
    verify,
    diagnose,
    model,
    languages,
    campaign,
    exchange,
    experiments,
    results,
    distill,
    demo,
    store,
    tables,
)
COMMANDS = {name: command for module in MODULES for name, command in module.COMMANDS.items()}
for _name, _command in COMMANDS.items():
    app.command(_name, context_settings=LEFTOVERS)(_command)

INTERRUPTED = 130
# These may stand anywhere on the line.
GLOBAL_FLAGS = frozenset({"--debug", "-v", "--verbose", "-q", "--quiet"})


def _version(asked: bool) -> None:
    if asked:
        print(f"polymux {polymux.__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more of the work.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Which examples to label, in any language."""
    set_verbosity(-1 if quiet else int(verbose))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error ends here, with its hint and its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    anywhere = [a for a in given if a in GLOBAL_FLAGS]
    debug = "--debug" in anywhere
    signal.signal(signal.SIGTERM, _end)
    try:
        code = app(
            [*anywhere, *(a for a in given if a not in GLOBAL_FLAGS)],
            prog_name="polymux",
            standalone_mode=False,
        )
    except TyperException as error:
        if not error.format_message():
            # Nothing was asked, and the help was shown.
            sys.exit(2)
        command = " ".join(["polymux", *(a for a in given[:1] if a in COMMANDS)])
        what = error.format_message().replace("Value error, ", "")
        tell(f"polymux: {what}\n  hint: {command} --help shows what can be given", level=-1)
        sys.exit(2)
    except PolymuxError as error:
        if debug:
            raise
        tell(f"polymux: {error}", level=-1)
        sys.exit(error.exit_code)
    except Exception as error:
        failed = _refused_by_the_system(error)
        if debug or failed is None:
            raise
        tell(
            f"polymux: {failed.filename or 'input or output'}: {failed.strerror or failed}\n"
            "  hint: what was finished before is untouched; make room or permission, run again",
            level=-1,
        )
        sys.exit(1)
    if code == INTERRUPTED:
        tell(
            "polymux: interrupted\n"
            "  hint: nothing half-written was left; train goes on with --resume, distill by "
            "itself, select finds what it encoded in its store",
            level=-1,
        )
    if code:
        sys.exit(code)


def _refused_by_the_system(error: Exception) -> OSError | None:
    """What went wrong with a file, also where a library that writes weights says it its own way."""
    if isinstance(error, OSError):
        return error
    # safetensors and tokenizers tell the number, in words; torch raises anew over it.
    if told := re.search(r"\(os error (\d+)\)", str(error)):
        number = int(told[1])
        return OSError(number, os.strerror(number))
    below = error.__context__
    return below if isinstance(error, RuntimeError) and isinstance(below, OSError) else None


def _end(signum: int, frame: object) -> None:
    """A polite end is an exit: what is temporary goes."""
    sys.exit(128 + signum)
