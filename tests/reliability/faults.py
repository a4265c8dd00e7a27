"""What goes wrong around polymux: full disks, closed folders, two at once, huge files, bad models.

Each check does one thing to real commands, and says what was tried; where polymux does not stand
it, it raises.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tests.annotation.tools import FINISH
from tests.annotation.worlds import NER
from tests.campaign.studio import TOKEN
from tests.models import tiny_model
from tests.reliability import kills
from tests.reliability.kills import POLYMUX, differences

from polymux.annotation import FORMATS, Answer, Batch, Item, checked
from polymux.errors import InputError
from polymux.readers import READERS, read

KIB = 1024
# Sizes of the largest file that a full disk still takes.
LIMITS = (0, 1 * KIB, 8 * KIB, 64 * KIB, 512 * KIB)
ROWS = 100_000
LINE = 5_000_000


def _polymux(
    place: Path,
    *command: str,
    through: Sequence[str] = (),
    prepare: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Run a command, or have another one run it; its exit code and what it said of errors."""
    done = subprocess.run(
        [*through, *POLYMUX, *command],
        cwd=place, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=prepare,
    )  # fmt: skip
    return done.returncode, done.stderr.decode(errors="replace")


def _refused(code: int, said: str, codes: tuple[int, ...] = (1, 2)) -> None:
    """Fail unless it ended as an error for people does."""
    assert code in codes, f"exit {code}: {said[-1500:]}"
    assert "Traceback" not in said, said[-1500:]
    assert "hint: " in said, said[-1500:]


def full_disk(folder: Path) -> str:
    """Files may not grow beyond a limit; then the disk is free again."""
    refused = 0
    for name in ("select", "next", "simulate", "distill"):
        world = kills.WORLDS[name](folder / name / "world")
        whole = folder / name / "whole"
        kills.whole_run(world, whole)
        for limit in LIMITS:
            place = folder / name / f"limit-{limit}"
            shutil.copytree(world.folder, place)
            code, said = _polymux(place, *world.command, prepare=_limited(limit))
            if code:
                _refused(code, said, (1,))
                refused += 1
                again = kills.again(world, place)
                assert not again, f"{name}, {limit} bytes: {again}"
            found = list(differences(whole, place))
            assert not found, f"{name}, {limit} bytes: {found}"
    return (
        f"{4 * len(LIMITS)} runs of select, next, simulate and distill with files of at most "
        f"{', '.join(f'{limit // KIB} KiB' for limit in LIMITS)}: {refused} ended with an error "
        "that says so, and went on to the undisturbed result when the disk was free"
    )


def _limited(size: int) -> Callable[[], None]:
    def prepare() -> None:
        # As ENOSPC does, it fails the write: the signal that would end the process is left out.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def closed_folders(folder: Path) -> str:
    """Nobody may write where the results, the store or the run are; nothing is left there."""
    tried = 0
    for name, closed in (
        ("select", "out"),
        ("select", "store"),
        ("next", "run"),
        ("simulate", "out"),
    ):
        world = kills.WORLDS[name](folder / f"{name}-{closed}")
        place = world.folder / closed
        place.mkdir(exist_ok=True)
        before = sorted(path.name for path in place.rglob("*"))
        _close(world.folder)
        code, said = _polymux(world.folder, *world.command, through=_obeying())
        _refused(code, said)
        assert sorted(path.name for path in place.rglob("*")) == before
        tried += 1
    return f"{tried} commands that may not write into --out, --store or the campaign: all said so"


def _close(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _obeying() -> list[str]:
    """Root may write everywhere: this takes that right, and no other, from a command."""
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}"] if os.geteuid() == 0 else []


def two_at_once(folder: Path) -> str:
    """The same command twice at the same time: one result, that of one alone."""
    told = []
    for name in ("select", "next", "simulate", "distill"):
        world = kills.WORLDS[name](folder / name / "world")
        whole, place = folder / name / "whole", folder / name / "both"
        kills.whole_run(world, whole)
        shutil.copytree(world.folder, place)
        with ThreadPoolExecutor(2) as runs:
            both = [runs.submit(_polymux, place, *world.command) for _ in range(2)]
        ended = [one.result() for one in both]
        for code, said in ended:
            if code:
                _refused(code, said)
        codes = sorted(code for code, _ in ended)
        assert codes[0] == 0, ended
        found = list(differences(whole, place))
        assert not found, f"{name}: {found}"
        told.append(f"{name} {'both ended' if codes[1] == 0 else 'the second was refused'}")
    return "; ".join(told) + "; each left what one alone leaves"


