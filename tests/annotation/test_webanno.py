"""WebAnno TSV: samples of the specification and of INCEpTION's tests, and hostile text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotation.worlds import NER, POS, accepted, bare, batches

from polymux.annotation import Answer, Batch, Item, checked
from polymux.annotation.webanno import load
from polymux.annotation.words import laid_out, spans_of
from polymux.errors import InputError

ENTITY = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|value"
ENTITY_AND_ID = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value"
TAG = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue|coarseValue"
SPAN = "#T_SP=webanno.custom.Span|value"
DEPENDENCY = (
    "#T_RL=de.tudarmstadt.ukp.dkpro.core.api.syntax.type.dependency.Dependency|DependencyType"
    "|BT_de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS"
)
RELATION = "#T_RL=webanno.custom.Relation|label|BT_webanno.custom.Span"
CHAIN = (
    "#T_CH=de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink|referenceType"
    "|referenceRelation"
)
SLOTS = (
    "#T_SP=webanno.custom.Frame|ROLE_webanno.custom.Frame:Roles_webanno.custom.FrameRolesLink"
    "|webanno.custom.Lu"
)
TEST = ("This", "is", "a", "test", ".")


def tsv(*lines: str, header: Sequence[str] = (SPAN,)) -> str:
    return "\n".join(["#FORMAT=WebAnno TSV 3.3", *header, "", "", *lines, ""])


def asked(*sentences: Sequence[str], labels: tuple[str, ...] = NER) -> Batch:
    items = [Item(f"s#{i}", {"tokens": tuple(words)}) for i, words in enumerate(sentences, 1)]
    return Batch("token-classification", labels, tuple(items))


def back(path: Path, batch: Batch, content: str | bytes) -> list[Answer | InputError]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(checked(batch, load(path, batch), path))


def labels(tmp_path: Path, batch: Batch, content: str) -> list[Any]:
    """The label of each answer, what is wrong with each that was refused."""
    found = back(tmp_path / "text.tsv", batch, content)
    return [one.label if isinstance(one, Answer) else one.what for one in found]


def one_word(value: str, header: str = SPAN) -> str:
    return tsv("#Text=This", f"1-1\t0-4\tThis\t{value}\t", header=[header])


def test_the_emoji_of_the_specification_is_two_units_wide(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=I like it 😊 .",
        "1-1\t0-1\tI\t_",
        "1-2\t2-6\tlike\t_",
        "1-3\t7-9\tit\t_",
        "1-4\t10-12\t😊\tPER",
        "1-5\t13-14\t.\t_",
    )
    batch = asked(("I", "like", "it", "😊", "."))
    assert labels(tmp_path, batch, sample) == [("O", "O", "O", "B-PER", "O")]


def test_a_span_over_words_has_one_number(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=🚀 Ada Lovelace Bo .",
        "1-1\t0-2\t🚀\t_\t",
        "1-2\t3-6\tAda\tPER[1]\t",
        "1-3\t7-15\tLovelace\tPER[1]\t",
        "1-4\t16-18\tBo\tPER\t",
        "1-5\t19-20\t.\tLOC[2]\t",
        header=[ENTITY],
    )
    batch = asked(("🚀", "Ada", "Lovelace", "Bo", "."))
    assert labels(tmp_path, batch, sample) == [("O", "B-PER", "I-PER", "B-PER", "B-LOC")]


def test_neighbours_with_two_numbers_are_two_spans(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=a b c d",
        "1-1\t0-1\ta\tPER[1]\t",
        "1-2\t2-3\tb\tPER[1]\t",
        "1-3\t4-5\tc\tPER[2]\t",
        "1-4\t6-7\td\tPER[2]\t",
    )
    expected = ("B-PER", "I-PER", "B-PER", "I-PER")
    assert labels(tmp_path, asked("abcd"), sample) == [expected]


def test_stacked_spans_are_refused(tmp_path: Path) -> None:
    """INCEpTION's testMultiTokenStackedSpanWithFeatureValue."""
    sample = tsv(
        "#Text=This is a test .",
        "1-1\t0-4\tThis\tPERSON[1]|LOCATION[2]\t",
        "1-2\t5-7\tis\tPERSON[1]|LOCATION[2]\t",
        "1-3\t8-9\ta\tPERSON[1]|LOCATION[2]\t",
        "1-4\t10-14\ttest\tPERSON[1]|LOCATION[2]\t",
        "1-5\t15-16\t.\tPERSON[1]|LOCATION[2]\t",
    )
    (error,) = back(tmp_path / "x.tsv", asked(TEST), sample)
    assert isinstance(error, InputError)
    assert error.what == "s#1: two spans lie over each other here: 'PERSON[1]|LOCATION[2]'"
    assert (error.file, error.line) == (str(tmp_path / "x.tsv"), 6)


