"""The tables, the figures and the page of experiments, from their results."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux import __version__
from polymux.errors import UsageError
from polymux.experiments.spreadsheet import inert
from polymux.experiments.tables import comparisons, sheets, told
from polymux.experiments.tables.curves import curves
from polymux.experiments.tables.elsewhere import meant
from polymux.experiments.tables.gains import gains
from polymux.experiments.tables.grid import Cell, Grid, grid
from polymux.experiments.tables.latex import latex
from polymux.experiments.tables.luck import luck
from polymux.experiments.tables.paper import beside
from polymux.experiments.tables.planes import planes_of
from polymux.experiments.tables.results import Results, read
from polymux.experiments.tables.sheets import Sheet
from polymux.experiments.tables.wins import wins
from polymux.folders import check_free, write_texts
from polymux.progress import Progress
from polymux.report import markdown as md
from polymux.report.table import Section, Table

PAGE, TEXT, MANIFEST = "tables.html", "tables.md", "tables.json"


@dataclass(frozen=True, slots=True)
class Tables:
    """What was made of results, and where it lies."""

    out: Path
    lead: Sequence[str]
    """Who wins by how much and how sure it is, in sentences."""
    main: Table
    sheets: Sequence[Sheet]
    files: Sequence[str]
    """Below `out`."""

    @property
    def page(self) -> Path:
        """The page that holds everything."""
        return self.out / PAGE


def tables(
    paths: Sequence[Path],
    out: Path,
    *,
    named: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Tables:
    """Make every table and figure that results allow.

    Args:
        paths: Results of `polymux simulate`, their folders, or CSV files.
        out: A folder that is not there or empty.
        named: The strategy named before the run.
        force: Replace what was written there before.
        progress: Told of the comparisons.

    Raises:
        InputError: results cannot be used.
        UsageError: no such strategy is in them, or matplotlib is not installed.
    """
    from polymux.report.results import drawing, figures, markdown, page

    check_free(out, force=force)
    results = read(paths)
    ordered = grid(results.rows)
    named = _named(named, ordered)
    found = wins(ordered)
    apart = gains(ordered, progress)
    chosen = _chosen(ordered)
    made = {
        "wins": comparisons.win_rates(found, named),
        "scores": sheets.scores(ordered),
        "differences": comparisons.differences(ordered, apart),
        "unsure": comparisons.unsure(apart, ordered.rivals),
        "curves": sheets.learning(curves(ordered)),
        "luck": sheets.two_lucks(luck(ordered)),
        "paper": sheets.beside_the_paper(list(beside(ordered))),
        "languages": sheets.chosen(chosen),
    }
    lead = told.lead(ordered, found, apart, named)
    planes = list(planes_of(results.rows))
    record = told.record(
        _title(results),
        __version__,
        lead,
        ordered,
        found,
        chosen,
        planes,
        _sections(made, results, ordered, drawn=["maps"] if planes else []),
    )
    drawn = figures(record)
    texts: dict[str, str] = dict(_files(list(made.values())))
    texts |= {f"figures/{f.key}.svg": drawing(f) for of in drawn.values() for f in of}
    texts |= {TEXT: markdown(record), PAGE: page(record, drawn)}
    texts[MANIFEST] = _manifest(results, named, lead, list(made.values()))
    write_texts(out, {name: _once(text) for name, text in texts.items()}, force=force)
    main = comparisons.standing(found, named) or made["scores"].tables[0]
    return Tables(out, lead, main, list(made.values()), list(texts))


def _once(text: str) -> Callable[[], list[str]]:
    return lambda: [text]


def _named(named: str | None, ordered: Grid) -> str | None:
    """The strategy that is asked for by its name here or in a table made elsewhere."""
    if named is None or named in ordered.strategies:
        return named
    if meant(named) in ordered.strategies:
        return meant(named)
    raise UsageError(
        f"no result is of a strategy {named}",
        f"--best takes one of: {', '.join(ordered.rivals or ordered.strategies)}",
    )


def _title(results: Results) -> str:
    """The experiments by name; a file from elsewhere stands for one."""
    names = (row.experiment or Path(row.file).stem for row in results.rows)
    return ", ".join(dict.fromkeys(names))


def _chosen(ordered: Grid) -> dict[tuple[Cell, str], Mapping[str, float]]:
    """What each strategy chose by language, the mean over its trainings, at the last budget."""
    found: dict[tuple[Cell, str], Mapping[str, float]] = {}
    for cells in ordered.places.values():
        cell = cells[-1]
        for strategy, runs in cell.runs.items():
            told_of = [
                counts for run in runs.values() if (counts := next(iter(run.values())).chosen)
            ]
            if told_of:
                names = dict.fromkeys(language for counts in told_of for language in counts)
                found[cell, strategy] = {
                    language: sum(counts.get(language, 0) for counts in told_of) / len(told_of)
                    for language in names
                }
    return found


def _sections(
    made: Mapping[str, Sheet], results: Results, ordered: Grid, drawn: Sequence[str]
) -> list[Section]:
    sections = [
        Section(key, title, [said], made[key].tables if key in made else ())
        for key, (title, said) in told.SECTIONS.items()
    ]
    notes = [*results.notes, *ordered.notes, *told.limits(ordered)]
    notes.append(f"Read: {', '.join(results.files)}.")
    filled = {key for key, sheet in made.items() if sheet.values} | set(drawn)
    shown = [section for section in sections if section.tables or section.key in filled]
    return [*shown, Section("notes", "What these results cannot say", listed=notes)]


def _files(made: Sequence[Sheet]) -> Iterator[tuple[str, str]]:
    for sheet in made:
        if not sheet.values:
            continue
        yield f"csv/{sheet.name}.csv", _csv(sheet)
        if sheet.tables:
            yield f"latex/{sheet.name}.tex", "\n\n".join(map(latex, sheet.tables)) + "\n"
            yield f"markdown/{sheet.name}.md", _markdown(sheet)


def _markdown(sheet: Sheet) -> str:
    parts = []
    for table in sheet.tables:
        parts += [f"**{md.plain(table.caption)}**"] if table.caption else []
        parts.append(md.table(table))
    return "\n\n".join(parts) + "\n"


def _csv(sheet: Sheet) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(sheet.columns)
    writer.writerows([[_cell(value) for value in row] for row in sheet.values])
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}"
    return inert(value) if isinstance(value, str) else value


def _manifest(
    results: Results, named: str | None, lead: Sequence[str], made: Sequence[Sheet]
) -> str:
    manifest = {
        "polymux": __version__,
        "results": list(results.files),
        "rows": len(results.rows),
        "named_before": named,
        "lead": list(lead),
        "tables": {
            sheet.name: [dict(zip(sheet.columns, row, strict=True)) for row in sheet.values]
            for sheet in made
        },
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