def large_sheets(folder: Path) -> str:
    """100,000 rows of an annotator in every format that is written: all come back."""
    fields = {"tokens": ("Ada", "went", "to", "Rome", ".")}
    label = ("B-PER", "O", "O", "B-LOC", "O")
    items = tuple(Item(f"p#{n}", fields, rank=n + 1, label=label) for n in range(ROWS // 5))
    asked = {"text": ["Rome"], "answer_start": [12]}
    questions = tuple(
        Item(f"q#{n}", {"question": "Where?", "context": f"Ada went to Rome {n}"}, label=asked)
        for n in range(ROWS)
    )
    told = []
    for name, made in FORMATS.items():
        if made.dump is None:
            continue
        batch = Batch("token-classification", NER, items)
        if made.tasks == ("question-answering",):
            batch = Batch("question-answering", (), questions)
        path = folder / f"back{made.suffix}"
        path.write_bytes(FINISH[name](made.dump(batch), batch))
        begun = time.monotonic()
        back = sum(isinstance(a, Answer) for a in checked(batch, made.load(path, batch), path))
        assert back == len(batch.items), f"{name}: {back} of {len(batch.items)}"
        told.append(f"{name} {time.monotonic() - begun:.1f} s")
    return f"{ROWS:,} rows (words, or questions for squad) read back whole: {', '.join(told)}"


def long_lines(folder: Path) -> str:
    """A line of 5 MB: read, or refused with its place; then chosen from."""
    word = "slovo "
    text = word * (LINE // len(word))
    row = {"text": text, "label": "a"}
    contents = {
        "conllu": f"1\t{'w' * LINE}\t_\tNOUN" + "\t_" * 6 + "\n\n",
        "columns": f"{'w' * LINE}\tO\n\n",
        "jsonl": json.dumps(row) + "\n",
        "json": json.dumps([row]),
        "csv": f"text,label\n{text},a\n",
        "text": text + "\n",
        "squad": json.dumps({"data": [{"paragraphs": [{"context": text, "qas": [
            {"id": "q", "question": "?", "answers": [{"text": "slovo", "answer_start": 0}]}
        ]}]}]}),
    }  # fmt: skip
    refused: dict[str, InputError] = {}
    for name, content in contents.items():
        path = folder / f"long{READERS[name].suffixes[0]}"
        path.write_text(content, "utf-8")
        task = READERS[name].tasks[0]
        try:
            (example,) = read(path, task=task, format=name)
        except InputError as error:
            refused[name] = error
            continue
        assert len(example.text) > LINE / 2, name
    assert all(error.line for error in refused.values()), refused
    model = tiny_model(folder / "model", "text-classification")
    (folder / "aim.txt").write_text("one\ntwo\n", "utf-8")
    code, said = _polymux(
        folder, "select", str(model), "--task", "text-classification", "--source", "long.jsonl",
        "--target", "aim.txt", "--budget", "1", "--store", "off", "--out", "out",
    )  # fmt: skip
    assert code == 0, said[-1500:]
    return (
        f"{len(contents)} formats with one line of {LINE / 1e6:g} MB: read, and one chosen from; "
        f"refused with its line: {', '.join(refused)} (a cell holds 131,072 characters)"
    )


def _change(model: Path, **values: object) -> None:
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _without_layer(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    kept = {name: w for name, w in weights.items() if "layer.1" not in name}
    save_file(kept, model / "model.safetensors", metadata={"format": "pt"})


def _not_finite(model: Path) -> None:
    weights = {n: w * float("nan") for n, w in load_file(model / "model.safetensors").items()}
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


def _pickled(model: Path) -> None:
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()


def _cut(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


BROKEN: dict[str, Callable[[Path], object]] = {
    "weights cut": _cut,
    "weights pickled": _pickled,
    "weights gone": lambda model: (model / "model.safetensors").unlink(),
    "weights that are not finite": _not_finite,
    "a layer gone": _without_layer,
    "config gone": lambda model: (model / "config.json").unlink(),
    "config no JSON": lambda model: (model / "config.json").write_text("{"),
    "a type that nobody knows": lambda model: _change(model, model_type="unheard-of"),
    "code of its own": lambda model: _change(
        model, auto_map={"AutoConfig": "mine.MyConfig"}, model_type="mine"
    ),
    "another number of labels": lambda model: _change(
        model, id2label={"0": "A", "1": "B"}, label2id={"A": 0, "B": 1}
    ),
    "another width": lambda model: _change(model, hidden_size=48),
    "tokenizer gone": lambda model: (model / "tokenizer.json").unlink(),
    "tokenizer no JSON": lambda model: (model / "tokenizer.json").write_text("["),
}
HEADS = ("none", "masked-lm", "text-classification", "question-answering")


def broken_models(folder: Path) -> str:
    """Models that are damaged, or have another head than the task needs."""
    world = kills.select_world(folder / "world")
    options = world.command[2:]
    models: list[Path] = []
    for name, damage in BROKEN.items():
        model = tiny_model(folder / name.replace(" ", "-"), "token-classification")
        damage(model)
        models.append(model)
    models += [tiny_model(folder / f"head-{head}", head) for head in HEADS]

    def tried(model: Path) -> tuple[int, str]:
        out = ["--out", f"out-{model.name}", "--store", "off"]
        return _polymux(world.folder, "select", str(model), *options, *out)

    with ThreadPoolExecutor(2) as runs:
        for model, (code, said) in zip(models, runs.map(tried, models), strict=True):
            assert not (world.folder / f"out-{model.name}").exists(), model.name
            try:
                _refused(code, said)
            except AssertionError as error:
                raise AssertionError(f"{model.name}: {error}") from None
    heads = [f"the head of {head}" for head in HEADS]
    return f"{len(models)} models, all refused: {', '.join([*BROKEN, *heads])}"


def secrets(folder: Path) -> str:
    """Every test against a real Label Studio server, and then each file that they left."""
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--basetemp", str(folder / "tests"), "tests/campaign/test_label_studio_server.py"),
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-2000:]
    files = [path for path in (folder / "tests").rglob("*") if path.is_file()]
    # The server's own: its database, and what it says while it starts.
    ours = [
        p for p in files if p.name != "server.log" and "data" not in p.relative_to(folder).parts
    ]
    leaked = [path for path in ours if TOKEN.encode() in path.read_bytes()]
    assert not leaked, leaked
    assert TOKEN not in told.stdout + told.stderr
    summary = told.stdout.strip().splitlines()[-1].strip("= ")
    return f"{summary}; the token stands in none of the {len(ours):,} files that polymux left"


CHECKS: dict[str, Callable[[Path], str]] = {
    "full disk": full_disk,
    "closed folders": closed_folders,
    "two at once": two_at_once,
    "large sheets": large_sheets,
    "long lines": long_lines,
    "broken models": broken_models,
    "secrets": secrets,
}
