"""A Label Studio of the tests' own, and a person who works in it as a browser does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
TOKEN = "5f0c7a1e9b3d4862a0e4c6d8f1b2a39477e6d5c4"
USER, PASSWORD = "ada@example.org", "a-word-to-pass-1"
SECONDS = 240
Result = list[dict[str, Any]]


@dataclass(frozen=True)
class Studio:
    """A server that runs."""

    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What its API answers."""
        headers = {"Authorization": f"Token {TOKEN}"}
        url = f"{self.url}/api/{path}"
        answer = httpx2.request(method, url, json=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All tasks of a project in their order."""
        asked = f"tasks/?project={project}&fields=all&page_size=1000&resolve_uri=false"
        return sorted(self.ask("GET", asked)["tasks"], key=lambda task: task["id"])

    def submit(self, task: int, result: Result, seconds: float = 4.5) -> int:
        """A person labels a task; the number of the annotation."""
        body = {"result": result, "lead_time": seconds, "draft_id": 0, "parent_prediction": None}
        return int(self.ask("POST", f"tasks/{task}/annotations/", body)["id"])

    def skip(self, task: int) -> None:
        """A person skips a task."""
        body = {"result": [], "lead_time": 1.0, "was_cancelled": True}
        self.ask("POST", f"tasks/{task}/annotations/?was_cancelled=1", body)

    def change(self, annotation: int, result: Result) -> None:
        """A person labels otherwise what was labelled."""
        self.ask("PATCH", f"annotations/{annotation}/", {"result": result})


def shown(result: Result) -> Result:
    """Regions as the page tells them: spaces collapsed, a line break in two signs."""
    copied: Result = json.loads(json.dumps(result))
    for number, one in enumerate(copied):
        one |= {"id": f"r{number}", "origin": "manual"}
        if "text" in one["value"]:
            text = re.sub("[ \t]+", " ", one["value"]["text"])
            one["value"]["text"] = text.replace("\n", "\\n")
    return copied


@contextmanager
def running(folder: Path) -> Iterator[Studio]:
    """Label Studio as `make label-studio` starts it, on a free port; ended with all it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Tests that run under make are not to hand its flags on.
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    told = {
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": PASSWORD,
        "LABEL_STUDIO_USER_TOKEN": TOKEN,
    }
    start = [
        "make", "label-studio", f"LABEL_STUDIO_PORT={port}", f"LABEL_STUDIO_DATA={folder / 'data'}"
    ]  # fmt: skip
    install = ["make", ".label-studio/installed"]
    subprocess.run(install, cwd=ROOT, env=surroundings, check=True)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            start,
            cwd=ROOT,
            env=surroundings | told,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            studio = Studio(f"http://127.0.0.1:{port}")
            _wait_for(studio, process, folder / "server.log")
            yield studio
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


def _wait_for(studio: Studio, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(f"{studio.url}/health", timeout=5).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.5)
    raise AssertionError(f"Label Studio did not start:\n{log.read_text('utf-8')[-3000:]}")
