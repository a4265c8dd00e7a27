"""The page of an experiment: who wins by how much, how sure that is, and every number of it."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from polymux.report.markdown import document
from polymux.report.pages import own_files, rendered
from polymux.report.results.plots import Figure, figures, legend
from polymux.report.results.record import Record

__all__ = ["Figure", "Record", "drawing", "figures", "markdown", "page"]


def page(record: Record, drawn: Mapping[str, list[Figure]]) -> str:
    """One self-contained page that asks no host for anything and runs no script.

    Args:
        record: What it says, see `polymux.report.results.record`.
        drawn: What `figures` made of it.
    """
    styles = ("balance.css", "results.css")
    return rendered("results.html", *styles, record=record, figures=drawn, legend=legend(record))


def markdown(record: Record) -> str:
    """The same but for the figures, as one Markdown text."""
    # What is only drawn has no place in a text.
    told = [section for section in record["sections"] if section.tables or section.listed]
    return document(record["title"], record["lead"], told)


def drawing(figure: Figure) -> str:
    """A figure as a file of its own, in light and dark as its viewer is."""
    style = own_files("figure.css")
    _, _, rest = str(figure.svg).partition("<svg ")
    head, _, body = rest.partition(">")
    title = quoteattr(figure.caption)[1:-1]
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {spaces} {head}><title>{title}</title><style>{style}</style>{body}\n"
