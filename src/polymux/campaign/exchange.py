"""What goes to people and comes back from them, by files or by a tool's server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from polymux.annotation import FORMATS, Batch, Sent, Server, format_named, refuse_other
from polymux.annotation.canaries import canaries
from polymux.campaign import steps, taking
from polymux.campaign.choose import given_out
from polymux.campaign.settings import read_settings
from polymux.campaign.state import State, read_state
from polymux.campaign.taking import Taken
from polymux.errors import UsageError
from polymux.folders import check_new, claimed, replaced
from polymux.progress import Progress

# Who gives out or takes back works alone, and beside who trains: nobody waits for a model.
EXCHANGE = "exchange"


def export(
    folder: str | Path,
    out: str | Path,
    format_: str,
    *,
    conflicts: bool = False,
    with_canaries: bool = True,
    force: bool = False,
) -> int:
    """Write what waits for labels as a file of an annotation tool; how many examples.

    A choice that was made ahead is given out once nothing else waits. `conflicts` writes what
    annotators disagree about instead, for one who decides; without canaries nothing shows what the
    tool did to texts. Where a tool is set up by a file (Label Studio's interface), that is written
    beside it.

    Raises:
        UsageError: nothing waits, the format is only read, or the file is there, which somebody may
            have filled in, unless `force`.
        InputError: this is no campaign, or a cell cannot hold a text.
    """
    made = format_named(format_)
    if made.dump is None:
        raise UsageError(f"{format_} is only read", "choose a format that is written")
    settings = read_settings(Path(folder))
    if made.tasks and settings.task not in made.tasks:
        raise UsageError(f"{format_} has no place for this task", "choose another format")
    path = Path(out)
    files: dict[Path, Callable[[Batch], bytes]] = {path: made.dump}
    if made.beside is not None:
        end, text_of = made.beside
        files[path.with_suffix(end)] = lambda batch: text_of(batch).encode()
    for file in files:
        check_new(file, force=force)
    with claimed(Path(folder) / EXCHANGE):
        batch, count = _asked(
            Path(folder), conflicts, with_canaries, suggests=made.suggests, fits=made.dump
        )
        for file, dump in files.items():
            with replaced(file) as draft:
                draft.write_bytes(dump(batch))
    return count


def _asked(
    folder: Path,
    conflicts: bool,
    with_canaries: bool,
    *,
    suggests: bool,
    fits: Callable[[Batch], object] | None = None,
) -> tuple[Batch, int]:
    """What people are to be asked now, canaries first, and how many examples that is.

    A choice ahead that `fits` refuses, as a file cannot hold it, is not given out.
    """

    def asked(state: State) -> tuple[Batch, int]:
        batch = steps.asked(state, conflicts=conflicts, suggests=suggests)
        known = canaries(batch) if with_canaries and state.settings.canaries else ()
        return replace(batch, items=(*known, *batch.items)), len(batch.items)

    state = read_state(folder)
    if conflicts or not state.ahead or any(one.waiting for one in state.rounds):
        return asked(state)
    given = {key: told for key, told in state.ahead.items() if key not in ("event", "at")}
    if fits is not None:
        fits(asked(read_state(folder, {**given, "event": "issued"}))[0])
    state.ledger.add("issued", unless=given_out(given["round"], 0), **given)
    return asked(read_state(folder))


def send(
    folder: str | Path,
    format_: str,
    url: str,
    project: str,
    *,
    conflicts: bool = False,
    with_canaries: bool = True,
    progress: Progress | None = None,
) -> Sent:
    """Send what waits for labels to a tool's server, with what the model says of it.

    What is there is not sent again, so an export that was killed goes on.

    Raises:
        UsageError: nothing waits, the format has no server, or its address, the token or the
            project is a wrong one.
        WorkError: the server does not answer, or refuses.
    """
    out = Path(folder)
    read_settings(out)
    server = _server(format_)
    with claimed(out / EXCHANGE):
        batch, _ = _asked(out, conflicts, with_canaries, suggests=True)
        return server.send(batch, url, project, progress)


def take(
    folder: str | Path,
    path: str | Path,
    format_: str,
    *,
    annotator: str | None = None,
    decides: bool = False,
) -> Taken:
    """Take labels back from a tool's file, as often as wanted; what was taken before is known.

    `annotator` gave the labels of a file that names nobody; `decides`: they settle what annotators
    disagree about, whatever these said.

    Raises:
        UsageError: no round waits for labels, or another process works on this campaign.
        InputError: there is no such file, or nothing in it is of this format or campaign.
    """
    out = Path(folder)
    read_settings(out)
    with claimed(out / EXCHANGE):
        state = read_state(out)
        load = format_named(format_).load
        refuse_other(Path(path), format_)
        read = partial(load, Path(path))
        return taking.take(state, read, str(path), annotator=annotator, decides=decides)


def fetch(
    folder: str | Path, format_: str, url: str, project: str, *, decides: bool = False
) -> Taken:
    """Take labels back from a tool's server, as often as wanted; what was taken before is known.

    Raises:
        UsageError: as `take`, or the format has no server, or its address, the token or the
            project is a wrong one.
        WorkError: the server does not answer; then nothing was taken.
    """
    out = Path(folder)
    read_settings(out)
    server = _server(format_)
    with claimed(out / EXCHANGE):
        page, read = server.fetch(url, project)
        return taking.take(read_state(out), read, page, decides=decides)


def _server(format_: str) -> Server:
    server = format_named(format_).server
    if server is None:
        served = ", ".join(name for name, one in FORMATS.items() if one.server is not None)
        raise UsageError(f"{format_} has no server", f"with --url choose one of: {served}")
    return server
