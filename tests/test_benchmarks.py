"""The benchmarks: what they compare against is right, and what they tell is what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.encoders.reference import Reference
from tests.models import SAMPLE, tiny_model
from torch.utils.flop_counter import FlopCounterMode

import literal
from figures import FIGURES, Row
from flops import useful
from parts import PARTS
from polymux import Model, Pool
from polymux.prescribe import select_many
from polymux.records import Example
from polymux.tasks import Feature
from results import keep

FACTS = {"about": "", "date": "", "machine": "a machine", "command": "", "seconds": 0.0}


def words(texts: tuple[str, ...]) -> list[Example]:
    return [
        Example(f"x#{i}", "x", i + 1, {"tokens": tuple(text.split())})
        for i, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # XLM-R's padding must reach 128 whatever is read.
    return tiny_model(tmp_path_factory.mktemp("tiny"), kind="xlm-roberta", positions=128)


def test_the_literal_encodings_are_those_of_one_example_at_a_time(folder: Path) -> None:
    examples = words(SAMPLE)
    embeddings, uncertainty = literal.encode(folder, examples)
    reference = Reference(folder, "token-classification", "xlm-roberta", 128, 128)
    for example, embedding, unsure in zip(examples, embeddings, uncertainty, strict=True):
        expected, measures = reference(example)
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-5)
        assert unsure == pytest.approx(measures["margin-min"], abs=1e-5)


def test_polymux_makes_the_literal_choice_by_every_strategy_that_is_compared(folder: Path) -> None:
    source, target = words(SAMPLE[:11]), words(SAMPLE[11:])
    expected = literal.choose(folder, source, target, 4)
    task = "token-classification"
    made = select_many(
        Model(folder, task=task),
        Pool.of(source, task),
        Pool.of(target, task),
        budgets=[4],
        strategies=list(expected),
    )
    assert {name: made[name, 4].rows for name in expected} == expected


def test_useful_operations_are_those_of_the_matrix_products_without_padding() -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=20,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        # The counter does not see into the fused kernel.
        attn_implementation="eager",
    )
    model = XLMRobertaModel(config, add_pooling_layer=False).eval()
    features, counted = [], 0
    for length in (5, 9):
        ids = tuple(range(3, 3 + length))
        features.append(Feature(0, ids, None, (1,), (1,), (0,), 0))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.tensor([ids]))
        counted += counter.get_total_flops()
    assert useful(features, "2x64") == counted


def test_a_part_that_was_run_again_replaces_its_own_section_alone(tmp_path: Path) -> None:
    keep("memory", [Row("peak", (101.0,), "MiB")], FACTS, tmp_path)
    keep("startup", [Row("start", (0.125,), "s")], FACTS, tmp_path)
    keep("memory", [Row("peak", (202.0, 204.0, 203.0), "MiB")], FACTS, tmp_path)
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "| start | 0.125 s |" in page
    assert "| peak | 203 MiB | 202 MiB to 204 MiB | 3 |" in page
    assert "101" not in page


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"fp32": [(9.0,), (4.4,)]}, "4.4 x |  | yes"),
        ({"fp32": [(9.0,), (4.2,)]}, "4.2 x |  | no"),
        ({"fp32": [(9.0, 1.0, 8.0)]}, "8 x | 1 x to 9 x | aim"),
        ({"memory": [(1.0,), (1.2,)]}, "1.2 x |  | yes"),
        ({"memory": [(1.05,), (1.4,)]}, "1.4 x |  | no"),
        ({"memory": [(1.05,)]}, "1.05 x |  | aim"),
        ({"memory": [()]}, "| | not measured | no time"),
    ],
)
def test_a_figure_is_reached_by_the_median_of_its_worst_row(
    tmp_path: Path, values: dict[str, list[tuple[float, ...]]], told: str
) -> None:
    rows = [
        Row(name, numbers, "x", "" if numbers else "no time", name)
        for name, all_numbers in values.items()
        for numbers in all_numbers
    ]
    keep("part", rows, FACTS, tmp_path)
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    (line,) = (line for line in page.splitlines() if FIGURES[next(iter(values))].about in line)
    assert told in line


def test_every_part_is_described() -> None:
    page = (Path(__file__).parents[1] / "docs/results/index.md").read_text("utf-8")
    assert [name for name in PARTS if f"\n| `{name}` | " not in page] == []
