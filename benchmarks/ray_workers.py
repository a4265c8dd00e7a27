"""Seconds of encoding a pool in this process, and on 1, 2 and 4 Ray workers.

On one machine the workers share its cores, and this shows what Ray costs, not what it gains: with
two cores, two workers of one thread each against one process of two threads gain little.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path

import polymux as pm
from machine import machine
from polymux.engines import opened
from polymux.records import Example, Pool, PoolFile

TASK = "token-classification"
SENTENCES, FILE, RUNS, SEED = 4_096, 256, 3, 0
WORKERS = (1, 2, 4)
Row = tuple[str, int, float, float]


def make_model(folder: Path, pool: Pool) -> None:
    """An untrained encoder of 4 layers, 256 wide, with a head and sub-words of the pool."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    special = ["[PAD]", "[CLS]", "[SEP]"]
    made.train_from_iterator(
        (example.text for example in pool),
        trainers.BpeTrainer(
            vocab_size=8000,
            show_progress=False,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    made.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        model_max_length=128,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        id2label=dict(enumerate("ABCDE")),
        label2id={name: i for i, name in enumerate("ABCDE")},
    )
    BertForTokenClassification(config).save_pretrained(folder)


def corpus(count: int) -> Pool:
    """Sentences of Universal Dependencies where POLYMUX_DATA has them, or else made-up ones.

    They stand in small files, so that there are shards for every worker.
    """
    data = os.environ.get("POLYMUX_DATA")
    files = sorted(Path(data, "udpos").rglob("*train*")) if data else []
    if files:
        examples = [e for _, e in zip(range(count), pm.read(*files, task=TASK), strict=False)]
    else:
        draw = random.Random(SEED)
        words = [
            "".join(draw.choices("aeioubdgklmnprst", k=draw.randint(2, 9))) for _ in range(999)
        ]
        examples = [
            Example(f"s#{i}", "s", i, {"tokens": tuple(draw.choices(words, k=draw.randint(3, 30)))})
            for i in range(1, count + 1)
        ]
    parts = [examples[first : first + FILE] for first in range(0, len(examples), FILE)]
    return Pool(TASK, [PoolFile(f"{n}", partial(iter, part)) for n, part in enumerate(parts)])


def measure(sentences: int = SENTENCES, runs: int = RUNS) -> list[Row]:
    """Rows of engine, workers, seconds to start and median seconds of encoding.

    Starting is everything until the first shard is there: Ray, processes, imports, the model.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        pool = corpus(sentences)
        make_model(Path(folder), pool)
        model = pm.Model(folder, task=TASK, device="cpu")
        for name, workers in [("local", None), *(("ray", count) for count in WORKERS)]:
            with opened(name, None, workers) as engine:
                begun = time.perf_counter()
                # A shard for each worker, all at once, so that every one makes its model.
                parts = [shard.examples[:8] for shard in islice(pool.shards(), workers or 1)]
                for finish in [engine.begin(model, part) for part in parts]:
                    finish(lambda share: None)
                start = time.perf_counter() - begun
                spent = []
                for _ in range(runs):
                    begun = time.perf_counter()
                    for _ in pm.encode(pool, model, engine=engine):
                        pass
                    spent.append(time.perf_counter() - begun)
            rows.append((name, workers or 1, start, statistics.median(spent)))
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown, each against the first."""
    lines = [
        "| engine | workers | seconds to start | seconds | against local |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {workers} | {start:.1f} | {spent:.2f} | {spent / rows[0][3]:.2f} |"
        for name, workers, start, spent in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sentences = int(sys.argv[1]) if len(sys.argv) > 1 else SENTENCES
    print(f"{sentences:,} sentences, 4 layers x 256; {machine()}\n")
    print(table(measure(sentences)))
