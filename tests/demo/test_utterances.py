"""What people wrote into the language files is what the demo needs."""

from __future__ import annotations

import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from polymux.demo.corpus import Plan
from polymux.demo.utterances import (
    HOLE,
    INTENTS,
    SLOTS,
    Language,
    Utterance,
    language,
    utterances,
)

CODES = sorted(
    file.name.removesuffix(".toml")
    for file in (files("polymux.demo") / "languages").iterdir()
    if file.name.endswith(".toml")
)
# Unicode names of letters begin with their script.
SCRIPTS = {
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "DEVANAGARI": "Devanagari",
    "BENGALI": "Bengali",
    "THAI": "Thai",
    "CJK": "Han",
}


def spoken(code: str, count: int = 150, seed: int = 0) -> list[Utterance]:
    return utterances(language(code), count, seed=seed)


def script(code: str) -> str:
    names = (
        unicodedata.name(c).split()[0] for one in spoken(code) for c in one.text if c.isalpha()
    )
    return SCRIPTS[Counter(names).most_common(1)[0][0]]


def test_there_are_at_least_twelve_languages_and_six_scripts() -> None:
    assert len(CODES) >= 12
    assert len({script(code) for code in CODES}) >= 6


def test_the_plan_speaks_every_language_once_and_buys_nothing_in_a_target_language() -> None:
    plan = Plan()
    assert sorted(plan.languages) == list(CODES)
    assert not set(plan.targets) & set(plan.pool)
    assert plan.start not in plan.pool
    assert len(plan.targets) == 2


def test_the_source_pool_has_about_four_thousand_different_utterances() -> None:
    made = [one for code, n in Plan().pool.items() for one in utterances(language(code), n, seed=0)]
    assert 3800 <= len({(one.language, one.tokens) for one in made}) == len(made) <= 4200


@pytest.mark.parametrize("code", CODES)
def test_every_slot_of_a_template_has_words_and_every_list_is_used(code: str) -> None:
    known = language(code)
    asked = {hole[0][1:-1] for hole in _holes(known)}
    assert asked == set(known.words)
    assert {hole[1] for hole in _holes(known)} == set(SLOTS)
    assert set(known.templates) == set(INTENTS)


@pytest.mark.parametrize("code", CODES)
def test_a_list_has_different_entries_and_an_intent_different_templates(code: str) -> None:
    known = language(code)
    for name, entries in [*known.words.items(), *known.templates.items()]:
        assert len(set(entries)) == len(entries) >= 3, name


@pytest.mark.parametrize("code", CODES)
def test_words_and_tags_are_aligned_and_the_tags_are_valid_bio(code: str) -> None:
    for one in spoken(code):
        assert len(one.tokens) == len(one.tags)
        for before, tag in zip(("O", *one.tags), one.tags, strict=False):
            assert tag == "O" or tag[2:] in SLOTS
            assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize("code", CODES)
def test_the_text_is_its_words_with_no_space_too_many(code: str) -> None:
    for one in spoken(code):
        assert one.text.replace(" ", "") == "".join(one.tokens)
        assert one.text == " ".join(one.text.split())
        assert not set("{}[]+_") & set(one.text)


@pytest.mark.parametrize("code", CODES)
def test_every_text_is_in_unicode_normal_form(code: str) -> None:
    for one in spoken(code):
        assert one.text == unicodedata.normalize("NFC", one.text)


@pytest.mark.parametrize("code", CODES)
def test_no_words_mean_two_things(code: str) -> None:
    """The same utterance never has other tags or another intent."""
    meant: dict[str, tuple[tuple[str, ...], str]] = {}
    for seed in range(3):
        for one in spoken(code, 400, seed):
            assert meant.setdefault(one.text, (one.tags, one.intent)) == (one.tags, one.intent)


def test_the_seed_decides_the_utterances() -> None:
    assert spoken("ur") == spoken("ur")
    assert spoken("ur") != spoken("ur", seed=1)


def test_more_utterances_begin_with_fewer() -> None:
    assert spoken("en", 50) == spoken("en", 100)[:50]


def test_asking_for_more_than_there_is_gives_what_there_is() -> None:
    words = dict.fromkeys(SLOTS, ("a", "b"))
    small = Language("xx", "Small", True, dict.fromkeys(INTENTS, ("x {TIME}",)), words)
    assert {one.text for one in utterances(small, 10, seed=0)} == {"x a", "x b"}


def test_brackets_plus_and_underscore_place_tags_endings_and_spaces() -> None:
    template = "y {TIME}+le, _ {PLACE} z?"
    words = {"TIME": ("now on",), "PLACE": ("in the [big house]",)}
    same = dict.fromkeys(INTENTS, (template,))
    (one,) = utterances(Language("xx", "One", True, same, words), 1, seed=0)
    assert one.tokens == ("y", "now", "onle", ",", "in", "the", "big", "house", "z", "?")
    assert one.tags == ("O", "B-TIME", "I-TIME", "O", "O", "O", "B-PLACE", "I-PLACE", "O", "O")
    (dense,) = utterances(Language("xx", "One", False, same, words), 1, seed=0)
    assert dense.tokens == one.tokens
    assert dense.text == "ynowonle, inthebighousez?"


def _holes(known: Language) -> list[tuple[str, str]]:
    templates = [template for lines in known.templates.values() for template in lines]
    return [(hole[0], hole[1]) for template in templates for hole in HOLE.finditer(template)]
