"""Sentences without ids find their items by their words."""

from __future__ import annotations

from collections import defaultdict

from polymux.annotation.batch import Batch, Item
from polymux.annotation.words import laid_out
from polymux.errors import InputError


class Waiting:
    """Items that no sentence was found for yet."""

    def __init__(self, batch: Batch) -> None:
        self._items = batch.items
        self._places = {item.id: place for place, item in enumerate(batch.items)}
        self._by_letters: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(batch.items):
            self._by_letters[_letters("".join(item.fields["tokens"]))].append(place)
        self._taken: set[int] = set()
        self._next = 0

    def take(self, name: str | None, words: tuple[str, ...], text: str) -> Item:
        """The item of a sentence: by its id, else by its text in the order of the batch.

        Raises:
            InputError: it is none that waits for an answer.
        """
        place = self._places.get(name or "")
        if place is None:
            place = self._by_text(text, words)
        self._taken.add(place)
        self._next = place + 1
        return self._items[place]

    def _by_text(self, text: str, words: tuple[str, ...]) -> int:
        places = [p for p in self._by_letters[_letters(text)] if p not in self._taken]
        same = [place for place in places if self._items[place].fields["tokens"] == words]
        if places:
            return (same or places)[0]
        due = self._items[self._next : self._next + 1]
        self._next += 1
        expected = "".join(f"; next is {i.id}: {laid_out(i)[0][:120]!a}" for i in due)
        raise InputError(
            f"the sentence {text[:120]!a} is none that waits for an answer{expected}",
            "keep sentences as they were issued, each once and in their order",
        )


def _letters(text: str) -> str:
    return "".join(text.split())
