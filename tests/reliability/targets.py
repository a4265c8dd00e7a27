"""What is fuzzed: every reader, every annotation format, and every other file that polymux reads.

A target takes bytes, has them read as a user's file, and says how much of it was accepted. Bad
input may raise nothing but a PolymuxError with a hint, and what was accepted must be writable.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.annotation.tools import FINISH
from tests.annotation.worlds import NER, POS
from tests.contract.test_readers import PAIRS, WRITE, legal

from polymux.annotation import FORMATS, Batch, Item, checked
from polymux.annotation.words import laid_out
from polymux.campaign.settings import read_settings as read_campaign
from polymux.distill.settings import read_settings as read_distillation
from polymux.errors import InputError, PolymuxError
from polymux.experiments.litmus.outcomes import read_outcomes
from polymux.experiments.litmus.relations import read_distances, read_sizes
from polymux.experiments.settings import read_experiment
from polymux.experiments.tables.results import read as read_tables
from polymux.prescribe.past import NEEDED, past_choices
from polymux.prescribe.plan import read_plan
from polymux.readers import READERS, read
from polymux.records import Example, content_hashes
from polymux.train.labels import read_labels

Attempt = Callable[[bytes, Path], int]


@dataclass(frozen=True)
class Target:
    """One kind of file."""

    attempt: Attempt
    """Reads the bytes as a file in the folder; how many things it accepted."""
    seeds: Callable[[], Iterable[bytes]]
    """Whole files to begin with."""


def told(error: PolymuxError) -> None:
    """Fail where an error does not say what to do, or which file it means."""
    assert error.what, "an error says nothing"
    assert error.hint, f"no hint: {error}"
    if isinstance(error, InputError):
        assert error.file, f"no file: {error}"


def usable(examples: Sequence[Example]) -> int:
    """Fail where what was accepted cannot be hashed or written."""
    content_hashes(examples)
    for one in examples:
        line = {"id": one.id, "label": one.label, "language": one.language, **one.fields}
        json.dumps(line, ensure_ascii=False).encode()
    return len(examples)


def _as(name: str | None, suffix: str, data: bytes, folder: Path) -> int:
    """Read the file as that format, for each task that it serves; None: find the format."""
    path = folder / f"x{suffix}"
    path.write_bytes(data)
    taken = 0
    for task in READERS[name].tasks if name else READERS["jsonl"].tasks:
        try:
            pool = read(path, task=task, format=name, language="lang", on_error="skip")
            for shard in pool.shards():
                taken += usable(shard.examples)
        except PolymuxError as error:
            told(error)
        else:
            for bad in pool.rejected:
                told(bad)
    return taken


_ENDS = tuple(dict.fromkeys((*(end for end, _ in WRITE.values()), ".tsv", ".conll", "", ".gz")))


def _detected(data: bytes, folder: Path) -> int:
    """The first byte says what the file is called; the rest is what stands in it."""
    return _as(None, _ENDS[data[0] % len(_ENDS)], data[1:], folder) if data else 0


def _named() -> list[bytes]:
    return [
        bytes([_ENDS.index(WRITE[name][0])]) + data for name in WRITE for data in _written(name)
    ]


def _written(name: str) -> list[bytes]:
    seeds = []
    for task in [task for one, task in PAIRS if one == name]:
        rows = [{**row, "lang": "ur"} for row in legal(name, task)]
        for some in (rows, rows[:2], rows[-2:]):
            with TemporaryDirectory() as folder:
                path = Path(folder) / "seed"
                WRITE[name][1](path, some)
                seeds.append(path.read_bytes())
    return seeds


_PLACES = ("Ada", "lives", "in", "Köln", "🚀", ".")
_HOSTILE = ("नमस्ते", "=1+1", "مرحبا", '"', "e\u0301")
_TAGGED = (
    Item("a#1", {"tokens": _PLACES}, 1, None, "en", ("B-PER", "O", "O", "B-LOC", "O", "O")),
    Item("a#2", {"tokens": _HOSTILE}, 2, label=("O", "B-LOC", "I-LOC", "O", "O")),
)
_CLASSED = (Item("p#1", {"tokens": _HOSTILE}, 1, label=(POS[0],) * 5),)
_TEXTS = (Item("c#1", {"text": "=So?\n 🏳️‍🌈"}, 1, label="yes"),)
_ANSWER = {"text": ["Here"], "answer_start": [0]}
_QUESTIONS = (Item("q#1", {"question": "Where?", "context": "Here 🚀 or there"}, 1, label=_ANSWER),)
BATCHES: dict[str, Batch] = {
    "ner": Batch("token-classification", NER, _TAGGED),
    "pos": Batch("token-classification", POS, _CLASSED),
    "class": Batch("text-classification", ("yes", "no"), _TEXTS),
    "qa": Batch("question-answering", (), _QUESTIONS),
}


def _fitting(name: str) -> dict[str, Batch]:
    tasks = FORMATS[name].tasks
    return {kind: one for kind, one in BATCHES.items() if not tasks or one.task in tasks}


def _back(name: str, data: bytes, folder: Path) -> int:
    """Take the file as what annotators of each batch gave back."""
    path = folder / f"back{FORMATS[name].suffix}"
    path.write_bytes(data)
    taken = 0
    for batch in _fitting(name).values():
        try:
            for answer in checked(batch, FORMATS[name].load(path, batch), path):
                if isinstance(answer, InputError):
                    told(answer)
                else:
                    json.dumps(answer.label, ensure_ascii=False).encode()
                    taken += 1
        except PolymuxError as error:
            told(error)
    return taken


def _parts(name: str, data: bytes, folder: Path) -> int:
    """As `_back`, of an archive one part of which is these bytes: the first says which one."""
    whole = next(iter(_dumped(name)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    if not data:
        return 0
    parts[list(parts)[data[0] % len(parts)]] = data[1:]
    return _back(name, _zip(parts), folder)


def _zip(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return out.getvalue()


def _part_seeds(name: str) -> list[bytes]:
    whole = next(iter(_dumped(name)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return [bytes([i]) + archive.read(part) for i, part in enumerate(archive.namelist())]


def _dumped(name: str) -> list[bytes]:
    made = FORMATS[name].dump
    assert made is not None
    dumped = [FINISH[name](made(batch), batch) for batch in _fitting(name).values()]
    return [*dumped, *_SELDOM.get(name, ())]


# What people may write besides.
_TEXT = _TEXTS[0].fields["text"]
_TOLD = {"id": "c#1", "text": _TEXT, "label": "yes", "annotator": "ada", "seconds": 1.5}
_SELDOM = {
    "jsonl": [json.dumps(_TOLD).encode()],
    "conll": ["\n".join(("# id = p#1", "# state = rejected", *_HOSTILE, "")).encode()],
}


def _argilla() -> list[bytes]:
    records = []
    for batch in BATCHES.values():
        for item in batch.items:
            fields: dict[str, Any] = dict(item.fields)
            value: Any = item.label
            if "tokens" in fields:
                text, _ = laid_out(item)
                fields, value = {"text": text}, [{"label": "PER", "start": 0, "end": 3}]
            elif isinstance(value, dict):
                value = [{"label": "answer", "start": 0, "end": 4}]
            response = {"label": [{"value": value, "user_id": "ada"}]}
            records.append(
                {"id": item.id, "fields": fields, "metadata": {}, "suggestions": {},
                 "responses": response, "vectors": {}, "status": "completed"}
            )  # fmt: skip
    flat = {"id": "c#1", "text": _TEXT, "label.responses": ["yes"]}
    lines = "\n".join(map(json.dumps, records))
    return [json.dumps(records).encode(), lines.encode(), json.dumps([flat]).encode()]


def _webanno() -> list[bytes]:
    head = "#FORMAT=WebAnno TSV 3.3\n#T_SP=webanno.custom.Span|value\n\n\n"
    text = "#Text=" + " ".join(_PLACES) + "\n"
    rows, at = "", 0
    for number, word in enumerate(_PLACES, 1):
        units = len(word.encode("utf-16-le")) // 2
        value = "PER[1]" if number == 1 else "LOC" if number == 4 else "_"
        rows += f"1-{number}\t{at}-{at + units}\t{word}\t{value}\t\n"
        at += units + 1
    return [(head + text + rows + "\n").encode()]


def _file(
    name: str, of: Callable[[Path], object], data: bytes, folder: Path, *, inside: bool = False
) -> int:
    """Read one file by its own function, which is given the folder if the name is fixed."""
    path = folder / name
    path.write_bytes(data)
    try:
        of(folder if inside else path)
    except PolymuxError as error:
        told(error)
        return 0
    return 1


_ROOT = Path(__file__).parents[2]
_PLAN = [b"language,count\nur,3\nde,0\n", b"ur,3"]
_TABLE = (
    b"model,task,config,setting,budget,seed,round,strategy,language,score\n"
    b"m,udpos,HP,low,10,1,1,random,fr,0.5\nm,udpos,HP,low,10,1,1,knn_uncertainty,fr,51.2\n"
)
_RESULT = {
    "model": "m", "task": "udpos", "kind": "token-classification", "config": "HP", "setting": "low",
    "strategy": "random", "choice_seed": 1, "train_seed": 1, "budget": 10, "round": 1, "labels": 10,
    "language": "fr", "metric": "accuracy", "score": 0.5, "scores": {"accuracy": 0.5},
    "chosen": {"de": 10}, "examples": 4, "seconds": 1.0,
}  # fmt: skip


_MANIFEST = {name: dict.fromkeys(keys, "") or "" for name, keys in NEEDED.items()} | {
    "task": "text-classification", "strategy": "random", "budget": 1, "chosen": 1, "seed": 0,
    "settings": {},
}  # fmt: skip
_LINE = {"id": "a#1", "rank": 1, "text": "So?", "uncertainty": 0.5, "distance": 1.0}


def _choice(name: str, data: bytes, folder: Path) -> int:
    """Read a choice one file of which is these bytes."""
    whole = {"selection.json": _MANIFEST, "to_label.jsonl": _LINE}
    for file, content in whole.items():
        (folder / file).write_text(json.dumps(content) + "\n", "utf-8")
    return _file(name, past_choices, data, folder, inside=True)


def _toml(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(_ROOT.glob(pattern))]


def _outcomes(path: Path) -> object:
    return read_outcomes([path], "token-classification")


_CAMPAIGN = b"""
model = "m"
task = "token-classification"
source = ["a"]
target = ["b"]
budget = 10
rounds = 2
[training]
epochs = 2
lr = 1e-3
[costs]
[limits]
"""
FILES: dict[str, Target] = {
    "plan": Target(partial(_file, "plan.csv", read_plan), lambda: _PLAN),
    "sizes": Target(
        partial(_file, "sizes.csv", read_sizes), lambda: [b"language,bytes\nur,1e6\nde,5\n"]
    ),
    "distances": Target(
        partial(_file, "near.csv", read_distances), lambda: [b"a,b,distance\nur,hi,0.25\nur,de,1\n"]
    ),
    "labels": Target(partial(_file, "labels.txt", read_labels), lambda: [b"O\nB-PER\nI-PER\n"]),
    "results": Target(
        partial(_file, "results.jsonl", lambda path: (_outcomes(path), read_tables([path]))),
        lambda: [json.dumps(_RESULT).encode() + b"\n"],
    ),
    "results elsewhere": Target(
        partial(_file, "results.csv", lambda path: read_tables([path])), lambda: [_TABLE]
    ),
    "experiment": Target(
        partial(_file, "experiment.toml", read_experiment),
        lambda: _toml("src/polymux/experiments/presets/*/*.toml"),
    ),
    "distillation": Target(
        partial(_file, "distill.toml", read_distillation), lambda: _toml("examples/distill/*.toml")
    ),
    "campaign": Target(
        partial(_file, "run.toml", read_campaign, inside=True),
        lambda: [_CAMPAIGN],
    ),
    "selection.json": Target(
        partial(_choice, "selection.json"), lambda: [json.dumps(_MANIFEST).encode()]
    ),
    "to_label.jsonl": Target(
        partial(_choice, "to_label.jsonl"), lambda: [json.dumps(_LINE).encode() + b"\n"]
    ),
}  # fmt: skip
TARGETS: dict[str, Target] = {
    **{
        f"reader {name}": Target(partial(_as, name, WRITE[name][0]), partial(_written, name))
        for name in WRITE
    },
    "reader found": Target(_detected, _named),
    **{
        f"format {name}": Target(partial(_back, name), partial(_dumped, name))
        for name, made in FORMATS.items()
        if made.dump is not None
    },
    "format argilla": Target(partial(_back, "argilla"), _argilla),
    "format webanno": Target(partial(_back, "webanno"), _webanno),
    "parts of xlsx": Target(partial(_parts, "xlsx"), partial(_part_seeds, "xlsx")),
    "parts of doccano": Target(partial(_parts, "doccano"), partial(_part_seeds, "doccano")),
    **{f"file {name}": target for name, target in FILES.items()},
}  # fmt: skip
