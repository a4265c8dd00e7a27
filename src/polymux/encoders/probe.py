"""`--backend auto`: which backend and precision is fastest on this machine, by trying for seconds.

The answer is kept in the user's cache, by machine, versions and the shape of the model.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np

from polymux.encoders.backends import BACKENDS, Calibration
from polymux.encoders.facts import Facts, bare
from polymux.encoders.kept import keep, of_kind, place_of, recall
from polymux.errors import ModelError
from polymux.tasks import Feature, task_named

# Backend and dtype.
Candidate = tuple[str, str]
Precision = Literal["exact", "low"]
# Weights but for embeddings. A smaller model reads thousands of sentences with torch in the time
# that its conversion takes.
_WORTH_A_TRIAL = 1_000_000
# Sentences of usual lengths, in sub-words: four parts of sixteen rows that are alike.
_LENGTHS = tuple(range(8, 65, 8)) * 8
_PARTS = 4
_SECONDS = 1.0


class Fastest(NamedTuple):
    """What is fastest of a precision, and what that was told from."""

    backend: str
    dtype: str
    speed: dict[Candidate, float]
    """Sub-words a second by backend and dtype; empty where there was nothing to choose from."""


def fastest(
    facts: Facts,
    *,
    task: str,
    precision: Precision = "exact",
    device: str = "auto",
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Fastest:
    """The backend and dtype that run this model fastest here.

    `exact` is float32. `low` is for a screen; the table then holds float32 too, and the answer is
    float32 where this machine has nothing lower. A small model is not tried: torch runs it.
    """
    from polymux.encoders import pytorch

    where = pytorch.device_named(device)
    exact, low = candidates(where)
    wanted = exact if precision == "exact" else low
    tried = exact if precision == "exact" else exact + low
    if len(tried) == 1 or _weights(facts) < _WORTH_A_TRIAL:
        return Fastest(*(wanted or exact)[0], {})
    kept = _place(facts, task, where, tried)
    table = _table(recall(kept), tried)
    if table is None:
        safety = {"allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code}
        table = {}
        for candidate in tried:
            with suppress(ModelError):  # OpenVINO cannot convert it: another will do
                table[candidate] = _speed(facts, task, where, candidate, safety)
        keep(kept, [[*candidate, speed] for candidate, speed in table.items()])
    able = [candidate for candidate in wanted if candidate in table] or exact[:1]
    best = max(able, key=lambda candidate: table.get(candidate, 0.0))
    return Fastest(*best, table)


def candidates(where: str) -> tuple[list[Candidate], list[Candidate]]:
    """What there is on `cpu` or `cuda`: exact, and of low precision; torch first."""
    from polymux.encoders import openvino

    exact, low = [("torch", "float32")], list[Candidate]()
    has_low = has_bfloat16(where)
    if has_low:
        low.append(("torch", "bfloat16"))
    if where == "cpu" and openvino.is_installed():
        exact.append(("openvino", "float32"))
        low += [("openvino", "bfloat16")] * has_low + [("openvino", "int8")]
    return exact, low


def has_bfloat16(where: str) -> bool:
    """Whether `cpu` or `cuda` multiplies in bfloat16; a CPU that does not is slow beyond use."""
    if where == "cpu":
        return bool(_flags() & {"avx512_bf16", "amx_bf16"})
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _speed(
    facts: Facts, task: str, where: str, candidate: Candidate, safety: Mapping[str, bool]
) -> float:
    """Positions a second, of the fastest part; the first part only warms up.

    Raises:
        ModelError: the backend cannot run a model of this kind.
    """
    backend, dtype = candidate
    module: Any = import_module(BACKENDS[backend])
    parts = list(_parts(facts))
    loaded = module.load(
        facts.folder,
        auto=task_named(task).AUTO,
        device=where,
        dtype=dtype,
        batch_tokens=module.BATCH_TOKENS[where],
        padding=facts.tokenizer.pad_token_id or 0,
        is_decoder=facts.is_decoder,
        segments="token_type_ids" in facts.tokenizer.model_input_names,
        # How well it is quantised does not change how fast it is: the fewest rows will do.
        calibration=Calibration(tuple(parts[0][:2]), None) if dtype in module.CALIBRATED else None,
        **safety,
    )
    module.forward(loaded, parts[0])
    speeds: list[float] = []
    begun = perf_counter()
    for part in parts * 8:
        before = perf_counter()
        module.forward(loaded, part)
        now = perf_counter()
        speeds.append(sum(len(f.input_ids) for f in part) / (now - before))
        if now - begun > _SECONDS:
            break
    return round(max(speeds), 1)


def _parts(facts: Facts) -> Iterator[list[Feature]]:
    """Rows of random sub-words: what they are does not change how long they take."""
    ids = np.random.default_rng(0)
    words = facts.config.get_text_config().vocab_size
    has_types = "token_type_ids" in facts.tokenizer.model_input_names
    rows = []
    for i, usual in enumerate(_LENGTHS):
        size = min(usual, facts.reads)
        drawn = tuple(ids.integers(words, size=size).tolist())
        types = (0,) * size if has_types else None
        rows.append(Feature(i, drawn, types, (0,), (0,), (None,), 0))
    size = len(rows) // _PARTS
    yield from (rows[at : at + size] for at in range(0, len(rows), size))


def _weights(facts: Facts) -> int:
    """Weights beside the input embeddings."""

    def make() -> int:
        model = bare(facts.config)
        inputs = {id(weight) for weight in model.get_input_embeddings().parameters()}
        return sum(w.numel() for w in model.parameters() if id(w) not in inputs)

    return int(of_kind(facts.config, "weights", make))


def _place(facts: Facts, task: str, where: str, tried: Sequence[Candidate]) -> Path:
    """Where the table of this machine, these versions and a model of this shape is kept."""
    import torch

    shape = facts.config.to_dict()
    for name in ("_name_or_path", "transformers_version", "id2label", "label2id"):
        shape.pop(name, None)
    everything = {
        "processor": _cpu() if where == "cpu" else torch.cuda.get_device_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "tried": tried,
        "versions": {name: import_module(BACKENDS[name]).version() for name, _ in tried},
        "task": task,
        "shape": shape,
    }
    return place_of("fastest", everything)


def _table(told: Any, tried: Sequence[Candidate]) -> dict[Candidate, float] | None:
    """The table that was kept; None if it is not one of these candidates."""
    try:
        table = {(backend, dtype): float(speed) for backend, dtype, speed in told}
    except (ValueError, TypeError):
        return None
    return table if tried[0] in table and set(table) <= set(tried) else None


def _flags() -> set[str]:
    """What the CPU can do; empty where the system does not tell."""
    return set(_told("flags").split())


def _cpu() -> str:
    return _told("model name") or platform.processor() or platform.machine()


def _told(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
