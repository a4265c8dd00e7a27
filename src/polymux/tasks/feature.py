"""Feature: one row that a model reads; Frame: the special tokens around its texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from polymux.errors import ModelError

# Texts that go to the tokenizer at once: enough for its threads, few enough to stay small.
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Feature:
    """One row that the model reads: an example, or one window of it."""

    example: int
    """Position in the list given to `prepare`."""
    input_ids: tuple[int, ...]
    type_ids: tuple[int, ...] | None
    embed_at: tuple[int, ...]
    """Positions whose mean last hidden state is the embedding."""
    logits_at: tuple[int, ...]
    """Positions whose logits are asked for, ascending. Words: first sub-words; text: the pooled
    position; question answering: all of them."""
    align: tuple[Any, ...]
    """Beside `logits_at`. Words: the word's index; text: 0; question answering: (start, end) in
    characters of the context, None at a position that is not of the context."""
    lost: int
    """Words or sub-words of the example that no feature holds (on its first feature only)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a tokenizer puts before, between and after its texts, with the segment ids of each."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int, int, int, int] | None
    """Of `before`, the first text, `between`, the second text, `after`; None: there are none."""

    @property
    def size(self) -> int:
        """How many positions it takes."""
        return len(self.before) + len(self.between) + len(self.after)

    def around(
        self, first: Sequence[int], second: Sequence[int] = ()
    ) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
        """The input ids and the segment ids of one text, or of two."""
        parts = (self.before, tuple(first), self.between, tuple(second), self.after)
        ids = tuple(chain.from_iterable(parts))
        if self.types is None:
            return ids, None
        kinds = ((kind,) * len(part) for kind, part in zip(self.types, parts, strict=True))
        return ids, tuple(chain.from_iterable(kinds))


def frame_of(tokenizer: Any, *, pair: bool) -> Frame:
    """The frame of a fast tokenizer, seen in what it does to the shortest texts.

    Raises:
        ModelError: the tokenizer gives no token for anything.
    """
    for text in chain(("a", "."), islice(tokenizer.get_vocab(), 1000)):
        encoding = tokenizer(text, text if pair else None, verbose=False).encodings[0]
        parts: list[list[int]] = [[], [], [], [], []]
        kinds = [0, 0, 0, 0, 0]
        part = 0
        for token, kind, sequence in zip(
            encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True
        ):
            if sequence is not None:
                part = 1 + 2 * sequence
            elif part % 2:
                part += 1
            parts[part].append(token)
            kinds[part] = kind
        if parts[1] and (parts[3] or not pair):
            has_types = "token_type_ids" in tokenizer.model_input_names
            before, _, between, _, after = (tuple(part) for part in parts)
            return Frame(before, between, after, tuple(kinds) if has_types else None)  # type: ignore[arg-type]
    raise ModelError(
        "the tokenizer gives no token for any text",
        "save the model's own fast tokenizer (tokenizer.json) beside it",
    )


def subwords(tokenizer: Any, texts: Sequence[Any], *, words: bool = False) -> Iterator[Any]:
    """The sub-words of each text, with offsets and word numbers, no special token, nothing cut."""
    for start in range(0, len(texts), CHUNK):
        yield from tokenizer(
            list(texts[start : start + CHUNK]),
            is_split_into_words=words,
            add_special_tokens=False,
            verbose=False,
        ).encodings
