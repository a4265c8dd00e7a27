"""Peak memory of `polymux select` at 10,000 and at 100,000 source examples, same model and target.

The promise is that memory does not grow with the pool: the larger run may need at most 1.3 times as
much. Each run is a process of its own; a row goes to RESULTS.md beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

SIZES = (10_000, 100_000)
TARGET = 500
BUDGET = 500
ALLOWED = 1.3
WORDS = [f"w{number}" for number in range(2_000)]
RESULTS = Path(__file__).parent / "RESULTS.md"
HEADER = """# Results of the benchmarks

Peak resident memory of `polymux select`, knn-uncertainty, 2 layers x 64, 500 targets; `make bench`.

| date | polymux | source | MiB | seconds | ratio | machine |
|---|---|---|---|---|---|---|
"""


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
        ]
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return usage.ru_maxrss / unit, time.monotonic() - started


def machine() -> str:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return (
        f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {version('torch')}"
    )


def main() -> None:
    """Measure both sizes, print and record them; exit 1 when memory grows with the pool."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        model, target = work / "model", work / "target.jsonl"
        # In another process: what this one held would count as the peak of those it starts.
        subprocess.run([sys.executable, __file__, str(model)], check=True)
        target.write_text("".join(texts(TARGET, seed=1)))
        rows = []
        for size in SIZES:
            source = work / f"{size}.jsonl"
            with source.open("w") as out:
                out.writelines(texts(size, seed=2))
            rows.append((size, *measure(model, source, target, work)))
            print(f"{size:>9,} examples: {rows[-1][1]:7.0f} MiB peak, {rows[-1][2]:6.1f} s")
    ratio = rows[-1][1] / rows[0][1]
    print(f"ratio {ratio:.2f} (at most {ALLOWED})")
    if not RESULTS.exists():
        RESULTS.write_text(HEADER)
    facts = f"{time.strftime('%Y-%m-%d')} | {version('polymux')}"
    with RESULTS.open("a") as out:
        for size, peak, seconds in rows:
            against = f"{peak / rows[0][1]:.2f}"
            out.write(
                f"| {facts} | {size:,} | {peak:.0f} | {seconds:.1f} | {against} | {machine()} |\n"
            )
    sys.exit(ratio > ALLOWED)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        make_model(Path(sys.argv[1]))
    else:
        main()