def test_the_special_signs_of_a_value_are_read(tmp_path: Path) -> None:
    """INCEpTION's testTokenBoundedSpanWithSpecialSymbolsValue."""
    value = r"""#\*'"`´\t:\;{}\|\[ \]()\\§$%?=&\_\n"""
    sign = "#*'\"`´\t:;{}|[ ]()\\§$%?=&_\n"
    batch = asked(("This",), labels=(f"B-{sign}", f"I-{sign}", "O"))
    assert labels(tmp_path, batch, one_word(value)) == [(f"B-{sign}",)]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (r"\*", "*"),
        (r"\_", "_"),
        (r"a\_b", "a_b"),
        (r"\->x", "->x"),
        (r"x\[1\]", "x[1]"),
        (r"x\[1\][2]", "x[1]"),
        (r"x\\[3]", "x\\"),
        (r"a\|b", "a|b"),
        ("_x", "_x"),
        ("12", "12"),
    ],
)
def test_a_value_is_read_behind_its_backslashes(tmp_path: Path, value: str, label: str) -> None:
    batch = asked(("This",), labels=(f"B-{label}", "O"))
    assert labels(tmp_path, batch, one_word(value)) == [(f"B-{label}",)]


@pytest.mark.parametrize("value", ["*", "*[1]"])
def test_a_span_without_a_label_is_refused(tmp_path: Path, value: str) -> None:
    told = labels(tmp_path, asked(("This",)), one_word(value))
    assert told == ["s#1: a span has no label"]


def test_a_part_of_a_word_is_refused_as_a_span_that_cuts_it(tmp_path: Path) -> None:
    """INCEpTION's testSubTokenPrefix."""
    sample = tsv("#Text=Test", "1-1\t0-4\tTest\t_\t", "1-1.1\t0-1\tT\tOTH\t")
    assert labels(tmp_path, asked(("Test",)), sample) == ["s#1: the span 'T' cuts 'Test'"]


def test_a_span_that_begins_within_a_word_is_refused(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=aaaaaa bbbbbb cccccc",
        "1-1\t0-6\taaaaaa\t_\t",
        "1-1.1\t3-6\taaa\tPER[4]\t",
        "1-2\t7-13\tbbbbbb\tPER[4]\t",
        "1-3\t14-20\tcccccc\t_\t",
    )
    (told,) = labels(tmp_path, asked(("aaaaaa", "bbbbbb", "cccccc")), sample)
    assert told == "s#1: the span 'aaa bbbbbb' cuts 'aaaaaa bbbbbb'"


def test_words_of_the_tool_that_are_parts_of_ours_are_read_by_their_letters(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=New York-based",
        "1-1\t0-3\tNew\tLOC[1]\t",
        "1-2\t4-8\tYork\tLOC[1]\t",
        "1-3\t8-9\t-\t_\t",
        "1-4\t9-14\tbased\t_\t",
    )
    whole, apart = asked(("New", "York-based")), asked(("New York", "-", "based"))
    assert labels(tmp_path, whole, sample) == ["s#1: the span 'New York' cuts 'New York-based'"]
    assert labels(tmp_path, apart, sample) == [("B-LOC", "O", "O")]


def test_a_span_over_two_sentences_is_refused_in_both(tmp_path: Path) -> None:
    """INCEpTION's testCrossSentenceSpanWithoutFeatureValue, with a value."""
    sample = tsv(
        "#Text=He loves her .",
        "1-1\t0-2\tHe\t_\t",
        "1-2\t3-8\tloves\t_\t",
        "1-3\t9-12\ther\tPER[1]\t",
        "1-4\t13-14\t.\tPER[1]\t",
        "",
        "#Text=She .",
        "2-1\t15-18\tShe\tPER[1]\t",
        "2-2\t19-20\t.\t_\t",
        "",
        "#Text=He .",
        "3-1\t21-23\tHe\tPER[2]\t",
        "3-2\t24-25\t.\t_\t",
    )
    batch = asked(("He", "loves", "her", "."), ("She", "."), ("He", "."))
    assert labels(tmp_path, batch, sample) == [
        "s#1: a span goes on into another sentence",
        "s#2: a span goes on into another sentence",
        ("B-PER", "O"),
    ]


