"""What every page is asked: its words, and whether it is closed."""

from __future__ import annotations

import re

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "\u202eabc"]


def words(page: str) -> str:
    """The text of a page, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def assert_closed(page: str) -> None:
    """It asks no host and lets its own style only."""
    assert not re.search(r"(?:src|href)=", page)
    assert re.search(r"default-src 'none'; style-src 'sha256-[\w+/=]+'", page)
    assert "style=" not in page
