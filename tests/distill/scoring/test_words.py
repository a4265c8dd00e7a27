"""Hidden words: the ranks that one can work out, and what must not change a score."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models import tiny_model
from torch import Tensor
from transformers import AutoTokenizer

from polymux.distill.scoring.words import Words, fixed_masks, ranks, score_words, written_by
from polymux.distill.text.tokenizer import train_tokenizer
from polymux.errors import WorkError

PAD, MASK, CLS, SEP, FIRST = 0, 1, 2, 3, 4
SPECIAL = frozenset([PAD, MASK, CLS, SEP])
SIZE = 60
# Words by falling frequency, as in text: far from uniform.
ZIPF = 1 / np.arange(1, SIZE - FIRST + 1)


def sentences(count: int = 200, seed: int = 0) -> list[list[int]]:
    draw = np.random.default_rng(seed)
    share = ZIPF / ZIPF.sum()
    return [
        [CLS, *(FIRST + draw.choice(len(share), size=draw.integers(1, 30), p=share)).tolist(), SEP]
        for _ in range(count)
    ]


def masks_of(rows: list[list[int]], seeds: tuple[int, ...] = (0, 1, 2)) -> list:
    return [fixed_masks(rows, SPECIAL, seed) for seed in seeds]


def scored(predict, rows, masks=None, *, batch_rows: int = 64, padding: int = PAD) -> Words:
    return score_words(
        predict,
        rows,
        masks or masks_of(rows),
        mask_id=MASK,
        padding=padding,
        characters=np.full(SIZE, 2.0),
        plain=[i % 2 == 0 for i in range(SIZE)],
        batch_rows=batch_rows,
    )


def by_context(batch: Mapping[str, Tensor]) -> Tensor:
    """Logits from what a model may see: the row's visible tokens, and the place."""
    seen = (batch["input_ids"] * batch["attention_mask"]).sum(1)[batch["row"]] + batch["place"]
    return torch.sin(seen[:, None].double() * (1 + torch.arange(SIZE)) ** 2).float()


