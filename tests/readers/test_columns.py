"""CoNLL columns with the oddities of real corpora."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.errors import InputError
from polymux.readers import read
from polymux.records import Example, Pool


def pool(path: Path, content: str, **options: object) -> Pool:
    path = path / "a.bio"
    path.write_bytes(content.encode())
    return read(path, task="token-classification", **options)


def only(path: Path, content: str, **options: object) -> Example:
    [example] = pool(path, content, **options)
    return example


def test_tokens_of_spaces_and_of_a_byte_order_mark_survive(tmp_path: Path):
    example = only(tmp_path, "นาย\tB-PER\n \tI-PER\n   \tO\nสม ชัย\tO\n\ufeffก\tO\n\ufeff\tO\n\n")
    assert example.fields["tokens"] == ("นาย", " ", "   ", "สม ชัย", "\ufeffก", "\ufeff")
    assert example.label == ("B-PER", "I-PER", "O", "O", "O", "O")


def test_hashtags_at_the_start_of_a_line_are_tokens(tmp_path: Path):
    example = only(tmp_path, "#Aszkarov\tB-PER\n#\tO\n#tag\tO\n\n")
    assert example.fields["tokens"] == ("#Aszkarov", "#", "#tag")


def test_hashtags_are_tokens_between_spaces_too(tmp_path: Path):
    example = only(tmp_path, "# intent: greet\n#Aszkarov B-PER\n# O\nsays O\n\n")
    assert example.fields["tokens"] == ("#Aszkarov", "#", "says")
    assert example.extra == {"intent": "greet"}


def test_the_second_column_is_the_token_where_the_first_counts(tmp_path: Path):
    content = (
        "# id = 1\n# intent = weather/find\n# text-en = Is it: rain?\n# text = Werds heid\n"
        "1\tWerds\tweather/find\tO\n2\theid\tweather/find\tB-datetime\n\n"
        "# id: 2\n1\t1\tx\tO\n\n"
    )
    first, second = pool(tmp_path, content)
    assert first.fields["tokens"] == ("Werds", "heid")
    assert first.label == ("O", "B-datetime")
    assert first.source_id == "1"
    assert first.extra == {
        "intent": "weather/find",
        "text-en": "Is it: rain?",
        "text": "Werds heid",
    }
    assert (second.fields["tokens"], second.source_id, second.line) == (("1",), "2", 8)


def test_numbers_that_do_not_count_are_tokens(tmp_path: Path):
    first, second = pool(tmp_path, "1\tO\n2\tO\n\n7\tO\n\n")
    assert (first.fields["tokens"], second.fields["tokens"]) == (("1", "2"), ("7",))


def test_intents_of_the_same_file_are_labels_of_texts(tmp_path: Path):
    path = tmp_path / "a.conll"
    path.write_text("# intent = greet\nhello\tO\nyou\tO\n\n")
    [example] = read(path, task="text-classification")
    assert (example.fields, example.label) == ({"text": "hello you"}, "greet")


def test_columns_between_spaces_and_document_starts(tmp_path: Path):
    content = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n"
        "-DOCSTART- -X- -X- O\nPeter NNP B-NP B-PER\n"
    )
    first, second = pool(tmp_path, content)
    assert first.fields["tokens"] == ("EU", "rejects")
    assert first.label == ("B-ORG", "O")
    assert second.fields["tokens"] == ("Peter",)
    example = next(iter(pool(tmp_path, content, fields={"labels": "2"})))
    assert example.label == ("NNP", "VBZ")


def test_no_break_spaces_do_not_separate(tmp_path: Path):
    assert only(tmp_path, "10\u00a0000 O\n\u3000x O\n\n").fields["tokens"] == (
        "10\u00a0000",
        "\u3000x",
    )


def test_words_alone_have_no_labels(tmp_path: Path):
    for content in ("eins\nzwei\n\n", "eins\t\nzwei\t\n\n"):
        example = only(tmp_path, content)
        assert (example.fields["tokens"], example.label) == (("eins", "zwei"), None)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O B-X I-X B-X O B-Y", "BIO"),
        ("O I-X I-X B-X O I-Y", "IOB1"),
        ("O B-X L-X U-Y O", "BILOU"),
        ("O B-X I-X E-X S-Y", "BIOES"),
        ("O B-X M-X E-X S-Y", "BMES"),
        ("DET NOUN VERB", "none"),
    ],
)
def test_the_scheme_is_found_and_told_and_tags_stay(tags: str, scheme: str, tmp_path: Path):
    content = "".join(f"w\t{tag}\n" for tag in tags.split()) + "\n"
    found = pool(tmp_path, content)
    assert [e.label for e in found] == [tuple(tags.split())]
    assert f"{tmp_path / 'a.bio'}: tag scheme: {scheme}" in found.notes


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("a\tB-X\n\nb\tO\nc\tI-X\n\n", 4, "'I-X' cannot follow 'O' in BIO"),
        ("a\tB-X\nb\tI-Y\nc\tB-X\nd\tO\ne\tB-Z\n\n", 2, "'I-Y' cannot follow 'B-X' in BIO"),
        ("a\tB-X\nb\tI-X\nc\tB-Y\nd\tX-\n\n", 4, "'X-' is no BIO tag"),
        ("a\tI-X\n\nb\tI-Y\nc\tB-X\n\n", 4, "'B-X' cannot follow 'I-Y' in IOB1"),
        ("a\tS-X\nb\tB-X\nc\tO\n\n", 3, "'O' cannot follow 'B-X' in BIOES"),
        ("a\tU-X\nb\tB-X\n\n", 2, "'B-X' cannot end a sentence in BILOU"),
        ("a\tO\nb\tB-X\tmore\nc\tO\n\n", 2, "3 columns where the others have 2"),
        ("a\tO\n\tO\nc\tO\n\n", 2, "the word is empty"),
        ("a\tO\nb\t\nc\tO\n\n", 2, "the tag is empty"),
        ("a\tO\n# late\nc\tO\n\n", 2, "1 columns where the others have 2"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(
    content: str, line: int, what: str, tmp_path: Path
):
    with pytest.raises(InputError, match=what) as error:
        list(pool(tmp_path, content))
    assert error.value.line == line
    assert error.value.hint


@pytest.mark.parametrize("look", [4, 4_000])
def test_counting_that_breaks_off_is_refused_with_its_line(
    look: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("polymux.readers.columns._LOOK", look)
    content = "1\ta\tO\n2\tb\tO\n\n" * 3 + "1\tc\tO\n3\td\tO\n\n"
    with pytest.raises(InputError, match="word '3' where 2 should be") as error:
        list(pool(tmp_path, content))
    assert error.value.line == 11


def test_a_sentence_on_one_line_is_refused_clearly(tmp_path: Path):
    path = tmp_path / "train.iob"
    path.write_text(
        "BOS fly to dallas EOS\tO O O B-toloc atis_flight\n"
        "BOS round trip EOS\tO B-round_trip I-round_trip atis_flight\n"
    )
    with pytest.raises(InputError, match="a whole sentence on one line") as error:
        list(read(path, task="token-classification"))
    assert error.value.line == 1
    assert "one word and its tag a line" in error.value.hint


def test_a_column_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="numbers from 1 to 2"):
        list(pool(tmp_path, "a\tO\n\n", fields={"labels": "NER"}))


def test_skipped_sentences_keep_the_numbers_of_the_others(tmp_path: Path):
    found = pool(tmp_path, "a\tO\n\nb\tO\tx\n\nc\tO\n\n", on_error="skip")
    assert [e.id for e in found] == ["a.bio#1", "a.bio#3"]
    assert len(found.rejected) == 1


WORD = st.text(
    st.characters(exclude_characters="\t\n\r\x00", exclude_categories=["Cs", "Cc"]), min_size=1
)


@given(words=st.lists(WORD, min_size=1, max_size=4))
def test_any_words_between_tabs_read_back(
    words: list[str], tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("columns")
    content = "".join(f"{word}\tO\n" for word in ["visible", *words]) + "\n"
    assert only(folder, content).fields["tokens"] == ("visible", *words)
