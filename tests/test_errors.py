"""Errors travel between processes as they are."""

from __future__ import annotations

import pickle

import pytest

from polymux import errors
from polymux.errors import PolymuxError

TREE = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PolymuxError)
]


@pytest.mark.parametrize("kind", TREE)
def test_an_error_is_the_same_after_pickling(kind: type[PolymuxError]) -> None:
    for error in (kind("what", "hint"), kind("what", "hint", file="a.conllu", line=7)):
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is kind
        assert vars(back) == vars(error)
        assert str(back) == str(error)
