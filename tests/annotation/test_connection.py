"""Talking to a server: where the secret goes, what is asked again, what errors say of it."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from polymux.annotation import connection
from polymux.annotation.connection import Connection
from polymux.errors import PolymuxError, UsageError, WorkError

VARIABLE = "TOOL_TOKEN"
LEGACY = "0a1b2c3d4e5f"
PERSONAL = "eyJhbGciOi.eyJleHAiOj.c2lnbmVk"


@dataclass
class Script:
    """A server that answers what was laid down for it, in order, and remembers what was asked."""

    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)

    def then(self, status: int, told: Any = None, **headers: str) -> Script:
        self.answers.append((status, {} if told is None else told, headers))
        return self


@contextmanager
def serving() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            told = json.loads(body) if body else None
            path = f"{self.command} {self.path}"
            script.asked.append((path, self.headers.get("authorization"), told))
            status, said, headers = script.answers.pop(0)
            if status == 0:
                # Broken off without a word.
                self.close_connection = True
                return
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = answer  # noqa: N815  (the name that is looked for)
        do_POST = answer  # noqa: N815

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def script() -> Iterator[Script]:
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; what would have been waited is told."""
    waited: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", waited.append)
    monkeypatch.setenv(VARIABLE, LEGACY)
    return waited


def ask(script: Script, method: str = "GET", path: str = "api/x", **more: Any) -> Any:
    with Connection(script.url + "/", VARIABLE, exchange="api/token/refresh/") as server:
        return server.ask(method, path, **more)


def refused(script: Script, method: str = "GET", **more: Any) -> PolymuxError:
    with pytest.raises(PolymuxError) as raised:
        ask(script, method, **more)
    return raised.value


def test_a_legacy_token_goes_as_it_is(script: Script) -> None:
    assert ask(script.then(200, {"a": 1}), params={"p": "q r"}) == {"a": 1}
    assert script.asked == [("GET /api/x?p=q+r", f"Token {LEGACY}", None)]


def test_a_personal_token_is_exchanged_once_and_again_when_it_has_run_out(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PERSONAL)
    script.then(200, {"access": "first"}).then(200, 1).then(401).then(200, {"access": "second"})
    script.then(200, 2)
    with Connection(script.url, VARIABLE, exchange="api/token/refresh/") as server:
        assert [server.ask("GET", "a"), server.ask("POST", "b", body=[3])] == [1, 2]
    exchange = "POST /api/token/refresh/"
    assert script.asked == [
        (exchange, None, {"refresh": PERSONAL}),
        ("GET /a", "Bearer first", None),
        ("POST /b", "Bearer first", [3]),
        (exchange, None, {"refresh": PERSONAL}),
        ("POST /b", "Bearer second", [3]),
    ]


def test_a_personal_token_that_is_not_taken_is_told_as_such(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PERSONAL)
    error = refused(script.then(401, {"detail": "Token is blacklisted"}))
    assert f"does not take the token of {VARIABLE}: Token is blacklisted" in error.what
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_and_the_token_does_not_follow_it(script: Script, status: int) -> None:
    with serving() as other:
        for method in ("GET", "POST"):
            error = refused(script.then(status, location=f"{other.url}/api/x?y"), method)
            assert f"sends on to {other.url}," in error.what
            assert isinstance(error, UsageError)
        assert other.asked == []


def test_what_only_reads_is_asked_again_after_failures_of_the_server(
    script: Script, pauses: list[float]
) -> None:
    script.then(502).then(0).then(429, retry_after="7").then(200, "there")
    assert ask(script) == "there"
    assert pauses == [1.0, 3.0, 7.0]


def test_it_is_asked_four_times_and_no_more(script: Script) -> None:
    for _ in range(4):
        script.then(503)
    assert isinstance(refused(script), WorkError)
    assert len(script.asked) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_what_may_have_been_done_is_not_done_again(script: Script, status: int) -> None:
    error = refused(script.then(status), "POST", body=[1])
    assert isinstance(error, WorkError)
    assert "run this again: nothing is done twice" in error.hint
    assert len(script.asked) == 1


