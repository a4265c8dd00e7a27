"""From a start model and labelled examples to a model on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models import tiny_model
from tests.train.worlds import KINDS_OF_WORD, LABELS, example, pool, start
from transformers import AutoModelForTokenClassification, AutoTokenizer

from polymux.encoders import Model
from polymux.errors import InputError, ModelError, UsageError, UserError, WorkError
from polymux.evaluate import evaluate
from polymux.folders import claimed
from polymux.records import Example, Pool, PoolFile
from polymux.train import Trained, train

TASKS = tuple(LABELS)
TOKEN = "token-classification"


def quickly(model: Path, data: Pool, out: Path, **options: object) -> Trained:
    settings: dict[str, object] = {"epochs": 2, "lr": 1e-3, "batch_size": 4, "device": "cpu"}
    return train(model, data, out, **(settings | options))  # type: ignore[arg-type]


def weights(folder: Path) -> torch.Tensor:
    saved = load_file(folder / "model.safetensors")
    return torch.cat([saved[name].flatten() for name in sorted(saved)])


class StoppedError(Exception):
    pass


def stop_after(updates: int) -> Callable[[str, int, int | None], None]:
    def progress(stage: str, done: int, total: int | None) -> None:
        if done == updates:
            raise StoppedError

    return progress


@pytest.mark.parametrize("task", TASKS)
def test_a_tiny_model_learns_twenty_examples_by_heart(task: str, tmp_path: Path) -> None:
    data = pool(task)
    body = tiny_model(tmp_path / "body", "none", kind="modernbert")
    before = start(tmp_path / "start", task, kind="modernbert")
    made = quickly(body, data, tmp_path / "out", epochs=25, lr=3e-3)
    scored = evaluate(
        Model(made.path, task=task, device="cpu"),
        data,
        start=Model(before, task=task, device="cpu"),
    )
    assert scored.average[scored.main] > 0.95
    assert scored.start_average is not None
    assert scored.start_average[scored.main] < 0.9
    losses = made.manifest["epoch_losses"]
    assert losses[-1] < losses[0] / 5


def test_the_folder_is_one_that_transformers_loads(tmp_path: Path) -> None:
    body = tiny_model(tmp_path / "body", "none")
    made = quickly(body, pool(TOKEN), tmp_path / "out")
    model = AutoModelForTokenClassification.from_pretrained(made.path)
    assert tuple(model.config.id2label.values()) == made.labels == KINDS_OF_WORD
    assert model.config.label2id == {label: i for i, label in enumerate(KINDS_OF_WORD)}
    assert AutoTokenizer.from_pretrained(made.path)("the fox")["input_ids"]
    assert json.loads((made.path / "training.json").read_text()) == made.manifest
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_the_manifest_says_what_decided_the_weights(tmp_path: Path) -> None:
    body = tiny_model(tmp_path / "body", "none")
    made = quickly(body, pool(TOKEN), tmp_path / "out", seed=22, max_length=16).manifest
    assert made["recipe"] == {
        "lr": 1e-3,
        "batch_size": 4,
        "epochs": 2,
        "steps": None,
        "accumulation": 1,
        "warmup": 0.1,
        "schedule": "linear",
        "weight_decay": 0.0,
        "betas": [0.9, 0.999],
        "clip": None,
        "precision": "float32",
        "optimizer": "adamw",
        "bucketed": False,
        "seed": 22,
    }
    assert (made["task"], made["preset"], made["max_length"]) == (TOKEN, "xlm-r/udpos", 16)
    assert (made["examples"], made["updates"], made["new_head"]) == (20, 10, True)
    assert made["start"] == str(body)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    body = tiny_model(tmp_path / "body", "none")
    first, again, other = (
        weights(quickly(body, pool(TOKEN), tmp_path / name, seed=seed).path)
        for name, seed in (("first", 2), ("again", 2), ("other", 22))
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_accumulated_batches_train_like_whole_ones(tmp_path: Path) -> None:
    """A model without dropout: what remains is the rounding of sums in another order."""
    head = start(tmp_path / "start", TOKEN, kind="modernbert")
    whole, parts = (
        quickly(head, pool(TOKEN), tmp_path / str(size), batch_size=size, accumulation=8 // size)
        for size in (8, 2)
    )
    assert whole.manifest["updates"] == parts.manifest["updates"] == 6
    moved = (weights(whole.path) - weights(head)).abs().max()
    assert (weights(whole.path) - weights(parts.path)).abs().max() < 0.05 * moved


def test_bucketed_batches_learn_as_well(tmp_path: Path) -> None:
    body = tiny_model(tmp_path / "body", "none", kind="modernbert")
    made = quickly(body, pool(TOKEN), tmp_path / "out", bucketed=True, epochs=15, lr=3e-3)
    assert made.manifest["recipe"]["bucketed"]
    assert made.manifest["epoch_losses"][-1] < 0.3


def test_one_example_is_enough_and_the_head_keeps_labels_it_lacks(tmp_path: Path) -> None:
    head = start(tmp_path / "start", TOKEN)
    one = Pool.of([example(1, TOKEN, ("fox", "dog"))], TOKEN)
    made = quickly(head, one, tmp_path / "out", epochs=1)
    assert made.labels == KINDS_OF_WORD
    assert not made.manifest["new_head"]
    assert made.manifest["updates"] == 1
    assert not torch.equal(weights(head), weights(made.path))


def test_labels_the_start_model_lacks_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    head = tiny_model(tmp_path / "start", TOKEN, labels=("NOUN", "X"))
    with pytest.raises(ModelError, match=r"labels: ADJ, DET, VERB \(it knows: NOUN, X\)") as caught:
        quickly(head, pool(TOKEN), tmp_path / "out")
    assert "--labels" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_given_labels_make_a_new_head(tmp_path: Path) -> None:
    head = tiny_model(tmp_path / "start", TOKEN, labels=("NOUN", "X"))
    labels = ("X", *KINDS_OF_WORD)
    made = quickly(head, pool(TOKEN), tmp_path / "out", labels=labels)
    assert made.labels == labels
    assert made.manifest["new_head"]
    assert Model(made.path, task=TOKEN).labels == labels


def test_span_labels_of_a_new_head_are_completed(tmp_path: Path) -> None:
    body = tiny_model(tmp_path / "body", "none")
    one = replace(example(1, TOKEN, ("fox", "runs")), label=("B-ANIMAL", "O"))
    made = quickly(body, Pool.of([one], TOKEN), tmp_path / "out", epochs=1)
    assert made.labels == ("B-ANIMAL", "I-ANIMAL", "O")


def test_unlabelled_examples_are_left_out_and_told(tmp_path: Path) -> None:
    head = start(tmp_path / "start", TOKEN)
    labelled = list(pool(TOKEN))
    mixed = [replace(e, label=None) if i % 4 == 0 else e for i, e in enumerate(labelled)]
    made = quickly(head, Pool.of(mixed, TOKEN), tmp_path / "mixed")
    rest = Pool.of([e for e in mixed if e.label is not None], TOKEN)
    assert made.manifest["unlabelled"] == 5
    assert "5 examples without a label were left out" in made.notes
    assert torch.equal(weights(made.path), weights(quickly(head, rest, tmp_path / "rest").path))


def test_nothing_labelled_is_an_error(tmp_path: Path) -> None:
    bare = Pool.of([replace(e, label=None) for e in pool(TOKEN)], TOKEN, name="train")
    with pytest.raises(InputError, match="none of the 20 examples of train has a label") as caught:
        quickly(start(tmp_path / "start", TOKEN), bare, tmp_path / "out")
    assert "'labels'" in caught.value.hint


def test_another_number_of_labels_than_words_names_file_and_line(tmp_path: Path) -> None:
    bad = replace(example(7, TOKEN, ("fox", "runs")), label=("NOUN",))
    with pytest.raises(InputError, match="2 words have 1 labels") as caught:
        quickly(start(tmp_path / "start", TOKEN), Pool.of([bad], TOKEN), tmp_path / "out")
    assert caught.value.place == "w.jsonl:7"


def test_words_beyond_the_longest_row_are_not_trained_on_and_told(tmp_path: Path) -> None:
    head = start(tmp_path / "start", TOKEN)
    long = example(1, TOKEN, ("the", "quick", "fox") * 20)
    other = replace(long, label=(*long.label[:30], *("VERB",) * 30))  # type: ignore[index]
    made = [
        quickly(head, Pool.of([e], TOKEN), tmp_path / str(i), max_length=12)
        for i, e in enumerate((long, other))
    ]
    assert torch.equal(weights(made[0].path), weights(made[1].path))
    assert made[0].manifest["truncated"] == 1
    assert made[0].manifest["lost"] > 40
    assert "1 examples are longer than the rows" in made[0].notes[0]


def test_a_loss_that_is_not_finite_fails_and_writes_nothing(tmp_path: Path) -> None:
    head = start(tmp_path / "start", TOKEN)
    with pytest.raises(WorkError) as caught:
        quickly(head, pool(TOKEN), tmp_path / "out", lr=1e38, epochs=10)
    assert "--lr" in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", TASKS)
def test_an_interrupted_training_goes_on_to_the_same_model(task: str, tmp_path: Path) -> None:
    head = start(tmp_path / "start", task)
    undisturbed = quickly(head, pool(task), tmp_path / "undisturbed")
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        quickly(head, pool(task), out, checkpoint_seconds=0.0, progress=stop_after(4))
    assert not out.exists()
    resumed = quickly(head, pool(task), out, resume=True)
    assert resumed.manifest["resumed_at"] == 4
    assert torch.equal(weights(resumed.path), weights(undisturbed.path))
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_checkpoint_of_other_data_is_refused_and_without_resume_forgotten(
    tmp_path: Path,
) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    with pytest.raises(StoppedError):
        quickly(head, pool(TOKEN), out, checkpoint_seconds=0.0, progress=stop_after(4))
    with pytest.raises(UsageError, match="other settings or other data"):
        quickly(head, pool(TOKEN, seed=1), out, resume=True)
    anew = quickly(head, pool(TOKEN, seed=1), out)
    assert anew.manifest["resumed_at"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": -1.0},
        {"seed": -1},
        {"stride": -5},
        {"max_length": 2},
        {"labels": ("other", "words")},
        {"device": "tpu"},
        {"trackers": ("nothing-of-the-kind",)},
    ],
    ids=str,
)
def test_a_checkpoint_outlives_a_run_that_is_refused(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    with pytest.raises(StoppedError):
        quickly(head, pool(TOKEN), out, checkpoint_seconds=0.0, progress=stop_after(4))
    with pytest.raises(UserError):
        quickly(head, pool(TOKEN), out, **wrong)
    assert quickly(head, pool(TOKEN), out, resume=True).manifest["resumed_at"] == 4


def test_what_the_model_sees_nothing_in_is_skipped_where_bad_examples_are(tmp_path: Path) -> None:
    head = start(tmp_path / "start", TOKEN)
    invisible = Example("w#99", "w.jsonl", 99, {"tokens": ("\u200b",)}, ("NOUN",))
    examples = [*pool(TOKEN, 4), invisible]
    with pytest.raises(InputError, match=r"w\.jsonl:99: the model sees none"):
        quickly(head, Pool.of(examples, TOKEN), tmp_path / "stopped")
    skipping = Pool(TOKEN, [PoolFile("w.jsonl", lambda: iter(examples))], skip_bad=True)
    made = quickly(head, skipping, tmp_path / "out")
    assert (made.manifest["examples"], made.manifest["rejected"]) == (4, 1)


def test_resuming_what_is_finished_gives_it_back(tmp_path: Path) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    made = quickly(head, pool(TOKEN), out)
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert quickly(head, pool(TOKEN), out, resume=True) == made
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="trained with other settings or on other data"):
        quickly(head, pool(TOKEN), out, resume=True, lr=2e-3)


def test_a_folder_that_is_not_empty_is_refused_before_the_work_and_force_spares_strangers(
    tmp_path: Path,
) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        quickly(head, pool(TOKEN), out, progress=stop_after(1))
    made = quickly(head, pool(TOKEN), out, force=True)
    assert (out / "mine.txt").read_text() == "mine"
    assert Model(made.path, task=TOKEN).labels == KINDS_OF_WORD


def test_a_second_training_of_a_folder_is_told_at_once_and_spares_the_checkpoint_of_the_first(
    tmp_path: Path,
) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    with pytest.raises(StoppedError):
        quickly(head, pool(TOKEN), out, checkpoint_seconds=0.0, progress=stop_after(4))
    with claimed(out), pytest.raises(UsageError, match="another polymux is working"):
        quickly(head, pool(TOKEN), out)
    assert quickly(head, pool(TOKEN), out, resume=True).manifest["resumed_at"] == 4


def test_scores_of_the_model_before_do_not_stand_beside_new_weights(tmp_path: Path) -> None:
    head, out = start(tmp_path / "start", TOKEN), tmp_path / "out"
    made = quickly(head, pool(TOKEN), out, epochs=1)
    evaluate(Model(made.path, task=TOKEN, device="cpu"), pool(TOKEN), out=out / "dev")
    (out / "dev" / "mine.txt").write_text("mine")
    with pytest.raises(StoppedError):
        quickly(head, pool(TOKEN), out, force=True, progress=stop_after(1))
    assert (out / "dev" / "evaluation.json").is_file()
    quickly(head, pool(TOKEN), out, force=True)
    assert [path.name for path in (out / "dev").iterdir()] == ["mine.txt"]


def test_spans_have_no_labels_to_give(tmp_path: Path) -> None:
    head = start(tmp_path / "start", "question-answering")
    with pytest.raises(UsageError, match="no labels"):
        quickly(head, pool("question-answering"), tmp_path / "out", labels=("a", "b"))


def test_a_new_head_for_spans_stands_on_a_body_that_had_many_labels(tmp_path: Path) -> None:
    tagger = start(tmp_path / "start", TOKEN)
    made = quickly(tagger, pool("question-answering"), tmp_path / "out", epochs=1)
    assert made.manifest["new_head"]
    assert Model(made.path, task="question-answering").labels == ()
