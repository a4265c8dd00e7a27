"""Which labels a trained model has: the start model's, a file's, or those that the data show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polymux.errors import InputError, ModelError, UsageError


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a file, one a line, in its order."""
    if not path.is_file():
        raise InputError("there is no such file", "give --labels a text file", file=str(path))
    seen: dict[str, int] = {}
    for number, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            label = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"byte {error.start + 1} of the line (0x{raw[error.start]:02X}) is not UTF-8",
                "convert the file: iconv -f OLD-ENCODING -t UTF-8 OLD > NEW",
                file=str(path),
                line=number,
            ) from error
        if label in seen:
            raise InputError(
                f"the label {label!r} stands in line {seen[label]} already",
                "give each label once, one a line",
                file=str(path),
                line=number,
            )
        if label:
            seen[label] = number
    if len(seen) < 2:
        raise InputError(
            f"{len(seen)} labels: a model needs two at least", "one label a line", file=str(path)
        )
    return tuple(seen)


def _completed(found: set[str]) -> tuple[str, ...]:
    """The labels found, sorted; where they mark spans, with O and both B- and I- of each type."""
    types = {label[2:] for label in found if label.startswith(("B-", "I-"))}
    if types and all(label == "O" or label[:2] in ("B-", "I-") for label in found):
        found = {"O"} | {f"{mark}-{name}" for name in types for mark in "BI"}
    return tuple(sorted(found))


def _listed(labels: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(labels)) or "none"


def decide_labels(
    found: set[str], *, start: Sequence[str] | None, given: Sequence[str] | None
) -> tuple[tuple[str, ...], bool]:
    """The labels of the model to train, in the order of its head, and whether the head is new.

    A trained head's labels (`start`) rule, and data that need others are refused; `given` labels
    make a new head unless they are the start model's; without either, the data decide.

    Raises:
        InputError: labels in the data that the given ones lack.
        ModelError: labels in the data that the start model lacks.
        UsageError: fewer than two labels to choose from.
    """
    if given is not None and set(given) == set(start or ()):
        given = None
    if given is not None:
        if found - set(given):
            raise InputError(
                f"the data have labels that --labels lacks: {_listed(found - set(given))} "
                f"(--labels has: {_listed(given)})",
                "add them to the file, or correct the data",
            )
        return tuple(given), True
    if start is not None:
        if found - set(start):
            raise ModelError(
                f"the start model does not know these labels: {_listed(found - set(start))} "
                f"(it knows: {_listed(start)})",
                "correct the data, or give all labels, one a line, by --labels FILE: "
                "the model then gets a new head",
            )
        return tuple(start), False
    labels = _completed(found)
    if len(labels) < 2:
        raise UsageError(
            f"the data show one label only: {_listed(found)}",
            "give all labels that there are, one a line, by --labels FILE",
        )
    return labels, True
