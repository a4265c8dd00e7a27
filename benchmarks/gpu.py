"""The encoder, the choice and the distances on a CUDA device.

    POLYMUX_DATA=CORPORA python benchmarks/run.py gpu

It needs no network: models are made on the spot. Under three minutes on a recent device.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import polymux as pm
from corpora import TASK, drawn, everything, sentences
from figures import Row
from flops import useful
from networks import untrained
from polymux.encoders.distances import InTorch
from polymux.prescribe import select_many
from polymux.records import SHARD_SIZE, Encodings
from polymux.selection.distance import Target
from polymux.selection.summaries import Nearest
from polymux.tasks import Feature

TOKENS = (4_096, 16_384, 65_536)
DTYPES = ("bfloat16", "float32")
POOL, TARGETS, WIDTH, NEAREST = 1_000_000, 1_000, 768, 32
BLOCK = 65_536


def rows(*, quick: bool, work: Path) -> Iterator[Row]:
    """Peaks, encoding by precision and token budget, choosing whole, distances, `torch.compile`."""
    import torch

    if not (quick or torch.cuda.is_available()):
        sys.exit("torch sees no CUDA device")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = "2x64" if quick else "12x768"
    folder = untrained(shape, work)
    examples = drawn(200) if quick else list(everything())[::3]
    pool = pm.Pool.of(examples, TASK, name="source")
    features = pm.Model(folder, task=TASK, device=device).prepare(examples)
    peaks = {dtype: _peak(device, dtype, 256 if quick else 8192) for dtype in DTYPES}
    for dtype, peak in peaks.items():
        yield Row(f"GEMM peak, {dtype}", (peak / 1e12,), "TFLOP/s", "fp32 without TF32")
    needed = useful(features, shape)
    for dtype in DTYPES:
        for tokens in TOKENS:
            model = _model(folder, device, dtype, tokens)
            name = f"{dtype}, batches of {tokens:,} tokens"
            yield from _forward(name, model, features, needed / peaks[dtype])
    yield from _whole(folder, device, pool)
    yield from _sentence_transformers(folder, device, examples)
    yield from _distances(device, 5_000 if quick else POOL)
    if device == "cuda":
        for tokens in TOKENS[1:]:
            yield from _compiled(folder, device, tokens, features, needed / peaks["bfloat16"])


def _model(folder: Path, device: str, dtype: str, tokens: int | None) -> pm.Model:
    return pm.Model(folder, task=TASK, device=device, dtype=dtype, batch_tokens=tokens)


def _forward(
    name: str, model: pm.Model, features: Sequence[Feature], at_peak: float
) -> Iterator[Row]:
    """Prepared rows through the model; `at_peak` is how long their products take at the peak."""
    model.forward(features[:512])
    spent, memory = _timed(partial(model.forward, features), 3)
    rates = tuple(len(features) / seconds for seconds in spent)
    yield Row(f"{name}: encoder", rates, "sentences/s", f"{memory:.0f} MiB on the device")
    yield Row(f"{name}: model FLOP utilisation", tuple(at_peak / s for s in spent), "share")


def _whole(folder: Path, device: str, pool: pm.Pool) -> Iterator[Row]:
    """Cutting into sub-words included; then the whole choice."""
    count = sum(1 for _ in pool)
    target = pm.Pool.of(sentences("ur", "dev"), TASK, name="target")
    for dtype in DTYPES:
        model = _model(folder, device, dtype, None)
        model.encode(list(target))
        spent, _ = _timed(partial(_read, pool, model), 1)
        yield Row(
            f"{dtype}: sub-words and encoder, {model.batch_tokens:,} tokens",
            *((count / spent[0],), "sentences/s"),
        )
    for screen in ("off", "bfloat16"):
        model = _model(folder, device, "float32", None)
        choose = partial(
            select_many, model, pool, target, budgets=[1000], strategies=["average-dist"]
        )
        spent, memory = _timed(partial(choose, screen=screen), 1)
        yield Row(
            f"float32 choice by average-dist, screen {screen}",
            *((spent[0],), "s", f"{count:,} sentences, {memory:.0f} MiB on the device"),
        )


def _read(pool: pm.Pool, model: pm.Model) -> None:
    for _ in pm.encode(pool, model):
        pass


def _sentence_transformers(
    folder: Path, device: str, examples: Sequence[pm.Example]
) -> Iterator[Row]:
    from sentence_transformers import SentenceTransformer

    from polymux.encoders.pytorch import DTYPES as TORCH
    from polymux.encoders.pytorch import quiet

    texts = [" ".join(example.fields["tokens"]) for example in examples]
    for dtype in DTYPES:
        with quiet():
            model = SentenceTransformer(str(folder), device=device).to(TORCH[dtype])
        model.max_seq_length = 128
        for size in (32, 256):
            encode = partial(model.encode, batch_size=size, show_progress_bar=False)
            encode(texts[:256])
            spent, memory = _timed(partial(encode, texts), 1)
            yield Row(
                f"{dtype}: sentence-transformers encode, batches of {size}",
                *((len(texts) / spent[0],), "sentences/s", f"{memory:.0f} MiB on the device"),
            )


def _distances(device: str, pool: int) -> Iterator[Row]:
    """Every target's nearest of a pool that lies on the device, a block at a time, in fp32."""
    import torch

    generator = torch.Generator(device).manual_seed(0)
    drawn = partial(torch.randn, generator=generator, device=device)
    # Around 50 places away from the origin, as embeddings lie.
    places = drawn(50, WIDTH) + 1
    source, target = drawn(pool, WIDTH), drawn(TARGETS, WIDTH) + places[0]
    source += places[torch.randint(50, (pool,), generator=generator, device=device)]

    def products() -> None:
        for start in range(0, pool, BLOCK):
            source[start : start + BLOCK] @ target.T

    def nearest() -> None:
        best = torch.full((TARGETS, NEAREST), torch.inf, device=device)
        for start in range(0, pool, BLOCK):
            near = (
                torch.cdist(target, source[start : start + BLOCK])
                .topk(NEAREST, largest=False)
                .values
            )
            best = torch.cat([best, near], dim=1).topk(NEAREST, largest=False).values

    for name, work in (("products alone", products), (f"the {NEAREST} nearest", nearest)):
        work()
        spent, memory = _timed(work, 3)
        yield Row(f"{pool:,} x {TARGETS:,} x {WIDTH}: {name}", tuple(spent), "s",
                  f"{memory:.0f} MiB on the device, the pool among them")  # fmt: skip
    yield _polymux_nearest(device, source, target)


