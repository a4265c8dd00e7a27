"""Teachers asked beforehand: what they think of each row under a few fixed masks, in a file.

Plain renormalised top-k would be biased (arXiv 2503.16870): here the rest stays in one bucket, or
words are drawn from the whole distribution.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from polymux.distill.learning.losses import Sparse
from polymux.distill.learning.masking import Masking, collate
from polymux.distill.learning.teachers import Answer, Batch, Live
from polymux.distill.text.blocks import Block, Rows
from polymux.progress import Progress

_ROWS = 32
# In place of probabilities where a teacher has no word for the true token: nothing is learned.
_SILENT = -1.0


def likeliest(p_NV: Float[Tensor, "hidden vocabulary"], k: int, seed: int) -> tuple[Tensor, Tensor]:
    """The k likeliest words and their probabilities; what is left is the bucket's."""
    top = p_NV.topk(min(k, p_NV.shape[1]), dim=1)
    return top.indices, top.values


def drawn(p_NV: Float[Tensor, "hidden vocabulary"], k: int, seed: int) -> tuple[Tensor, Tensor]:
    """K words drawn from the distribution, with replacement, each of weight 1 / k: unbiased."""
    generator = torch.Generator(p_NV.device).manual_seed(seed)
    ids = torch.multinomial(p_NV, k, replacement=True, generator=generator)
    return ids, torch.full_like(ids, 1 / k, dtype=p_NV.dtype)


# What is kept of a distribution: numbers of words and their probabilities.
KEPT: dict[str, Callable[[Tensor, int, int], tuple[Tensor, Tensor]]] = {
    "top-k": likeliest,
    "sampled": drawn,
}


@dataclass(slots=True)
class Cache:
    """Answers by language and row, to be read by whoever masks the rows the same way."""

    kind: str
    ids: Sequence[Integer[np.ndarray, "_ k"]]
    """By language."""
    p: Sequence[Float[np.ndarray, "_ k"]]
    starts: Sequence[Int[np.ndarray, "_"]]
    """Where the answers of each row begin; rows of one mask follow those of the one before."""
    rows: Sequence[int]
    """Rows of each language."""
    maskings: int

    def __call__(self, batch: Batch) -> Answer:
        """What was kept for the batch's rows, in the order of their hidden tokens."""
        ids, p = [], []
        for language, index, passes in zip(
            batch["language"].tolist(),
            batch["index"].tolist(),
            batch["passes"].tolist(),
            strict=True,
        ):
            at = passes % self.maskings * self.rows[language] + index
            start, end = self.starts[language][at : at + 2]
            ids.append(self.ids[language][start:end])
            p.append(self.p[language][start:end])
        device = batch["gold"].device
        ids_NK = torch.from_numpy(np.concatenate(ids).astype(np.int64)).to(device)
        p_NK = torch.from_numpy(np.concatenate(p).astype(np.float32)).to(device)
        silent = p_NK[:, 0] < 0
        p_NK = p_NK.clamp_min(0)
        rest = None
        if self.kind == "top-k":
            rest = (1 - p_NK.sum(1)).clamp_min(0).masked_fill(silent, 0)
        return Sparse(ids_NK, p_NK, rest), None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(a.nbytes + b.nbytes for a, b in zip(self.ids, self.p, strict=True))


def write_cache(
    folder: Path,
    teachers: Live,
    rows: Sequence[Rows],
    masking: Masking,
    *,
    kind: str,
    k: int,
    autocast: torch.dtype,
    progress: Progress | None = None,
) -> None:
    """Ask the teachers of every row under each of `masking.repeats_after` masks.

    Probabilities are half precision, numbers of words as small as the vocabulary lets them be: four
    bytes a word kept.
    """
    device = next(teachers.models[0].parameters()).device
    total, done = masking.repeats_after * sum(map(len, rows)), 0
    starts = []
    for language, own in enumerate(rows):
        counts: list[int] = []
        with (
            (folder / f"{language}.ids").open("wb") as ids_file,
            (folder / f"{language}.p").open("wb") as p_file,
        ):
            for blocks in _asked(language, own, masking.repeats_after):
                made = collate(blocks, masking=masking, rows=rows)
                batch = {name: value.to(device) for name, value in made.items()}
                with torch.autocast(device.type, autocast, enabled=autocast != torch.float32):
                    answer = teachers.distributions(batch)[0]
                ids, p = (kept.cpu() for kept in KEPT[kind](answer.p, k, done))
                if answer.known is not None:
                    p[~answer.known.cpu()] = _SILENT
                ids_file.write(ids.numpy().astype(_small(answer.p.shape[1])).tobytes())
                p_file.write(p.numpy().astype(np.float16).tobytes())
                counts.extend(torch.bincount(made["row"], minlength=len(blocks)).tolist())
                done += len(blocks)
                if progress:
                    progress("ask the teachers", done, total)
                width, words = ids.shape[1], answer.p.shape[1]
        starts.append(np.concatenate([[0], np.cumsum(counts)]).tolist())
    told = {
        "kind": kind,
        "k": width,
        "vocabulary": words,
        "starts": starts,
        "rows": [len(own) for own in rows],
        "maskings": masking.repeats_after,
    }
    (folder / "cache.json").write_text(json.dumps(told), encoding="utf-8")


def read_cache(folder: Path) -> Cache:
    """What `write_cache` left, mapped from disk."""
    told: Mapping[str, Any] = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
    k = told["k"]

    def mapped(name: str, dtype: Any) -> list[np.ndarray]:
        return [
            np.memmap(folder / f"{i}.{name}", dtype, "r").reshape(-1, k)
            for i in range(len(told["rows"]))
        ]

    return Cache(
        told["kind"],
        mapped("ids", _small(told["vocabulary"])),
        mapped("p", np.float16),
        [np.array(starts) for starts in told["starts"]],
        told["rows"],
        told["maskings"],
    )


def _asked(language: int, rows: Rows, maskings: int) -> Iterator[list[Block]]:
    every = [(passes, index) for passes in range(maskings) for index in range(len(rows))]
    for start in range(0, len(every), _ROWS):
        yield [Block(language, i, passes, rows[i]) for passes, i in every[start : start + _ROWS]]


def _small(vocabulary: int) -> type[np.generic]:
    return np.uint16 if vocabulary <= 2**16 else np.uint32
