"""Peak memory of `polymux select` by the size of the source pool, same model and target.

The promise is that memory does not grow with the pool. Each run is a process of its own, which
really encodes; texts are made up of 2,000 words.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Row

SIZES = (10_000, 100_000)
MILLION = 1_000_000
TARGET = 500
BUDGET = 500
WORDS = [f"w{number}" for number in range(2_000)]


def make_model(folder: Path) -> None:
    """An untrained two-layer encoder with a head of three labels and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=128,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=128,
        id2label={0: "a", 1: "b", 2: "c"},
        label2id={"a": 0, "b": 1, "c": 2},
    )
    BertForSequenceClassification(config).save_pretrained(folder)


def texts(count: int, seed: int) -> Iterator[str]:
    """Lines of JSON, each a text of 4 to 24 words."""
    draw = random.Random(seed)
    for _ in range(count):
        yield json.dumps({"text": " ".join(draw.choices(WORDS, k=draw.randint(4, 24)))}) + "\n"


def measure(model: Path, source: Path, target: Path, work: Path) -> tuple[float, float]:
    """Peak memory in MiB and seconds of one `polymux select` in a process of its own."""
    started = time.monotonic()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from polymux.cli import main; main()"),
            *("select", str(model), "--task", "text-classification", "--offline", "--quiet"),
            *("--source", str(source), "--target", str(target), "--budget", str(BUDGET)),
            *("--out", str(work / f"out-{source.stem}"), "--store", str(work / "store")),
        ],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return usage.ru_maxrss / unit, time.monotonic() - started


def rows(*, quick: bool, million: bool) -> Iterator[Row]:
    """Memory and seconds at each size, and how much the larger pools need over the smallest."""
    sizes = (500, 5_000) if quick else (*SIZES, MILLION) if million else SIZES
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        model, target = work / "model", work / "target.jsonl"
        # In another process: what this one held would count as the peak of those it starts.
        subprocess.run([sys.executable, __file__, str(model)], check=True)
        target.write_text("".join(texts(TARGET, seed=1)))
        peaks: dict[int, float] = {}
        for size in sizes:
            source = work / f"{size}.jsonl"
            with source.open("w") as out:
                out.writelines(texts(size, seed=2))
            peaks[size], seconds = measure(model, source, target, work)
            yield Row(f"peak memory, {size:,} examples", (peaks[size],), "MiB")
            yield Row(f"seconds, {size:,} examples", (seconds,), "s")
    for size in sizes[1:]:
        yield Row(
            f"peak memory, {size:,} examples over {sizes[0]:,}",
            (peaks[size] / peaks[sizes[0]],),
            "x",
            figure="memory" if size == MILLION else None,
        )
    if MILLION not in sizes:
        yield Row("peak memory, a million", (), "x", "--million measures it", "memory")


if __name__ == "__main__":
    make_model(Path(sys.argv[1]))
