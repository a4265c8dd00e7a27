"""Batches with hostile text for every task, for hypothesis and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from polymux.annotation import Answer, Batch, Item
from polymux.records import Label

# What tools, sheets and editors break: joined emoji, combining marks, right to left, zero width,
# formulas, quotes, signs of the formats themselves, Thai, astral letters, both forms of an accent.
HOSTILE = (
    "👩🏽‍🚀", "🏳️‍🌈", "e\u0301", "é", "नमस्ते", "తెలుగు", "مرحبا", "שלום", "\u200f", "a\u200db", "=1+1",
    "@SUM(A1)", "+49", "-5", '"', "'", "\\", "|", "[1]", "_", "*", "->", ";", ",", "{x}", "<b>",
    "#", "𝔘𝔫𝔦", "ภาษา", "ไทย", "0x41", "NULL", "null", "O", "PER", "\ufeffx", "x\u00a0y", "1.5",
)  # fmt: skip
NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
POS = ("NOUN", "VERB", "=CMD", "PUNCT")
CLASSES = ("yes", "no", "=maybe", 'o,"k"')

_pieces = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co")),
    min_size=1,
    max_size=5,
)
words = st.lists(_pieces, min_size=1, max_size=3).map("".join)
"""Words without white space at their ends."""
sentences = st.lists(words, min_size=1, max_size=6).map(tuple)
lines = st.lists(words, min_size=1, max_size=6).map(" ".join)
texts = st.lists(lines, min_size=1, max_size=3).map(lambda parts: "\n".join(parts))
"""Texts of several lines, with double spaces and tabs inside."""
wild_texts = st.tuples(texts, st.sampled_from(["", "  ", "\t", " \u00a0 "]), lines).map("".join)


@st.composite
def tags(draw: Any, count: int) -> tuple[str, ...]:
    """A sequence that can be in BIO."""
    found: list[str] = []
    for _ in range(count):
        inside = [f"I-{found[-1][2:]}"] if found and found[-1] != "O" else []
        found.append(draw(st.sampled_from(["O", "B-PER", "B-LOC", *inside])))
    return tuple(found)


@st.composite
def answers_in(draw: Any, context: str) -> dict[str, list[Any]]:
    """No answer, or one or two that stand in the context, not blank at their ends."""
    places = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(context) - 1))
        end = draw(st.integers(start + 1, len(context)))
        text = context[start:end]
        if text == text.strip() and text and (start, text) not in places:
            places.append((start, text))
    return {"text": [t for _, t in places], "answer_start": [s for s, _ in places]}


@st.composite
def batches(draw: Any, kind: str) -> Batch:
    """A labelled batch: `ner`, `pos`, `class`, `pair` or `qa`."""
    items = []
    for rank in range(1, draw(st.integers(1, 4)) + 1):
        fields: dict[str, str | tuple[str, ...]]
        label: Label
        surface = None
        if kind in ("ner", "pos"):
            tokens = draw(sentences)
            fields = {"tokens": tokens}
            label = (
                draw(tags(len(tokens)))
                if kind == "ner"
                else tuple(draw(st.sampled_from(POS)) for _ in tokens)
            )
            surface = draw(st.sampled_from([None, "".join(tokens), "  ".join(tokens)]))
        elif kind == "qa":
            context = draw(wild_texts)
            fields = {"question": draw(lines), "context": context}
            label = draw(answers_in(context))
        else:
            fields = {"text": draw(wild_texts)}
            if kind == "pair":
                fields["text_pair"] = draw(wild_texts)
            label = draw(st.sampled_from(CLASSES))
        language = draw(st.sampled_from([None, "ur", "zh"]))
        name = draw(st.sampled_from(["a/b.conllu#", "p|", "é "])) + str(rank)
        items.append(Item(name, fields, rank, surface, language, label, 0.5))
    task, labels = TASKS[kind]
    return Batch(task, labels, tuple(items))


TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ner": ("token-classification", NER),
    "pos": ("token-classification", POS),
    "class": ("text-classification", CLASSES),
    "pair": ("text-classification", CLASSES),
    "qa": ("question-answering", ()),
}


def accepted(batch: Batch) -> list[Answer]:
    """What comes back when a person agrees with everything."""
    return [Answer(item.id, item.fields, "labelled", item.label) for item in batch.items]


def bare(answers: Sequence[Any]) -> list[Any]:
    """Answers without what only some tools tell."""
    return [
        Answer(a.id, a.fields, a.state, a.label) if isinstance(a, Answer) else a for a in answers
    ]
