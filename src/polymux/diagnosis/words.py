"""The words of examples as a tokenizer cuts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from polymux.diagnosis.fertility import Cuts
from polymux.diagnosis.scripts import script_of
from polymux.readers.words import unicode_words
from polymux.records import Example
from polymux.tasks.feature import subwords
from polymux.tasks.token import lead_of

# Words of one example that are cut: of a long context, more say nothing new.
WORDS = 256


def cuts_of(examples: Sequence[Example], tokenizer: Any) -> Cuts:
    """What a fast tokenizer makes of every word with a letter, each read as inside a text."""
    kept = [[(word, script_of(word)) for word in _words(example)] for example in examples]
    lettered = [[pair for pair in pairs if pair[1] is not None] for pairs in kept]
    lead = lead_of(tokenizer)
    texts = [[lead + word for word, _ in pairs] for pairs in lettered if pairs]
    scripts = [str(script) for pairs in lettered for _, script in pairs]
    characters = [len(word) for pairs in lettered for word, _ in pairs]
    counts, unknown = [], []
    for text, encoding in zip(texts, subwords(tokenizer, texts, words=True), strict=True):
        pieces, strange = [0] * len(text), [0] * len(text)
        for word, piece in zip(encoding.word_ids, encoding.ids, strict=True):
            if word is not None:
                pieces[word] += 1
                strange[word] |= piece == tokenizer.unk_token_id
        counts += pieces
        unknown += [max(odd, not n) for odd, n in zip(strange, pieces, strict=True)]
    return Cuts(
        scripts,
        np.array(characters, dtype=np.float64),
        np.array(counts, dtype=np.float64),
        np.array(unknown, dtype=np.float64),
    )


def _words(example: Example) -> list[str]:
    return [word for _, word in zip(range(WORDS), _every_word(example), strict=False)]


def _every_word(example: Example) -> Iterator[str]:
    for value in example.fields.values():
        yield from unicode_words(value) if isinstance(value, str) else value
