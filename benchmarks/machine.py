"""What the numbers were measured on, on one line."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("polymux", "torch", "transformers", "tokenizers", "numpy", "openvino", "nncf", "ray"),
    *("faiss-cpu", "scikit-learn", "sentence-transformers", "small-text"),
)
# What decides how fast low precision is, as Linux names it.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8") if path.exists() else ""


def has_flag(*names: str) -> bool:
    """Whether the CPU has one of these instruction sets."""
    return any(re.search(rf"\b{name}\b", _cpuinfo()) for name in names)


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself."""
    return has_flag("avx512_bf16", "amx_bf16")


def _cpu() -> str:
    named = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    found = named.group(1).strip() if named else platform.processor() or platform.machine()
    family = re.search(r"^cpu family\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    model = re.search(r"^model\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return (
        f"{found} (family {family.group(1)}, model {model.group(1)})" if family and model else found
    )


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


def _devices() -> list[str]:
    import torch

    count = torch.cuda.device_count()
    return [f"CUDA device {torch.cuda.get_device_name(i)}" for i in range(count)]


def machine() -> str:
    """CPU, cores, threads, instruction sets, memory, devices, versions."""
    import torch

    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"no {name}")
    flags = [name for name in FLAGS if has_flag(name)]
    return "; ".join(
        [
            f"{_cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads",
            f"has {', '.join(flags) or 'none of ' + ', '.join(FLAGS)}",
            f"{_memory()} of memory",
            *_devices(),
            f"{platform.system()}, Python {platform.python_version()}",
            ", ".join(packages),
        ]
    )


if __name__ == "__main__":
    print(machine())
