"""`polymux export | import`: what goes to people and comes back, by files or a tool's server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polymux.cli import options
from polymux.cli.output import print_json, progress, refuse_leftovers, tell
from polymux.errors import UsageError

if TYPE_CHECKING:
    from polymux.campaign import Taken
    from polymux.errors import InputError

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The tool's server; its token is in LABEL_STUDIO_TOKEN, in the environment.",
    ),
]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="NAME", help="The project there: its name or number."),
]
# Refused lines that are shown; the count tells of the others.
SHOWN = 20


def export(
    context: typer.Context,
    run: options.Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="FORMAT", help="jsonl, csv, label-studio, ...; else as FILE is called."
        ),
    ] = None,
    conflicts: Annotated[
        bool,
        typer.Option("--conflicts", help="What annotators disagree about, for one who decides."),
    ] = False,
    canaries: Annotated[
        bool,
        typer.Option("--canaries/--no-canaries", help="Whether the known records go along."),
    ] = True,
    url: Url = None,
    project: Project = None,
    force: options.Force = False,
) -> None:
    """Write the examples that wait for labels as a file of a tool, or send them to its server.

    [dim]polymux export health --to label-studio --out round.json
    polymux export health --to label-studio --url http://localhost:8080 --project health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import export as write
    from polymux.campaign import send

    if url is not None:
        with progress() as show:
            sent = send(
                run,
                _named(to, "--to"),
                url,
                _there(project, out, "--out"),
                conflicts=conflicts,
                with_canaries=canaries,
                progress=show,
            )
        if sent.is_new:
            tell(f"a new project was made: {project}")
        tell(f"{sent.sent} example{'s' * (sent.sent != 1)} sent, {sent.there} already there")
        print(sent.page)
        return
    file = _here(out, project, "--out")
    count = write(
        run,
        file,
        _of(to, file, "--to"),
        conflicts=conflicts,
        with_canaries=canaries,
        force=force,
    )
    tell(f"{count} example{'s' * (count != 1)}")
    print(file)


def _there(project: str | None, file: Path | None, name: str) -> str:
    """The project of a server, where no file has a place."""
    if file is not None:
        raise UsageError(f"{name} and --url are two goals", "give one of them")
    if project is None:
        raise UsageError("--url needs the project there", "give --project NAME, or its number")
    return project


def _here(file: Path | None, project: str | None, name: str) -> Path:
    """The file, where there is no server."""
    if project is not None:
        raise UsageError("--project is one of a server", "give the server's address with --url")
    if file is None:
        raise UsageError(f"{name} is missing", f"give {name}, or --url and --project of a server")
    return file


def import_(
    context: typer.Context,
    run: options.Run,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What the tool gave back.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="jsonl, csv, label-studio, ...; else as FILE is called.",
        ),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option("--annotator", metavar="NAME", help="Who filled in a file that names nobody."),
    ] = None,
    decide: Annotated[
        bool,
        typer.Option("--decide", help="These settle what annotators disagree about."),
    ] = False,
    url: Url = None,
    project: Project = None,
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option("--on-error", help="End with an error if any answer was refused, or not."),
    ] = "stop",
    json: options.Json = False,
) -> None:
    """Take labels back from a tool's file or its server; the good part is kept, as often as wanted.

    [dim]polymux import health round.json --from label-studio
    polymux import health --from label-studio --url http://localhost:8080 --project health[/dim]
    """
    refuse_leftovers(context.args)
    from polymux.campaign import fetch, take

    if url is not None:
        tool = _named(format_, "--from")
        if annotator is not None:
            raise UsageError("a server names who answered", "leave --annotator out")
        taken = fetch(run, tool, url, _there(project, file, "FILE"), decides=decide)
    else:
        file = _here(file, project, "FILE")
        taken = take(run, file, _of(format_, file, "--from"), annotator=annotator, decides=decide)
    if json:
        print_json(
            {
                "taken": len(taken.answers),
                "corrected": taken.corrected,
                "skipped": taken.count("skipped"),
                "rejected": taken.count("rejected"),
                "known": taken.known,
                "waiting": taken.waiting,
                "note": taken.note,
                "refused": [_refused(error) for error in taken.refused],
            }
        )
    else:
        if taken.note:
            tell(taken.note)
        if taken.nameless:
            tell(
                f"warning: {taken.nameless} answers that name nobody took the place of others that "
                "name nobody: where two people answered, import each with --annotator NAME"
            )
        for error in taken.refused[:SHOWN]:
            tell(str(error))
        print(_told(taken))
    if taken.refused and on_error == "stop":
        raise typer.Exit(2)


def _told(taken: Taken) -> str:
    """What came of an import, in one line; what is none is not told."""
    from polymux.report.words import count

    parts = {
        "corrected": taken.corrected,
        "skipped": taken.count("skipped"),
        "rejected": taken.count("rejected"),
        "known before": taken.known,
        "refused": len(taken.refused),
        "still waiting": taken.waiting,
    }
    more = [f"{number:,} {what}" for what, number in parts.items() if number]
    return ", ".join([f"{count(taken.count('labelled'), 'answer')} taken", *more])


def _of(format_: str | None, file: Path, option: str) -> str:
    """The format that was given, or the one that the file's name tells, which is said."""
    if format_ is not None:
        return format_
    from polymux.annotation import format_of

    name = format_of(file)
    tell(f"{option} {name}, as the file is called")
    return name


def _named(format_: str | None, option: str) -> str:
    """The format of a server, which no file's name tells."""
    if format_ is None:
        raise UsageError(f"--url needs {option}", f"name the tool: {option} label-studio")
    return format_


def _refused(error: InputError) -> dict[str, Any]:
    return {"what": error.what, "hint": error.hint, "file": error.file, "line": error.line}


COMMANDS: dict[str, Callable[..., None]] = {"export": export, "import": import_}
