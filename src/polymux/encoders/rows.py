"""Rows of a shard on a device, and the batches that a model reads them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float

from polymux.tasks import Feature

Tick = Callable[[int], None]
# Means of rows, and logits at the positions that they ask for, in their order.
Outputs = tuple[torch.Tensor, torch.Tensor]
Arrays = tuple[Float[np.ndarray, "features dim"], Float[np.ndarray, "positions classes"]]


def in_batches(
    rows: Rows, budget: int, run: Callable[[int, int], Iterable[Outputs]], tick: Tick | None = None
) -> Arrays:
    """What `run(start, stop)` gives for batches of rows, in the order of their features.

    Everything comes back from the device at once, so that it never waits in between. `tick` hears
    how many features are done.
    """
    means: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    for start, stop in batches(rows.lengths, budget):
        for means_BD, logits_QC in run(start, stop):
            means.append(means_BD)
            logits.append(logits_QC)
        if tick is not None:
            tick(stop)
    means_FD, logits_PC = torch.cat(means).cpu().numpy(), torch.cat(logits).cpu().numpy()
    embeddings_FD, unsorted_PC = np.empty_like(means_FD), np.empty_like(logits_PC)
    embeddings_FD[rows.order] = means_FD
    unsorted_PC[rows.home] = logits_PC
    return embeddings_FD, unsorted_PC


def batches(lengths_F: np.ndarray, budget: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of falling length, as many at once as the budget holds when padded."""
    start = 0
    while start < len(lengths_F):
        stop = min(start + max(1, budget // int(lengths_F[start])), len(lengths_F))
        yield start, stop
        start = stop


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a shard on the device, longest first, end to end without padding.

    F rows, N sub-words in all, P positions whose logits are asked for.
    """

    order: np.ndarray
    """Which feature each row is."""
    lengths: np.ndarray
    home: np.ndarray
    """Where in the order of the features the logits of each position stand."""
    ends: np.ndarray
    """How many positions are asked for up to and with each row."""
    starts: torch.Tensor
    sizes: torch.Tensor
    ids: torch.Tensor
    types: torch.Tensor | None
    weights: torch.Tensor
    """What each sub-word counts in its row's mean: 1 / words, or 0."""
    asked_at: tuple[torch.Tensor, torch.Tensor]
    """Row and position of each."""

    @classmethod
    def of(cls, features: Sequence[Feature], device: torch.device) -> Rows:
        """Sort features by falling length, flatten them and move them to the device."""
        order_F = np.argsort([-len(f.input_ids) for f in features], kind="stable")
        ordered = [features[i] for i in order_F.tolist()]
        lengths_F = np.array([len(f.input_ids) for f in ordered])
        starts_F = np.cumsum(lengths_F) - lengths_F
        asked_F = np.array([len(f.logits_at) for f in ordered])
        embedded_F = np.array([len(f.embed_at) for f in ordered])
        weights_N = np.zeros(int(lengths_F.sum()), dtype=np.float32)
        embed_at = _flat((f.embed_at for f in ordered), int(embedded_F.sum()))
        weights_N[embed_at + np.repeat(starts_F, embedded_F)] = np.repeat(
            1 / embedded_F, embedded_F
        )
        # Where each feature's positions stand in the order given, and in the order of rows.
        given_F = np.empty(len(features), dtype=np.int64)
        given_F[order_F] = asked_F
        home_F = (np.cumsum(given_F) - given_F)[order_F]
        ends_F = np.cumsum(asked_F)
        within_P = np.arange(ends_F[-1]) - np.repeat(ends_F - asked_F, asked_F)

        def moved(values: np.ndarray) -> torch.Tensor:
            tensor = torch.from_numpy(values)
            if device.type == "cuda":
                return tensor.pin_memory().to(device, non_blocking=True)
            return tensor

        has_types = features[0].type_ids is not None
        count = len(weights_N)
        return cls(
            order_F,
            lengths_F,
            home=np.repeat(home_F, asked_F) + within_P,
            ends=ends_F,
            starts=moved(starts_F),
            sizes=moved(lengths_F),
            ids=moved(_flat((f.input_ids for f in ordered), count)),
            types=moved(_flat((f.type_ids or () for f in ordered), count)) if has_types else None,
            weights=moved(weights_N),
            asked_at=(
                moved(np.repeat(np.arange(len(ordered)), asked_F)),
                moved(_flat((f.logits_at for f in ordered), int(ends_F[-1]))),
            ),
        )

    def padded(
        self, start: int, stop: int, padding: int
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The model's inputs for some rows, padded on the right, and the weights of their means."""
        length = int(self.lengths[start])
        place_T = torch.arange(length, device=self.ids.device)
        real_BT = place_T < self.sizes[start:stop, None]
        at_BT = (self.starts[start:stop, None] + place_T).clamp_(max=len(self.ids) - 1)
        inputs = {
            "input_ids": torch.where(real_BT, self.ids[at_BT], padding),
            "attention_mask": real_BT.long(),
        }
        if self.types is not None:
            inputs["token_type_ids"] = torch.where(real_BT, self.types[at_BT], 0)
        return inputs, torch.where(real_BT, self.weights[at_BT], 0.0)

    def asked(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Row (counted from `start`) and position of each logit asked for in some rows."""
        first = int(self.ends[start - 1]) if start else 0
        part = slice(first, int(self.ends[stop - 1]))
        return self.asked_at[0][part] - start, self.asked_at[1][part]


def _flat(parts: Iterable[Sequence[int]], count: int) -> np.ndarray:
    return np.fromiter(chain.from_iterable(parts), dtype=np.int64, count=count)
