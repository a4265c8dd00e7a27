"""Whether text that is learned from holds sentences that are scored on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polymux.tasks.metrics import answer_words

# So many words in a row are no coincidence.
WORDS = 8


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a test set stands in a text."""

    sentences: int
    whole: int
    """Sentences that stand there as a line of their own."""
    partly: int
    """Those, and sentences of which eight words in a row stand there."""

    @property
    def share(self) -> float:
        """Share of the sentences that stand there, whole or partly."""
        return self.partly / self.sentences if self.sentences else 0.0


def overlap(text: Iterable[str], sentences: Sequence[Sequence[str]]) -> Overlap:
    """Compare by lower-case words without punctuation, so that neither casing nor spacing hides.

    Args:
        text: Lines that are learned from.
        sentences: The words of each sentence that is scored on.
    """
    tested = [tuple(answer_words(" ".join(words))) for words in sentences]
    runs = {run: False for words in tested for run in _runs(words)}
    # A sentence of signs alone has no words to be found by.
    short = dict.fromkeys((words for words in tested if words), False)
    for line in text:
        words = tuple(answer_words(line))
        if words in short:
            short[words] = True
        for run in _runs(words):
            if run in runs:
                runs[run] = True
    whole = [short.get(words, False) for words in tested]
    partly = [
        there or any(runs[run] for run in _runs(words))
        for words, there in zip(tested, whole, strict=True)
    ]
    return Overlap(len(tested), sum(whole), sum(partly))


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)]
