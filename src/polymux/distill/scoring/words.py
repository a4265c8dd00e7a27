"""How well hidden words are guessed: rank, bits a character (METHOD.md 2.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from polymux.errors import InputError, WorkError

# Evaluation hides as much as the literature does, however much was hidden in training.
SHARE = 0.15
Predict = Callable[[Mapping[str, Tensor]], Float[Tensor, "hidden vocabulary"]]
# Each row hides its own number.
Masks = Sequence[Int[np.ndarray, "_"]]


@dataclass(frozen=True, slots=True)
class Words:
    """Scores of one language."""

    mrr: float
    """Mean reciprocal rank of the true token, mean over masks of the mean over tokens, in (0, 1]"""
    mrr_by_mask: tuple[float, ...]
    plain_mrr: float
    """Without tokens that are easy wherever they stand: punctuation, digits, bytes, unknown."""
    bits_per_character: float
    """What hidden tokens cost, over the characters that they write: holds between vocabularies."""
    cross_entropy: float
    """Nats a hidden token."""
    tokens: int
    """Hidden in all."""


def fixed_masks(rows: Sequence[Sequence[int]], special: frozenset[int], seed: int) -> Masks:
    """Which positions of each row are hidden: drawn once from the seed and the row's place.

    One token at least of every row that has any; never a special one.
    """
    masks = []
    for place, row in enumerate(rows):
        open_ = np.flatnonzero(~np.isin(row, list(special)))
        count = max(1, round(SHARE * len(open_))) if len(open_) else 0
        draw = np.random.default_rng([seed, place])
        masks.append(np.sort(draw.choice(open_, count, replace=False)))
    return masks


def ranks(
    logits_NV: Float[Tensor, "hidden vocabulary"], gold_N: Int[Tensor, "hidden"]
) -> Float[Tensor, "hidden"]:
    """Rank of each true token, from 1; among equals the mean of their ranks.

    Raises:
        WorkError: a logit is not finite: no rank could be trusted.
    """
    if not bool(logits_NV.isfinite().all()):
        raise WorkError(
            "a model gives logits that are not finite", "train it with a lower lr, or in float32"
        )
    true_N1 = logits_NV.gather(1, gold_N[:, None])
    above = (logits_NV > true_N1).sum(1)
    equal = (logits_NV == true_N1).sum(1) - 1
    return 1 + above.float() + equal.float() / 2


def score_words(
    predict: Predict,
    rows: Sequence[Sequence[int]],
    masks_by_seed: Sequence[Masks],
    *,
    mask_id: int,
    padding: int,
    characters: Float[np.ndarray, "vocabulary"],
    plain: Sequence[bool],
    batch_rows: int = 64,
) -> Words:
    """Score every row once under each mask; all hidden tokens of a row stand behind the mask token.

    Args:
        predict: Logits at a batch's hidden positions.
        rows: Numbers of tokens, special ones included.
        masks_by_seed: Hidden positions of each row, a list a mask seed.
        mask_id: What stands in a hidden place.
        padding: What fills short rows; the attention mask leaves it out.
        characters: How many characters each token writes.
        plain: Whether a token counts for `plain_mrr`.
        batch_rows: Rows that are read together; decides nothing.
    """
    written, is_plain = torch.from_numpy(characters), torch.tensor(plain)
    reciprocal, nats, gold = [], [], []
    for masks in masks_by_seed:
        found = [
            _scored(predict(batch), batch["gold"])
            for batch in _batches(rows, masks, mask_id, padding, batch_rows)
        ]
        reciprocal.append(torch.cat([part[0] for part in found]))
        nats.append(torch.cat([part[1] for part in found]))
        gold.append(torch.cat([part[2] for part in found]))
    whole, cost, true = torch.cat(reciprocal), torch.cat(nats), torch.cat(gold)
    if not bool(is_plain[true].any()):
        raise InputError(
            "no word of the held-out text was hidden", "give more text, or [evaluate] sentences"
        )
    by_mask = tuple(float(part.mean()) for part in reciprocal)
    return Words(
        mrr=float(np.mean(by_mask)),
        mrr_by_mask=by_mask,
        plain_mrr=float(whole[is_plain[true]].mean()),
        bits_per_character=float(cost.sum() / np.log(2) / written[true].sum()),
        cross_entropy=float(cost.mean()),
        tokens=len(true),
    )


def _scored(logits_NV: Tensor, gold_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    logits_NV = logits_NV.float()
    cost = cross_entropy(logits_NV, gold_N, reduction="none")
    return (1 / ranks(logits_NV, gold_N)).cpu().double(), cost.cpu().double(), gold_N.cpu()


def _batches(
    rows: Sequence[Sequence[int]], masks: Masks, mask_id: int, padding: int, batch_rows: int
) -> Iterator[dict[str, Tensor]]:
    """Rows of like length together; a row in which nothing can be hidden is passed over."""
    order = sorted((i for i in range(len(rows)) if len(masks[i])), key=lambda i: len(rows[i]))
    for start in range(0, len(order), batch_rows):
        some = order[start : start + batch_rows]
        width = max(len(rows[i]) for i in some)
        ids = np.full((len(some), width), padding, np.int64)
        attention = np.zeros_like(ids)
        for place, i in enumerate(some):
            ids[place, : len(rows[i])] = rows[i]
            attention[place, : len(rows[i])] = 1
        row = np.repeat(np.arange(len(some)), [len(masks[i]) for i in some])
        where = np.concatenate([masks[i] for i in some])
        gold = ids[row, where]
        ids[row, where] = mask_id
        named = {"input_ids": ids, "attention_mask": attention, "row": row, "place": where}
        yield {n: torch.from_numpy(v) for n, v in (named | {"gold": gold}).items()}


def written_by(tokenizer: Any) -> tuple[Float[np.ndarray, "vocabulary"], list[bool]]:
    """How many characters each token writes, and whether it is a plain one: words or parts of them.

    The space before a word counts as a character, as it does in the text. Of the bytes that write a
    character the first one counts.
    """
    special = set(tokenizer.all_special_ids)
    if type(tokenizer.backend_tokenizer.decoder).__name__ in ("ByteLevel", "WordPiece"):
        return _written_by_another(tokenizer, special)
    sizes, plain = np.zeros(len(tokenizer)), []
    for number, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        is_byte = token.startswith("<0x") and token.endswith(">")
        # 10xxxxxx goes on with what another byte began.
        sizes[number] = int(token[3:-1], 16) & 0xC0 != 0x80 if is_byte else len(token)
        letters = any(character.isalpha() for character in token)
        plain.append(letters and not is_byte and number not in special)
    return sizes, plain


def _written_by_another(
    tokenizer: Any, special: set[int]
) -> tuple[Float[np.ndarray, "vocabulary"], list[bool]]:
    """The same of tokens that stand for bytes (GPT-2's signs) or go on with a word (`##ing`)."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    signs: dict[int, str] = bytes_to_unicode()  # type: ignore[no-untyped-call]
    by_sign = {sign: byte for byte, sign in signs.items()}
    in_bytes = type(tokenizer.backend_tokenizer.decoder).__name__ == "ByteLevel"
    sizes, plain = np.zeros(len(tokenizer)), []
    for number, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        if number in special:
            plain.append(False)
            continue
        if in_bytes:
            data = bytes(by_sign[sign] for sign in token if sign in by_sign)
            text = data.decode(errors="ignore")
            # 10xxxxxx goes on with what another token began.
            sizes[number] = sum(byte & 0xC0 != 0x80 for byte in data)
        else:
            # A token that begins a word writes the space before it too.
            text = token.removeprefix("##")
            sizes[number] = len(text) + (text == token)
        plain.append(any(character.isalpha() for character in text))
    return sizes, plain
