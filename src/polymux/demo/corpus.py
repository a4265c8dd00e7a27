"""Who speaks when in the demo: the labelled start, the source pool, the targets; as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polymux.demo.utterances import Utterance, language, utterances

# The source pool. Languages differ in size, as what can be had of them does.
POOL = {
    "es": 480,
    "de": 480,
    "fr": 480,
    "zh": 440,
    "ru": 400,
    "id": 360,
    "tr": 320,
    "ar": 280,
    "fa": 200,
    "hi": 200,
    "th": 160,
    "sw": 120,
    "bn": 80,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many utterances of which language there are, and for what."""

    start: str = "en"
    """The language that is labelled."""
    labelled: int = 600
    pool: Mapping[str, int] = field(default_factory=lambda: dict(POOL))
    """Source languages and how many utterances each has."""
    targets: tuple[str, ...] = ("ne", "ur")
    sample: int = 100
    """Unlabelled utterances of each target."""
    test: int = 200
    """Labelled ones of each target, looked at only to score."""
    text: int = 500
    """More unlabelled utterances of every language, for the encoder to learn from."""

    @property
    def languages(self) -> tuple[str, ...]:
        """All of them."""
        return (self.start, *self.pool, *self.targets)


def columns(spoken: Iterable[Utterance], *, labelled: bool = True) -> Iterator[str]:
    """CoNLL columns: a word and its tag a line, the text and the intent as comments."""
    for one in spoken:
        yield f"# text = {one.text}\n"
        if labelled:
            yield f"# intent = {one.intent}\n"
            yield from (f"{t}\t{tag}\n" for t, tag in zip(one.tokens, one.tags, strict=True))
        else:
            yield from (f"{token}\n" for token in one.tokens)
        yield "\n"


def write_corpus(folder: Path, plan: Plan, *, seed: int) -> dict[str, int]:
    """A folder for each language: text.conll and train.conll, pool.conll, or sample and test.

    No utterance stands in two of them. Gives how many each language has beside its text.
    """
    counts = {}
    for code in plan.languages:
        wanted = {plan.start: plan.labelled, **plan.pool}.get(code, plan.sample + plan.test)
        everything = utterances(language(code), wanted + plan.text, seed=seed)
        spoken = everything[:wanted]
        counts[code] = len(spoken)
        place = folder / code
        place.mkdir(parents=True)
        _write(place / "text.conll", columns(everything[wanted:], labelled=False))
        if code in plan.targets:
            _write(place / "sample.conll", columns(spoken[: plan.sample], labelled=False))
            _write(place / "test.conll", columns(spoken[plan.sample :]))
        else:
            name = "train.conll" if code == plan.start else "pool.conll"
            _write(place / name, columns(spoken))
    return counts


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines)
