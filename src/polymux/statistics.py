"""How sure a difference between two systems is, over test sentences and training seeds.

Counts are kept per sentence and summed before they are scored: the F1 of a resample is that of its
sums, as the F1 of the whole test is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from polymux.errors import UsageError

# Source language, target language.
Cell = tuple[str, str]
# Each target has its own number of sentences.
Counts = Num[np.ndarray, "_ _"]
# By seed, then by cell. A seed is one number, or two where trainings are nested in what was chosen:
# that of the choice and that of the training.
Nested = tuple[int, int]
System = Mapping[int, Mapping[Cell, Counts]] | Mapping[Nested, Mapping[Cell, Counts]]
Score = Callable[[Num[np.ndarray, "*any columns"]], Float[np.ndarray, "*any"]]
# Two scores this near differ by rounding only.
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one system is than another, and how sure that is."""

    ours: float
    """The mean over seeds and cells of our scores."""
    theirs: float
    """The same of the other system."""
    low: float
    """Where the 95 % interval of the difference begins (2.5 % of the resamples are below)."""
    high: float
    """Where it ends."""
    better: float
    """The share of resamples in which ours is better; equal ones count half."""
    our_seeds: int
    """How many times ours was trained; with one, the interval tells of the test sentences only.
    Few seeds make it too narrow: of three, it shows two thirds of the seeds' variance."""
    their_seeds: int
    """The same of the other system."""
    paired: bool
    """Whether both have the same seeds, which were then drawn together."""
    resamples: int
    """How many times sentences and seeds were drawn."""

    @property
    def observed(self) -> float:
        """Ours minus theirs, on all sentences and seeds."""
        return self.ours - self.theirs


@dataclass(frozen=True, slots=True)
class Clustered:
    """A mean over cells, some of which share what they were measured on."""

    value: float
    low: float
    """Where its 95 % interval begins; with one cluster it tells nothing."""
    high: float
    cells: int
    clusters: int


def accuracy(summed: Num[np.ndarray, "*any columns"]) -> Float[np.ndarray, "*any"]:
    """Right / total, from the sums of (right, total); 0 of nothing."""
    return _ratio(summed[..., 0], summed[..., 1])


def f1(summed: Num[np.ndarray, "*any columns"]) -> Float[np.ndarray, "*any"]:
    """2 tp / (found + there), from the sums of (true positives, found, there); 0 of nothing."""
    return _ratio(2 * summed[..., 0], summed[..., 1] + summed[..., 2])


