"""Label Studio's server: a batch goes into a project, and answers come back, over its HTTP API.

A task is found again by the `polymux_id` in its data, so what is there is never sent twice, and an
export that was killed goes on. No state is kept here: each import reads all answers, and the
campaign knows those that it has.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from polymux.annotation import told as tool
from polymux.annotation.batch import Answer, Batch, Sent
from polymux.annotation.connection import Connection
from polymux.annotation.label_studio import config, reading, tasks
from polymux.errors import InputError, UsageError
from polymux.progress import Progress

TOKEN = "LABEL_STUDIO_TOKEN"
_CHUNK = 100
_TITLE = range(3, 51)  # characters of a title, by Label Studio's settings
# What may differ between a task that is there and the same one sent again.
_MOVABLE = frozenset({"rank", "language"})

_SHOWN = re.compile(r"""\bvalue\s*=\s*["']\$(\w+)""")

Told = dict[str, Any]


def send(batch: Batch, url: str, project: str, progress: Progress | None = None) -> Sent:
    """Make the project or add to it: its interface and what it has not of the batch, in order.

    `project` is a number, or a name that is made where there is none.

    Raises:
        UsageError: the address, the token or the project is a wrong one, the project has another
            interface, or other texts under the ids of the batch.
        WorkError: the server does not answer, or refuses.
    """
    # Label Studio takes blanks at its ends off a name.
    project = project.strip()
    with _connection(url) as server:
        before = _project(server, project)
        found = before or _made(server, project, batch)
        missing = _missing(server, found, batch)
        for start in range(0, len(missing), _CHUNK):
            if progress is not None:
                progress("sending tasks", start, len(missing))
            chunk = missing[start : start + _CHUNK]
            server.ask("POST", f"api/projects/{found['id']}/import", body=chunk)
        there = len(batch.items) - len(missing)
        return Sent(_page(server, found), len(missing), there, is_new=before is None)


def _missing(server: Connection, found: Told, batch: Batch) -> list[Told]:
    """The tasks of a batch that a project has not, once its interface fits them."""
    shown = _fit(server, found, batch)
    there = {
        task["data"]["polymux_id"]: task["data"]
        for task in _tasks(server, found["id"], fields="task_only")
        if isinstance(task["data"].get("polymux_id"), str)
    }
    missing = []
    for task in tasks(batch):
        # A task without a key that the interface shows is not imported.
        task["data"] = dict.fromkeys(shown, "") | task["data"]
        before = there.get(task["data"]["polymux_id"])
        if before is None:
            missing.append(task)
        else:
            _check_same(before, task["data"], found)
    return missing


def fetch(url: str, project: str) -> tuple[str, Callable[[Batch], Iterator[Answer | InputError]]]:
    """The project's page, and a reader of what it holds, that can be asked for several batches.

    It gives an answer for each person and task: the last that they gave.

    Raises:
        UsageError: the address, the token or the project is a wrong one.
        WorkError: the server does not answer.
    """
    with _connection(url) as server:
        found = _project(server, project.strip())
        if found is None:
            raise UsageError(
                f"{server.url} has no project {project!r}",
                "give --project its whole name or its number, as its address there has it",
            )
        page = _page(server, found)
        return page, partial(_answers, list(_tasks(server, found["id"], fields="all")), page)


def _connection(url: str) -> Connection:
    return Connection(url, TOKEN, exchange="api/token/refresh/")


def _page(server: Connection, found: Told) -> str:
    return f"{server.url}/projects/{found['id']}/data"


def _project(server: Connection, name: str) -> Told | None:
    """A project by its number, or by its whole name if one is called so."""
    if name.isdecimal() and name.isascii():
        absent = UsageError(
            f"{server.url} has no project {name} that this account may see",
            "give --project the number in its address there, or a name",
        )
        told: Told = server.ask("GET", f"api/projects/{name}/", has="id", absent=absent)
        return told
    asked: dict[str, str | int] = {"title": name, "page_size": _CHUNK, "page": 0}
    found: list[Told] = []
    more = True
    while more:
        asked["page"] = int(asked["page"]) + 1
        page = server.ask("GET", "api/projects/", params=asked, has="results")
        found += [one for one in page["results"] if one["title"] == name]
        more = page["next"] is not None
    if len(found) > 1:
        numbers = ", ".join(str(one["id"]) for one in found)
        raise UsageError(
            f"{server.url} has {len(found)} projects called {name!r}",
            f"give --project the number of one: {numbers}",
        )
    return found[0] if found else None


