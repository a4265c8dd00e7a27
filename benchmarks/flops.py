"""How much of the machine's multiplying the encoder turns into useful work.

Useful is what real tokens need: two operations a weight of the encoder's linear layers and token,
and the two products of attention; padding, and whatever else a layer does, is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polymux as pm
from corpora import TASK, drawn
from end_to_end import missing
from figures import Row
from machine import has_bfloat16
from networks import SHAPES, untrained
from polymux.tasks import Feature

# What an operator of torch is part of, by the first of these words in its name.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("attention", ("attention", "softmax", "bmm", "baddbmm", "sdpa", "flash")),
    ("linear", ("linear", "addmm", "::mm", "mkldnn", "onednn", "matmul", "packed")),
    ("gelu", ("gelu",)),
    ("layer norm", ("layer_norm", "layernorm")),
    ("embeddings", ("embedding", "index_select")),
)


def useful(features: Sequence[Feature], shape: str) -> float:
    """Operations that the matrix products of the encoder need for these rows."""
    layers, width, _, inner = SHAPES[shape]
    weights = 4 * width * width + 2 * width * inner
    total = 0
    for feature in features:
        length = len(feature.input_ids)
        total += layers * (2 * weights * length + 4 * length * length * width)
    return float(total)


def gemm_peak(dtype: str, width: int, inner: int, seconds: float) -> tuple[float, str]:
    """The fastest linear layer of torch, in FLOP/s: the model's own shapes, and 2048 cubed."""
    import torch
    from torch.nn.functional import linear

    kind = getattr(torch, dtype)
    best = (0.0, "")
    with torch.inference_mode():
        for tokens, come, go in (
            *((1024, width, width), (1024, width, inner), (1024, inner, width)),
            (2048, 2048, 2048),
        ):
            x, weight = torch.randn(tokens, come).to(kind), torch.randn(go, come).to(kind)
            linear(x, weight)
            quickest, until = float("inf"), time.perf_counter() + seconds
            while time.perf_counter() < until:
                began = time.perf_counter()
                linear(x, weight)
                quickest = min(quickest, time.perf_counter() - began)
            best = max(best, (2 * tokens * come * go / quickest, f"{tokens} x {come} x {go}"))
    return best


def rows(*, quick: bool, work: Path, repeats: int) -> Iterator[Row]:
    """FLOP/s of every backend and precision, the peak between, and where the rest goes."""
    shape = "2x64" if quick else "12x768"
    folder = untrained(shape, work)
    examples = drawn(64 if quick else 1000)
    models: dict[str, tuple[pm.Model, str]] = {}
    lacking: dict[str, str] = {}
    for name, backend, dtype in (
        ("torch fp32", "torch", "float32"),
        ("torch bf16", "torch", "bfloat16"),
        ("openvino fp32", "openvino", "float32"),
    ):
        why = missing(backend=backend)
        if dtype == "bfloat16" and not has_bfloat16():
            why = "the CPU has neither avx512_bf16 nor AMX"
        if why:
            lacking[name] = why
        else:
            models[name] = pm.Model(folder, task=TASK, backend=backend, dtype=dtype), dtype
    features = next(iter(models.values()))[0].prepare(examples)
    for model, _ in models.values():
        model.forward(features[:32])
    yield from _measured(models, features, shape, repeats, seconds=0.05 if quick else 1.0)
    for name, why in lacking.items():
        yield Row(name, (), "GFLOP/s", why, FIGURE.get(name))
    for name, (model, _) in models.items():
        if name.startswith("torch"):
            yield from _profile(name, model, features[:: max(1, len(features) // 200)])


FIGURE = {"torch fp32": "flops-fp32", "torch bf16": "flops-bf16"}


def _measured(
    models: dict[str, tuple[pm.Model, str]],
    features: Sequence[Feature],
    shape: str,
    repeats: int,
    *,
    seconds: float,
) -> Iterator[Row]:
    """Encoder and peak in turn, so that both see the same machine."""
    needed = useful(features, shape)
    _, width, _, inner = SHAPES[shape]
    spent: dict[str, list[float]] = {name: [] for name in models}
    peaks: dict[str, list[tuple[float, str]]] = {}
    for _ in range(repeats):
        for dtype in dict.fromkeys(dtype for _, dtype in models.values()):
            peaks.setdefault(dtype, []).append(gemm_peak(dtype, width, inner, seconds))
        for name, (model, _) in models.items():
            spent[name].append(_seconds(partial(model.forward, features)))
    for dtype, found in peaks.items():
        yield Row(
            f"peak of torch's linear, {dtype}",
            tuple(rate / 1e9 for rate, _ in found),
            "GFLOP/s",
            f"at {max(found)[1]}",
        )
    for name, (_, dtype) in models.items():
        rates = [needed / value for value in spent[name]]
        yield Row(f"{name}, useful", tuple(rate / 1e9 for rate in rates), "GFLOP/s",
                  f"{needed / 1e12:.2f} TFLOP, {len(features):,} sentences")  # fmt: skip
        shares = tuple(rate / peak for rate, (peak, _) in zip(rates, peaks[dtype], strict=True))
        yield Row(f"{name}, useful over peak", shares, "share", figure=FIGURE.get(name))


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _profile(name: str, model: pm.Model, features: Sequence[Feature]) -> Iterator[Row]:
    """Where torch's own time goes, by kind of operator; what is left is Python and the rest."""
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        whole = _seconds(partial(model.forward, features)) * 1e6
    spent = dict.fromkeys([*(group for group, _ in GROUPS), "other operators"], 0.0)
    largest: dict[str, float] = {}
    for event in profile.key_averages():
        group = _group(event.key)
        spent[group] += event.self_cpu_time_total
        if group == "other operators":
            largest[event.key] = event.self_cpu_time_total
    spent["outside operators"] = max(0.0, whole - sum(spent.values()))
    for group, value in spent.items():
        note = ""
        if group == "other operators":
            most = sorted(largest.items(), key=lambda item: -item[1])[:4]
            note = ", ".join(f"{key} {100 * value / whole:.1f} %" for key, value in most)
        yield Row(f"{name}, time in: {group}", (value / whole,), "share", note)


def _group(operator: str) -> str:
    name = operator.lower()
    for group, words in GROUPS:
        if any(word in name for word in words):
            return group
    return "other operators"
