"""CoNLL-U with the oddities of real treebanks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymux.errors import InputError
from polymux.readers import read
from polymux.records import Example

REST = "\t_\t_\t_\t_\t_"


def sentences(path: Path, content: str, **options: object) -> list[Example]:
    path = path / "a.conllu"
    path.write_bytes(content.encode())
    return list(read(path, task="token-classification", **options))


def rows(*words: str) -> str:
    return "".join(f"{i}\t{word}\t_\tX\t_{REST}\n" for i, word in enumerate(words, 1)) + "\n"


def test_ranges_and_empty_nodes_are_no_words(tmp_path: Path):
    content = (
        f"1\tIch\t_\tPRON\t_{REST}\n"
        f"2-3\tzum\t_\t_\t_{REST}\n"
        f"2\tzu\t_\tADP\t_{REST}\n"
        f"3\tdem\t_\tDET\t_{REST}\n"
        f"3.1\tgehe\t_\tVERB\t_{REST}\n"
        f"4\tHaus\t_\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
        f"5\t.\t_\tPUNCT\t_{REST}\n\n"
    )
    [example] = sentences(tmp_path, content)
    assert example.fields == {"tokens": ("Ich", "zu", "dem", "Haus", ".")}
    assert example.label == ("PRON", "ADP", "DET", "NOUN", "PUNCT")
    assert example.extra["text"] == "Ich zum Haus."


def test_the_space_after_a_range_is_that_of_the_range(tmp_path: Path):
    content = (
        "1-2\tdu\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
        f"1\tde\t_\tADP\t_{REST}\n2\tle\t_\tDET\t_{REST}\n3\t!\t_\tPUNCT\t_{REST}\n\n"
    )
    assert sentences(tmp_path, content)[0].extra["text"] == "du!"


def test_inner_spaces_and_underscores_are_words(tmp_path: Path):
    [example] = sentences(tmp_path, rows("1 100,0", "học sinh", "_"))
    assert example.fields["tokens"] == ("1 100,0", "học sinh", "_")


def test_comments_are_fields_and_none_is_needed(tmp_path: Path):
    content = (
        "# newdoc\n# sent_id s-p1\n"
        + rows("بغداد")
        + "# sent_id = s2\n# text = One: two = 2\n# odd one\n"
        + rows("One")
        + rows("रामायण")
    )
    first, second, third = sentences(tmp_path, content)
    assert (first.source_id, first.line) == ("s-p1", 1)
    assert second.extra == {"text": "One: two = 2", "comments": ["# odd one"]}
    assert (second.source_id, third.source_id) == ("s2", None)
    assert [e.line for e in (second, third)] == [5, 10]


def test_words_that_look_like_comments_are_words(tmp_path: Path):
    assert sentences(tmp_path, rows("#", "#tag"))[0].fields["tokens"] == ("#", "#tag")


def test_normal_forms_are_kept_as_they_are(tmp_path: Path):
    words = ("o\u0323\u0300", "ọ̀", "\u1ecd\u0300")
    assert sentences(tmp_path, rows(*words))[0].fields["tokens"] == words


def test_another_column_can_be_the_label(tmp_path: Path):
    content = "1\tHaus\thaus\tNOUN\tNN\tCase=Nom\t0\troot\t_\t_\n\n"
    for column, label in (("XPOS", "NN"), ("LEMMA", "haus"), ("DEPREL", "root"), ("UPOS", "NOUN")):
        [example] = sentences(tmp_path, content, fields={"labels": column})
        assert example.label == (label,)
    [example] = sentences(tmp_path, content, fields={"tokens": "LEMMA"})
    assert example.fields["tokens"] == ("haus",)
    with pytest.raises(InputError, match="no column 'NER'") as error:
        sentences(tmp_path, content, fields={"labels": "NER"})
    assert "XPOS" in error.value.hint


def test_tags_that_nobody_filled_in_are_no_labels(tmp_path: Path):
    [example] = sentences(tmp_path, f"1\ta\t_\t_\t_{REST}\n2\tb\t_\t_\t_{REST}\n\n")
    assert example.label is None


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("1\tone\t_\tX\n\n", 1, "4 columns instead of ten"),
        (rows("one") + f"1\ta\t_\tX\t_{REST}\n3\tb\t_\tX\t_{REST}\n\n", 4, "ID '3' where 2"),
        (f"1\t\t_\tX\t_{REST}\n\n", 1, "word 1 is empty"),
        (f"1\ta\t_\tX\t_{REST}\n# late comment\n\n", 2, "1 columns instead of ten"),
        (f"1\ta\t_\tX\t_{REST}\n7-8\tb\t_\tX\t_{REST}\n\n", 2, "ID '7-8' where 2"),
        (f"8.1\ta\t_\tX\t_{REST}\n\n", 1, "no word in this example"),
    ],
)
def test_what_is_not_conllu_is_refused_with_its_line(
    content: str, line: int, what: str, tmp_path: Path
):
    with pytest.raises(InputError, match=what) as error:
        sentences(tmp_path, content)
    assert error.value.line == line


def test_the_last_sentence_needs_no_empty_line_after_it(tmp_path: Path):
    assert len(sentences(tmp_path, (rows("one") + rows("two")).rstrip())) == 2
    assert len(sentences(tmp_path, "\n\n" + rows("one").replace("\n", "\r\n") + "\r\n\r\n")) == 1


WORD = st.text(
    st.characters(exclude_characters="\t\n\r\x00", exclude_categories=["Cs", "Cc"]), min_size=1
)


@given(words=st.lists(WORD, min_size=1, max_size=4))
def test_any_words_read_back(words: list[str], tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("conllu")
    [example] = sentences(folder, rows("visible", *words))
    assert example.fields["tokens"] == ("visible", *words)
