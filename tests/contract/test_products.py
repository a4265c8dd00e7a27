"""What every product that screens distances must keep, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.selection.worlds import REFERENCES, World, world

from polymux.encoders.distances import InTorch
from polymux.selection import (
    METRICS,
    PRODUCT,
    STRATEGIES,
    Bounded,
    Nearest,
    Product,
    Target,
)
from polymux.selection.average_dist import mean_distance

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
PRODUCTS: dict[str, Product] = {
    "numpy": PRODUCT,
    **{f"torch-{device}": InTorch(device) for device in DEVICES},
}
EVERY = pytest.mark.parametrize("product", PRODUCTS.values(), ids=list(PRODUCTS))
METRIC = pytest.mark.parametrize("metric", METRICS)


def clouds(scale: float, offset: float, spread: float, dim: int = 96) -> tuple[np.ndarray, ...]:
    """Rows and targets around one far place, some of them equal, in float32."""
    rng = np.random.default_rng(int(dim + spread * 100))
    centre = rng.normal(size=dim) * offset
    x = (centre + rng.normal(size=(700, dim)) * spread) * scale
    t = (centre + rng.normal(size=(60, dim)) * spread) * scale
    x[5:25] = t[:20]
    return x.astype(np.float32), t.astype(np.float32)


WORLDS = {
    "usual": clouds(1.0, 0.5, 1.0),
    "narrow, far from the origin": clouds(1.0, 300.0, 1e-3),
    "long vectors": clouds(1.0, 1.0, 0.3, dim=1500),
    "squares near the end of float32": clouds(1e14, 0.0, 1.0),
    "squares beyond float32": clouds(1e25, 0.0, 1.0),
    "squares below float32": clouds(1e-22, 0.0, 1.0),
    "whole numbers": tuple(np.round(3 * part) for part in clouds(1.0, 0.0, 1.0, dim=4)),
}
PLACES = pytest.mark.parametrize("place", WORLDS)


def found(target: Target, x: np.ndarray, worst: np.ndarray, k: int) -> np.ndarray:
    """A table of which pairs are candidates; each stands there once."""
    table = np.zeros((len(x), len(target.vectors)), dtype=int)
    for at, to in target.candidates(x, worst, k, 25):
        table[at, to] += 1
    assert table.max(initial=0) <= 1
    return table > 0


@EVERY
@METRIC
@PLACES
def test_no_neighbour_is_screened_out(product: Product, metric: str, place: str) -> None:
    x, t = WORLDS[place]
    target = Target.of(t, metric, product)
    exact = target.all(x)
    for k in (1, 7, 699, 700):
        kth = np.sort(exact, axis=0)[k - 1]
        for worst in (np.full(60, np.inf), kth, np.minimum(kth, np.median(exact, axis=0))):
            wanted = exact <= np.minimum(worst, kth)
            table = found(target, x, worst, k)
            assert (table | ~wanted).all()


@EVERY
@METRIC
@pytest.mark.parametrize("place", ["usual", "long vectors"])
def test_little_more_than_the_neighbours_is_let_through(
    product: Product, metric: str, place: str
) -> None:
    x, t = WORLDS[place]
    target = Target.of(t, metric, product)
    kth = np.sort(target.all(x), axis=0)[6]
    assert found(target, x, kth, 7).sum() <= 1.1 * 7 * 60
    assert found(target, x, np.full(60, np.inf), 7).sum() <= 1.1 * 7 * 60


@EVERY
@METRIC
@PLACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mean_distances_lie_within_their_bounds(
    product: Product, metric: str, place: str, dtype: type
) -> None:
    x, t = WORLDS[place]
    target = Target.of(t, metric, product)
    weights = np.random.default_rng(0).dirichlet(np.ones(60))
    low, high = target.mean_bounds(x, weights, dtype)
    exact = target.mean(x, weights)
    assert (low <= exact).all()
    assert (exact <= high).all()
    if place == "usual":
        # But for the rows that are targets themselves, of which roots are less certain.
        width = np.delete((high - low) / exact, np.arange(5, 25))
        assert width.max() < {np.float32: 1e-3, np.float64: 1e-11}[dtype]


@pytest.fixture
def lax_precision() -> Iterator[None]:
    """A process in which products may be TF32 or bfloat16."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@EVERY
