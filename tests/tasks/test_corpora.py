"""Real corpora: every word that a model can see is read once, every answer is found."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tests.models import tiny_tokenizer

from polymux.readers import read
from polymux.records import Example
from polymux.tasks import qa, token

pytestmark = pytest.mark.data


@cache
def some(files: str, task: str, step: int) -> list[Example]:
    return list(islice(read(files, task=task), 0, None, step))


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "roberta"])
@pytest.mark.parametrize("files", ["udpos/[a-h]*/dev.conllu.xz", "ner/[t-z]*/dev.bio.xz"])
def test_windows_hold_every_visible_word_once(data: Path, files: str, kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    examples = some(str(data / files), "token-classification", 20)
    assert len(examples) > 200
    features = token.prepare(examples, tokenizer, max_length=64, stride=16, windows=True)
    seen = [[] for _ in examples]
    for feature in features:
        seen[feature.example].extend(feature.align)
    assert all(numbers == sorted(set(numbers)) for numbers in seen)
    for example, numbers in zip(examples, seen, strict=True):
        words = example.fields["tokens"]
        unseen = "".join(words[w] for w in set(range(len(words))) - set(numbers))
        # Thai corpora hold words that are a space or a byte order mark.
        assert not any(c.isprintable() and not c.isspace() for c in unseen), example.id
    labels = sorted({label for e in examples for label in e.label or ()})
    told = np.concatenate(token.gold(examples, features, labels))
    assert (told >= 0).all()


@pytest.mark.parametrize("kind", ["xlm-roberta", "roberta", "llama"])
def test_gold_spans_are_the_answers_of_people(data: Path, kind: str) -> None:
    examples = some(str(data / "qa/*/dev.json.xz"), "question-answering", 8)
    features = qa.prepare(examples, tiny_tokenizer(kind), max_length=384, stride=128)
    found = {}
    for feature, (start, end) in zip(features, qa.gold(examples, features, ()), strict=True):
        if (start, end) != (0, 0):
            example = examples[feature.example]
            place = feature.align[start][0], feature.align[end][1]
            found[feature.example] = str(example.fields["context"])[slice(*place)].strip()
    assert len(found) >= 0.95 * len(examples)
    answers = {i: examples[i].label["text"][0].strip() for i in found}
    assert all(answers[i] in text for i, text in found.items())
    assert np.mean([answers[i] == text for i, text in found.items()]) > 0.8
