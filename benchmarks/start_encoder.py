"""Make a small multilingual encoder from plain text, in minutes on a laptop.

    python benchmarks/start_encoder.py TEXT_FOLDER OUT --updates 1500

TEXT_FOLDER holds LANGUAGE.txt or LANGUAGE.txt.xz, a sentence or paragraph a line. The result is an
ordinary Hugging Face folder with a masked-word head, from which `polymux train` starts. Languages
are drawn by size^0.5; shape and rate suit two cores.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polymux.train.loop import fit
from polymux.train.recipe import Recipe

LANGUAGES = (
    *("en", "hi", "ur", "fa", "ar", "tr", "de", "fr", "ru", "te", "mr", "id", "fi", "eu", "zh"),
    *("ja", "ko", "he", "ta", "bn", "es", "it", "vi", "th", "sw"),
)
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD, CLS, SEP, _, MASK = range(len(SPECIALS))
VOCABULARY = 24_000
BLOCK = 128
MASKED = 0.25
BYTES_PER_LANGUAGE = 3_000_000


def lines(folder: Path, language: str) -> list[str]:
    """The first few MB of a language."""
    path = next(folder.glob(f"{language}.txt*"))
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data)[:BYTES_PER_LANGUAGE]
    return [line.strip() for line in text.decode("utf-8", "ignore").splitlines()]


def shares(sizes: Sequence[int]) -> np.ndarray:
    """Size^0.5, so that a small language is seen more often than its size says."""
    roots = np.sqrt(np.array(sizes, dtype=np.float64))
    share: np.ndarray = roots / roots.sum()
    return share


def make_tokenizer(texts: dict[str, list[str]]) -> Any:
    """A cased Unigram tokenizer on an even sample of the languages; accents stay."""
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
    from tokenizers.models import Unigram
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(Unigram())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()

    def sample() -> Iterator[str]:
        for rows in texts.values():
            yield from rows[:: max(1, len(rows) // 2500)]

    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        unk_token="<unk>",
        show_progress=False,
    )
    made.train_from_iterator(sample(), trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", CLS), ("</s>", SEP)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        pad_token="<pad>",
        cls_token="<s>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=512,
    )


def blocks(tokenizer: Any, texts: dict[str, list[str]], count: int) -> list[np.ndarray]:
    """Blocks of one language each, as many of a language as its share says."""
    made = []
    inner = BLOCK - 2
    wanted = shares([sum(map(len, rows)) for rows in texts.values()]) * count
    for rows, want in zip(texts.values(), wanted, strict=True):
        ids: list[int] = []
        for start in range(0, len(rows), 512):
            for encoding in tokenizer(rows[start : start + 512], add_special_tokens=False)[
                "input_ids"
            ]:
                ids += [*encoding, SEP]
            if len(ids) >= want * inner:
                break
        starts = range(0, min(len(ids), int(want) * inner) - inner, inner)
        made += [np.array([CLS, *ids[start : start + inner], SEP]) for start in starts]
    return made


def masked(rows: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """A batch with a quarter of its words masked (80/10/10)."""
    ids = torch.from_numpy(np.stack(rows))
    chosen = (torch.rand(ids.shape) < MASKED) & (ids > MASK)
    how = torch.rand(ids.shape)
    given = torch.where(chosen & (how < 0.8), MASK, ids)
    drawn = torch.randint(MASK + 1, VOCABULARY, ids.shape)
    given = torch.where(chosen & (how > 0.9), drawn, given)
    return {"input_ids": given, "labels": torch.where(chosen, ids, -100)}


def loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy at the masked positions; the head runs on those only."""
    value: Tensor = model(input_ids=batch["input_ids"], labels=batch["labels"]).loss
    return value


def main() -> None:
    """Tokenizer, blocks, masked words, folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--updates", type=int, default=1500)
    given = parser.parse_args()
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    texts = {language: lines(given.text, language) for language in LANGUAGES}
    tokenizer = make_tokenizer(texts)
    rows = blocks(tokenizer, texts, given.updates * 32)
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        layer_types=["full_attention"] * 6,
        max_position_embeddings=512,
        pad_token_id=PAD,
        bos_token_id=CLS,
        cls_token_id=CLS,
        eos_token_id=SEP,
        sep_token_id=SEP,
        sparse_prediction=True,
    )
    model = ModernBertForMaskedLM(config)
    print(f"{len(rows)} blocks of {BLOCK}, {model.num_parameters() / 1e6:.1f} M parameters")
    recipe = Recipe(
        lr=2e-3,
        batch_size=32,
        steps=given.updates,
        warmup=0.05,
        schedule="stable",
        weight_decay=0.1,
        betas=(0.9, 0.98),
        clip=1.0,
        precision="bfloat16",
    )

    def told(stage: str, done: int, total: int | None) -> None:
        if done % 100 == 0:
            print(f"{stage} {done}/{total}", file=sys.stderr, flush=True)

    fitted = fit(model, rows, masked, loss, recipe, progress=told)
    print(f"loss {np.mean(fitted.losses[-50:]):.3f}, {fitted.seconds:.0f} s")
    model.config.sparse_prediction = False
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
