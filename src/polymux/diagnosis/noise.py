"""Which target examples look like noise: nothing to read in them, or nothing like them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from jaxtyping import Float

from polymux.diagnosis.findings import Finding, Result, share
from polymux.diagnosis.scripts import scripts_in
from polymux.diagnosis.spread import neighbours

# More than this share of a sample is worth cleaning before anything is chosen for it.
MUCH = 0.05
# An outlier lies beyond Tukey's outer fence in its distance to so many nearest others.
NEAREST = 5
FENCE = 3.0
# Of fewer examples nobody can say which is odd.
ENOUGH = 20

_MARKUP = regex.compile(
    r"https?://\S+|www\.\S+|\S+@\S+\.\w+|<[^<>]{1,200}>|&#?\w{1,10};|\b\w*\.(?:html?|php|jpe?g|png)\b"
)
_LETTER = regex.compile(r"\p{L}")
# The replacement character, private use and controls: what wrong decoding leaves.
_BROKEN = regex.compile(r"[\uFFFD\p{Co}\p{Cc}--[\t\n\r]]", flags=regex.VERSION1)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One example that looks like noise, and why."""

    place: int
    """Among those that were looked at."""
    why: str


@dataclass(frozen=True, slots=True)
class Noise(Result):
    """Examples of the target sample that look like noise."""

    looked_at: int
    suspects: tuple[Suspect, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """How many there are, and of what kinds."""
        if not self.suspects:
            return (
                Finding("good", f"none of {self.looked_at:,} target examples looks like noise"),
            )
        kinds = Counter(suspect.why for suspect in self.suspects)
        part = len(self.suspects) / self.looked_at
        told = ", ".join(f"{count:,} {why}" for why, count in kinds.most_common())
        return (
            Finding(
                "warning" if part > MUCH else "note",
                f"{share(part)} of the target sample looks like noise: {told}",
                "read the examples that are listed, and leave out what is no target of yours",
            ),
        )


def noise(texts: Sequence[str], apart: Float[np.ndarray, "n n"]) -> Noise:
    """Look for noise in texts and in the distances among them; one reason an example."""
    scripts = [scripts_in(text) for text in texts]
    count = Counter(name for names in scripts for name in names)
    is_far = outliers(apart)
    found = []
    for place, (text, names) in enumerate(zip(texts, scripts, strict=True)):
        alone = len(texts) >= ENOUGH and all(count[name] == 1 for name in names)
        reasons = [
            (_LETTER.search(_MARKUP.sub(" ", text)) is None, "of digits, links or markup alone"),
            (_BROKEN.search(text) is not None, "with characters that wrong decoding leaves"),
            (alone, "in a script of its own"),
            (bool(is_far[place]), "far from every other"),
        ]
        found += [Suspect(place, why) for is_so, why in reasons if is_so][:1]
    return Noise(len(texts), tuple(found))


def outliers(apart: Float[np.ndarray, "n n"]) -> list[bool]:
    """Whose mean distance to their nearest others lies beyond Tukey's outer fence."""
    if len(apart) < ENOUGH:
        return [False] * len(apart)
    nearest = neighbours(apart, NEAREST)
    lies = np.take_along_axis(apart, nearest, axis=1).mean(axis=1)
    low, high = np.quantile(lies, [0.25, 0.75])
    return [bool(far) for far in lies > high + FENCE * (high - low)]
