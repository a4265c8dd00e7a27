"""Models made on the spot, of XLM-R's kind: weights from a seed, or fine-tuned on English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polymux as pm
from corpora import START, TASK, UPOS, everything, sentences

VOCABULARY = 30_000
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
# Name -> layers, width, heads, width of the feed-forward part.
SHAPES: dict[str, tuple[int, int, int, int]] = {
    "12x768": (12, 768, 12, 3072),
    "6x256": (6, 256, 4, 1024),
    "1x768": (1, 768, 12, 3072),
    "2x64": (2, 64, 4, 256),
}
# Updates, batch and learning rate of a fine-tuning: minutes on two cores that know bfloat16.
TRAINING: dict[str, tuple[int, int, float]] = {
    "12x768": (300, 16, 2e-4),
    "6x256": (1500, 16, 5e-4),
    "2x64": (100, 16, 2e-3),
}


def tokenizer(texts: Iterable[str]) -> Any:
    """A byte-fallback BPE like XLM-R's sub-words; the same from run to run, as Unigram is not."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()]
    )
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[*SPECIALS, *every_byte], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def untrained(shape: str, work: Path) -> Path:
    """A folder with a token classifier of this shape, 17 labels, weights from a seed."""
    folder = work / f"untrained-{shape}"
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaForTokenClassification

    shared = work / "tokenizer"
    if not (shared / "tokenizer.json").exists():
        tokenizer(_texts()).save_pretrained(shared)
    words = AutoTokenizer.from_pretrained(shared)
    layers, width, heads, inner = SHAPES[shape]
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        id2label=dict(enumerate(UPOS)),
        label2id={label: number for number, label in enumerate(UPOS)},
    )
    return _saved(XLMRobertaForTokenClassification(config), words, folder)


def _saved(network: Any, words: Any, folder: Path) -> Path:
    from polymux.encoders.pytorch import quiet

    with quiet():
        words.save_pretrained(folder)
        network.save_pretrained(folder)
    return folder


def _texts() -> Iterator[str]:
    for example in everything():
        yield " ".join(example.fields["tokens"])


def fine_tuned(shape: str, work: Path, *, updates: int | None = None) -> Path:
    """The same model fine-tuned on the parts of speech of English; made once below `work`."""
    folder = work / f"fine-tuned-{shape}"
    if (folder / "model.safetensors").exists():
        return folder
    import torch

    from machine import has_bfloat16
    from polymux.encoders import load_for_training
    from polymux.tasks import task_named
    from polymux.train.loop import fit
    from polymux.train.recipe import Recipe
    from polymux.train.rows import LOSSES, collate, labelled_rows, units

    start = untrained(shape, work)
    steps, size, rate = TRAINING[shape]
    recipe = Recipe(
        lr=rate,
        batch_size=size,
        steps=updates or steps,
        clip=1.0,
        bucketed=True,
        precision="bfloat16" if has_bfloat16() or torch.cuda.is_available() else "float32",
    )
    examples = sentences(START, "train")
    features = pm.Model(start, task=TASK).prepare(examples)
    rows = labelled_rows(features, task_named(TASK).gold(examples, features, UPOS))
    network, words = load_for_training(start, task=TASK, labels=UPOS)
    fit(
        network,
        rows,
        partial(collate, padding=words.pad_token_id),
        LOSSES[TASK],
        recipe,
        units=units,
        length=lambda row: len(row[0].input_ids),
    )
    return _saved(network.cpu(), words, folder)


def accuracy(folder: Path) -> float:
    """Share of the words of the English development set that a model tags right."""
    pool = pm.Pool.of(sentences(START, "dev"), TASK)
    found = pm.evaluate(pm.Model(folder, task=TASK), pool)
    return found.average[found.main]
