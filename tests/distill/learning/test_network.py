"""Any masked language model: its head runs on hidden tokens only, and says there the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.distill.learning.worlds import LENGTH, batch, model, tokenizer

from polymux.distill.learning import network
from polymux.errors import ModelError, UsageError

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
KINDS: dict[str, dict[str, Any]] = {
    "modernbert": network.modernbert(2, 16, 2, 24),
    "bert": SMALL,
    "roberta": SMALL,
    "xlm-roberta": SMALL,
    "electra": SMALL | {"embedding_size": 16},
    "deberta-v2": SMALL,
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
}


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_tokens_get_the_logits_of_the_whole_head(kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    rows = batch([(0, 1), (1, 2), (2, 0)])
    with torch.no_grad():
        whole = made(input_ids=rows["input_ids"]).logits[rows["row"], rows["place"]]
        ours = network.hidden_logits(made, rows)
        again = made(input_ids=rows["input_ids"]).logits[rows["row"], rows["place"]]
    torch.testing.assert_close(ours, whole, rtol=1e-5, atol=1e-6)
    assert torch.equal(whole, again)


def test_weights_are_drawn_from_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = model(1).state_dict()
    torch.manual_seed(6)
    again, other = model(1).state_dict(), model(2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_shallower_model_takes_layers_at_even_distances() -> None:
    deep, shallow = model(1, layers=5), model(2, layers=3)
    network.copy_layers(deep, shallow)
    for mine, theirs in enumerate((0, 2, 4)):
        name = "model.layers.{}.mlp.Wi.weight"
        assert torch.equal(
            shallow.state_dict()[name.format(mine)], deep.state_dict()[name.format(theirs)]
        )


def test_another_width_cannot_be_taken() -> None:
    with pytest.raises(UsageError, match="none of that shape"):
        network.copy_layers(model(1, hidden=64), model(2, hidden=32))


def test_settings_that_make_no_model_are_refused() -> None:
    for kind, settings in (("no-such-kind", {}), ("bert", {"hidden_size": 15})):
        with pytest.raises(UsageError):
            network.new(kind, settings, tokenizer(), LENGTH, seed=1)


def test_a_model_without_a_head_for_masked_words_is_refused(tmp_path: Path) -> None:
    made = network.new("bert", SMALL, tokenizer(), LENGTH, seed=1)
    made.base_model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="lacks weights for masked words"):
        network.load(tmp_path)


def test_parameters_without_embeddings_leave_out_the_tied_head_too() -> None:
    told = network.parameters(model(1))
    assert told["all"] - told["without_embeddings"] == 320 * 32
