"""How far annotators agree, by language, and what is settled by most of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from polymux.annotation.batch import Answer, Batch
from polymux.annotation.words import Span, spans_of
from polymux.records import Label

# Fewer examples say too little of how far people agree.
LEAST = 10

AnswersByItem = Mapping[str, Collection[Answer]]
Rule = Callable[[Sequence[Label]], Label | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the annotators of one language agree."""

    items: int
    """Those that at least two people labelled; only they count."""
    annotators: int
    alpha: float | None
    """Krippendorff's, nominal: over words, classes, or the texts of answers; see `alpha`."""
    span_f1: float | None
    """Of the spans of two annotators, over all pairs of them; None without any span, and where
    words carry no tags that make spans."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a rule makes of answers."""

    labels: Mapping[str, Label]
    """By id."""
    conflicts: tuple[str, ...]
    """Ids that annotators label in different ways, as the answers come; a person decides."""


def agreement(answers_by_item: AnswersByItem, batch: Batch) -> dict[str | None, Agreement]:
    """Figures for each language of the items that at least two people labelled."""
    labelled: dict[str | None, list[list[Answer]]] = defaultdict(list)
    for item in batch.items:
        given = [one for one in answers_by_item.get(item.id, ()) if one.label is not None]
        if len(given) > 1:
            labelled[item.language].append(given)
    return {
        language: Agreement(
            items=len(items),
            annotators=len({answer.annotator for given in items for answer in given}),
            alpha=alpha(unit for given in items for unit in _units(given)),
            span_f1=_span_f1(items) if batch.tagged else None,
        )
        for language, items in labelled.items()
    }


def alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal data, from the values that each unit was given.

    alpha = 1 - D_o / D_e, with the observed disagreement
    D_o = 1/n sum_u sum_{c != k} n_uc n_uk / (m_u - 1) and the expected one
    D_e = 1/(n (n - 1)) sum_{c != k} n_c n_k, where n_uc values c stand among the m_u of unit u, n_c
    among the n of all units; units with one value or none do not count (Krippendorff 2011,
    "Computing Krippendorff's Alpha-Reliability", section C).
    None where nothing can be said: no unit has two values, or all values are the same.
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[Hashable] = Counter()
    for one in counts:
        totals.update(one)
    n = totals.total()
    unlike = n * n - sum(count * count for count in totals.values())
    if not unlike:
        return None
    observed = sum(
        (one.total() ** 2 - sum(count * count for count in one.values())) / (one.total() - 1)
        for one in counts
    )
    return 1 - observed * (n - 1) / unlike


def _units(given: Sequence[Answer]) -> list[tuple[Hashable, ...]]:
    """What is compared of an item: each word's labels, or the one label it was given."""
    labels = [answer.label for answer in given]
    words = [label for label in labels if isinstance(label, tuple)]
    if words:
        return list(zip(*words, strict=True))
    return [tuple(_category(label) for label in labels if label is not None)]


def _category(label: Label) -> Hashable:
    """A label as what it is compared by: answers to a question by their texts."""
    return ("answers", *sorted(label["text"])) if isinstance(label, dict) else label


def _span_f1(items: Iterable[Sequence[Answer]]) -> float | None:
    """2 x the spans that two share / the spans of both, summed over pairs and items."""
    shared = both = 0
    for given in items:
        for one, other in combinations([_spans(answer.label) for answer in given], 2):
            shared += len(one & other)
            both += len(one) + len(other)
    return 2 * shared / both if both else None


def _spans(label: Label | None) -> frozenset[Span]:
    """Spans counted in words."""
    words = label if isinstance(label, tuple) else ()
    return frozenset(spans_of(words, [(i, i + 1) for i in range(len(words))], tagged=True))


def majority(votes: Sequence[Label]) -> Label | None:
    """The label that more than half of those who labelled gave; None where there is none."""
    counts = Counter(_category(label) for label in votes)
    return next((one for one in votes if counts[_category(one)] * 2 > len(votes)), None)


def unanimous(votes: Sequence[Label]) -> Label | None:
    """The label that all who labelled gave; None where two differ."""
    return votes[0] if len({_category(vote) for vote in votes}) == 1 else None


def settle(answers_by_item: AnswersByItem, rule: Rule = majority) -> Settled:
    """The label of each item by a rule; items that it leaves open are conflicts for a person.

    Only labels are votes: what was skipped or rejected by all is neither settled nor a conflict.
    Answers to a question are the same where their texts are; the first one's places are taken.
    """
    labels: dict[str, Label] = {}
    conflicts = []
    for name, given in answers_by_item.items():
        votes = [answer.label for answer in given if answer.label is not None]
        label = rule(votes) if votes else None
        if label is not None:
            labels[name] = label
        elif votes:
            conflicts.append(name)
    return Settled(labels, tuple(conflicts))