def paired_bootstrap(
    ours: System,
    theirs: System,
    cells: Sequence[Cell],
    score: Score,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compare the mean over seeds and cells of two systems' scores on the same test sentences.

    Each resample draws sentences with replacement, the same for both systems, for all their seeds
    and for all cells with the same target; and seeds with replacement, together if both systems
    have the same ones, else each for itself. Of nested seeds the choices are drawn, then in each
    drawn choice its trainings; a mean is then that of the choices' means.

    Raises:
        UsageError: a cell is missing, or cells of one target differ in their sentences.
    """
    _check(ours, theirs, cells)
    paired = ours.keys() == theirs.keys()
    # Theirs in the order of ours, so that a weight drawn for a seed fits both.
    other: Mapping[Any, Mapping[Cell, Counts]] = theirs
    trained = [*ours.values(), *(other[s] for s in (ours if paired else theirs))]
    generator = np.random.default_rng(seed)
    observed_S = np.array([np.mean([score(one[c].sum(axis=0)) for c in cells]) for one in trained])
    our_seeds: list[int | Nested] = [*ours]
    their_seeds: list[int | Nested] = our_seeds if paired else [*theirs]
    drawn_RS = np.zeros((resamples, len(trained)))
    for target in dict.fromkeys(target for _, target in cells):
        shared = [cell for cell in cells if cell[1] == target]
        drawn_RS += _resampled(trained, shared, score, resamples, generator)
    drawn_RS /= len(cells)
    ours_RS, theirs_RS = np.split(drawn_RS, [len(ours)], axis=1)
    weights_RS = _seed_weights(our_seeds, resamples, generator)
    others_RS = weights_RS if paired else _seed_weights(their_seeds, resamples, generator)
    apart_R = (ours_RS * weights_RS).sum(axis=1) - (theirs_RS * others_RS).sum(axis=1)
    low, high = np.quantile(apart_R, [0.025, 0.975])
    return Difference(
        ours=nested_mean(our_seeds, observed_S[: len(ours)]),
        theirs=nested_mean(their_seeds, observed_S[len(ours) :]),
        low=float(low),
        high=float(high),
        better=float((apart_R > _EQUAL).mean() + (abs(apart_R) <= _EQUAL).mean() / 2),
        our_seeds=len(ours),
        their_seeds=len(theirs),
        paired=paired,
        resamples=resamples,
    )


def nested_mean(seeds: Sequence[int | Nested], values: Float[np.ndarray, "seeds"]) -> float:
    """The mean over choices of the means of their trainings."""
    return float(np.mean([values[places].mean() for places in _by_choice(seeds)]))


def clustered_mean(
    values: Sequence[float], clusters: Sequence[Any], *, resamples: int = 10_000, seed: int = 0
) -> Clustered:
    """The mean of values of which those of one cluster do not count as independent.

    Args:
        values: At least one; 0 and 1 for a share.
        clusters: What each belongs to; clusters are drawn with replacement, each whole.
        resamples: How often.
        seed: Of the drawing.
    """
    sums: dict[Any, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value)
    totals_C2 = np.array([(sum(one), len(one)) for one in sums.values()], dtype=np.float64)
    generator = np.random.default_rng(seed)
    times_RC = generator.multinomial(len(sums), _even(len(sums)), size=resamples)
    drawn_R2 = times_RC @ totals_C2
    low, high = np.quantile(drawn_R2[:, 0] / drawn_R2[:, 1], [0.025, 0.975])
    return Clustered(float(np.mean(values)), float(low), float(high), len(values), len(sums))


def _ratio(part: Any, whole: Any) -> Float[np.ndarray, "*any"]:
    out = np.zeros(np.shape(part))
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def _check(ours: System, theirs: System, cells: Sequence[Cell]) -> None:
    if not (ours and theirs and cells):
        raise UsageError(
            "there is nothing to compare", "give two systems of at least one seed, and cells"
        )
    sentences: dict[str, int] = {}
    for by_cell in (*ours.values(), *theirs.values()):
        for cell in cells:
            if cell not in by_cell:
                raise UsageError(
                    f"a system was not scored from {cell[0]} to {cell[1]}",
                    "score both on the same cells, or name only those that both have",
                )
            count = len(by_cell[cell])
            if not count or sentences.setdefault(cell[1], count) != count:
                raise UsageError(
                    f"the test of {cell[1]} has {count} sentences here, "
                    f"{sentences.get(cell[1], 0)} there",
                    "score every system on the same test sentences",
                )


def _resampled(
    trained: Sequence[Mapping[Cell, Counts]],
    cells: Sequence[Cell],
    score: Score,
    resamples: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "resamples trained"]:
    """The summed scores of cells with one target, on sentences drawn once for all of them."""
    counts = [[one[cell] for cell in cells] for one in trained]
    counts_NSCK = np.stack([np.stack(one, axis=1) for one in counts], axis=1)
    sentences, *rest = counts_NSCK.shape
    flat_NX = counts_NSCK.reshape(sentences, -1).astype(np.float64)
    drawn_RN = generator.integers(sentences, size=(resamples, sentences))
    # Summing each drawn sentence is a product with how often it was drawn.
    drawn_RN += np.arange(resamples)[:, None] * sentences
    weights = np.bincount(drawn_RN.ravel(), minlength=resamples * sentences)
    weights_RN = weights.reshape(resamples, sentences).astype(np.float64)
    summed_RSCK = (weights_RN @ flat_NX).reshape(resamples, *rest)
    scores_RS: Float[np.ndarray, "resamples trained"] = score(summed_RSCK).sum(axis=2)
    return scores_RS


def _seed_weights(
    seeds: Sequence[int | Nested], resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "resamples seeds"]:
    """What each seed counts in each resample's mean."""
    choices = _by_choice(seeds)
    drawn_RC = generator.multinomial(len(choices), _even(len(choices)), size=resamples)
    weights_RS = np.empty((resamples, len(seeds)))
    for column, places in enumerate(choices):
        n = len(places)
        trained = generator.multinomial(drawn_RC[:, column] * n, _even(n))
        weights_RS[:, places] = trained / (n * len(choices))
    return weights_RS


def _by_choice(seeds: Sequence[int | Nested]) -> list[list[int]]:
    """The places of each choice's trainings; a seed of one number is a choice of its own."""
    places: dict[int, list[int]] = {}
    for place, seed in enumerate(seeds):
        places.setdefault(seed[0] if isinstance(seed, tuple) else seed, []).append(place)
    return list(places.values())


def _even(n: int) -> Float[np.ndarray, "n"]:
    return np.full(n, 1 / n)
