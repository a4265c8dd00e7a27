"""What lies between empty lines: comments by key."""

from __future__ import annotations

import time

import pytest

from polymux.readers.blocks import Block, comments


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("# text = a = b: c", {"text": "a = b: c"}),
        ("#text=foo", {"text": "foo"}),
        ("# text  =  two spaces before the sign ", {"text": "two spaces before the sign"}),
        ("# sent_id s-p1", {"sent_id": "s-p1"}),
        ("# newdoc id = x", {"newdoc": "id = x"}),
        ("# newpar", {"newpar": ""}),
        ("# text_en: hello = there", {"text_en": "hello = there"}),
        ("# global.columns = ID FORM", {"global.columns": "ID FORM"}),
        ("# key =", {"key": ""}),
        ("# words only", {"comments": ["# words only"]}),
        ("# = no key", {"comments": ["# = no key"]}),
        ("#", {"comments": ["#"]}),
    ],
)
def test_comments_are_found_by_key(line: str, found: dict[str, object]):
    assert comments(Block([(1, line)], [])) == found


@pytest.mark.parametrize("line", ["#{}x", "# text{}x", "# a{0}b{0}x", "# sent_id{0}= x{0}y"])
def test_a_run_of_spaces_costs_no_more_than_its_length(line: str):
    long = Block([(1, line.format(" " * 200_000))], [])
    start = time.perf_counter()
    comments(long)
    assert time.perf_counter() - start < 1.0
