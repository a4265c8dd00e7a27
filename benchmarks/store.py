"""What a filled store saves: the second `polymux select` on a pool against the first.

    POLYMUX_DATA=... python benchmarks/store.py

The second run asks another strategy and another budget, so everything but the encodings is done
anew. It may take 5 % of the first. Beside the commands' times stand the time inside `select_many`,
and what a command spends before it: imports, and a look at the model.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

LANGUAGES = ("hi", "ru", "fa", "tr", "fi", "id")
TARGET = "ur"
ALLOWED = 0.05
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
COMMAND = (sys.executable, "-c", "from polymux.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured."""

    what: str
    seconds: float
    cpu: float
    """Seconds of processor time, which a busy machine does not change."""
    inside: float | None
    """Of these in `select_many`."""


def sentences(data: Path, language: str, part: str, count: int) -> Iterator[str]:
    """The first sentences of a treebank, as CoNLL-U."""
    text = lzma.decompress((data / "udpos" / language / f"{part}.conllu.xz").read_bytes()).decode()
    for sentence in text.split("\n\n")[:count]:
        yield sentence.strip("\n") + "\n\n"


def make_model(folder: Path, texts: Sequence[str], *, layers: int, width: int) -> None:
    """An untrained encoder with a head of labels, and a tokenizer of 8,000 sub-words."""
    import torch
    from tokenizers import Tokenizer, pre_tokenizers, processors, trainers
    from tokenizers.models import BPE
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    pad, begin, end, unknown = SPECIALS
    made = Tokenizer(BPE(unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000, special_tokens=list(SPECIALS), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.BertProcessing((end, 2), (begin, 1))
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made, model_max_length=128, pad_token=pad, unk_token=unknown
    ).save_pretrained(folder)
    torch.manual_seed(0)
    labels = ("NOUN", "VERB", "ADJ", "ADP", "PUNCT")
    config = BertConfig(
        vocab_size=made.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=128,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    BertForTokenClassification(config).save_pretrained(folder)


def prepare(data: Path, work: Path, *, count: int, layers: int, width: int) -> None:
    """Pools and a model below `work`."""
    (work / "pool").mkdir(parents=True)
    texts = []
    for language in LANGUAGES:
        made = "".join(sentences(data, language, "train", count // len(LANGUAGES)))
        (work / "pool" / f"{language}.conllu").write_text(made, encoding="utf-8")
        lines = (line.split("\t") for line in made.splitlines())
        texts += [cells[1] for cells in lines if len(cells) == 10]
    sample = "".join(sentences(data, TARGET, "dev", 200))
    (work / "target.conllu").write_text(sample, encoding="utf-8")
    make_model(work / "model", texts, layers=layers, width=width)


def run(what: str, *command: str) -> Row:
    """A process to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return Row(what, time.perf_counter() - started, usage.ru_utime + usage.ru_stime, None)


def asked(work: Path, what: str, strategy: str, budget: int, *options: str) -> Row:
    """One `polymux select` on the store in `work`."""
    out = work / what.replace(" ", "-")
    row = run(
        what,
        *(*COMMAND, "select", str(work / "model"), "--task", "token-classification"),
        *("--source", str(work / "pool"), "--target", str(work / "target.conllu")),
        *("--strategy", strategy, "--budget", str(budget), "--language", "file"),
        *("--out", str(out), "--store", str(work / "store"), "--offline", "-q", *options),
    )
    manifest = json.loads((out / "selection.json").read_text(encoding="utf-8"))
    return replace(row, inside=sum(manifest["seconds"].values()))


def start_up(work: Path) -> Row:
    """What every `select` spends before the first example is read."""
    code = (
        "import sys, polymux, polymux.prescribe; "
        "polymux.Model(sys.argv[1], task='token-classification', offline=True).fingerprint"
    )
    return run("start up", sys.executable, "-c", code, str(work / "model"))


def answered() -> Row:
    """`polymux --help`, the fastest of five."""
    return min((run("help", *COMMAND, "--help") for _ in range(5)), key=lambda row: row.seconds)


def measured(data: Path, *, count: int = 3_000, layers: int = 6, width: int = 256) -> list[Row]:
    """Seconds of `--help`, of starting up, and of `select` on an empty and on a filled store."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        prepare(data, work, count=count, layers=layers, width=width)
        return [
            answered(),
            start_up(work),
            asked(work, "first", "knn-uncertainty", 300),
            asked(work, "second", "average-dist", 500),
            asked(work, "first, float16", "knn-uncertainty", 300, "--store-dtype", "float16"),
            asked(work, "second, float16", "average-dist", 500, "--store-dtype", "float16"),
        ]


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, each against the first `select`."""
    first = next(row for row in rows if row.what == "first")
    assert first.inside is not None  # noqa: S101  # every select has it
    lines = [
        "| run | seconds | of first | CPU seconds | of first | in select_many | of first |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.what, f"{row.seconds:.2f}", "", f"{row.cpu:.2f}", "", "", ""]
        if row.inside is not None:
            cells[2] = f"{row.seconds / first.seconds:.1%}"
            cells[4] = f"{row.cpu / first.cpu:.1%}"
            cells[5] = f"{row.inside:.2f}"
            cells[6] = f"{row.inside / first.inside:.1%}"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; exit 1 when the second `select_many` takes more than is allowed."""
    rows = measured(Path(os.environ["POLYMUX_DATA"]))
    print(table(rows))
    inside = {row.what: row.inside for row in rows if row.inside is not None}
    sys.exit(inside["second"] > ALLOWED * inside["first"])


if __name__ == "__main__":
    main()
