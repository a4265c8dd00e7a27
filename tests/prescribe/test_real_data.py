"""The main job on real corpora: permuted, batched and threaded otherwise, it is the same choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models import tiny_model

import polymux as pm
from polymux.prescribe import select_many
from polymux.records import Pool

STRATEGIES = ["average-dist", "uncertainty", "knn-uncertainty", "uncertainty-knn", "round-robin"]
BUDGETS = [50, 200]
# Embeddings of two runs agree within 1e-5 of their norm, probabilities within 1e-5.
TOLERANCE = 1e-5

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def pools(data: Path) -> tuple[Pool, Pool]:
    source = pm.read(
        *(data / "udpos" / name / "dev.conllu.xz" for name in ("hi", "fa", "eu")),
        task="token-classification",
        language="folder",
    )
    target = pm.read(data / "udpos/ur/dev.conllu.xz", task="token-classification", name="target")
    return source, target


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, pools: tuple[Pool, Pool]) -> Path:
    words = [example.text for pool in pools for example in pool]
    return tiny_model(
        tmp_path_factory.mktemp("model"),
        "token-classification",
        ["NOUN", "VERB", "ADP", "PUNCT"],
        kind="xlm-roberta",
        sample=words[::5],
        sharpness=8.0,
    )


@pytest.fixture(scope="module")
def usual(model_folder: Path, pools: tuple[Pool, Pool]):
    return chosen(model_folder, *pools)


def chosen(folder: Path, source: Pool, target: Pool, **options: int):
    model = pm.Model(folder, task="token-classification", device="cpu", **options)
    return select_many(model, source, target, budgets=BUDGETS, strategies=STRATEGIES)


def assert_same_up_to_a_tie(one, other) -> None:
    """Equal ids; or what differs lies within the tolerance of the cut of its strategy's key."""
    for (name, budget), choice in one.items():
        theirs = other[name, budget]
        differing = set(choice.ids) ^ set(theirs.ids)
        if not differing:
            continue
        key = "distance" if name == "average-dist" else "uncertainty"
        values = {p.example.id: getattr(p, key) for p in (*choice.picks, *theirs.picks)}
        cut = getattr(choice.picks[-1], key)
        gaps = [abs(values[name] - cut) for name in differing]
        assert name != "uncertainty-knn" or len(differing) <= 2, (name, budget, differing)
        assert max(gaps) <= 2 * TOLERANCE * max(1.0, abs(cut)), (name, budget, differing)


def test_a_permuted_pool_gives_the_same_choice(model_folder, pools, usual) -> None:
    examples = list(pools[0])
    order = np.random.default_rng(1).permutation(len(examples))
    shuffled = Pool.of([examples[i] for i in order], "token-classification", name="source")
    assert_same_up_to_a_tie(usual, chosen(model_folder, shuffled, pools[1]))


@pytest.mark.parametrize("batch_tokens", [160])
def test_other_batches_give_the_same_choice(model_folder, pools, usual, batch_tokens: int) -> None:
    other = chosen(model_folder, *pools, batch_tokens=batch_tokens)
    assert_same_up_to_a_tie(usual, other)


@pytest.mark.parametrize("threads", [2])
def test_one_and_two_threads_give_the_same_choice(model_folder, pools, usual, threads) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        other = chosen(model_folder, *pools)
    finally:
        torch.set_num_threads(before)
    assert_same_up_to_a_tie(usual, other)
