"""The table of checks: each takes what it needs of what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from polymux.diagnosis.calibration import Calibration, judged, reliability
from polymux.diagnosis.clusters import clustering
from polymux.diagnosis.correlation import neighbourhood
from polymux.diagnosis.expected import expected
from polymux.diagnosis.fertility import fertility
from polymux.diagnosis.findings import Result
from polymux.diagnosis.look import Seen
from polymux.diagnosis.noise import noise
from polymux.diagnosis.reach import reach
from polymux.diagnosis.redundancy import Parallel, parallel, redundancy
from polymux.diagnosis.size import repeats, target_size
from polymux.diagnosis.words import cuts_of

# Of the pool's sample, those among which all distances are taken.
CLUSTERED = 1024


def _size(seen: Seen) -> Result:
    return target_size(
        seen.apart,
        repeats(seen.target_likeness),
        seen.spacing,
        read=seen.target_counts.read,
        duplicates=seen.target_counts.duplicates,
    )


def _noise(seen: Seen) -> Result:
    return noise([example.text for example in seen.target.examples], seen.apart)


def _reach(seen: Seen) -> Result | None:
    own = seen.around.spacings
    if not len(own):
        return None
    return reach(seen.nearest.distances[:, 0], own, seen.source_counts.overlap)


def _redundancy(seen: Seen) -> Result:
    around, counts = seen.around, seen.source_counts
    return redundancy(
        around.likeness,
        around.apart,
        around.is_other_language,
        read=counts.read,
        duplicates=counts.duplicates,
    )


def _parallel(seen: Seen) -> Result | None:
    """By the key under which most pairs are each other's nearest."""
    found = [
        parallel(encodings.embeddings, languages, keys, by)
        for by, (encodings, languages, keys) in seen.keyed.items()
    ]
    there: list[Parallel] = [one for one in found if one is not None]
    return max(there, key=lambda one: one.lift, default=None)


def _fertility(seen: Seen) -> Result | None:
    tokenizer = seen.model.tokenizer
    target, source = (cuts_of(s.examples, tokenizer) for s in (seen.target, seen.source))
    return fertility(target, source)


def _correlation(seen: Seen) -> Result:
    held = (seen.nearest.rows >= 0).all(axis=0)
    return neighbourhood(
        seen.target.encodings.of_measure(seen.measure).astype(np.float64),
        seen.nearest.uncertainty[:, held],
    )


def _calibration(seen: Seen) -> Result:
    pools = {}
    for name, sight in (("target", seen.target), ("pool", seen.source)):
        labels = [example.label for example in sight.examples]
        said = judged(seen.model.task, labels, sight.predictions)
        if said:
            pools[name] = reliability(said)
    return Calibration(pools)


def _clusters(seen: Seen) -> Result | None:
    some = seen.source.first(CLUSTERED)
    languages = [example.language for example in some.examples]
    return clustering(some.encodings.embeddings, languages, some.scripts, seen.seed)


def _expected(seen: Seen) -> Result | None:
    if seen.budget is None:
        return None
    return expected(
        seen.nearest.distances[:, 0],
        seen.to_random,
        budget=seen.budget,
        pool=seen.source_counts.eligible,
        random=seen.is_random_of,
    )


# In the order in which a person reads them; None: there is nothing to look at.
CHECKS: Mapping[str, Callable[[Seen], Result | None]] = {
    "size": _size,
    "noise": _noise,
    "reach": _reach,
    "redundancy": _redundancy,
    "parallel": _parallel,
    "fertility": _fertility,
    "correlation": _correlation,
    "calibration": _calibration,
    "clusters": _clusters,
    "expected": _expected,
}
