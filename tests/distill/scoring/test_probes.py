"""Probes: what is counted, what stays frozen, what the dev set decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models import tiny_model

from polymux.distill.results import cells
from polymux.distill.scoring import probes
from polymux.distill.scoring.probes import Probe, Seen, fit_probe, majority, matrix, see
from polymux.errors import InputError
from polymux.records import Example
from polymux.statistics import accuracy, paired_bootstrap
from polymux.tasks import metrics

TAGS = {
    "fox": "NOUN",
    "dog": "NOUN",
    "house": "NOUN",
    "runs": "VERB",
    "jumps": "VERB",
    "the": "DET",
}
NAMES = {"fox": "B-PER", "dog": "I-PER", "house": "B-LOC", "runs": "O", "jumps": "O", "the": "O"}
# The tokenizer of BERT drops it: no sub-word, no vector.
UNSEEN = "\u200b"


def words(tokens: Sequence[str], labels: Sequence[str] | None) -> Example:
    told = None if labels is None else tuple(labels)
    return Example("f#1", "f.conllu", 1, {"tokens": tuple(tokens)}, label=told)


def sentences(count: int, seed: int, tags: dict[str, str]) -> list[Example]:
    draw = np.random.default_rng(seed)
    chosen = [draw.choice(list(tags), size=draw.integers(2, 9)).tolist() for _ in range(count)]
    return [words(tokens, [tags[token] for token in tokens]) for tokens in chosen]


def corpus(seed: int, tags: dict[str, str] = TAGS) -> dict[str, list[Example]]:
    sizes = {"train": 60, "dev": 20, "test": 25}
    return {split: sentences(n, 10 * seed + i, tags) for i, (split, n) in enumerate(sizes.items())}


@pytest.fixture(scope="module", params=["modernbert", "bert"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    return load(tmp_path_factory.mktemp(request.param), request.param)


def load(folder: Path, kind: str) -> tuple[Any, Any]:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tiny_model(folder, "masked-lm", kind=kind)
    return AutoModelForMaskedLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory):
    return load(tmp_path_factory.mktemp("bert"), "bert")


def look(loaded: tuple[Any, Any], examples: Sequence[Example], **options: Any) -> Seen:
    return see(*loaded, examples, **{"max_length": 64, "autocast": torch.float32} | options)


def matrix_of(loaded: tuple[Any, Any], data: probes.Data, kind: str) -> probes.Matrix:
    return matrix(*loaded, data, kind, max_length=64, train_words=1000)


def test_a_vector_is_the_last_hidden_state_at_the_first_subword(loaded) -> None:
    model, tokenizer = loaded
    example = words(["fox", "Kopfschmerzen", "runs"], ["a", "b", "c"])
    shorter = words(["dog"], ["a"])
    seen = look(loaded, [shorter, example])
    assert seen.gold == ["a", "a", "b", "c"]
    assert seen.example.tolist() == [0, 1, 1, 1]
    assert seen.word.tolist() == [0, 0, 1, 2]
    lead = " " if tokenizer.backend_tokenizer.decoder.__class__.__name__ == "ByteLevel" else ""
    tokens = [lead + token for token in example.fields["tokens"]]
    plain = tokenizer(tokens, is_split_into_words=True, return_tensors="pt")
    first = [plain.word_ids().index(i) for i in range(3)]
    assert plain.word_ids().count(1) > 1, "this word is not cut: the test shows nothing"
    with torch.no_grad():
        hidden = model.base_model(**plain).last_hidden_state[0].numpy()
    np.testing.assert_allclose(seen.vectors[1:], hidden[first], atol=1e-4)


def test_looking_changes_no_weight_and_drops_nothing_out(bert) -> None:
    model, _ = bert
    assert model.config.hidden_dropout_prob > 0
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.train()
    examples = sentences(20, 0, TAGS)
    first, again = look(bert, examples), look(bert, examples)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    matrix_of(bert, {"a": corpus(1)}, "pos")
    assert all(torch.equal(weight, before[n]) for n, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_bfloat16_sees_nearly_the_same(loaded) -> None:
    examples = sentences(10, 0, TAGS)
    exact, rough = (look(loaded, examples, autocast=t) for t in (torch.float32, torch.bfloat16))
    assert rough.vectors.dtype == np.float32
    apart = np.abs(exact.vectors - rough.vectors).mean()
    assert 0 < apart < 0.05 * np.abs(exact.vectors).mean()


def test_a_long_sentence_is_seen_whole(loaded) -> None:
    tokens = ["fox", "dog", "runs"] * 20
    seen = look(loaded, [words(tokens, ["x"] * 60)], max_length=12)
    assert seen.word.tolist() == list(range(60))


@pytest.mark.parametrize(("kind", "expected"), [("pos", [1, 3]), ("ner", [1, 1, 2])])
def test_a_word_that_is_not_seen_is_counted_and_wrong(bert, kind: str, expected: list[int]) -> None:
    tags = {"pos": TAGS, "ner": NAMES}[kind]
    data = corpus(1, tags)
    hidden = {"pos": "NOUN", "ner": "B-LOC"}[kind]
    data["test"] = [words([UNSEEN, "house", UNSEEN], [hidden, tags["house"], tags["the"]])]
    assert look(bert, data["test"]).word.tolist() == [1]
    found = matrix_of(bert, {"a": data}, kind)
    assert found.counts["a", "a"].tolist() == [expected]


def test_what_can_be_told_apart_is(tmp_path: Path) -> None:
    loaded = load(tmp_path, "modernbert")
    found = matrix_of(loaded, {"a": corpus(1), "b": corpus(2)}, "pos")
    np.testing.assert_array_equal(found.scores, np.ones((2, 2)))
    names = matrix_of(loaded, {"a": corpus(1, NAMES)}, "ner")
    assert names.scores.tolist() == [[1]]


@pytest.mark.parametrize("kind", ["pos", "ner"])
def test_scores_are_those_of_the_task_on_the_same_predictions(bert, kind: str) -> None:
    tags = {"pos": TAGS, "ner": NAMES}[kind]
    # The other language gives two words each other's tags, so that they are wrong.
    turned = tags | {"house": tags["runs"], "runs": tags["house"]}
    data = {"a": corpus(1, tags), "b": corpus(2, turned)}
    found = matrix_of(bert, data, kind)
    assert found.languages == ("a", "b")
    for row, source in enumerate(data):
        own = [look(bert, data[source][split]) for split in ("train", "dev")]
        probe = fit_probe(*own, kind)
        for column, target in enumerate(data):
            said = iter(probe.says(look(bert, data[target]["test"]).vectors))
            gold = [example.label for example in data[target]["test"]]
            told = [[next(said) for _ in labels] for labels in gold]
            main = next(iter(metrics.tags(gold, told).values()))
            assert found.scores[row, column] == pytest.approx(main)
            assert len(found.counts[source, target]) == len(gold)
    assert 0 < found.scores[0, 1] < found.scores[0, 0]


def test_every_split_is_encoded_once(bert, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {name: corpus(i) for i, name in enumerate("abc")}
    calls: list[int] = []

    def counted(model: Any, tokenizer: Any, examples: Any, **options: Any) -> Seen:
        calls.append(id(examples))
        return see(model, tokenizer, examples, **options)

    monkeypatch.setattr(probes, "see", counted)
    matrix_of(bert, data, "pos")
    assert len(calls) == sum(len(own) for own in data.values())


def toy(vectors: np.ndarray, labels: Sequence[str]) -> Seen:
    """A sentence of one word for each vector."""
    place = np.arange(len(vectors))
    told = tuple((label,) for label in labels)
    return Seen(vectors.astype(np.float32), place, np.zeros_like(place), told)


def test_the_dev_set_of_the_source_decides_the_penalty() -> None:
    draw = np.random.default_rng(0)

    def noisy(count: int) -> Seen:
        vectors = draw.normal(size=(count, 40))
        towards = vectors[:, 0] + 2 * draw.normal(size=count)
        return toy(vectors, np.where(towards > 0, "x", "y").tolist())

    train, fresh = noisy(60), noisy(4000)
    remembered = fit_probe(train, train, "pos")
    general = fit_probe(train, fresh, "pos")
    assert remembered.strength > general.strength

    def right(probe: Probe) -> float:
        return float(
            np.mean([a == b for a, b in zip(probe.says(fresh.vectors), fresh.gold, strict=True)])
        )

    assert right(general) > right(remembered)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_probe_equals_scikit_learns_on_standardised_vectors(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(300, 8)) * 10 ** np.arange(-2, 6, dtype=float) + 3
    labels = [f"t{i}" for i in (vectors[:, 2:6] / vectors[:, 2:6].std(0)).argmax(1) % classes]
    probe = fit_probe(toy(vectors, labels), toy(vectors, labels), "pos")
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=probe.strength, tol=1e-3))
    told = plain.fit(vectors.astype(np.float32), labels).predict(vectors.astype(np.float32))
    assert np.mean(np.array(probe.says(vectors.astype(np.float32))) == told) > 0.99


def test_a_probe_standardises_by_what_it_learned_from() -> None:
    seen = toy(np.array([[0.0], [2], [0], [2]]), ["a", "b", "a", "b"])
    probe = fit_probe(seen, seen, "pos")
    assert probe.labels == ("a", "b")
    assert probe.mean.tolist() == [1]


def test_training_words_are_counted_in_whole_sentences(bert, monkeypatch) -> None:
    sizes: dict[int, int] = {}

    def counted(model: Any, tokenizer: Any, examples: Any, **options: Any) -> Seen:
        sizes[len(sizes)] = sum(len(example.label) for example in examples)
        return see(model, tokenizer, examples, **options)

    monkeypatch.setattr(probes, "see", counted)
    own = corpus(1, TAGS)
    first = len(own["train"][0].label)
    matrix(*bert, {"a": own}, "pos", max_length=64, train_words=first + 1)
    assert sizes[0] == first


def test_a_source_of_one_tag_says_it_of_everything() -> None:
    seen = toy(np.ones((3, 2)), ["x", "x", "x"])
    assert fit_probe(seen, seen, "pos").says(np.zeros((2, 2))) == ["x", "x"]


def test_the_majority_is_that_of_the_source_and_outside_for_names() -> None:
    data = {
        "a": {"train": [words("pqr", "NNV")], "dev": [], "test": [words("pq", "NV")]},
        "b": {"train": [words("pqr", "VVN")], "dev": [], "test": [words("pqrs", "VVVN")]},
    }
    found = majority(data, "pos")
    assert found.scores.tolist() == [[0.5, 0.25], [0.5, 0.75]]
    assert found.counts["a", "b"].tolist() == [[1, 4]]
    names = {"a": corpus(1, NAMES)}
    assert majority(names, "ner").scores.tolist() == [[0]]
    there = sum(label.startswith("B") for e in names["a"]["test"] for label in e.label or ())
    assert majority(names, "ner").counts["a", "a"].sum(axis=0)[2] >= there


def test_a_sentence_without_labels_is_refused(bert) -> None:
    with pytest.raises(InputError, match="no labels"):
        look(bert, [words(["fox"], None)])


def test_groups_of_a_matrix_are_means_of_its_diagonal_or_of_what_leads_into_them() -> None:
    languages = ["a", "b", "c"]
    percents = {"aa": 90, "ab": 10, "ac": 20, "ba": 30, "bb": 80, "bc": 40, "ca": 50, "cb": 60}
    counts = {
        (s, t): np.array([[percents.get(s + t, 70), 100]]) for s in languages for t in languages
    }
    nothing = {cell: np.array([[0, 100]]) for cell in counts}

    def mean(group: list[str], transfer: str) -> float:
        chosen = cells(languages, group, transfer)
        return paired_bootstrap({0: counts}, {0: nothing}, chosen, accuracy, resamples=2).ours

    assert mean(["a", "b"], "in-language") == pytest.approx((0.9 + 0.8) / 2)
    assert mean(languages, "in-language") == pytest.approx((0.9 + 0.8 + 0.7) / 3)
    assert mean(["a"], "zero-shot") == pytest.approx((0.3 + 0.5) / 2)
    assert mean(["b", "c"], "zero-shot") == pytest.approx((0.1 + 0.6 + 0.2 + 0.4) / 4)
    assert mean(languages, "zero-shot") == pytest.approx(2.1 / 6)
