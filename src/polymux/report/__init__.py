"""Self-contained HTML pages from plain records; nothing here knows a pool or a model."""

from polymux.report.card import card
from polymux.report.facts import Facts

__all__ = ["Facts", "card"]
