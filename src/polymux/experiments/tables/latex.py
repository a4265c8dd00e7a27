"""Tables as LaTeX, with `booktabs`."""

from __future__ import annotations

from collections.abc import Sequence

from polymux.report import words
from polymux.report.table import Table

_LONGEST = 200
_MEANS_MORE = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",
    "]": "{]}",
    "-": "{-}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
}
_ESCAPED = str.maketrans(_MEANS_MORE)


def latex(shown: Table) -> str:
    """One `table` environment; `booktabs` and `textcomp` must be loaded.

    Scripts beyond Latin want a Unicode engine (XeLaTeX, LuaLaTeX) and a font that has them.
    """

    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(escaped, cells)) + r" \\"

    columns = "l" + ("l" if shown.worded else "r") * (len(shown.header) - 1)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            *([rf"\caption{{{escaped(shown.caption)}}}"] if shown.caption else []),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            line(shown.header),
            r"\midrule",
            *map(line, shown.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def escaped(text: str) -> str:
    """A text on one line that LaTeX shows as it is."""
    return " ".join(words.cut(text, _LONGEST).split()).translate(_ESCAPED)
