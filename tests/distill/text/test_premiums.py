"""Bytes of a language for one of English."""

from __future__ import annotations

import pytest

from polymux.distill.text.premiums import PREMIUMS, premiums
from polymux.errors import UsageError


def test_the_slides_languages_have_the_papers_premiums() -> None:
    papers = {
        "te": 2.62, "hi": 2.37, "el": 1.97, "ru": 1.82, "ur": 1.71, "vi": 1.35, "ko": 1.29,
        "es": 1.08, "eu": 1.06, "de": 1.05, "tr": 1.04, "hu": 1.02, "en": 1.00,
    }  # fmt: skip
    assert premiums(papers, {}) == papers


def test_own_premiums_stand_before_the_tables() -> None:
    told = premiums(["de", "xx"], {"xx": 4.0, "de": 1.5, "te": 9.0})
    assert told == {"de": 1.5, "xx": 4.0}
    assert premiums(["te"], {}) == {"te": 2.62}


def test_languages_without_a_premium_are_all_named() -> None:
    with pytest.raises(UsageError, match="premium of xx, yy is not known"):
        premiums(["xx", "de", "yy"], {})


def test_no_language_needs_less_than_half_or_more_than_five_bytes() -> None:
    assert all(0.5 < value < 5 for value in PREMIUMS.values())
