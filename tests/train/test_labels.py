"""Which labels a trained model gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from polymux.errors import InputError, ModelError, UsageError
from polymux.train.labels import decide_labels, read_labels

START = ("O", "B-PER", "I-PER")


def test_a_trained_head_keeps_its_labels_even_those_the_data_lack() -> None:
    assert decide_labels({"O"}, start=START, given=None) == (START, False)


def test_labels_that_the_start_model_lacks_are_refused_with_both_lists() -> None:
    with pytest.raises(ModelError) as caught:
        decide_labels({"O", "B-LOC"}, start=START, given=None)
    assert "labels: B-LOC (it knows: B-PER, I-PER, O)" in caught.value.what
    assert "--labels" in caught.value.hint


def test_given_labels_make_a_new_head_in_their_order() -> None:
    given = ("O", "B-LOC", "I-LOC")
    assert decide_labels({"B-LOC"}, start=START, given=given) == (given, True)
    assert decide_labels({"B-LOC"}, start=None, given=given) == (given, True)


def test_given_labels_that_are_the_start_models_keep_its_head() -> None:
    assert decide_labels({"O"}, start=START, given=tuple(reversed(START))) == (START, False)


def test_data_with_labels_that_the_file_lacks_are_refused() -> None:
    with pytest.raises(InputError, match=r"lacks: B-ORG \(--labels has: B-LOC, O\)"):
        decide_labels({"B-ORG", "O"}, start=START, given=("O", "B-LOC"))


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        ({"B-PER"}, ("B-PER", "I-PER", "O")),
        ({"O", "I-LOC", "B-PER"}, ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")),
        ({"VERB", "NOUN"}, ("NOUN", "VERB")),
        ({"B-movie", "drama"}, ("B-movie", "drama")),
        ({"no", "yes", "O"}, ("O", "no", "yes")),
    ],
    ids=["one tag", "tags", "classes", "a class like a tag", "a class O"],
)
def test_without_a_head_the_data_decide_and_spans_are_completed(
    found: set[str], labels: tuple[str, ...]
) -> None:
    assert decide_labels(found, start=None, given=None) == (labels, True)


def test_one_label_is_too_few_to_learn_from() -> None:
    with pytest.raises(UsageError, match="one label only: yes") as caught:
        decide_labels({"yes"}, start=None, given=None)
    assert "--labels" in caught.value.hint


def test_a_file_gives_one_label_a_line_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufeffno\n\n  yes \nशायद\n", encoding="utf-8")
    assert read_labels(file) == ("no", "yes", "शायद")


def test_a_label_given_twice_names_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("no\nyes\nno\n")
    with pytest.raises(InputError, match="stands in line 1 already") as caught:
        read_labels(file)
    assert caught.value.place == f"{file}:3"


@pytest.mark.parametrize("text", ["", "\n\n", "only\n"])
def test_a_file_with_fewer_than_two_labels_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_text(text)
    with pytest.raises(InputError, match="needs two at least"):
        read_labels(file)


def test_a_file_that_is_not_utf8_names_the_line_and_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(b"no\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"byte 4 of the line \(0xE9\) is not UTF-8") as caught:
        read_labels(file)
    assert caught.value.place == f"{file}:2"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file") as caught:
        read_labels(tmp_path / "labels.txt")
    assert caught.value.file == str(tmp_path / "labels.txt")