def _made(server: Connection, name: str, batch: Batch) -> Told:
    if len(name) not in _TITLE:
        raise UsageError(
            f"Label Studio has no project with a name of {len(name)} characters",
            f"give --project a name of {_TITLE[0]} to {_TITLE[-1]}",
        )
    body = {"title": name, "label_config": config(batch)}
    told: Told = server.ask("POST", "api/projects/", body=body, has="id")
    return told


def _fit(server: Connection, found: Told, batch: Batch) -> list[str]:
    """See to the interface of a project; the keys of the data that it shows.

    One with our controls is left as it is, however it looks, unless it lacks a text.
    """
    ours, theirs = _controls(config(batch)), found.get("parsed_label_config") or {}
    for name, control in ours.items():
        if theirs and _control(theirs.get(name)) != control:
            raise UsageError(
                f"project {found['id']} of {server.url} has another interface: its control "
                f"{name!r} is {_said(_control(theirs.get(name)))}, and not {_said(control)}",
                "give --project a new name, or the project the interface that polymux export "
                "--out writes beside the tasks",
            )
    shown = _texts(found["label_config"]) if theirs else []
    wanted = _texts(config(batch))
    if set(wanted) - set(shown):
        body = {"label_config": config(batch)}
        server.ask("PATCH", f"api/projects/{found['id']}/", body=body)
        return wanted
    return shown


# What a control is: its kind, what it is about, what may be chosen.
_Control = tuple[str, tuple[str, ...], frozenset[str]]


def _controls(xml: str) -> Mapping[str, _Control]:
    return {
        one.attrib["name"]: (
            one.tag,
            (one.attrib["toName"],),
            frozenset(choice.attrib["value"] for choice in one),
        )
        for one in ET.fromstring(xml)  # noqa: S314  (our own)
        if "toName" in one.attrib
    }


def _texts(xml: str) -> list[str]:
    """The keys of the data that an interface shows."""
    return list(dict.fromkeys(_SHOWN.findall(xml)))


def _control(told: Told | None) -> _Control | None:
    if told is None:
        return None
    return told["type"], tuple(told["to_name"]), frozenset(told["labels"])


def _said(control: _Control | None) -> str:
    if control is None:
        return "not there"
    kind, about, labels = control
    return f"{kind} for {', '.join(about)} with {', '.join(sorted(labels))}"


def _tasks(server: Connection, number: int, fields: str) -> Iterator[Told]:
    """All tasks by number, a page a request; what is added or taken away meanwhile moves none.

    A text that looks like the address of a file in a cloud comes as it is.
    """
    last = 0
    while True:
        after = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number"}
        query = {
            "filters": {"conjunction": "and", "items": [after | {"value": last}]},
            "ordering": ["tasks:id"],
        }
        asked: dict[str, str | int] = {
            "project": number,
            "page_size": _CHUNK,
            "fields": fields,
            "resolve_uri": "false",
            "query": json.dumps(query),
        }
        page = server.ask("GET", "api/tasks/", params=asked, has="tasks")
        yield from page["tasks"]
        if page["total"] <= len(page["tasks"]) or not page["tasks"]:
            return
        last = page["tasks"][-1]["id"]


def _check_same(before: Told, now: Told, found: Told) -> None:
    for name in now.keys() - _MOVABLE:
        if before.get(name) != now[name]:
            raise UsageError(
                f"project {found['id']} has another {name} under the id {now['polymux_id']!a}",
                "give each campaign a project of its own: --project with a new name",
            )


def _answers(tasks_: Sequence[Told], page: str, batch: Batch) -> Iterator[Answer | InputError]:
    read = reading(batch)
    for task in tasks_:
        given = _last_of_each(task.get("annotations") or ())
        if not given:
            continue
        place = f"{page}?task={task['id']}"
        for one in tool.answers_in([(None, task | {"annotations": given})], read, place):
            yield one if isinstance(one, InputError) else replace(one, page=place)


def _last_of_each(annotations: Sequence[Told]) -> list[Told]:
    """Somebody who skipped a task and came back to it has two annotations: the later one counts."""
    in_order = sorted(annotations, key=lambda one: (str(one.get("updated_at")), one["id"]))
    return list({json.dumps(one.get("completed_by")): one for one in in_order}.values())