def test_sentences_are_known_by_their_ids(tmp_path: Path) -> None:
    """The form of INCEpTION's testSentenceId, with two texts alike, in another order."""
    sample = tsv(
        "#Sentence.id=s#2",
        "#Text=He loves .",
        "1-1\t0-2\tHe\tPER\t",
        "1-2\t3-8\tloves\t_\t",
        "1-3\t9-10\t.\t_\t",
        "",
        "#Sentence.id=s#1",
        "#Text=He loves .",
        "2-1\t11-13\tHe\t_\t",
        "2-2\t14-19\tloves\tLOC\t",
        "2-3\t20-21\t.\t_\t",
    )
    words = ("He", "loves", ".")
    found = back(tmp_path / "x.tsv", asked(words, words), sample)
    assert [(one.id, one.label) for one in found if isinstance(one, Answer)] == [
        ("s#2", ("B-PER", "O", "O")),
        ("s#1", ("O", "B-LOC", "O")),
    ]


def test_sentences_without_ids_keep_the_order_of_the_batch(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=x",
        "1-1\t0-1\tx\tPER\t",
        "",
        "#Sentence.id=of-the-tool",
        "#Text=y",
        "2-1\t2-3\ty\t_\t",
        "",
        "#Text=x",
        "3-1\t4-5\tx\tPER|LOC\t",
        "",
        "#Text=x",
        "4-1\t6-7\tx\tLOC\t",
        "",
        "#Text=x",
        "5-1\t8-9\tx\tLOC\t",
    )
    found = back(tmp_path / "x.tsv", asked("x", "x", "y", "x"), sample)
    # What is refused keeps its place too.
    assert [(one.id, one.label) for one in found if isinstance(one, Answer)] == [
        ("s#1", ("B-PER",)),
        ("s#3", ("O",)),
        ("s#4", ("B-LOC",)),
    ]
    assert [one.what for one in found if isinstance(one, InputError)] == [
        "s#2: two spans lie over each other here: 'PER|LOC'",
        "the sentence 'x' is none that waits for an answer",
    ]


def test_of_items_with_the_same_letters_the_one_with_these_words_is_meant(tmp_path: Path) -> None:
    sample = tsv("#Text=ab", "1-1\t0-1\ta\t_\t", "1-2\t1-2\tb\t_\t", "1-2.1\t1-2\tb\tLOC\t")
    whole, apart = (Item(n, {"tokens": w}, surface="ab") for n, w in (("w", ("ab",)), ("a", "ab")))
    apart = replace(apart, fields={"tokens": ("a", "b")})
    batch = Batch("token-classification", NER, (whole, apart))
    (answer,) = back(tmp_path / "x.tsv", batch, sample)
    assert isinstance(answer, Answer)
    assert (answer.id, answer.label) == ("a", ("O", "B-LOC"))


def test_a_sentence_that_changed_is_shown_in_both_versions(tmp_path: Path) -> None:
    sample = tsv(
        "#Text=He loved .",
        "1-1\t0-2\tHe\t_\t",
        "1-2\t3-8\tloved\t_\t",
        "1-3\t9-10\t.\t_\t",
        "",
        "#Sentence.id=s#2",
        "#Text=Shé .",
        "2-1\t11-14\tShé\t_\t",
        "2-2\t15-16\t.\t_\t",
    )
    assert labels(tmp_path, asked(("He", "loves", "."), ("She", ".")), sample) == [
        "the sentence 'He loved .' is none that waits for an answer; next is s#1: 'He loves .'",
        "s#2: tokens changed on the way: 'She .' was sent, 'Shé .' came back",
    ]


def test_other_spaces_between_the_words_are_no_change(tmp_path: Path) -> None:
    sample = tsv("#Text=He  loves", "1-1\t0-2\tHe\tPER\t", "1-2\t4-9\tloves\t_\t")
    item = Item("s#1", {"tokens": ("He", "loves")}, surface="Heloves")
    found = labels(tmp_path, Batch("token-classification", NER, (item,)), sample)
    assert found == [("B-PER", "O")]