def _polymux_nearest(device: str, source: Any, target: Any) -> Row:
    """The same by polymux: shards on the processor, screened on the device, decided directly."""
    seen = Nearest(NEAREST, Target.of(target.cpu().numpy(), "l2", InTorch(device)), "u")
    spent, pool = 0.0, len(source)
    for start in range(0, pool, SHARD_SIZE):
        vectors = source[start : start + SHARD_SIZE].cpu().numpy()
        count = len(vectors)
        rng = np.random.default_rng(start)
        shard = Encodings(
            rows=np.arange(start, start + count),
            hashes=rng.integers(0, 2**64, (count, 2), dtype=np.uint64),
            embeddings=vectors,
            uncertainty={"u": rng.normal(size=count)},
            lengths=np.ones(count, dtype=np.int64),
            lost=np.zeros(count, dtype=np.int64),
            predictions=["null"] * count,
        )
        began = time.perf_counter()
        seen.see(shard)
        spent += time.perf_counter() - began
    what = f"{pool:,} x {TARGETS:,} x {WIDTH}: polymux's {NEAREST} nearest, shard by shard"
    return Row(what, (spent,), "s", "from the processor's memory and back")


def _compiled(
    folder: Path, device: str, tokens: int, features: Sequence[Feature], at_peak: float
) -> Iterator[Row]:
    """The same encoder through `torch.compile`, to see whether it pays."""
    model = _model(folder, device, "bfloat16", tokens)
    name = f"bfloat16, batches of {tokens:,} tokens, torch.compile"
    began = time.perf_counter()
    try:
        # Inside the backend: a compiled encoder is no option of polymux.
        model._loaded.model.base_model.encoder.compile(dynamic=True)
        model.forward(features[::20])
    except RuntimeError as error:
        yield Row(name, (), "sentences/s", str(error).splitlines()[0][:100])
        return
    yield Row(f"{name}: compiling", (time.perf_counter() - began,), "s")
    yield from _forward(name, model, features, at_peak)


def _peak(device: str, dtype: str, size: int) -> float:
    """FLOP/s of a square product."""
    import torch

    left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in "lr")
    left @ right

    def products() -> None:
        for _ in range(10):
            left @ right

    spent, _ = _timed(products, 3)
    return float(10 * 2 * size**3 / min(spent))


def _timed(work: Callable[[], Any], repeats: int) -> tuple[list[float], float]:
    """Seconds of each repeat, the device's queue empty before and after; peak MiB on it."""
    import torch

    on_device = torch.cuda.is_available()
    spent = []
    if on_device:
        # What an earlier model held is not this one's.
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats):
        if on_device:
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if on_device:
            torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
    return spent, torch.cuda.max_memory_allocated() / 2**20 if on_device else 0.0
