"""How the tokenizer cuts the words of each script, and what it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Level, Result, share
from polymux.diagnosis.scripts import UNSPACED

# Words of a script below this share of the target are borrowings.
PRESENT = 0.02
# Of the words, those that are unknown in part.
SOME, MANY = 0.01, 0.05
# Sub-words a letter from which a script that writes spaces is read nearly letter by letter.
LETTER_BY_LETTER = 0.8


@dataclass(frozen=True, slots=True)
class Script:
    """The words of one script in one pool."""

    name: str
    words: int
    share: float
    """Of the pool's words."""
    subwords_a_word: float
    subwords_a_character: float
    unknown: float
    """Share of the words in which the tokenizer does not know something, or sees nothing."""


@dataclass(frozen=True, slots=True)
class Fertility(Result):
    """Sub-words by script, the commonest script first."""

    target: tuple[Script, ...]
    source: tuple[Script, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """On scripts of the target that the tokenizer cannot read well."""
        present = [script for script in self.target if script.share >= PRESENT]
        bad = [finding for script in present for finding in self._of(script)]
        if bad or not present:
            return tuple(bad) or (Finding("note", "no word of the target has a letter", ""),)
        told = ", ".join(f"{s.name} {s.subwords_a_word:.1f}" for s in present)
        return (
            Finding("good", f"the tokenizer knows the target's scripts (sub-words a word: {told})"),
        )

    def _of(self, script: Script) -> list[Finding]:
        do = "start from a model whose tokenizer was made with this script"
        if script.unknown > SOME:
            level: Level = "warning" if script.unknown > MANY else "note"
            told = f"{share(script.unknown)} of the target's {script.name} words hold what the "
            return [Finding(level, f"{told}tokenizer does not know", do)]
        if script.subwords_a_character > LETTER_BY_LETTER and script.name not in UNSPACED:
            told = f"the tokenizer reads the target's {script.name} nearly letter by letter "
            told += f"({script.subwords_a_character:.2f} sub-words a character)"
            return [Finding("warning", told, do)]
        return []


@dataclass(frozen=True, eq=False)
class Cuts:
    """Words of a pool, and what a tokenizer made of each."""

    scripts: Sequence[str]
    characters: Float[np.ndarray, "words"]
    subwords: Float[np.ndarray, "words"]
    unknown: Float[np.ndarray, "words"]
    """1 where some of it is unknown, or nothing of it is seen."""


def fertility(target: Cuts, source: Cuts) -> Fertility:
    """Sub-words a word and a character, and unknown words, by script."""
    return Fertility(_by_script(target), _by_script(source))


def _by_script(cuts: Cuts) -> tuple[Script, ...]:
    names = np.array(cuts.scripts, dtype=object)
    found = []
    for name in sorted(set(cuts.scripts)):
        of = names == name
        words, subwords = int(of.sum()), float(cuts.subwords[of].sum())
        found.append(
            Script(
                name=name,
                words=words,
                share=words / len(names),
                subwords_a_word=subwords / words,
                subwords_a_character=subwords / float(cuts.characters[of].sum()),
                unknown=float(cuts.unknown[of].mean()),
            )
        )
    return tuple(sorted(found, key=lambda script: -script.words))
