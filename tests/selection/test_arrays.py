"""What `select_encoded` refuses at the door, by the name of the argument."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest
from tests.selection.worlds import world

from polymux.errors import UsageError
from polymux.selection import STRATEGIES, select_encoded
from polymux.selection.arrays import vector_hashes

W = world(20, targets=4, dim=3)
GOOD = {
    "source_embeddings": W.embeddings,
    "source_uncertainty": W.uncertainty,
    "target_embeddings": W.target,
    "languages": W.languages,
    "quotas": {"aa": 1},
}


@pytest.fixture(autouse=True)
def as_a_user_has_it() -> Iterator[None]:
    """Without the checks of shapes that only the tests make."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[7 % len(changed)] = value
    return changed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_embeddings", W.embeddings[0]),
        ("source_embeddings", W.embeddings[:0]),
        ("source_embeddings", W.embeddings[:, :0]),
        ("source_embeddings", W.embeddings.astype(str)),
        ("source_embeddings", with_one(W.embeddings, np.nan)),
        ("source_embeddings", with_one(W.embeddings, np.inf)),
        ("source_embeddings", with_one(W.embeddings.astype(np.float64), 1e200)),
        ("source_uncertainty", W.uncertainty[:-1]),
        ("source_uncertainty", W.uncertainty[:, None]),
        ("source_uncertainty", with_one(W.uncertainty, -np.inf)),
        ("target_embeddings", W.target[:0]),
        ("target_embeddings", W.target[:, :2]),
        ("target_embeddings", W.target[0]),
        ("target_embeddings", with_one(W.target, np.nan)),
        ("languages", W.languages[:-1]),
        ("target_languages", ("aa",)),
        ("keys", W.hashes[:-1]),
        ("keys", W.hashes.astype(np.float64)),
    ],
)
@pytest.mark.parametrize("strategy", ["round-robin", "average-dist", "egalitarian"])
def test_what_does_not_fit_is_refused_by_name(strategy: str, name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        select_encoded(**{**GOOD, name: value}, budget=19, strategy=strategy)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "gold"])
@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8])
def test_any_kind_of_number_is_taken(strategy: str, kind: type) -> None:
    whole = np.round(W.embeddings * 20)
    changed = {"source_embeddings": whole.astype(kind), "source_uncertainty": np.arange(20)}
    arguments = {"budget": 9, "strategy": strategy}
    got = select_encoded(**{**GOOD, **changed}, **arguments)
    changed["source_embeddings"] = whole
    assert got.tolist() == select_encoded(**{**GOOD, **changed}, **arguments).tolist()


def test_equal_vectors_have_equal_hashes_and_others_have_not() -> None:
    vectors = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    first, second, third = vector_hashes(vectors).tolist()
    assert first == second != third
    assert vector_hashes(vectors.astype(np.float64)).tolist() == [first, second, third]
