"""What can go wrong, as one tree; every message ends with what to do.

PolymuxError            the root: the command line catches this one, once
|- UserError            exit 2: the input, the model or the usage is at fault
|  |- InputError        a file or a line of it
|  |- ModelError        the model is missing, has no head for the task, or is not safe to load
|  '- UsageError        an option or an argument
|     '- BudgetError    a budget that buys nothing
'- WorkError            exit 1: the work failed (disk, memory, numbers that are not finite)
"""

from __future__ import annotations

from functools import partial
from typing import Any


class PolymuxError(Exception):
    """The root of the tree: what is wrong, where, and what to do about it."""

    exit_code = 1

    def __init__(
        self, what: str, hint: str, *, file: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(what, hint, file, line)
        self.what = what
        self.hint = hint
        self.file = file
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way gives `file` and `line` by position, which are names only.
        return partial(type(self), file=self.file, line=self.line), (self.what, self.hint)

    @property
    def place(self) -> str:
        """`FILE:LINE`, `FILE` or nothing."""
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.what}\n  hint: {self.hint}"


class UserError(PolymuxError):
    """The user's input or usage is at fault."""

    exit_code = 2


class InputError(UserError):
    """A file, or a line of it, cannot be used as it is."""


class ModelError(UserError):
    """The model cannot be used for this task as it is."""


class UsageError(UserError):
    """An option or an argument cannot be what was given."""


class BudgetError(UsageError):
    """Nothing is as cheap as what is left."""


class WorkError(PolymuxError):
    """The work was well asked for and failed on the way."""
