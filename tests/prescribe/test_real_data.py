"""The main job on real corpora: permuted, batched and threaded otherwise, it is the same choice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoder import start_encoder

import polymux as pm
from polymux.cli import main
from polymux.prescribe.verify import SAME, TIE
from polymux.records import Pool
from polymux.train import train

STRATEGIES = [
    "average-dist", "uncertainty", "knn-uncertainty", "uncertainty-knn", "round-robin",
    "random", "egalitarian",
]  # fmt: skip
BUDGETS = [50, 200]

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
def model_folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder, fine-tuned on some English."""
    path = data / "udpos/en/dev.conllu.xz"
    english = list(pm.read(path, task="token-classification"))[:400]
    return train(
        start_encoder(),
        Pool.of(english, "token-classification", name="English"),
        tmp_path_factory.mktemp("model") / "start",
        epochs=2,
        lr=1e-3,
        device="cpu",
    ).path


@pytest.fixture(scope="module")
def out(data: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chosen as it is typed."""
    folder = tmp_path_factory.mktemp("chosen") / "out"
    sources = [
        word
        for name in ("hi", "fa", "eu")
        for word in ("--source", str(data / "udpos" / name / "dev.conllu.xz"))
    ]
    main(
        ["select", str(model_folder), "--task", "token-classification", *sources,
         "--target", str(data / "udpos/ur/dev.conllu.xz"), "--language", "folder",
         "--strategy", ",".join(STRATEGIES), "--budget", ",".join(map(str, BUDGETS)),
         "--device", "cpu", "--store", "off", "--out", str(folder)]
    )  # fmt: skip
    return folder


def assert_same_up_to_a_tie(verdict: pm.Verdict) -> None:
    assert verdict.differences == ()
    assert {(c.strategy, c.budget) for c in verdict.choices} == {
        (strategy, budget) for strategy in STRATEGIES for budget in BUDGETS
    }
    draws = [c.verdict for c in verdict.choices if c.strategy in ("random", "egalitarian")]
    assert set(draws) == {SAME}


def test_a_permuted_pool_gives_the_same_choice(pools, out) -> None:
    examples = list(pools[0])
    order = np.random.default_rng(1).permutation(len(examples))
    shuffled = Pool.of([examples[i] for i in order], "token-classification", name="source")
    verdict = pm.verify(out, source=shuffled, allow_changed=True)
    assert_same_up_to_a_tie(verdict)
    assert "the source is another" in verdict.choices[0].notes[0]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_tokens", [None, 160])
def test_other_batches_and_threads_give_the_same_choice(out, batch_tokens, threads, capsys) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        more = [] if batch_tokens is None else ["--batch-tokens", str(batch_tokens)]
        main(["verify", str(out), "--store", "off", *more, "--json"])
    finally:
        torch.set_num_threads(before)
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] in (SAME, TIE)
    assert [c["differences"] for c in told["choices"]] == [[]] * len(STRATEGIES) * len(BUDGETS)
    if batch_tokens is not None:
        assert told["choices"][0]["ran"]["settings"] == {"batch_tokens": [1024, 160]}
        assert told["choices"][0]["ran"]["distance_apart"] < 1e-3
