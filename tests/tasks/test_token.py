"""Words: first sub-words only, what no model sees, windows, labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.models import KINDS, tiny_tokenizer
from tokenizers import pre_tokenizers

from polymux.errors import InputError
from polymux.records import Example
from polymux.tasks import token

LABELS = ("O", "B-PER", "I-PER")


def words(*tokens: str, label: tuple[str, ...] | None = None, line: int = 1) -> Example:
    return Example(f"f#{line}", "f.conll", line, {"tokens": tokens}, label=label)


@pytest.fixture(scope="module", params=[*KINDS, "word"])
def tokenizer(request: pytest.FixtureRequest):
    kind = request.param
    return tiny_tokenizer("bert", family="word") if kind == "word" else tiny_tokenizer(kind)


def test_rows_equal_a_plain_call_of_the_tokenizer(tokenizer) -> None:
    sentence = ("Ich", "habe", "x²", "शहर", "my", "โรงพยาบาล", "niño", "!")
    (feature,) = token.prepare([words(*sentence)], tokenizer, max_length=100)
    if type(tokenizer.backend_tokenizer.pre_tokenizer) is pre_tokenizers.ByteLevel:
        sentence = tuple(f" {word}" for word in sentence)
    plain = tokenizer(list(sentence), is_split_into_words=True)
    ids = plain.word_ids()
    assert list(feature.input_ids) == plain["input_ids"]
    assert list(feature.logits_at) == [ids.index(w) for w in feature.align]
    assert feature.embed_at == feature.logits_at
    assert list(feature.align) == sorted({w for w in ids if w is not None})
    assert feature.lost == 0


def test_byte_level_words_are_read_as_inside_a_text() -> None:
    tokenizer = tiny_tokenizer("roberta")
    (feature,) = token.prepare([words("brown", "fox")], tokenizer, max_length=100)
    inside = tokenizer(" brown fox", add_special_tokens=False)["input_ids"]
    assert list(feature.input_ids[1:-1]) == inside
    apart = tokenizer("brown", add_special_tokens=False)["input_ids"]
    apart += tokenizer("fox", add_special_tokens=False)["input_ids"]
    assert inside != apart, "this tokenizer does not tell the two apart"


def test_truncation_saved_in_the_tokenizer_is_not_used() -> None:
    tokenizer = tiny_tokenizer("bert")
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    (feature,) = token.prepare([words(*["fox"] * 9)], tokenizer, max_length=100)
    assert len(feature.align) == 9
    assert tokenizer.pad_token_id not in feature.input_ids


def test_a_word_without_subwords_is_skipped_and_predicted_outside() -> None:
    example = words("fox", "\u200d", "dog")
    features = token.prepare([example], tiny_tokenizer("bert"), max_length=100)
    assert features[0].align == (0, 2)
    logits = np.array([[0, 5, 0], [0, 0, 5]], dtype=np.float32)
    (told,) = token.predict([example], features, logits, LABELS)
    assert told["labels"] == ["B-PER", "O", "I-PER"]
    assert told["scores"][1] == 0
    embeddings, uncertainty, _ = token.summarise(
        [example], features, np.ones((1, 4), dtype=np.float32), logits, LABELS
    )
    np.testing.assert_allclose(uncertainty["margin-min"], uncertainty["margin-max"], rtol=1e-6)
    assert embeddings.shape == (1, 4)


def test_words_cut_off_are_counted_and_predicted_outside() -> None:
    tokenizer = tiny_tokenizer("bert", family="word")
    example = words(*["fox", "dog"] * 10)
    features = token.prepare([example], tokenizer, max_length=12)
    assert features[0].align == tuple(range(10))
    assert features[0].lost == 10
    logits = np.tile(np.array([0, 5, 0], dtype=np.float32), (10, 1))
    (told,) = token.predict([example], features, logits, LABELS)
    assert told["labels"] == ["B-PER"] * 10 + ["O"] * 10


def test_an_example_without_a_visible_word_is_named() -> None:
    examples = [words("fox"), words("\u200d", "\u200b", line=7)]
    with pytest.raises(InputError, match=r"f\.conll:7: the model sees none of its words"):
        token.prepare(examples, tiny_tokenizer("bert"), max_length=100)


def test_in_windows_an_example_without_a_visible_word_is_all_outside() -> None:
    examples = [words("\u200d", "\u200b"), words("fox")]
    features = token.prepare(examples, tiny_tokenizer("bert"), max_length=100, windows=True)
    assert [f.example for f in features] == [1]
    told = token.predict(examples, features, np.array([[0.0, 5.0, 0.0]], np.float32), LABELS)
    assert [t["labels"] for t in told] == [["O", "O"], ["B-PER"]]


@pytest.mark.parametrize("stride", [0, 4, 128])
def test_in_windows_every_word_stands_in_exactly_one_row(tokenizer, stride: int) -> None:
    sentence = [f"{w}{'x' * (i % 5)}" for i, w in enumerate(["fox", "Köln", "शहर", "dog"] * 20)]
    example = words(*sentence, label=tuple(LABELS[i % 3] for i in range(80)))
    features = token.prepare([example], tokenizer, max_length=24, stride=stride, windows=True)
    whole = token.prepare([example], tokenizer, max_length=10_000)[0]
    assert len(features) > 1
    assert [w for f in features for w in f.align] == list(whole.align)
    assert all(len(f.input_ids) <= 24 and f.lost == 0 for f in features)
    for feature in features:
        for word, at in zip(feature.align, feature.logits_at, strict=True):
            assert (
                feature.input_ids[at] == whole.input_ids[whole.logits_at[whole.align.index(word)]]
            )
    gold = token.gold([example], features, LABELS)
    told = np.concatenate(gold)
    assert told.tolist() == [w % 3 for w in whole.align]


def test_a_word_is_scored_where_most_stands_around_it() -> None:
    tokenizer = tiny_tokenizer("bert", family="word")
    features = token.prepare(
        [words(*["fox"] * 15)], tokenizer, max_length=12, stride=5, windows=True
    )
    # Windows of ten words that share five: 0-9 and 5-14.
    assert [f.align for f in features] == [tuple(range(8)), tuple(range(8, 15))]


def test_a_word_longer_than_a_window_is_scored_once() -> None:
    tokenizer = tiny_tokenizer("roberta")
    example = words("fox", "q" * 90, "dog")
    features = token.prepare([example], tokenizer, max_length=16, stride=4, windows=True)
    assert [w for f in features for w in f.align] == [0, 1, 2]


def test_d9_labels_change_no_row_and_no_number() -> None:
    tokenizer = tiny_tokenizer("bert")
    bare = words("fox", "dog", "Köln")
    labelled = replace(bare, label=("O", "B-PER", "unheard-of"), language="de")
    features = token.prepare([bare], tokenizer, max_length=50)
    assert token.prepare([labelled], tokenizer, max_length=50) == features
    numbers = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    one = token.summarise([bare], features, numbers[:1], numbers, LABELS)
    other = token.summarise([labelled], features, numbers[:1], numbers, LABELS)
    assert one[1:] == other[1:]


def test_gold_stands_beside_the_words_and_missing_labels_are_ignored() -> None:
    tokenizer = tiny_tokenizer("bert")
    examples = [words("fox", "\u200d", "dog", label=("O", "B-PER", "I-PER")), words("fox", "dog")]
    features = token.prepare(examples, tokenizer, max_length=50)
    gold = token.gold(examples, features, LABELS)
    assert [g.tolist() for g in gold] == [[0, 2], [-100, -100]]


@pytest.mark.parametrize(
    ("label", "message"),
    [(("O",), "2 words have 1 labels"), (("O", "B-XYZ"), "does not know the labels B-XYZ")],
)
def test_labels_that_do_not_fit_are_named(label: tuple[str, ...], message: str) -> None:
    examples = [words("fox", "dog", label=label, line=3)]
    features = token.prepare(examples, tiny_tokenizer("bert"), max_length=50)
    with pytest.raises(InputError, match=rf"f\.conll:3: .*{message}"):
        token.gold(examples, features, LABELS)


def test_the_embedding_of_windows_weighs_every_word_alike() -> None:
    tokenizer = tiny_tokenizer("bert", family="word")
    example = words(*["fox"] * 15)
    features = token.prepare([example], tokenizer, max_length=12, stride=5, windows=True)
    means = np.array([[1.0], [0.0]], dtype=np.float32)
    embeddings, _, _ = token.summarise(
        [example], features, means, np.zeros((15, 3), dtype=np.float32), LABELS
    )
    assert embeddings[0, 0] == pytest.approx(8 / 15)


def test_score_compares_labels() -> None:
    gold = [("O", "B-PER"), ("B-PER", "I-PER")]
    told = [{"labels": ["O", "B-PER"], "scores": [1, 1]}, {"labels": ["O", "O"], "scores": [1, 1]}]
    assert token.score(gold, told)["f1"] == pytest.approx(2 / 3)
