"""Examples of several languages that share a key: an even sample of the keys, in one reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from polymux.records import Example, Shard
from polymux.selection.draws import draw_of_name

# Keys whose examples are looked at, in at most so many languages.
KEYS, LANGUAGES = 128, 12

KEY: Mapping[str, Callable[[Example], str | None]] = {
    "id": lambda example: example.source_id,
    "number in its file": lambda example: example.id.rpartition("#")[2] or None,
}
# By key, the row of the first example of each language.
Rows = dict[str, dict[str, int]]


def shared(shards: Iterable[Shard], seed: int) -> dict[str, Rows]:
    """By kind of key, rows of examples whose key stands in two languages or more.

    Keys are drawn by hash, so that all languages give the examples of the same ones; memory holds
    these alone.
    """
    sketches = {kind: _Sketch(seed, kind) for kind in KEY}
    for shard in shards:
        for row, example in zip(shard.rows.tolist(), shard.examples, strict=True):
            if example.language is None:
                continue
            for kind, key in KEY.items():
                name = key(example)
                if name is not None:
                    sketches[kind].see(name, example.language, row)
    found = {kind: sketch.in_several() for kind, sketch in sketches.items()}
    return {kind: rows for kind, rows in found.items() if rows}


class _Sketch:
    """The keys with the smallest draws."""

    def __init__(self, seed: int, kind: str) -> None:
        self.seed = seed
        self.kind = kind
        self.draws: dict[str, int] = {}
        self.rows: Rows = {}
        self.cut: int | None = None

    def see(self, key: str, language: str, row: int) -> None:
        if key not in self.rows:
            draw = draw_of_name(self.seed, f"diagnose {self.kind}", key)
            if self.cut is not None and draw > self.cut:
                return
            self.draws[key], self.rows[key] = draw, {}
            # Twice as many as are kept, so that the sort pays.
            if len(self.rows) > 2 * KEYS:
                self._shrink()
                if key not in self.rows:
                    return
        self.rows[key].setdefault(language, row)

    def in_several(self) -> Rows:
        self._shrink()
        counts: dict[str, int] = {}
        for languages in self.rows.values():
            for language in languages:
                counts[language] = counts.get(language, 0) + 1
        most = sorted(counts, key=lambda language: (-counts[language], language))[:LANGUAGES]
        kept = {key: {n: row[n] for n in most if n in row} for key, row in self.rows.items()}
        return {key: languages for key, languages in kept.items() if len(languages) > 1}

    def _shrink(self) -> None:
        kept = sorted(self.draws, key=lambda key: (self.draws[key], key))[:KEYS]
        if len(kept) == KEYS:
            self.cut = self.draws[kept[-1]]
        self.draws = {key: self.draws[key] for key in kept}
        self.rows = {key: self.rows[key] for key in kept}