@pytest.mark.usefixtures("lax_precision")
def test_the_precision_that_the_model_may_use_is_not_the_products(product: Product) -> None:
    x, t = WORLDS["long vectors"]
    target = Target.of(t, "l2", product)
    weights = target.equal_weights()
    low, high = target.mean_bounds(x, weights)
    exact = target.mean(x, weights)
    assert ((low <= exact) & (exact <= high)).all()
    assert torch.get_float32_matmul_precision() == "medium"


@EVERY
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", ["average-dist", "knn-uncertainty", "round-robin"])
def test_strategies_equal_the_slow_obvious_reference(
    product: Product, name: str, ties: bool
) -> None:
    for size, budget in [(1, 1), (40, 7), (90, 30)]:
        w = world(size, seed=size, ties=ties)
        encodings, ask = w.encodings(), w.ask(budget, product=product)
        rule = STRATEGIES[name]
        seen = rule.begin(ask, size)
        for rows in np.array_split(np.arange(size), 3):
            seen.see(encodings.take(rows))
        choice = rule.decide(seen, ask, encodings.take)
        assert choice.rows.tolist() == REFERENCES[name](w, ask)


def dense(size: int, seed: int) -> World:
    """Many equal and almost equal vectors around few places."""
    w = world(size, targets=9, dim=6, seed=seed)
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(12, 6)).astype(np.float32)
    steps = rng.integers(0, 3, (size, 1)) * np.float32(1e-6)
    w.embeddings[:] = places[rng.integers(0, 12, size)] + steps
    w.target[:5] = places[:5]
    return w


@EVERY
@METRIC
@pytest.mark.parametrize("k", [1, 3, 40, 500])
def test_lists_equal_sorting_everything(product: Product, metric: str, k: int) -> None:
    w = dense(400, seed=k)
    target = Target.of(w.target, metric, product)
    seen = Nearest(k, target, "u")
    for rows in np.array_split(np.random.default_rng(k).permutation(400), 7):
        seen.see(w.encodings().take(rows))
    exact = target.all(w.embeddings)
    for place, distances in enumerate(exact.T):
        order = np.lexsort((w.hashes[:, 1], w.hashes[:, 0], distances))[:k]
        assert seen.rows[place, : len(order)].tolist() == order.tolist()
        assert (seen.distances[place, : len(order)] == distances[order]).all()
        assert (seen.uncertainty[place, : len(order)] == w.uncertainty[order]).all()
        assert (seen.hashes[place, : len(order)] == w.hashes[order]).all()


@EVERY
@METRIC
@pytest.mark.parametrize("n", [1, 3, 40, 399, 500])
def test_the_smallest_mean_distances_equal_sorting_everything(
    product: Product, metric: str, n: int
) -> None:
    w = dense(400, seed=n)
    target = Target.of(w.target, metric, product)
    weights = target.equal_weights()
    seen = Bounded(n, mean_distance(target, weights))
    for number, rows in enumerate(np.array_split(np.random.default_rng(n).permutation(400), 7)):
        seen.see(w.encodings().take(rows))
        if number == 3:
            # Asking in between changes nothing.
            assert len(seen.rows) == min(n, len(np.unique(seen.rows)))
    keys = target.mean(w.embeddings, weights)
    order = np.lexsort((w.hashes[:, 1], w.hashes[:, 0], keys))[:n]
    assert seen.rows.tolist() == order.tolist()


@EVERY
@METRIC
def test_what_may_enter_is_told_by_the_key_itself(product: Product, metric: str) -> None:
    w, other = dense(300, seed=1), dense(300, seed=2)
    target = Target.of(w.target, metric, product)
    weights = target.equal_weights()
    ours, theirs = (Bounded(20, mean_distance(target, weights)) for _ in range(2))
    theirs.see(other.encodings())
    keys, others = (target.mean(each.embeddings, weights) for each in (w, other))
    cut = np.sort(others)[19]
    assert theirs.cut == pytest.approx(cut, rel=1e-9)
    for slack in (0.0, 0.1):
        may = ours.may_enter(theirs, w.encodings(), slack)
        assert (may == (keys <= theirs.cut + slack)).all()
        assert 0 < may.sum() < 300
    apart = ours.differences(w.encodings(), theirs, other.encodings())
    assert (apart == np.abs(keys - others)).all()
