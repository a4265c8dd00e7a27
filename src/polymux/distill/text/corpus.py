"""The text of each language: read, normalised, without repetitions, split before anything learns.

Nothing that is scored later was seen by a tokenizer, a teacher or a student: the split comes first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from polymux.errors import InputError
from polymux.progress import Progress
from polymux.readers import read
from polymux.readers.streams import COMPRESSED

SPLITS = ("train", "dev", "test")
_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Text:
    """The lines of one language, document by document, for each split."""

    documents: Mapping[str, Sequence[Sequence[str]]]
    """By split: documents of lines."""
    read: int
    """Lines that were read."""
    repeated: int
    """Lines that stood before, in this language or in one read before it."""

    def lines(self, split: str) -> Iterator[str]:
        """All lines of a split."""
        for document in self.documents[split]:
            yield from document


def read_texts(
    paths: Mapping[str, str],
    *,
    split: str,
    block_lines: int,
    held_out: Mapping[str, float],
    largest: Mapping[str, int],
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Text]:
    """Read each language's text, in the order given, and split it by its units.

    Lines are brought to NFC; one that stood before, in any language, is left out. Units
    (`documents`, `blocks` of `block_lines` lines, or `lines`) are shuffled by the seed and dealt to
    dev and test until each holds its share of the characters (`held_out`), the rest is train,
    cut after `largest` bytes where a language is named there.

    Raises:
        InputError: a path matches nothing, or a language has too little text to be split.
    """
    seen: set[bytes] = set()
    texts = {}
    for done, (language, path) in enumerate(paths.items()):
        if progress:
            progress(f"read {language}", done, len(paths))
        read_count, units = _units(path, split, block_lines)
        kept = [_first_time(unit, seen) for unit in units]
        documents = _dealt([unit for unit in kept if unit], language, path, held_out, seed)
        if language in largest:
            documents["train"] = _cut(documents["train"], largest[language])
        fresh = sum(len(unit) for unit in kept)
        texts[language] = Text(documents, read_count, read_count - fresh)
    return texts


def _units(path: str, split: str, block_lines: int) -> tuple[int, list[list[str]]]:
    """How many lines there are, and what must stay together.

    A plain text has documents where empty lines stand between them; in every other format each
    record is one.
    """
    pool = read(path, task="text-classification", name="text")
    units: list[list[str]] = []
    before = (-1, "")
    held = 0
    for example in pool:
        text = unicodedata.normalize("NFC", str(example.fields["text"]))
        lines = [line for line in text.splitlines() if line]
        plain = example.file.endswith(tuple(f".txt{end}" for end in ("", *COMPRESSED)))
        follows = plain and before == (example.line - 1, example.file)
        same = before[1] == example.file
        before = (example.line, example.file)
        if (split == "documents" and follows) or (
            split == "blocks" and same and held % block_lines
        ):
            units[-1].extend(lines)
            held += 1
        else:
            units.append(lines)
            held = 1
    return sum(len(unit) for unit in units), units


def _first_time(lines: Sequence[str], seen: set[bytes]) -> list[str]:
    kept = []
    for line in lines:
        digest = blake2b(line.strip().encode(), digest_size=_HASH_BYTES).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(line)
    return kept


def _dealt(
    units: list[list[str]], language: str, path: str, held_out: Mapping[str, float], seed: int
) -> dict[str, list[list[str]]]:
    """Units by split: test and dev first, each until it has its share of the characters."""
    order = np.random.default_rng([seed, *language.encode()]).permutation(len(units))
    sizes = [sum(map(len, unit)) for unit in units]
    total, place = sum(sizes), 0
    documents: dict[str, list[list[str]]] = {}
    for split in ("test", "dev"):
        wanted, taken = held_out[split] * total, 0
        documents[split] = []
        while taken < wanted and place < len(units):
            documents[split].append(units[order[place]])
            taken += sizes[order[place]]
            place += 1
    documents["train"] = [units[i] for i in order[place:]]
    if not all(documents.values()):
        raise InputError(
            f"the text of {language} is too short to be split: {len(units)} units, {total:,} "
            "characters",
            "give more text, or smaller units: split = 'lines'",
            file=path,
        )
    return documents


def _cut(documents: list[list[str]], largest: int) -> list[list[str]]:
    """The first documents that together hold at most so many bytes; one at least."""
    size = np.cumsum([sum(len(line.encode()) + 1 for line in unit) for unit in documents])
    return documents[: max(1, int((size <= largest).sum()))]
