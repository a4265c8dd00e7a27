"""Where tiles of distances are screened on a GPU: the torch twin of `selection.product.InNumpy`.

Only what may matter comes back to the processor. It knows nothing of selection: it has the methods
of `selection.Product`, and passes the same contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

# As in numpy: a tile of which more than this many times k targets stay is looked at for its k.
WORTH_A_LOOK = 2


@dataclass(frozen=True, slots=True)
class InTorch:
    """The product on a device of torch."""

    device: str

    def hold(self, framed: Float[np.ndarray, "n framed"]) -> torch.Tensor:
        """Framed rows or targets on the device."""
        return torch.from_numpy(framed).to(self.device)

    def below(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        limits: Float[np.ndarray, "targets"],
        k: int,
        slack: tuple[np.floating[Any], np.floating[Any]],
    ) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
        """See `selection.Product`: what stays is found on the device."""
        with _ieee():
            tile = x @ t.T
        limit = torch.from_numpy(limits).to(self.device)
        stays = tile <= limit
        if len(x) > k and int(stays.count_nonzero()) > WORTH_A_LOOK * k * len(t):
            widen, under = float(slack[0]), float(slack[1])
            most = tile + widen * x[:, -2:-1]
            kth = most.kthvalue(k, dim=0).values + widen * t[:, -1] + under
            stays = tile <= torch.minimum(limit, kth)
        at, to = stays.nonzero(as_tuple=True)
        return at.cpu().numpy(), to.cpu().numpy()

    def sums(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        weights: Float[np.ndarray, "targets"],
        is_root: bool,
    ) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """See `selection.Product`."""
        with _ieee():
            tile = (x @ t.T).clamp_(min=0)
            least = tile.amin(dim=1)
            if is_root:
                tile = tile.sqrt_()
            sums = tile @ torch.from_numpy(weights).to(self.device)
        return sums.cpu().numpy(), least.cpu().numpy()


@contextmanager
def _ieee() -> Iterator[None]:
    """Products in full float32, whatever the model uses: TF32 keeps 10 bits, the bounds need 23."""
    # The processor's kind is missing from torch's type stubs.
    places = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"
    try:
        yield
    finally:
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision
