"""Campaigns over a Label Studio that runs: what goes there is there once, what comes back is right.

It takes about a minute to start, so these tests share one, on one worker.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.annotation.worlds import HOSTILE, TASKS
from tests.campaign.studio import TOKEN, Studio, running, shown
from tests.campaign.worlds import LABELS, gold, write_world

from polymux.annotation import Answer, Batch, Item, label_studio_server
from polymux.annotation.canaries import PREFIX
from polymux.annotation.label_studio import tasks
from polymux.campaign import Settings, advance, fetch, init, send, status, take
from polymux.campaign.state import items, read_state
from polymux.cli import main
from polymux.errors import UsageError
from polymux.records import Example, Label

pytestmark = pytest.mark.xdist_group("label-studio")

# Dies right after the server has taken in a chunk.
MORTAL = """
import os, signal, sys
from polymux.annotation import label_studio_server
from polymux.annotation.connection import Connection
from polymux.campaign import send

label_studio_server._CHUNK = 1
ask = Connection.ask
def mortal(self, method, path, **more):
    told = ask(self, method, path, **more)
    if path.endswith("/import"):
        os.kill(os.getpid(), signal.SIGKILL)
    return told
Connection.ask = mortal
send(sys.argv[1], "label-studio", sys.argv[2], sys.argv[3])
"""


@dataclass(frozen=True)
class World:
    studio: Studio
    settings: Settings
    folder: Path

    def begun(self, name: str, **change: Any) -> Path:
        """A campaign whose first round waits for labels."""
        run = self.folder / name
        update = {"budget": 6, "rounds": 2, "test": (), "canaries": False, **change}
        settings = self.settings.model_copy(update=update)
        init(run, settings)
        advance(run)
        return run

    def sent(self, run: Path, project: str) -> tuple[int, int, int]:
        """How many tasks were sent and were there, and the number of the project."""
        told = send(run, "label-studio", self.studio.url, project)
        return told.sent, told.there, int(told.page.split("/")[-2])

    def fetched(self, run: Path, project: str) -> tuple[int, int, int]:
        """How many answers were taken, known and refused."""
        taken = fetch(run, "label-studio", self.studio.url, project)
        return len(taken.answers), taken.known, len(taken.refused)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # The server's own folder, where it keeps its tokens, is not among what polymux writes.
    folder = tmp_path_factory.mktemp("world")
    settings = write_world(folder)
    with running(tmp_path_factory.mktemp("studio")) as studio:
        yield World(studio, settings, folder)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", TOKEN)


def polymux(*given: object, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    """The command line, as a person calls it."""
    return subprocess.run(
        [sys.executable, "-m", "polymux", *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LABEL_STUDIO_TOKEN": token},
    )


def dead_address() -> str:
    """Where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def regions(item: Item, label: Label) -> list[dict[str, Any]]:
    """What a person marks."""
    (task,) = tasks(Batch("token-classification", LABELS, (replace(item, label=label),)))
    return shown(task["predictions"][0]["result"])


def as_asked(example: Example) -> Item:
    (item,) = items({example.id: example})
    return item


def work(world: World, run: Path, project: int) -> dict[str, int]:
    """Everything that waits is labelled rightly; the annotations by id."""
    known, state = gold(), read_state(run)
    asked = {name: example for one in state.rounds for name, example in one.issued.items()}
    done = {}
    for task in world.studio.tasks(project):
        name = task["data"]["polymux_id"]
        if not task["annotations"]:
            label = known[asked[name].fields["tokens"]]  # type: ignore[index]
            done[name] = world.studio.submit(task["id"], regions(as_asked(asked[name]), label))
    return done


def test_two_rounds_go_out_and_come_back(world: World) -> None:
    run, project = world.begun("rounds"), "two rounds"
    sent, there, number = world.sent(run, project)
    assert (sent, there) == (3, 0)
    first = read_state(run).rounds[0]
    told = world.studio.tasks(number)
    assert [task["data"]["polymux_id"] for task in told] == list(first.issued)
    assert [task["data"]["rank"] for task in told] == [1, 2, 3]
    for task in told:
        (prediction,) = task["predictions"]
        assert 0 < prediction["score"] <= 1
    assert world.sent(run, project) == (0, 3, number)
    assert world.fetched(run, project) == (0, 0, 0)
    world.studio.skip(told[0]["id"])
    world.studio.submit(told[1]["id"], [], seconds=8.25)
    assert world.fetched(run, project) == (2, 0, 0)
    answers = read_state(run).rounds[0].answers
    given = [next(iter(answers[task["data"]["polymux_id"]].values())) for task in told[:2]]
    assert [(one.state, one.seconds) for one in given] == [("skipped", 1.0), ("labelled", 8.25)]
    assert world.fetched(run, project) == (0, 2, 0)
    # What was skipped is replaced, and only that is sent.
    assert advance(run).waiting == 2
    assert world.sent(run, project) == (1, 1, number)
    assert [task["data"]["rank"] for task in world.studio.tasks(number)] == [1, 2, 3, 4]
    work(world, run, number)
    assert world.fetched(run, project) == (2, 2, 0)
    assert advance(run).waiting == 3
    assert world.sent(run, project) == (3, 0, number)
    work(world, run, number)
    assert world.fetched(run, project) == (3, 4, 0)
    assert advance(run).finished
    assert [one["labelled"] for one in status(run)["rounds"]] == [3, 3]
    known = gold()
    right = [e.label == known[e.fields["tokens"]] for e in read_state(run).labelled]  # type: ignore[index]
    assert right.count(True) >= 5


def test_canaries_go_along_and_show_that_the_server_keeps_texts(world: World) -> None:
    run, project = world.begun("canaries", canaries=True), "canaries"
    sent, there, number = world.sent(run, project)
    assert (sent, there) == (5, 0)
    told = world.studio.tasks(number)
    assert [task["data"]["polymux_id"].startswith(PREFIX) for task in told] == [True] * 2 + [
        False
    ] * 3
    for task in told[:2]:
        (prediction,) = task["predictions"]
        world.studio.submit(task["id"], shown(prediction["result"]))
    work(world, run, number)
    taken = fetch(run, "label-studio", world.studio.url, project)
    assert (len(taken.answers), taken.refused, taken.note) == (3, (), "")


def test_a_changed_annotation_counts_and_a_person_who_comes_back_to_a_skipped_task(
    world: World,
) -> None:
    run, project = world.begun("changed"), "changed"
    _, _, number = world.sent(run, project)
    done = work(world, run, number)
    assert world.fetched(run, project) == (3, 0, 0)
    name, annotation = next(iter(done.items()))
    example = read_state(run).rounds[0].issued[name]
    other = ("B-PLACE", *["O"] * (len(example.fields["tokens"]) - 1))
    world.studio.change(annotation, regions(as_asked(example), other))
    assert world.fetched(run, project) == (1, 2, 0)
    assert {e.id: e.label for e in read_state(run).labelled}[name] == other
    task = world.studio.tasks(number)[0]["id"]
    world.studio.skip(task)
    assert world.fetched(run, project) == (1, 2, 0)
    assert read_state(run).rounds[0].unusable == [name]
    world.studio.submit(task, regions(as_asked(example), other))
    assert world.fetched(run, project) == (1, 2, 0)
    assert {e.id: e.label for e in read_state(run).labelled}[name] == other


def test_what_the_server_tells_and_what_its_export_tells_are_the_same_answers(
    world: World, tmp_path: Path
) -> None:
    run, project = world.begun("both"), "both ways"
    _, _, number = world.sent(run, project)
    work(world, run, number)
    export = world.studio.ask("GET", f"projects/{number}/export?exportType=JSON")
    (tmp_path / "export.json").write_text(json.dumps(export), "utf-8")
    assert len(take(run, tmp_path / "export.json", "label-studio").answers) == 3
    assert world.fetched(run, project) == (0, 3, 0)


def test_killed_after_each_chunk_an_export_ends_as_if_undisturbed(world: World) -> None:
    run = world.begun("killed")
    for _ in range(3):
        arguments = [sys.executable, "-c", MORTAL, str(run), world.studio.url, "killed"]
        ended = subprocess.run(arguments, capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    sent, there, number = world.sent(run, "killed")
    assert (sent, there) == (0, 3)
    names = [task["data"]["polymux_id"] for task in world.studio.tasks(number)]
    assert names == list(read_state(run).rounds[0].issued)


def test_tasks_are_read_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_studio_server, "_CHUNK", 2)
    run = world.begun("pages")
    # A project of this name is on the second page of those that are called alike.
    for other in ("pages and more", "more pages"):
        world.studio.ask("POST", "projects/", {"title": other})
    assert world.sent(run, "pages")[:2] == (3, 0)
    assert world.sent(run, "pages")[:2] == (0, 3)
    work(world, run, world.sent(run, "pages")[2])
    assert world.fetched(run, "pages") == (3, 0, 0)


TEXTS = (
    *("  ".join(HOSTILE[start : start + 6]) for start in range(0, len(HOSTILE), 6)),
    "a <b>bold</b> {{x}} $text  s3://bucket/key\n\ttabbed",
    "مرحبا 👩🏽‍🚀 e\u0301 नमस्ते",
)


def hostile(kind: str) -> Batch:
    """Texts that tools break, with labels."""
    task, labels = TASKS[kind]
    items = []
    for number, text in enumerate(TEXTS):
        words, fields, label = tuple(text.split()), {}, None
        surface = None
        if task == "token-classification":
            fields = {"tokens": words}
            tag = ("B-PER", "I-PER") if kind == "ner" else ("NOUN", "VERB")
            label, surface = tuple(tag[place % 2] for place in range(len(words))), text
        elif task == "question-answering":
            fields = {"question": text, "context": f"{text} {text}"}
            label = {"text": [text], "answer_start": [len(text) + 1]}
        else:
            fields = {"text": text} | ({"text_pair": text[::-1]} if kind == "pair" else {})
            label = labels[number % len(labels)]
        items.append(Item(f"{kind} é#{number}", fields, number + 1, surface, "ur", label, 0.25))
    return Batch(task, labels, tuple(items))


@pytest.mark.parametrize("kind", TASKS)
def test_hostile_text_survives_with_all_that_is_marked_in_it(world: World, kind: str) -> None:
    batch, project = hostile(kind), f"hostile {kind}"
    told = label_studio_server.send(batch, world.studio.url, project)
    assert (told.sent, told.there) == (len(batch.items), 0)
    assert label_studio_server.send(batch, world.studio.url, project).sent == 0
    for task in world.studio.tasks(int(told.page.split("/")[-2])):
        (prediction,) = task["predictions"]
        world.studio.submit(task["id"], shown(prediction["result"]))
    _, read = label_studio_server.fetch(world.studio.url, project)
    back = list(read(batch))
    assert [(one.id, one.fields, one.label) for one in back if isinstance(one, Answer)] == [
        (item.id, item.fields, item.label) for item in batch.items
    ]


def test_a_name_of_any_letters_is_found_again(world: World) -> None:
    run = world.begun("named")
    first = world.sent(run, "  🚀 <b>नाम</b> 100% & 'x'  ")
    assert first[:2] == (3, 0)
    assert world.sent(run, "🚀 <b>नाम</b> 100% & 'x'") == (0, 3, first[2])


def test_a_personal_access_token_is_taken_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.begun("personal")
    personal = world.studio.ask("POST", "token/")["token"]
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", personal)
    assert world.sent(run, "personal")[:2] == (3, 0)
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", personal[:-3] + "abc")
    with pytest.raises(UsageError, match="does not take the token"):
        world.sent(run, "personal")


def test_a_project_that_cannot_be_the_one_is_told_and_left_as_it_is(world: World) -> None:
    studio, run = world.studio, world.begun("wrong")
    labels = "<Labels name='label' toName='text'><Label value='PER'/></Labels>"
    config = f"<View>{labels}<Text name='text' value='$text'/></View>"
    made = studio.ask("POST", "projects/", {"title": "of others", "label_config": config})
    with pytest.raises(UsageError, match=r"another interface: .* with PER,"):
        world.sent(run, "of others")
    assert studio.ask("GET", f"projects/{made['id']}/")["label_config"] == config
    numbers = {studio.ask("POST", "projects/", {"title": "twins"})["id"] for _ in range(2)}
    for act in (world.sent, world.fetched):
        with pytest.raises(UsageError, match="2 projects called 'twins'") as raised:
            act(run, "twins")
        assert all(str(number) in raised.value.hint for number in numbers)
        with pytest.raises(UsageError, match="no project 987654"):
            act(run, "987654")
    # By its number an empty project gets the interface and the tasks.
    assert world.sent(run, str(min(numbers)))[:2] == (3, 0)
    with pytest.raises(UsageError, match="no project 'nobody'"):
        world.fetched(run, "nobody")
    with pytest.raises(UsageError, match="a name of 51 characters"):
        world.sent(run, "x" * 51)
    # The same ids with other texts under them: another campaign's.
    other = hostile("class")
    label_studio_server.send(other, studio.url, "shared")
    changed = Batch(other.task, other.labels, (Item(other.items[0].id, {"text": "another"}),))
    with pytest.raises(UsageError, match="has another text under the id"):
        label_studio_server.send(changed, studio.url, "shared")


def test_a_refused_answer_tells_the_page_where_it_stands(world: World) -> None:
    run = world.begun("refused")
    _, _, number = world.sent(run, "refused")
    first, second, _ = world.studio.tasks(number)
    half = {"start": 0, "end": 1, "text": first["data"]["text"][0], "labels": ["PLACE"]}
    twice = [
        {"from_name": "label", "to_name": "text", "type": "labels", "value": half, "id": name}
        for name in "ab"
    ]
    world.studio.submit(first["id"], twice)
    world.studio.submit(second["id"], [])
    taken = fetch(run, "label-studio", world.studio.url, "refused")
    assert [one.id for one in taken.answers] == [second["data"]["polymux_id"]]
    (refused,) = taken.refused
    assert refused.file == f"{world.studio.url}/projects/{number}/data?task={first['id']}"


def test_the_command_line_tells_no_token_wherever_it_ends(world: World) -> None:
    run, url = world.begun("told"), world.studio.url
    to = ("export", run, "--to", "label-studio", "--project", "told", "--debug", "--url")
    back = ("import", run, "--from", "label-studio", "--project", "told", "--debug", "--url")
    wrong = TOKEN[::-1]
    for code, said, done in (
        (0, "a new project was made: told\n3 examples sent, 0 already there", polymux(*to, url)),
        (0, "0 answers taken", polymux(*back, url)),
        (1, "does not take the token", polymux(*to, url, token=wrong)),
        (1, "cannot be reached", polymux(*back, dead_address())),
    ):
        told = done.stdout + done.stderr
        assert said in told
        assert done.returncode == code
        assert not any(secret in told for secret in (TOKEN, wrong))
    written = [path for path in world.folder.rglob("*") if path.is_file()]
    assert run / "ledger.jsonl" in written
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("export RUN --to label-studio", "--out is missing"),
        ("export RUN --to label-studio --project a --out b", "--project is one of a server"),
        ("export RUN --to label-studio --url http://a --project a --out b", "are two goals"),
        ("export RUN --to label-studio --url http://a", "--url needs the project there"),
        ("import RUN --from label-studio", "FILE is missing"),
        ("import RUN b.json --from label-studio --url http://a --project a", "are two goals"),
        ("export RUN --url http://127.0.0.1 --project a", "--url needs --to"),
        ("export RUN --to jsonl --url http://127.0.0.1 --project a", "jsonl has no server"),
        ("export RUN --to label-studio --url http://x:y@z --project a", "carries a name"),
    ],
)
def test_what_is_missing_or_too_much_on_the_command_line_is_told(
    world: World, given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.folder / "options"
    if not run.is_dir():
        world.begun("options")
    with pytest.raises(SystemExit) as ended:
        main(given.replace("RUN", str(run)).split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
