"""Any masked language model: its head runs on hidden tokens only, and says there the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.distill.learning.worlds import LENGTH, ROWS, batch, masking, model, tokenizer

from polymux.distill.learning import network
from polymux.distill.learning.masking import collate
from polymux.distill.text.blocks import Block
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
    "electra": SMALL | {"embedding_size": 8},
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


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_tokens_of_padded_rows_get_the_logits_of_each_row_alone(kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    blocks = [Block(0, i, 0, ROWS[0][i][: 12 - 3 * i]) for i in range(3)]
    rows = collate(blocks, masking=masking(), rows=ROWS)
    with torch.no_grad():
        together = network.hidden_logits(made, rows)
        for i, block in enumerate(blocks):
            alone = collate([block], masking=masking(), rows=ROWS)
            whole = made(input_ids=alone["input_ids"]).logits[0, alone["place"]]
            torch.testing.assert_close(together[rows["row"] == i], whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_head_on_hidden_tokens_are_those_of_the_whole_head(kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    rows = batch([(0, 1), (1, 2)])
    slopes = []
    for logits in (
        network.hidden_logits(made, rows),
        made(input_ids=rows["input_ids"]).logits[rows["row"], rows["place"]],
    ):
        made.zero_grad()
        torch.nn.functional.cross_entropy(logits, rows["gold"]).backward()
        slopes.append({n: p.grad.clone() for n, p in made.named_parameters() if p.grad is not None})
    assert slopes[0].keys() == slopes[1].keys()
    for name, slope in slopes[0].items():
        torch.testing.assert_close(slope, slopes[1][name], rtol=1e-3, atol=1e-6)


def test_a_model_that_breaks_off_keeps_no_hook() -> None:
    made = model(1)
    rows = batch([(0, 1)])
    with pytest.raises(IndexError):
        network.hidden_logits(made, rows | {"place": rows["place"] + 100})
    with torch.no_grad():
        assert made(input_ids=rows["input_ids"]).logits.shape == (1, LENGTH, 320)


def test_making_a_model_leaves_other_draws_as_they_were() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    model(1)
    assert torch.equal(torch.rand(2), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_takes_the_longest_row_and_the_tokenizers_numbers(kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    with torch.no_grad():
        logits = made(input_ids=torch.full((1, LENGTH), 319)).logits
    assert logits.shape == (1, LENGTH, 320)
    assert (made.config.pad_token_id, made.config.cls_token_id, made.config.sep_token_id) == (
        0,
        1,
        2,
    )


def test_a_small_modernbert_sees_the_whole_row_in_every_layer() -> None:
    made = network.new("modernbert", network.modernbert(4, 16, 2, 24), tokenizer(), 300, seed=1)
    made.eval()
    ids = torch.full((1, 300), 300)
    changed = ids.clone()
    changed[0, -1] = 310
    seen = []
    for layer in made.model.layers:
        layer.register_forward_hook(
            lambda module, given, output: seen.append(network._vectors((output,))[0])
        )
    with torch.no_grad():
        for given in (ids, changed):
            made(input_ids=given)
    firsts = [x.reshape(300, 16)[0] for x in seen]
    for before, after in zip(firsts[:4], firsts[4:], strict=True):
        assert not torch.equal(before, after), "the first word does not see the last"


@pytest.mark.parametrize("kind", KINDS)
def test_every_second_layer_or_all_of_them_are_copied(kind: str) -> None:
    layers = "n_layers" if kind == "distilbert" else "num_hidden_layers"
    deep = network.new(kind, KINDS[kind] | _deeper(kind, layers, 5), tokenizer(), LENGTH, seed=1)
    shallow = network.new(kind, KINDS[kind] | _deeper(kind, layers, 3), tokenizer(), LENGTH, seed=2)
    network.copy_layers(deep, shallow)
    given = deep.state_dict()
    for name, weight in shallow.state_dict().items():
        for mine, theirs in ((2, 4), (1, 2), (0, 0)):
            if f".{mine}." in name:
                assert torch.equal(weight, given[name.replace(f".{mine}.", f".{theirs}.", 1)]), name
                break
        else:
            assert torch.equal(weight, given[name]), name
    same = network.new(kind, KINDS[kind] | _deeper(kind, layers, 5), tokenizer(), LENGTH, seed=3)
    network.copy_layers(deep, same)
    assert all(torch.equal(weight, given[name]) for name, weight in same.state_dict().items())


def _deeper(kind: str, key: str, layers: int) -> dict[str, Any]:
    return network.modernbert(layers, 16, 2, 24) if kind == "modernbert" else {key: layers}


def test_another_kind_or_vocabulary_or_more_layers_of_it_cannot_be_taken() -> None:
    bert = network.new("bert", SMALL, tokenizer(), LENGTH, seed=1)
    with pytest.raises(UsageError, match="none of that shape"):
        network.copy_layers(bert, model(1, hidden=16))
    longer = network.new("bert", SMALL | {"vocab_size": 330}, tokenizer(), LENGTH, seed=1)
    with pytest.raises(UsageError, match="none of that shape"):
        network.copy_layers(longer, bert)


@pytest.mark.parametrize("kind", ["modernbert", "bert"])
def test_what_was_saved_is_loaded_with_its_tokenizer(tmp_path: Path, kind: str) -> None:
    made = network.new(kind, KINDS[kind], tokenizer(), LENGTH, seed=1).eval()
    made.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    back, cutter = network.load(tmp_path)
    rows = batch([(0, 1), (1, 2)])
    with torch.no_grad():
        torch.testing.assert_close(
            network.hidden_logits(back.eval(), rows), network.hidden_logits(made, rows)
        )
    assert cutter.mask_token_id == 4
    assert cutter("the dog")["input_ids"] == tokenizer()("the dog")["input_ids"]


def test_a_model_whose_tokenizer_has_no_mask_is_refused(tmp_path: Path) -> None:
    made = network.new("bert", SMALL, tokenizer(), LENGTH, seed=1)
    made.save_pretrained(tmp_path)
    unmasked = tokenizer()
    unmasked.mask_token = None
    unmasked.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no mask token"):
        network.load(tmp_path)


def test_work_a_token_counts_weights_attention_and_the_vocabulary_of_hidden_tokens() -> None:
    made = model(1)
    inner = network.parameters(made)["without_embeddings"]
    assert network.flops_a_token(made, 12, 0.25) == 2 * inner + 4 * 2 * 32 * 12 + 2 * 320 * 32 / 4
    assert network.parameters(made)["all"] == sum(p.numel() for p in made.parameters())