def test_masks_are_the_same_on_each_call_sorted_and_never_special() -> None:
    rows = sentences()
    first, again, other = (fixed_masks(rows, SPECIAL, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    for row, mask in zip(rows, first, strict=True):
        assert SPECIAL.isdisjoint(row[i] for i in mask)
        assert sorted(set(mask.tolist())) == mask.tolist()
        assert len(mask) == max(1, round(0.15 * (len(row) - 2)))


def test_a_row_keeps_its_mask_whatever_comes_after_it() -> None:
    rows = sentences()
    whole, part = fixed_masks(rows, SPECIAL, 0), fixed_masks(rows[:10], SPECIAL, 0)
    assert all(np.array_equal(a, b) for a, b in zip(whole, part, strict=False))


def test_where_there_is_nothing_to_hide_nothing_is() -> None:
    masks = fixed_masks([[CLS, SEP], [CLS, 7, SEP]], SPECIAL, 0)
    assert [mask.tolist() for mask in masks] == [[], [1]]


def test_a_rank_is_one_more_than_those_above_and_half_of_the_equals() -> None:
    logits = torch.tensor([[3.0, 1, 2, 0], [0, 5, 5, 5], [1, 1, 0, 2]])
    found = ranks(logits, torch.tensor([0, 2, 2]))
    assert found.tolist() == [1, 2, 4]


def test_ranks_equal_those_of_scipy() -> None:
    from scipy.stats import rankdata

    draw = np.random.default_rng(1)
    logits = draw.integers(0, 6, size=(50, 20)).astype(np.float32)
    gold = draw.integers(0, 20, size=50)
    slow = rankdata(-logits, method="average", axis=1)[np.arange(50), gold]
    np.testing.assert_array_equal(ranks(torch.from_numpy(logits), torch.from_numpy(gold)), slow)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_is_an_error(bad: float) -> None:
    logits = torch.zeros(3, SIZE)
    logits[1, 5] = bad
    with pytest.raises(WorkError, match="hint"):
        ranks(logits, torch.tensor([0, 1, 2]))
    with pytest.raises(WorkError, match="not finite"):
        scored(lambda batch: torch.full((len(batch["row"]), SIZE), bad), sentences(3))


def test_constant_logits_stand_in_the_middle() -> None:
    found = scored(lambda batch: torch.ones(len(batch["row"]), SIZE), sentences())
    assert found.mrr == pytest.approx(2 / (SIZE + 1))
    assert found.cross_entropy == pytest.approx(math.log(SIZE), rel=1e-6)
    assert found.bits_per_character == pytest.approx(math.log2(SIZE) / 2, rel=1e-6)


def test_random_logits_give_the_mean_of_reciprocals() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = sentences(1000)
    found = scored(lambda batch: torch.randn(len(batch["row"]), SIZE, generator=generator), rows)
    assert found.tokens > 5000
    assert found.mrr == pytest.approx(sum(1 / r for r in range(1, SIZE + 1)) / SIZE, abs=0.01)


def test_an_oracle_is_always_first() -> None:
    # The first word of each row is never hidden and is what the hidden one is.
    rows = [[word, word, SEP] for word in range(FIRST, SIZE)]
    masks = [[np.array([1]) for _ in rows]]

    def oracle(batch: Mapping[str, Tensor]) -> Tensor:
        told = batch["input_ids"][batch["row"], 0]
        return 100 * torch.nn.functional.one_hot(told, SIZE).float()

    found = scored(oracle, rows, masks)
    assert (found.mrr, found.plain_mrr) == (1, 1)
    assert found.cross_entropy == pytest.approx(0, abs=1e-6)


def test_without_looking_one_gets_the_level_of_the_unigrams_also_of_shuffled_words() -> None:
    rows = sentences(1500)
    words = np.concatenate([row[1:-1] for row in rows])
    frequency = torch.bincount(torch.from_numpy(words), minlength=SIZE).float()

    def unigram(batch: Mapping[str, Tensor]) -> Tensor:
        return frequency.log1p().repeat(len(batch["row"]), 1)

    level = scored(unigram, rows).mrr
    left = iter(np.random.default_rng(2).permutation(words).tolist())
    shuffled = [[CLS, *(next(left) for _ in row[1:-1]), SEP] for row in rows]
    assert scored(unigram, shuffled).mrr == pytest.approx(level, abs=0.02)
    # An order of words by frequency is the best that one can do without looking.
    place = torch.argsort(torch.argsort(-frequency)) + 1
    exact = float((frequency / place).sum() / frequency.sum())
    assert level == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
@pytest.mark.parametrize("padding", [PAD, 9])
def test_padding_and_the_size_of_batches_change_nothing(batch_rows: int, padding: int) -> None:
    rows = sentences()
    assert scored(by_context, rows).mrr < 0.5
    found = scored(by_context, rows, batch_rows=batch_rows, padding=padding)
    expected = scored(by_context, rows)
    assert found.mrr_by_mask == pytest.approx(expected.mrr_by_mask, abs=1e-12)
    assert found.cross_entropy == pytest.approx(expected.cross_entropy, rel=1e-9)
    assert found.plain_mrr == pytest.approx(expected.plain_mrr, abs=1e-12)


def test_each_row_is_read_once_a_mask_with_all_that_is_hidden_behind_the_mask_token() -> None:
    rows = sentences(150)
    masks = masks_of(rows, (3, 4))
    read: list[tuple[int, ...]] = []

    def predict(batch: Mapping[str, Tensor]) -> Tensor:
        for ids, shown in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            length = int(shown.sum())
            assert bool(shown[:length].all())
            assert bool((ids[length:] == PAD).all())
            read.append(tuple(ids[:length].tolist()))
        hidden = batch["input_ids"][batch["row"], batch["place"]]
        assert bool((hidden == MASK).all())
        assert len(hidden) == int((batch["input_ids"] == MASK).sum())
        return torch.zeros(len(batch["row"]), SIZE)

    found = scored(predict, rows, masks, batch_rows=16)
    expected = []
    for of_seed in masks:
        for row, mask in zip(rows, of_seed, strict=True):
            covered = np.array(row)
            covered[mask] = MASK
            expected.append(tuple(covered.tolist()))
    assert sorted(read) == sorted(expected)
    assert found.tokens == sum(len(mask) for of_seed in masks for mask in of_seed)


def test_scores_equal_those_of_one_token_at_a_time() -> None:
    rows = sentences(40)
    masks = masks_of(rows)
    by_seed, plain, bits, nats = [], [], 0.0, []
    for of_seed in masks:
        reciprocal = []
        for row, mask in zip(rows, of_seed, strict=True):
            covered = torch.tensor(row)
            covered[torch.from_numpy(mask)] = MASK
            for place in mask.tolist():
                logits = by_context(
                    {
                        "input_ids": covered[None],
                        "attention_mask": torch.ones(1, len(row), dtype=torch.int64),
                        "row": torch.tensor([0]),
                        "place": torch.tensor([place]),
                    }
                )[0]
                rank = 1 + int((logits > logits[row[place]]).sum())
                reciprocal.append(1 / rank)
                if row[place] % 2 == 0:
                    plain.append(1 / rank)
                nats.append(-float(logits.double().log_softmax(0)[row[place]]))
                bits += nats[-1] / math.log(2)
        by_seed.append(np.mean(reciprocal))
    found = scored(by_context, rows, masks, batch_rows=8)
    assert found.mrr_by_mask == pytest.approx(by_seed, rel=1e-6)
    assert found.mrr == pytest.approx(np.mean(by_seed), rel=1e-6)
    assert found.plain_mrr == pytest.approx(np.mean(plain), rel=1e-6)
    assert found.cross_entropy == pytest.approx(np.mean(nats), rel=1e-5)
    assert found.bits_per_character == pytest.approx(bits / (2 * len(nats)), rel=1e-5)


TEXTS = ("das haus 12 !", "नमस्ते दुनिया", "e\u0301 x\u00a0y", "\U0001f680 𝔘𝔫𝔦")


def test_tokens_write_together_the_characters_of_the_text_and_the_space_before_it() -> None:
    made = train_tokenizer(["das haus 12 नमस्ते"] * 3, kind="bpe", vocabulary=320, length=64)
    sizes, plain = written_by(made)
    for text in TEXTS:
        ids = made(text, add_special_tokens=False)["input_ids"]
        assert sizes[ids].sum() == 1 + len(unicodedata.normalize("NFC", text))
    told = dict(zip(made.convert_ids_to_tokens(range(len(made))), plain, strict=True))
    assert (told["h"], told["न"], told["1"], told["<0x41>"], told["<s>"]) == (
        *(True, True),
        *(False, False, False),
    )


@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_tokens_of_bytes_and_parts_of_words_are_counted_by_what_they_write(
    kind: str, tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path, "masked-lm", kind=kind, sample=[*TEXTS, "das haus hausen"])
    made = AutoTokenizer.from_pretrained(folder)
    sizes, _ = written_by(made)
    for text in ("das haus", "hausen das", *(TEXTS if kind == "roberta" else ())):
        ids = made(text, add_special_tokens=False)["input_ids"]
        assert sizes[ids].sum() == len(text) + (kind == "bert")
