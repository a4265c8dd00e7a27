"""What every test may ask for: the real corpora, and one hypothesis profile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "here", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


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
