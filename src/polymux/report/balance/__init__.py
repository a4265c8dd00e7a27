"""The report of a distillation: which system does what for which languages, and at what cost.

One Markdown text and one self-contained page with plots, both from the same plain record.
"""

from __future__ import annotations

from polymux.report import words
from polymux.report.balance import scores, training
from polymux.report.balance.plots import legend, plots
from polymux.report.balance.record import Record
from polymux.report.markdown import document
from polymux.report.pages import rendered
from polymux.report.table import Section

__all__ = ["Record", "markdown", "page"]


def markdown(record: Record) -> str:
    """The report as one Markdown text.

    Args:
        record: What the report says, see `polymux.report.balance.record`.
    """
    return document(record["name"], _opening(record), _sections(record))


def page(record: Record) -> str:
    """The report as one page that asks no host for anything and runs no script.

    Args:
        record: What the report says, see `polymux.report.balance.record`.

    Raises:
        UsageError: matplotlib, of the extra `distill`, is not installed.
    """
    return rendered(
        "balance.html",
        "balance.css",
        record=record,
        opening=_opening(record),
        sections=_sections(record),
        plots=plots(record),
        legend=legend(record),
    )


def _opening(record: Record) -> list[str]:
    languages = words.count(len(record["languages"]), "language")
    named = f" ({', '.join(record['languages'])})" if record["languages"] else ""
    what = (
        f"{words.count(len(record['systems']), 'system')} trained on {languages}{named} with "
        f"{words.count(len(record['seeds']), 'seed')}, scored by how well each guesses masked "
        "words and by probes on its frozen encoder; where there are several seeds, ± is their "
        f"sample standard deviation. {record['reconstruction']}"
    )
    return [what, f"Made by polymux {record['polymux']} on {record['machine']}."]


def _sections(record: Record) -> list[Section]:
    """All but the opening; a part of which the record holds nothing is left out."""
    made = [
        scores.claims(record),
        scores.comparisons(record),
        *(scores.probe(record, task) for task in record["probes"]),
        scores.masked_words(record),
        training.systems(record),
        training.teachers(record),
        training.text(record),
        Section("notes", "Notes", listed=record["notes"]),
        training.settings(record),
    ]
    return [section for section in made if section.tables or section.listed]
