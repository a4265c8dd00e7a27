"""Scores by language and predictions on disk, against models whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from seqeval.metrics import f1_score, precision_score, recall_score
from tests.models import LABELS, tiny_model

from polymux.encoders import Model
from polymux.errors import InputError, UsageError, WorkError
from polymux.evaluate import Evaluation, evaluate, label, predict
from polymux.readers import read
from polymux.records import LABEL_FIELD, Example, Pool, PoolFile

TOKEN, TEXT, QA = "token-classification", "text-classification", "question-answering"
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "near", "house"]


def token(number: int, words: list[str], labels: list[str] | None, language: str | None) -> Example:
    told = None if labels is None else tuple(labels)
    return Example(f"t#{number}", "t.conll", number, {"tokens": tuple(words)}, told, language)


def names(count: int, language: str | None, first: int = 1) -> list[Example]:
    """Sentences in which every third word is a person."""
    made = []
    for i in range(count):
        words = (WORDS[i % 7 :] + WORDS)[: 4 + i % 8]
        labels = ["B-PER" if j % 3 == 1 else "O" for j in range(len(words))]
        made.append(token(first + i, words, labels, language))
    return made


def model_of(folder: Path, task: str = TOKEN, **options: object) -> Model:
    return Model(folder, task=task, device="cpu", **options)  # type: ignore[arg-type]


@pytest.fixture
def tagger(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tagger", TOKEN, seed=3)


def always(folder: Path, number: int) -> Path:
    """The same model, but for a head that always says one label."""
    file = folder / "model.safetensors"
    saved = load_file(file)
    saved["classifier.weight"] *= 0
    saved["classifier.bias"] *= 0
    saved["classifier.bias"][number] = 9.0
    save_file(saved, file, metadata={"format": "pt"})
    return folder


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_model_that_says_o_writes_o_and_gold_stands_beside_it_d18(
    tagger: Path, tmp_path: Path
) -> None:
    pool = Pool.of(names(9, "en"), TOKEN)
    scored = evaluate(model_of(always(tagger, 0)), pool, out=tmp_path / "out")
    told = lines(tmp_path / "out" / "predictions.jsonl")
    assert {word for line in told for word in line["predicted"]["labels"]} == {"O"}  # type: ignore[index]
    assert [tuple(line["labels"]) for line in told] == [e.label for e in pool]  # type: ignore[arg-type]
    assert scored.average["f1"] == 0.0


def test_precision_and_recall_are_not_exchanged_d18(tagger: Path) -> None:
    """Every word a person: all of them found, most of what is found wrong."""
    scored = evaluate(model_of(always(tagger, 1)), Pool.of(names(9, "en"), TOKEN))
    assert scored.average["recall"] == 1.0
    assert scored.average["precision"] == pytest.approx(
        sum(e.label.count("B-PER") for e in names(9, "en"))  # type: ignore[union-attr]
        / sum(len(e.fields["tokens"]) for e in names(9, "en"))
    )


def test_scores_are_seqevals_language_by_language_and_the_mean_is_plain(
    tagger: Path, tmp_path: Path
) -> None:
    pool = Pool.of([*names(30, "en"), *names(5, "ur", 31), *names(12, "sw", 36)], TOKEN)
    scored = evaluate(model_of(tagger), pool, out=tmp_path / "out")
    told = lines(tmp_path / "out" / "predictions.jsonl")
    for language in ("en", "sw", "ur"):
        gold = [line["labels"] for line in told if line["language"] == language]
        said = [line["predicted"]["labels"] for line in told if line["language"] == language]  # type: ignore[index]
        assert scored.languages[language]["f1"] == pytest.approx(f1_score(gold, said))
        assert scored.languages[language]["precision"] == pytest.approx(precision_score(gold, said))
        assert scored.languages[language]["recall"] == pytest.approx(recall_score(gold, said))
    assert dict(scored.examples) == {"en": 30, "sw": 12, "ur": 5}
    f1 = {language: scores["f1"] for language, scores in scored.languages.items()}
    by_size = sum(f1[language] * n for language, n in scored.examples.items()) / 47
    assert scored.average["f1"] == pytest.approx(sum(f1.values()) / 3)
    assert scored.average["f1"] != pytest.approx(by_size)


def test_a_language_scores_the_same_whatever_stands_beside_it_d24(tagger: Path) -> None:
    model = model_of(tagger)
    alone = evaluate(model, Pool.of(names(5, "ur"), TOKEN))
    beside = evaluate(model, Pool.of([*names(30, "en"), *names(5, "ur", 31)], TOKEN))
    assert beside.languages["ur"] == alone.languages["ur"]


@pytest.mark.parametrize("task", [TOKEN, TEXT, QA])
def test_no_batch_changes_a_prediction_or_counts_one_twice_d23(task: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, task, seed=1)
    fields = {
        TOKEN: lambda words: {"tokens": tuple(words)},
        TEXT: lambda words: {"text": " ".join(words)},
        QA: lambda words: {"question": "who ?", "context": " ".join(words)},
    }[task]
    examples = [Example(f"x#{i}", "x", i, fields((WORDS * 3)[: 1 + 5 * i % 31])) for i in range(23)]
    model = model_of(folder, task)
    said = [label(model_of(folder, task, batch_tokens=n), examples) for n in (1, 100, 10000)]
    key = LABEL_FIELD[task]
    alone = [label(model, [example])[0][key] for example in examples]
    assert all([line[key] for line in one] == alone for one in said)


def test_every_word_of_a_long_sentence_is_predicted_and_scored(tagger: Path) -> None:
    words = (WORDS * 20)[:200]
    long = token(1, words, ["B-PER"] * 200, "en")
    model = model_of(always(tagger, 1), max_length=16, stride=4)
    said = label(model, [long])[0]
    assert said["labels"] == ["B-PER"] * 200
    assert min(said["scores"]) > 0.9
    assert evaluate(model, Pool.of([long], TOKEN)).average["f1"] == 1.0


def test_a_word_that_the_model_cannot_see_is_scored_as_o(tagger: Path) -> None:
    seen, unseen = token(1, ["fox"], ["B-PER"], "en"), token(2, ["\u200b"], ["B-PER"], "en")
    model = model_of(always(tagger, 1))
    assert label(model, [seen, unseen])[1]["labels"] == ["O"]
    assert evaluate(model, Pool.of([seen, unseen], TOKEN)).average["recall"] == 0.5
    assert label(model, [unseen])[0] == {"labels": ["O"], "scores": [0.0]}


def test_a_question_without_a_visible_context_is_skipped_where_bad_examples_are(
    tmp_path: Path,
) -> None:
    model = model_of(tiny_model(tmp_path / "qa", QA), QA)
    answer = {"text": ["fox"], "answer_start": [4]}
    good = Example("q#1", "q.json", 1, {"question": "who", "context": "the fox"}, answer)
    blind = replace(good, id="q#2", line=2, fields={"question": "who", "context": "\u200b"})
    files = [PoolFile("q.json", lambda: iter([good, blind]))]
    for run in (evaluate, lambda m, pool: predict(m, pool, tmp_path / "stopped.jsonl")):
        with pytest.raises(InputError, match=r"q\.json:2: the context is empty"):
            run(model, Pool(QA, files))
    for out in (None, tmp_path / "out"):
        pool = Pool(QA, files, skip_bad=True)
        assert evaluate(model, pool, start=model, out=out).examples == {"all": 1}
        assert [error.line for error in pool.rejected] == [2]
    pool = Pool(QA, files, skip_bad=True)
    assert predict(model, pool, tmp_path / "told.jsonl") == 1
    assert [error.line for error in pool.rejected] == [2]


def test_a_word_that_the_model_cannot_see_is_no_bad_example(tagger: Path) -> None:
    unseen = token(2, ["\u200b"], ["B-PER"], "en")
    pool = Pool(TOKEN, [PoolFile("t.conll", lambda: iter([unseen]))], skip_bad=True)
    assert evaluate(model_of(tagger), pool).examples == {"en": 1}


def test_numbers_that_are_not_finite_name_the_example(tagger: Path) -> None:
    file = tagger / "model.safetensors"
    saved = load_file(file)
    saved["classifier.bias"] *= float("nan")
    save_file(saved, file, metadata={"format": "pt"})
    with pytest.raises(WorkError, match="not finite") as caught:
        evaluate(model_of(tagger), Pool.of(names(3, "en", 5), TOKEN))
    assert caught.value.place == "t.conll:5"


def test_the_start_model_stands_beside_with_the_difference(tagger: Path, tmp_path: Path) -> None:
    pool = Pool.of([*names(9, "en"), *names(9, "ur", 10)], TOKEN)
    start = model_of(always(tiny_model(tmp_path / "start", TOKEN, seed=3), 1))
    scored = evaluate(model_of(tagger), pool, start=start, out=tmp_path / "out")
    alone = evaluate(start, pool)
    assert scored.start_languages == alone.languages
    assert scored.start_average == alone.average
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert told == json.loads(json.dumps(scored.record))
    for language in ("en", "ur"):
        assert told["difference"][language]["f1"] == pytest.approx(
            scored.languages[language]["f1"] - alone.languages[language]["f1"]
        )
    assert told["start"]["model"] == start.path
    first = lines(tmp_path / "out" / "predictions.jsonl")[0]
    assert set(first["start"]["labels"]) == {"B-PER"}  # type: ignore[index]


def test_a_start_model_of_other_labels_is_scored_as_the_model_is(
    tagger: Path, tmp_path: Path
) -> None:
    """A model of parts of speech beside one of names: both by the gold labels."""
    words = [token(i, ["fox", "jumps"], ["NOUN", "VERB"], "en") for i in range(1, 4)]
    other = tiny_model(tmp_path / "words", TOKEN, labels=("NOUN", "VERB"))
    beside = model_of(always(tagger, 1))
    for examples in (words, names(9, "en")):
        scored = evaluate(model_of(other), Pool.of(examples, TOKEN), start=beside)
        assert scored.record["difference"].keys() == {"en"}
        assert scored.start_average is not None
        assert scored.start_average.keys() == scored.average.keys()


def test_a_model_beside_itself_differs_by_nothing(tagger: Path) -> None:
    model = model_of(tagger)
    scored = evaluate(model, Pool.of(names(9, "en"), TOKEN), start=model)
    assert set(scored.record["difference"]["en"].values()) == {0.0}


def test_unlabelled_examples_are_counted_and_left_out(tagger: Path) -> None:
    bare = [replace(e, label=None) for e in names(4, "en", 10)]
    model = model_of(tagger)
    scored = evaluate(model, Pool.of([*names(9, "en"), *bare], TOKEN))
    assert scored.unlabelled == 4
    assert scored.languages == evaluate(model, Pool.of(names(9, "en"), TOKEN)).languages
    with pytest.raises(InputError, match="none of the 4 examples of test has a label"):
        evaluate(model, Pool.of(bare, TOKEN, name="test"))


def test_languages_that_nobody_gave_are_one_and_missing_ones_are_named(tagger: Path) -> None:
    model = model_of(tagger)
    assert list(evaluate(model, Pool.of(names(3, None), TOKEN)).languages) == ["all"]
    mixed = Pool.of([*names(3, None), *names(3, "en", 4)], TOKEN)
    assert list(evaluate(model, mixed).languages) == ["en", "unknown"]
    said = Pool.of([*names(3, None), *names(3, "unknown", 4), *names(3, "en", 7)], TOKEN)
    assert evaluate(model, said).examples == {"en": 3, "unknown": 6}


def test_another_number_of_labels_than_words_names_file_and_line(tagger: Path) -> None:
    bad = token(7, ["the", "fox"], ["O"], "en")
    with pytest.raises(InputError, match="2 words have 1 labels") as caught:
        evaluate(model_of(tagger), Pool.of([bad], TOKEN))
    assert caught.value.place == "t.conll:7"


def test_another_task_is_refused(tagger: Path, tmp_path: Path) -> None:
    texts = Pool.of([Example("x#1", "x", 1, {"text": "fox"}, "yes")], TEXT)
    with pytest.raises(UsageError, match="loaded for token-classification"):
        evaluate(model_of(tagger), texts)
    with pytest.raises(UsageError, match="loaded for token-classification"):
        predict(model_of(tagger), texts, tmp_path / "out.jsonl")


def test_a_failure_midway_leaves_nothing_behind(tagger: Path, tmp_path: Path) -> None:
    def broken() -> Iterator[Example | InputError]:
        yield from names(3, "en")
        yield InputError("broken", "mend it", file="t.conll", line=4)

    pool = Pool(TOKEN, [PoolFile("t.conll", broken)])
    for work in (
        lambda: evaluate(model_of(tagger), pool, out=tmp_path / "out"),
        lambda: predict(model_of(tagger), pool, tmp_path / "out.jsonl"),
    ):
        with pytest.raises(InputError, match="broken"):
            work()
    assert [path.name for path in tmp_path.iterdir()] == ["tagger"]


def test_a_folder_that_is_not_empty_is_refused(tagger: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    pool = Pool.of(names(3, "en"), TOKEN)
    with pytest.raises(UsageError, match="not empty"):
        evaluate(model_of(tagger), pool, out=tmp_path / "out")
    evaluate(model_of(tagger), pool, out=tmp_path / "out", force=True)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


EXAMPLES: dict[str, Example] = {
    TOKEN: token(1, ["the", "fox,", '"😀"', "ग़ज़ल", "=1+1"], None, "hi"),
    TEXT: Example("x#1", "x", 1, {"text": "the fox\tjumps", "text_pair": 'near "the" house\n'}),
    QA: Example("q#1", "q", 1, {"question": "who jumps ?", "context": "  the quick fox jumps"}),
}


@pytest.mark.parametrize("task", [TOKEN, TEXT, QA])
def test_what_is_predicted_reads_back_as_a_labelled_file(task: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", task)
    model = model_of(folder, task)
    example = EXAMPLES[task]
    out = tmp_path / "told" / "out.jsonl"
    assert predict(model, Pool.of([example], task), out) == 1
    (back,) = read(out, task=task, language="language" if example.language else None)
    assert back.fields == example.fields
    said = label(model, [example])[0][LABEL_FIELD[task]]
    assert back.label == (tuple(said) if task == TOKEN else said)
    assert (back.source_id, back.language) == (example.id, example.language)
    if task != QA:
        known = set(LABELS[task])
        assert set(back.label if task == TOKEN else [back.label]) <= known  # type: ignore[arg-type]


def test_a_label_that_was_there_is_kept_beside_the_predicted_one(
    tagger: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    predict(model_of(always(tagger, 0)), Pool.of(names(1, "en"), TOKEN), out)
    (line,) = lines(out)
    assert line["labels"] == ["O", "O", "O", "O"]
    assert line["gold"] == ["O", "B-PER", "O", "O"]


def test_a_file_that_is_there_is_replaced_only_by_force(tagger: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    pool = Pool.of(names(2, "en"), TOKEN)
    with pytest.raises(UsageError, match="is there already"):
        predict(model_of(tagger), pool, out)
    assert out.read_text() == "mine"
    assert predict(model_of(tagger), pool, out, force=True) == 2
    assert len(lines(out)) == 2


def test_the_mean_is_of_scores_that_every_language_has() -> None:
    scored = Evaluation(
        TOKEN, "m", {"en": {"f1": 0.5, "accuracy": 1.0}, "ur": {"accuracy": 0.5}}, {}, 0
    )
    assert scored.average == {"accuracy": 0.75}


def test_progress_counts_examples(tagger: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    pool = Pool.of(names(1200, "en"), TOKEN)
    evaluate(model_of(tagger), pool, progress=lambda *told: seen.append(told))
    assert seen == [
        ("predicting", 512, None),
        ("predicting", 1024, None),
        ("predicting", 1200, None),
    ]


def test_gold_labels_that_the_model_does_not_know_are_counted(tagger: Path) -> None:
    examples = [*names(3, None), token(9, ["the", "fox"], ["O", "B-PRESON"], None)]
    scored = evaluate(model_of(tagger), Pool.of(examples, TOKEN))
    assert scored.strangers == {"B-PRESON": 1}
    assert scored.record["strangers"] == {"B-PRESON": 1}
    assert evaluate(model_of(tagger), Pool.of(names(3, None), TOKEN)).strangers == {}
