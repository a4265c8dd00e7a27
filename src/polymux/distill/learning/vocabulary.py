"""From a teacher's words to the student's: one sparse matrix a teacher.

`shared` needs none; `masked` keeps the words of the teacher's own language; `subset` and `match`
are for teachers with a vocabulary of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from polymux.errors import ModelError


@dataclass(frozen=True, slots=True)
class Bridge:
    """Between a teacher's vocabulary and the student's."""

    matrix: Tensor
    """Sparse (student's words, teacher's words): which words are one and the same."""
    to_teacher: Int[Tensor, " student"]
    """The teacher's number of each of the student's words; its unknown word where it has none."""
    known: Bool[Tensor, " student"]
    """Words of the student that the teacher may say."""
    coverage: float
    """Share of the tokens of the language's text that the teacher has a word for."""

    def to(self, device: str | torch.device) -> Bridge:
        """The same on a device."""
        return replace(
            self,
            matrix=self.matrix.to(device),
            to_teacher=self.to_teacher.to(device),
            known=self.known.to(device),
        )

    def read(self, ids: Int[Tensor, "*any"]) -> Int[Tensor, "*any"]:
        """A row of the student as the teacher reads it."""
        return self.to_teacher[ids]

    def across(
        self, p_NT: Float[Tensor, "hidden teacher"]
    ) -> tuple[Float[Tensor, "hidden student"], Float[Tensor, " hidden"]]:
        """The teacher's distribution over the student's words, and how much of its mass that is.

        What the teacher gives to words that the student lacks is dropped, and the rest scaled up.
        """
        with torch.autocast(p_NT.device.type, enabled=False):
            p_NS = torch.sparse.mm(self.matrix, p_NT.T.contiguous()).T
        mass = p_NS.sum(1)
        return p_NS / mass.clamp_min(1e-12)[:, None], mass


def bridge(
    kind: str,
    student: Mapping[str, int],
    teacher: Mapping[str, int],
    text: Integer[np.ndarray, " tokens"],
    *,
    unknown: int,
    specials: Mapping[str, str],
    file: str | None = None,
) -> Bridge | None:
    """What leads from a teacher's words to the student's; None where they are the same.

    Args:
        kind: `shared`, `masked`, `subset` or `match`.
        student: The student's vocabulary: number by word.
        teacher: The teacher's.
        text: The language's text in the student's numbers: what `masked` keeps, and what coverage
            is told of.
        unknown: The teacher's number for a word that it does not have.
        specials: The student's special tokens, and what the teacher calls them.
        file: Where the teacher lies, for errors.

    Raises:
        ModelError: vocabularies that are not what `kind` says.
    """
    if kind in ("shared", "masked") and student != teacher:
        raise ModelError(
            "its vocabulary is not the student's",
            "give [teachers] vocabulary = 'subset' or 'match' for teachers with words of their own",
            file=file,
        )
    if kind == "shared":
        return None
    own = np.zeros(len(student), bool)
    own[text] = True
    pairs = {
        number: teacher[specials.get(word, word)]
        for word, number in student.items()
        if specials.get(word, word) in teacher
    }
    if kind == "subset" and len(set(pairs.values())) < len(teacher):
        there = set(pairs.values())
        lacking = [word for word, number in teacher.items() if number not in there]
        raise ModelError(
            f"{len(lacking)} of its words are not the student's, such as {lacking[0]}",
            "give [teachers] vocabulary = 'match', which drops them",
            file=file,
        )
    said = {number: there for number, there in pairs.items() if kind != "masked" or own[number]}
    if not said:
        raise ModelError(
            "it has no word in common with the student",
            "give a teacher of the same kind of words",
            file=file,
        )
    return _made(pairs, said, len(student), len(teacher), text, unknown)


def _made(
    read: Mapping[int, int],
    said: Mapping[int, int],
    student: int,
    teacher: int,
    text: Integer[np.ndarray, " _"],
    unknown: int,
) -> Bridge:
    rows, columns = np.array(list(said)), np.array(list(said.values()))
    to_teacher = torch.full((student,), unknown)
    to_teacher[list(read)] = torch.tensor(list(read.values()))
    known = torch.zeros(student, dtype=torch.bool)
    known[torch.from_numpy(rows)] = True
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])),
        torch.ones(len(rows)),
        (student, teacher),
        check_invariants=True,
    ).coalesce()
    covered = float(known.numpy()[text].mean()) if len(text) else 0.0
    return Bridge(matrix, to_teacher, known, covered)
