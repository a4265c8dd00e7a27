"""What a command says of long work, where no terminal redraws."""

from __future__ import annotations

import pytest

from polymux.cli import output
from polymux.cli.output import progress


def test_a_stage_is_told_as_it_begins_each_half_minute_and_at_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 31.0, 40.0, 41.0, 42.0, 43.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock))
    with progress() as show:
        for done in (0, 1, 5, 9, 10):
            show("cells", done, 10)
        # Short work is told once.
        show("maps", 0, 2)
        show("maps", 2, 2)
    assert capsys.readouterr().err.splitlines() == [
        "cells",
        "cells: 5 of 10",
        "cells: 10 of 10",
        "maps",
    ]
