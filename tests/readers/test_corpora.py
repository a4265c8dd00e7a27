"""The real corpora, whole: every example is read, or refused with its line."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from polymux.errors import InputError
from polymux.readers import read

pytestmark = pytest.mark.data
TOKENS, TEXT, QUESTION = "token-classification", "text-classification", "question-answering"
SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def table(data: Path) -> dict[tuple[str, str], int]:
    """Examples by corpus and `language split`, as INDEX.md says."""
    counts: dict[tuple[str, str], int] = {}
    corpus = ""
    for line in (data / "INDEX.md").read_text("utf-8").split("\n"):
        if heading := re.match(r"#+ (\w+)", line):
            corpus = heading[1]
        cells = [cell.strip() for cell in line.split("|")[1:5]]
        if len(cells) == 4 and all(cell.isdigit() or cell == "-" for cell in cells[1:]):
            for split, cell in zip(SPLITS, cells[1:], strict=True):
                if cell.isdigit():
                    counts[corpus, f"{cells[0]} {split}"] = int(cell)
    return counts


# A process of its own reads them: without the checks of types at run time that tests have, which
# make reading some twenty times slower.
COUNT = """
import json, pathlib, sys
from collections import Counter
from polymux.readers import read
pool = read(sys.argv[1], task=sys.argv[2], language="folder", on_error="skip")
counts = Counter(f"{e.language} {pathlib.Path(e.file).name.partition('.')[0]}" for e in pool)
places = [(bad.file, bad.line) for bad in pool.rejected]
json.dump([counts, places], sys.stdout)
"""


def count(data: Path, name: str, task: str) -> tuple[Counter[str], list[tuple[str, int]]]:
    """Examples and rejections by `language split`, and the places of the rejections."""
    command = [sys.executable, "-c", COUNT, str(data / name), task]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counts, places = json.loads(out)
    found = Counter(counts)
    for file, _ in places:
        found[f"{Path(file).parent.name} {Path(file).name.partition('.')[0]}"] += 1
    return found, places


@pytest.mark.parametrize(
    ("name", "task", "rejected"),
    [
        ("udpos", TOKENS, 0),
        ("ner", TOKENS, 0),
        ("slots", TOKENS, 8),  # words that are empty
        ("nli", TEXT, 0),
        ("qa", QUESTION, 109),  # questions that are empty
        ("xquad", QUESTION, 0),
        ("arcd", QUESTION, 0),
    ],
)
def test_every_example_of_every_language_is_there_or_refused_with_its_line(
    name: str, task: str, rejected: int, data: Path, table: dict[tuple[str, str], int]
):
    counts, places = count(data, name, task)
    assert counts == {place: n for (corpus, place), n in table.items() if corpus == name}
    assert len(places) == rejected
    assert all(line for _, line in places)


def test_every_topic_of_every_language_is_there(data: Path):
    counts, places = count(data, "topics", TEXT)
    rows = {"train": 701, "dev": 99, "test": 204}
    expected = {
        f"{folder.name} {split}": n
        for folder in (data / "topics").iterdir()
        for split, n in rows.items()
    }
    assert counts == {**expected, "sat train": 700}
    assert places == []


def test_quoted_topics_are_clean(data: Path):
    texts = [str(e.fields["text"]) for e in read(data / "topics/en/train.tsv.xz", task=TEXT)]
    assert sum('"' in text for text in texts) == 41
    assert not any('""' in text for text in texts)


def words(path: Path) -> list[str]:
    return [word for e in read(path, task=TOKENS) for word in e.fields["tokens"]]


def test_thai_tokens_of_spaces_and_byte_order_marks_are_there(data: Path):
    tokens = words(data / "ner/th/dev.bio.xz")
    with lzma.open(data / "ner/th/dev.bio.xz", "rt", encoding="utf-8", newline="\n") as raw:
        expected = [line.partition("\t")[0] for line in raw if line != "\n"]
    assert tokens == expected
    assert sum(token.isspace() for token in tokens) > 1000


def test_vietnamese_forms_keep_their_spaces(data: Path):
    assert sum(" " in token for token in words(data / "udpos/vi")) == 11440


@pytest.mark.parametrize("language", ["ha", "ja", "ur"])
def test_tokens_that_begin_with_a_hash_are_there(language: str, data: Path):
    path = data / "ner" / language / "dev.bio.xz"
    with lzma.open(path) as raw:
        expected = sum(line.startswith(b"#") for line in raw)
    assert sum(token.startswith("#") for token in words(path)) == expected > 0


def test_one_line_sentences_of_atis_are_refused_clearly(data: Path):
    with pytest.raises(InputError, match="a whole sentence on one line"):
        list(read(data / "atis/en/train.iob.xz", task=TOKENS))