def test_a_text_of_several_lines_and_its_controls_are_read(tmp_path: Path) -> None:
    sample = tsv(
        r"#Text=Bell\t, based\r",
        r"#Text=c:\\new",
        "1-1\t0-4\tBell\t_\t",
        "1-2\t5-6\t,\t_\t",
        "1-3\t7-12\tbased\t_\t",
        "1-4\t14-20\tc:\\new\tLOC\t",
    )
    item = Item("s#1", {"tokens": ("Bell", ",", "based", "c:\\new")})
    batch = Batch("token-classification", NER, (item,))
    assert labels(tmp_path, batch, sample) == [("O", "O", "O", "B-LOC")]


def test_a_word_with_a_tab_is_read_since_the_tool_does_not_hide_it(tmp_path: Path) -> None:
    sample = tsv(r"#Text=a\tb c", "1-1\t0-3\ta\tb\tPER\t", "1-2\t4-5\tc\t_\t")
    assert labels(tmp_path, asked(("a\tb", "c")), sample) == [("B-PER", "O")]


def test_windows_line_ends_and_a_byte_order_mark_are_no_change(tmp_path: Path) -> None:
    sample = tsv("#Text=He", "1-1\t0-2\tHe\tPER\t").replace("\n", "\r\n")
    found = back(tmp_path / "x.tsv", asked(("He",)), b"\xef\xbb\xbf" + sample.encode())
    assert [one.label for one in found if isinstance(one, Answer)] == [("B-PER",)]


@pytest.mark.parametrize(
    ("header", "values", "batch"),
    [
        ([ENTITY_AND_ID], "https://a.b[1]\tPER[1]", asked(("John",))),
        ([TAG, ENTITY_AND_ID], "NN\tNOUN\t*\tPER", asked(("John",))),
        ([TAG, ENTITY], "PER\tNOUN\t_", asked(("John",))),
        ([TAG, ENTITY], "NOUN\tNN\tPER", asked(("John",), labels=POS)),
        ([TAG, SPAN], "NN\tNOUN\tPER", asked(("John",))),
        ([SLOTS, SPAN], "seller;buyer\t2-1;2-3[4]\tPER", asked(("John",))),
        (["#T_SP=webanno.custom.Empty|", SPAN], "*\tPER", asked(("John",))),
        ([SPAN, RELATION], "PER\tlives in\t1-1", asked(("John",))),
        ([SPAN, CHAIN, DEPENDENCY], "PER\tpr[1]\tcoref->1-1\tP|ROOT\t1-5|1-3", asked(("John",))),
    ],
)
def test_the_layer_of_the_task_is_found_among_others(
    tmp_path: Path, header: list[str], values: str, batch: Batch
) -> None:
    sample = tsv("#Text=John", f"1-1\t0-4\tJohn\t{values}\t", header=header)
    expected = "NOUN" if batch.labels == POS else "O" if values.endswith("_") else "B-PER"
    assert labels(tmp_path, batch, sample) == [(expected,)]


@pytest.mark.parametrize("header", [[], [TAG], [CHAIN], ["#T_SP=webanno.custom.Empty|"]])
def test_no_layer_of_spans_says_that_there_are_none(tmp_path: Path, header: list[str]) -> None:
    values = "x\t" * "".join(header).count("|")
    sample = tsv("#Text=John", f"1-1\t0-4\tJohn\t{values}", header=header)
    assert labels(tmp_path, asked(("John",)), sample) == [("O",)]


def test_words_without_a_class_are_refused_where_each_has_one(tmp_path: Path) -> None:
    sample = tsv("#Text=John", "1-1\t0-4\tJohn\t_\t_\t", header=[TAG])
    told = labels(tmp_path, asked(("John",), labels=POS), sample)
    assert told == ["s#1: word 1, 'John', has no label"]


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    told = labels(tmp_path, asked(("This",)), one_word("ORG"))
    assert told == ["s#1: nobody may give the label 'B-ORG'"]


def test_offsets_in_code_points_are_refused(tmp_path: Path) -> None:
    sample = tsv("#Text=🚀 Ada", "1-1\t0-1\t🚀\t_\t", "1-2\t2-5\tAda\tPER\t")
    (told,) = labels(tmp_path, asked(("🚀", "Ada")), sample)
    assert told == (
        "s#1: the word '\\U0001f680' does not stand where it should in '\\U0001f680 Ada'"
    )