def test_what_the_server_refused_for_being_too_much_was_not_done_and_is_sent_again(
    script: Script, pauses: list[float]
) -> None:
    assert ask(script.then(429, retry_after="9999").then(201, "done"), "POST", body=[1]) == "done"
    assert pauses == [60.0]


@pytest.mark.parametrize("told", [[1], {"other": 1}, 1, None])
def test_the_json_of_another_server_is_told_as_such(script: Script, told: Any) -> None:
    error = refused(script.then(200, told), has="tasks")
    assert "does not answer as the tool's API does" in error.what


@pytest.mark.parametrize(
    ("status", "told", "said", "kind"),
    [
        (401, {"detail": "Invalid token."}, f"take the token of {VARIABLE}: Invalid", UsageError),
        (403, {"detail": "No."}, "may not do this", UsageError),
        (404, {"detail": "Not found."}, "does not answer as the tool's API does", UsageError),
        (200, b"<html>Welcome</html>", "does not answer as the tool's API does", UsageError),
        (400, {"validation_errors": {"title": ["too  long"]}}, "too long", WorkError),
    ],
)
def test_an_error_says_what_is_wrong(
    script: Script, status: int, told: Any, said: str, kind: type[PolymuxError]
) -> None:
    error = refused(script.then(status, told))
    assert said in error.what
    assert isinstance(error, kind)
    assert len(script.asked) == 1


def test_nobody_listens(script: Script) -> None:
    with serving() as gone:
        pass
    error = refused(gone)
    assert f"{gone.url} cannot be reached: " in error.what
    assert "--url" in error.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:hunter2@127.0.0.1:1",
        "ada:hunter2@127.0.0.1",
        "http://127.0.0.1:1/?token=hunter2",
        "http://127.0.0.1:1/#hunter2",
        "ftp://hunter2",
        "http://[hunter2",
        "http://:80/hunter2",
        "hunter2",
    ],
)
def test_an_address_with_a_secret_or_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Connection(url, VARIABLE, exchange="x")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://a..b", "http://xn--\u00df..x", "http://\u2024"])
def test_an_address_that_no_name_can_be_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, LEGACY)
    with (
        pytest.raises(UsageError) as raised,
        Connection(url, VARIABLE, exchange="x") as connection,
    ):
        connection.ask("GET", "api")
    assert "address" in str(raised.value)


@pytest.mark.parametrize("secret", ["", "  ", "two words", "pa\u00dfwort", "a\nb"])
def test_what_is_no_token_is_refused_and_not_shown(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, secret)
    with pytest.raises(UsageError, match=VARIABLE) as raised:
        Connection("http://127.0.0.1:1", VARIABLE, exchange="x")
    assert not secret.strip() or secret not in str(raised.value)


def test_offline_no_other_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYMUX_OFFLINE", "1")
    for host in ("studio.example.org", "127.evil.example", "0.0.0.0"):
        with pytest.raises(UsageError, match="another machine"):
            Connection(f"http://{host}", VARIABLE, exchange="x")
    for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
        Connection(f"http://{host}", VARIABLE, exchange="x").__exit__()


@pytest.mark.parametrize("secret", [LEGACY, PERSONAL])
def test_no_error_traceback_or_log_tells_the_token(
    script: Script,
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(VARIABLE, secret)
    caplog.set_level(logging.DEBUG)
    for status in (400, 401, 403, 404, 500, 0):
        script.answers.clear()
        for _ in range(8):
            # A server that says back all that it was told.
            script.then(status, {"detail": f"{secret} and Bearer {secret}"})
        error = refused(script)
        assert (error.__cause__, error.__context__) == (None, None)
        assert secret not in "".join(traceback.format_exception(error)) + repr(error)
    assert secret not in caplog.text
    assert "127.0.0.1" in caplog.text
