"""A small multilingual encoder, made on the spot: a tokenizer, then words to guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polymux.distill.text.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, for_rows
from polymux.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

MASKED = 0.25
# A word is at most so many sub-words here, an utterance far fewer than a model could read.
LONGEST = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the encoder is and how long it learns: seconds on two cores."""

    vocabulary: int = 3000
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    updates: int = 800
    batch_size: int = 64


def make_encoder(
    texts: Sequence[str], out: Path, shape: Shape, *, seed: int, progress: Progress | None = None
) -> None:
    """Pre-train on masked words of unlabelled texts; `out` becomes a Hugging Face folder."""
    import torch
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    from polymux.encoders.pytorch import quiet
    from polymux.train import Recipe, fit

    tokenizer = make_tokenizer(texts, shape.vocabulary)
    rows = tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.hidden * 2,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        layer_types=["full_attention"] * shape.layers,
        max_position_embeddings=LONGEST,
        pad_token_id=PAD,
        bos_token_id=CLS,
        cls_token_id=CLS,
        eos_token_id=SEP,
        sep_token_id=SEP,
        sparse_prediction=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ModernBertForMaskedLM(config)
    recipe = Recipe(
        lr=2e-3,
        batch_size=shape.batch_size,
        steps=shape.updates,
        warmup=0.05,
        schedule="stable",
        weight_decay=0.1,
        betas=(0.9, 0.98),
        clip=1.0,
        bucketed=True,
        seed=seed,
    )

    def collate(batch: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        return masked(batch, len(tokenizer))

    fit(model, rows, collate, _loss, recipe, length=len, device="cpu", progress=progress)
    model.config.sparse_prediction = False
    with quiet():
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)


def make_tokenizer(texts: Sequence[str], vocabulary: int) -> Any:
    """A cased BPE tokenizer; accents stay. Unlike Unigram's, its training is the same each time."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, trainers
    from tokenizers.models import BPE

    made = Tokenizer(BPE(unk_token="<unk>"))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIALS), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return for_rows(made, LONGEST)


def masked(rows: Sequence[Sequence[int]], vocabulary: int) -> dict[str, Tensor]:
    """A padded batch with a quarter of its words masked (80/10/10)."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
    chosen = (torch.rand(ids.shape) < MASKED) & (ids > MASK)
    how = torch.rand(ids.shape)
    given = torch.where(chosen & (how < 0.8), MASK, ids)
    drawn = torch.randint(MASK + 1, vocabulary, ids.shape)
    given = torch.where(chosen & (how > 0.9), drawn, given)
    return {
        "input_ids": given,
        "attention_mask": (ids != PAD).long(),
        "labels": torch.where(chosen, ids, -100),
    }


def _loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy at the masked positions; the head runs on those only."""
    value: Tensor = model(**batch).loss
    return value
