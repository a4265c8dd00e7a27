"""The torch backend: one forward pass gives hidden means and logits at the positions asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from polymux.encoders.backends import Calibration
from polymux.encoders.facts import loading
from polymux.encoders.rows import Arrays, Outputs, Rows, Tick, in_batches
from polymux.errors import ModelError, UsageError, WorkError
from polymux.tasks import Feature

# Positions in a batch, padding included: measured where a batch stops getting faster.
BATCH_TOKENS = {"cpu": 1024, "cuda": 16384}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# None needs a sample of what it will read.
CALIBRATED: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device."""

    model: Any
    device: torch.device
    padding: int
    batch_tokens: int
    reads_last: bool
    """A decoder's head for a text: it is asked at the position given, wherever padding stands."""
    notes: list[str] = field(default_factory=list)


def version() -> str:
    """What made the numbers: part of a model's fingerprint."""
    return f"torch {torch.__version__}"


def device_named(name: str) -> str:
    """`cpu` or `cuda`, for `auto` whatever is there."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"there is no device {name!r}", "choose one of: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch sees no CUDA device", "use --device cpu, or a torch with CUDA")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def load(
    folder: Path,
    *,
    auto: str,
    device: str,
    dtype: str,
    batch_tokens: int,
    padding: int,
    is_decoder: bool,
    segments: bool = False,
    calibration: Calibration | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Loaded:
    """Load a model with its head, in evaluation mode.

    `segments` and `calibration` are for backends that convert it: torch reads whatever comes.

    Raises:
        ModelError: the weights lack something that the model has.
    """
    with quiet(), loading(folder):
        model, info = getattr(transformers, auto).from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            use_safetensors=None if allow_pickle else True,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
    if info["missing_keys"]:
        raise ModelError(
            f"its weights hold no {min(info['missing_keys'])}",
            "they would be random: make the model again with `polymux train`",
            file=str(folder),
        )
    model.config.use_cache = False
    reads_last = is_decoder and "score" in dict(model.named_children())
    where = torch.device(device)
    on_device = model.eval().to(where)
    return Loaded(
        on_device,
        where,
        padding,
        batch_tokens,
        reads_last and auto == "AutoModelForSequenceClassification",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Transformers without its progress bars and reports: commands print results only."""
    logs = transformers.logging
    verbosity, had_bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()  # type: ignore[no-untyped-call]
    logs.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logs.set_verbosity(verbosity)
        if had_bars:
            logs.enable_progress_bar()  # type: ignore[no-untyped-call]


def forward(loaded: Loaded, features: Sequence[Feature], tick: Tick | None = None) -> Arrays:
    """Mean last hidden states at `embed_at`, a row a feature; logits at all `logits_at`, in order.

    `tick` hears how many features are done.
    """
    rows = Rows.of(features, loaded.device)
    return in_batches(rows, loaded.batch_tokens, partial(_run, loaded, rows), tick)


def _run(loaded: Loaded, rows: Rows, start: int, stop: int) -> list[Outputs]:
    """One batch; out of memory, its halves."""
    try:
        return [_forward(loaded, rows, start, stop)]
    except RuntimeError as error:
        if not is_memory(error):
            raise
    if stop - start == 1:
        raise WorkError(
            f"the device has no memory for one row of {rows.lengths[start]} sub-words",
            "use a smaller --max-length, a smaller model, or another --device",
        )
    if not loaded.notes:
        loaded.notes.append(
            "out of memory: batches were halved; a smaller --batch-tokens saves the attempts"
        )
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()
    half = (start + stop) // 2
    return [*_run(loaded, rows, start, half), *_run(loaded, rows, half, stop)]


def is_memory(error: RuntimeError) -> bool:
    """Whether it says that the device, or the machine, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@torch.inference_mode()
def _forward(loaded: Loaded, rows: Rows, start: int, stop: int) -> Outputs:
    """B features, T positions, D dimensions, C classes, Q positions asked for."""
    inputs, weights_BT = rows.padded(start, stop, loaded.padding)
    at = rows.asked(start, stop)
    if loaded.reads_last:
        hidden_BTD = loaded.model.base_model(**inputs).last_hidden_state
        logits_QC = loaded.model.score(hidden_BTD[at])
    else:
        with last_hidden(loaded.model.base_model) as seen:
            logits_QC = logits_at(loaded.model(**inputs), at)
        hidden_BTD = seen[0]
    means_BD = torch.bmm(weights_BT[:, None, :], hidden_BTD.float())[:, 0]
    return means_BD, logits_QC.float()


def batch_of(features: Sequence[Feature], padding: int) -> dict[str, torch.Tensor]:
    """What a model reads: ids, mask and (where it has them) segment ids, padded on the right."""
    shape = len(features), max(len(f.input_ids) for f in features)
    ids = np.full(shape, padding, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    types = np.zeros(shape, dtype=np.int64)
    for row, feature in enumerate(features):
        length = len(feature.input_ids)
        ids[row, :length] = feature.input_ids
        mask[row, :length] = 1
        types[row, :length] = feature.type_ids or 0
    arrays = {"input_ids": ids, "attention_mask": mask}
    if features[0].type_ids is not None:
        arrays["token_type_ids"] = types
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


@contextmanager
def last_hidden(base: Any) -> Iterator[list[torch.Tensor]]:
    """The base model's last hidden state as it passes to the head; no other layer is kept."""
    seen: list[torch.Tensor] = []
    hook = base.register_forward_hook(lambda _module, _args, out: seen.append(out[0]))
    try:
        yield seen
    finally:
        hook.remove()


def logits_at(output: Any, at: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Logits at (row, position): of tokens, of a start and an end, or one a row."""
    if "start_logits" in output:
        return torch.stack([output.start_logits[at], output.end_logits[at]], dim=-1)
    logits: torch.Tensor = output.logits
    return logits[at] if logits.ndim == 3 else logits
