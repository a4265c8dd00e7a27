"""What every test may ask for: the real corpora, and one hypothesis profile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "here", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


DEMO, TREEBANKS = "demo", "udpos"


def corpora() -> list[str]:
    """What campaigns are run on from their beginning to their end."""
    return [DEMO, TREEBANKS] if os.environ.get("POLYMUX_DATA") else [DEMO]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say on which corpora."""
    terminalreporter.write_line(f"whole campaigns are run on: {', '.join(corpora())}")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: nothing is taken from the user's, nothing is left in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the real corpora; for tests marked `data`."""
    return Path(os.environ["POLYMUX_DATA"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, uncounted, the tests marked `data` or `cuda` where nobody has either."""
    absent = [] if os.environ.get("POLYMUX_DATA") else ["data"]
    absent += [] if torch.cuda.is_available() else ["cuda"]
    left_out = [item for item in items if any(map(item.get_closest_marker, absent))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