def test_the_annotator_is_the_file_of_a_projects_export(tmp_path: Path) -> None:
    batch, sample = asked(("This",)), one_word("PER")
    whos = [
        [one.annotator for one in back(tmp_path / place, batch, sample) if isinstance(one, Answer)]
        for place in ("annotation/a.txt/ada.tsv", "annotation/a.txt/bo.x@y.org.tsv", "a.tsv")
    ]
    assert whos == [["ada"], ["bo.x@y.org"], [None]]


def test_what_the_tool_was_given_is_nobodys_answer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody's answer"):
        back(tmp_path / "annotation/a.txt/INITIAL_CAS.tsv", asked(("This",)), one_word("_"))


@pytest.mark.parametrize(
    ("content", "told", "line"),
    [
        (b"", "the first line names no WebAnno TSV", 1),
        (b"#FORMAT=WebAnno TSV 3.1\n", "the first line names no WebAnno TSV", 1),
        (b"#FORMAT=WebAnno TSV 3.3\n\xff", "it is not UTF-8", None),
        (tsv("1-1\t0-4\tThis\t_\t").encode(), "a word stands before all sentences", 5),
        (
            tsv("#Text=a", header=[SPAN, "#T_SP=webanno.custom.Other|value|sure"]).encode(),
            "several layers could be the answer: webanno.custom.Span|value, webanno.custom.Other|",
            None,
        ),
    ],
)
def test_what_cannot_be_read_at_all_is_one_error(
    tmp_path: Path, content: bytes, told: str, line: int | None
) -> None:
    with pytest.raises(InputError) as caught:
        back(tmp_path / "x.tsv", asked(("This",)), content)
    assert caught.value.what.startswith(told)
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "x.tsv"), line)


def test_a_task_without_words_is_refused(tmp_path: Path) -> None:
    batch = Batch("text-classification", ("yes",), (Item("x", {"text": "This"}),))
    with pytest.raises(InputError, match="labels of words only"):
        back(tmp_path / "x.tsv", batch, one_word("_"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("This\tPER", "s#1: this is no line of a word"),
        ("1-1\t0-4\tThis", "s#1: there are 0 values for 1 columns"),
        ("1-1\t0-4\tThat\tPER\t", "s#1: the word 'That' does not stand where it should in 'This'"),
        ("1-1\t0-9\tThis\tPER\t", "s#1: the word 'This' does not stand where it should in 'This'"),
        ("", "s#1: it has no words"),
    ],
)
def test_a_bad_sentence_does_not_lose_the_others(tmp_path: Path, line: str, told: str) -> None:
    sample = tsv("#Text=This", line, "", "#Text=x", "2-1\t5-6\tx\tPER\t")
    assert labels(tmp_path, asked(("This",), "x"), sample) == [told, ("B-PER",)]


def hidden(value: str) -> str:
    """A value as INCEpTION's `Escaping.escapeValue` writes it."""
    for sign in ("\\", "[", "]", "|", "_", "->", ";", "*"):
        value = value.replace(sign, f"\\{sign}")
    return value


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def written(batch: Batch, *, ids: bool) -> str:
    """A batch as INCEpTION would export it when all labels are agreed with."""
    lines, begin, number = [], 0, 0
    for place, item in enumerate(batch.items, start=1):
        assert isinstance(item.label, tuple)
        text, places = laid_out(item)
        values = ["_"] * len(places)
        for span in spans_of(item.label, places, tagged=batch.tagged):
            inside = [i for i, (s, e) in enumerate(places) if s >= span.start and e <= span.end]
            number += len(inside) > 1
            for i in inside:
                values[i] = hidden(span.label) + (f"[{number}]" if len(inside) > 1 else "")
        lines += [f"#Sentence.id={item.id}"] * ids
        lines += [f"#Text={one}" for one in text.replace("\\", "\\\\").split("\n")]
        for i, ((start, end), value) in enumerate(zip(places, values, strict=True), start=1):
            first, last = begin + units(text[:start]), begin + units(text[:end])
            lines.append(f"{place}-{i}\t{first}-{last}\t{text[start:end]}\t{value}\t")
        lines.append("")
        begin += units(text) + 1
    return tsv(*lines)


@pytest.mark.parametrize("kind", ["ner", "pos"])
@given(data=st.data(), ids=st.booleans())
def test_what_was_agreed_with_comes_back(kind: str, data: st.DataObject, ids: bool) -> None:
    batch = data.draw(batches(kind))
    with TemporaryDirectory() as folder:
        found = back(Path(folder) / "x.tsv", batch, written(batch, ids=ids))
    assert bare(found) == accepted(batch)
