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
from polymux.diagnosis.parallel import Parallel, parallel
from polymux.diagnosis.reach import reach
from polymux.diagnosis.redundancy import redundancy
from polymux.diagnosis.size import repeats, target_size
from polymux.diagnosis.words import cuts_of

# Of the pool's sample, those among which all distances are taken.
CLUSTERED = 1024


def _size(seen: Seen) -> Result:
    """Is the target sample large enough, what is the same counted once?"""
    return target_size(
        seen.apart,
        repeats(seen.target_likeness),
        seen.spacing,
        read=seen.target_counts.read,
        duplicates=seen.target_counts.duplicates,
    )


def _noise(seen: Seen) -> Result:
    """Which target examples look like noise?"""
    return noise([example.text for example in seen.target.examples], seen.apart)


def _reach(seen: Seen) -> Result | None:
    """Which parts of the target have nothing near in the pool?"""
    own = seen.around.spacings
    if not len(own):
        return None
    return reach(seen.nearest.distances[:, 0], own, seen.source_counts.overlap)


def _redundancy(seen: Seen) -> Result:
    """Does the pool say the same thing many times?"""
    around, counts = seen.around, seen.source_counts
    return redundancy(
        around.likeness,
        around.apart,
        around.is_other_language,
        read=counts.read,
        duplicates=counts.duplicates,
    )


def _parallel(seen: Seen) -> Result | None:
    """Is the pool parallel, the same sentences in several languages (with languages only)?"""
    # By the key under which the other one is nearest most often.
    found = [
        parallel(encodings.embeddings, languages, keys, by)
        for by, (encodings, languages, keys) in seen.keyed.items()
    ]
    there: list[Parallel] = [one for one in found if one is not None]
    return max(there, key=lambda one: one.lift, default=None)


def _fertility(seen: Seen) -> Result:
    """How does the tokenizer cut each script, and what does it not know?"""
    tokenizer = seen.model.tokenizer
    target, source = (cuts_of(s.examples, tokenizer) for s in (seen.target, seen.source))
    return fertility(target, source)


def _correlation(seen: Seen) -> Result:
    """Is the model unsure of the target where it is unsure of what lies near (DeMuX 5.1)?"""
    held = (seen.nearest.rows >= 0).all(axis=0)
    return neighbourhood(
        seen.target.encodings.of_measure(seen.measure).astype(np.float64),
        seen.nearest.uncertainty[:, held],
    )


def _calibration(seen: Seen) -> Result:
    """Can its probabilities be believed, where labels exist?"""
    pools = {}
    for name, sight in (("target", seen.target), ("pool", seen.source)):
        labels = [example.label for example in sight.examples]
        said = judged(seen.model.task, labels, sight.predictions)
        if said:
            pools[name] = reliability(said)
    return Calibration(pools)


def _clusters(seen: Seen) -> Result | None:
    """Does near mean more than the same language (script, without languages)?"""
    some = seen.source.first(CLUSTERED)
    languages = [example.language for example in some.examples]
    return clustering(some.encodings.embeddings, languages, some.scripts, seen.seed)


def _expected(seen: Seen) -> Result | None:
    """What can nearness gain over random at the budget, as far as can be known?"""
    if seen.budget is None:
        return None
    return expected(
        seen.nearest.distances[:, 0],
        seen.to_random,
        budget=seen.budget,
        pool=seen.source_counts.eligible,
        random=seen.random_size,
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
