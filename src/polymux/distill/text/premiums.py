"""How many bytes a language needs for one of English: byte premiums (arXiv 2403.00686)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polymux.errors import UsageError

# The first line is of the paper; the others are ratios of UTF-8 bytes (NFC) to English over the
# 1,004 parallel sentences of SIB-200.
PREMIUMS: Mapping[str, float] = {
    "te": 2.62,
    "hi": 2.37,
    "el": 1.97,
    "ru": 1.82,
    "ur": 1.71,
    "vi": 1.35,
    "ko": 1.29,
    "es": 1.08,
    "eu": 1.06,
    "de": 1.05,
    "tr": 1.04,
    "hu": 1.02,
    "en": 1.00,
    "af": 1.07,
    "ar": 1.62,
    "bg": 1.91,
    "bn": 2.66,
    "bo": 3.35,
    "dz": 3.67,
    "et": 1.02,
    "fa": 1.72,
    "fi": 1.11,
    "fr": 1.24,
    "gu": 2.51,
    "ha": 1.09,
    "he": 1.40,
    "id": 1.09,
    "ig": 1.21,
    "it": 1.20,
    "ja": 1.29,
    "jv": 1.04,
    "ka": 3.00,
    "kk": 1.90,
    "ml": 3.13,
    "mr": 2.70,
    "ms": 1.12,
    "my": 3.54,
    "ne": 2.57,
    "nl": 1.12,
    "nqo": 2.33,
    "pt": 1.12,
    "sat": 2.81,
    "sw": 1.06,
    "ta": 3.20,
    "th": 2.77,
    "ti": 1.78,
    "tl": 1.27,
    "ug": 2.00,
    "yo": 1.27,
    "zh": 0.93,
}


def premiums(languages: Iterable[str], own: Mapping[str, float]) -> dict[str, float]:
    """The premium of each language; `own` ones stand before the table's.

    Raises:
        UsageError: a language has none.
    """
    known = {**PREMIUMS, **own}
    missing = [language for language in languages if language not in known]
    if missing:
        raise UsageError(
            f"the byte premium of {', '.join(missing)} is not known",
            "give it under [corpus.premiums]",
        )
    return {language: known[language] for language in languages}
