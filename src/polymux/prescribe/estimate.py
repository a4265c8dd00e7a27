"""What a `select` will take: its pools counted, a sample of them timed, the rest reckoned."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from polymux.encoders import Model
from polymux.folders import ESTIMATE
from polymux.prescribe.clock import Clock
from polymux.prescribe.costs import cost_of
from polymux.prescribe.look import Counted, Look, look_at
from polymux.prescribe.pools import EncodedPool
from polymux.prescribe.recall import check_prefilter, sample_size
from polymux.prescribe.trial import Trial, try_out
from polymux.progress import Progress
from polymux.records import SHARD_SIZE, Pool
from polymux.selection import Strategy, find_strategy
from polymux.store import Store

# For which the model runs on a sample.
SECONDS = 5.0
# How often a shard is read back while choosing, and while reasons are told.
LOOKS = 2
# What is held of each example (hash, mask, language), of a sub-word while its shard is in work (two
# shards are), and of a neighbour of a target (the lists hold about four budgets).
BYTES_AN_EXAMPLE, BYTES_A_TOKEN, BYTES_A_NEIGHBOUR = 32, 400, 40
# Of a shard's embeddings, as they are made, written and read back.
BYTES_A_NUMBER = 24
# Seconds of encoding from which on a screen is proposed.
WORTH_A_SCREEN = 120
# Seconds of encoding from which on a prefilter is proposed, and how many budgets it keeps at least.
WORTH_A_PREFILTER, KEEP_BUDGETS = 1800, 20
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a `select` will take: from a sample, so about."""

    job: Mapping[str, Any]
    """What was asked: an estimate of another job says nothing of this one."""
    pools: Mapping[str, Counted]
    """By name: target, source, gold."""
    seconds: Mapping[str, float]
    """By stage, as `selection.json` names them."""
    tokens: int
    """Sub-words that the model will read, of all pools."""
    disk_mb: float
    """MiB of the encodings of all pools in the store, whether they are there already or not."""
    peak_memory_mb: float
    sampled: Mapping[str, int | float]
    """Examples that were encoded for it, and the seconds that it took."""
    buys: int
    """Examples of the source that the largest budget buys."""
    proposals: tuple[str, ...] = ()
    """What would make it cheaper."""

    @property
    def total_seconds(self) -> float:
        """All stages together."""
        return sum(self.seconds.values())

    def record(self) -> dict[str, Any]:
        """As `estimate.json` holds it."""
        return {
            **asdict(self),
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "total_seconds": round(self.total_seconds, 3),
            "proposals": list(self.proposals),
        }


def job_of(
    model: Model, source: Pool, target: Pool, *, gold: Pool | None = None, **asked: Any
) -> dict[str, Any]:
    """What two jobs must share for an estimate of one to be one of the other."""
    pools = {name: dict(pool.how) for name, pool in _named(source, target, gold).items()}
    return {"model": model.fingerprint, "pools": pools, **asked}


def _named(source: Pool, target: Pool, gold: Pool | None) -> dict[str, Pool]:
    """The pools in the order in which they are encoded."""
    named = {"target": target, "source": source}
    return named if gold is None else {**named, "gold": gold}


def left_in(folder: Path, job: Mapping[str, Any]) -> dict[str, Any] | None:
    """The estimate that a dry run left in a folder, if it was of this job."""
    try:
        told: Any = json.loads((folder / ESTIMATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(told, dict) or told.get("job") != json.loads(json.dumps(job)):
        return None
    return told


def estimate(
    model: Model,
    source: Pool,
    target: Pool,
    *,
    budgets: Sequence[int],
    strategies: Sequence[str],
    gold: Pool | None = None,
    prefilter: int | None = None,
    prefilter_sample: int | None = None,
    screen: str = "off",
    budget_in: str = "examples",
    rates: Mapping[str, float] = {},
    per: str = "token",
    seed: int = 0,
    store: str | Path | None = None,
    store_dtype: str = "float32",
    workers: int = 1,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Estimate:
    """Count the pools, time the model for about `seconds` on a sample of them, reckon the rest.

    Nothing is written and nothing is encoded but that sample. Each pool is read once. `workers` is
    how many processes will encode at once.

    Raises:
        InputError: a bad line, as `select` does.
    """
    in_examples = max(budgets) if budget_in == "examples" else None
    check_prefilter(prefilter, prefilter_sample, in_examples)
    clock = Clock()
    shelf = None if store is None else Store(Path(store), store_dtype)
    looks = {}
    with clock.stage("estimate"):
        for name, pool in _named(source, target, gold).items():
            with clock.stage(f"read {name}"):
                looks[name] = look_at(pool, model, shelf, seed, progress)
        cost = cost_of(budget_in, rates, per)
        buys = looks["source"].examples_for(max(budgets), cost)
        trial = try_out(
            model,
            [example for look in looks.values() for example in look.sample],
            strategies=strategies,
            budget=buys,
            targets=looks["target"].counted.examples,
            seconds=seconds,
        )
    works = {name: _Work.of(look) for name, look in looks.items()}
    beside: dict[str, float] = {}
    if prefilter is not None:
        size = sample_size(prefilter_sample, in_examples)
        cutting = looks["source"].counted.examples * trial.preparing
        beside["prefilter"] = 2 * (clock.seconds["read source"] + cutting)
        if size > 0:
            sample = works["source"].cut_to(size).seconds(trial, workers)
            beside["measure prefilter"] = clock.seconds["read source"] + sample
        works["source"] = works["source"].cut_to(prefilter)
    job = {
        "budgets": list(budgets),
        "strategies": list(strategies),
        "prefilter": prefilter,
        "prefilter_sample": prefilter_sample,
        "screen": screen,
        "store_dtype": store_dtype,
        "budget_in": budget_in,
        "rates": dict(rates),
        "per": per,
    }
    made = Estimate(
        job=job_of(model, source, target, gold=gold, **job),
        pools={name: look.counted for name, look in looks.items()},
        seconds=beside | _stages(trial, works, clock.seconds, workers, _faster(model, screen)),
        tokens=sum(work.tokens for work in works.values()),
        disk_mb=round(sum(work.bytes(trial) for work in works.values()) / MIB, 3),
        peak_memory_mb=round(clock.peak_memory_mb + _more(trial, works, buys) / MIB, 1),
        sampled={"examples": trial.examples, "seconds": round(clock.seconds["estimate"], 3)},
        buys=buys,
    )
    return replace(made, proposals=tuple(line for ask in PROPOSALS if (line := ask(model, made))))


def _stages(
    trial: Trial, works: Mapping[str, _Work], took: Mapping[str, float], workers: int, faster: float
) -> dict[str, float]:
    """Seconds by stage; `took` holds what one reading of each pool took.

    `faster` is how many times as fast a screen reads; what is decided after it is not known yet.
    """
    spent = {
        f"encode {name}": took[f"read {name}"] + work.seconds(trial, workers) / faster
        for name, work in works.items()
    }
    spent["encode target"] += trial.loading
    examples = sum(work.examples + work.stored for name, work in works.items() if name != "target")
    getting = LOOKS * examples * trial.getting
    spent["choose"] = examples * trial.choosing + getting
    spent["explain"] = took["read source"] + getting
    return spent


def _faster(model: Model, screen: str) -> float:
    """How many times as fast as float32 a screen reads, as it was tried on this machine."""
    if screen == "off":
        return 1.0
    speed = model.fastest("low").speed
    low = [fast for (_, dtype), fast in speed.items() if screen in ("auto", dtype)]
    exact = speed.get((model.backend, model.dtype))
    return max(low) / exact if low and exact else 1.0


def narrowing(model: Model, made: Estimate) -> str | None:
    """Propose a prefilter where the source alone takes hours."""
    source = made.pools["source"]
    keep = max(source.examples // 10, KEEP_BUDGETS * made.buys)
    if made.job["prefilter"] or "uncertainty" in made.job["strategies"]:
        return None  # it keeps of the least sure less than lot does
    if made.seconds["encode source"] < WORTH_A_PREFILTER or keep > source.examples / 2:
        return None
    return f"--prefilter {keep} (it can lose some of the choice; the run measures how much)"


def screening(model: Model, made: Estimate) -> str | None:
    """Propose a screen where it would save minutes; both speeds are tried once on a machine."""
    rules = map(find_strategy, made.job["strategies"])
    if not all(isinstance(rule, Strategy) for rule in rules):
        return None
    if made.job["screen"] != "off" or made.seconds["encode source"] < WORTH_A_SCREEN:
        return None
    found = model.fastest("low")
    exact = [fast for (_, dtype), fast in found.speed.items() if dtype == "float32"]
    low = found.speed.get((found.backend, found.dtype), 0.0)
    if not exact or low < 1.5 * max(exact):
        return None
    return (
        f"--screen auto ({found.dtype} by {found.backend} reads {low / max(exact):.1f} x as fast "
        "here; what may matter is then read again in float32)"
    )


# Each looks at an estimate and may propose what would make it cheaper.
PROPOSALS: list[Callable[[Model, Estimate], str | None]] = [narrowing, screening]


def compared(
    estimated: Mapping[str, Any], pools: Sequence[EncodedPool], clock: Clock
) -> dict[str, Any]:
    """An estimate, as `estimate.json` holds it, beside what the work took in the end."""
    names = ("total_seconds", "tokens", "disk_mb", "peak_memory_mb")
    # A choice from the gold pool knows nothing of the source, and the other way round.
    whole = len(estimated["pools"]) == len(pools)
    seconds = {stage: round(spent, 3) for stage, spent in clock.seconds.items()}
    return {
        "estimated": {**{name: estimated[name] for name in names}, "seconds": estimated["seconds"]},
        "true": {
            "total_seconds": round(sum(clock.seconds.values()), 3),
            "tokens": sum(pool.counts.tokens for pool in pools) if whole else None,
            "disk_mb": round(sum(pool.bytes for pool in pools) / MIB, 3) if whole else None,
            "peak_memory_mb": round(clock.peak_memory_mb, 1),
            "seconds": seconds,
        },
    }


@dataclass(frozen=True, eq=False)
class _Work:
    """What a pool gives the model to do."""

    look: Look
    examples: int
    """To be encoded."""
    stored: int
    """To be read from the store instead."""
    tokens: int
    shards: int

    @classmethod
    def of(cls, look: Look) -> _Work:
        """All of the pool."""
        counted = look.counted
        new = counted.examples - counted.stored
        return cls(look, new, counted.stored, counted.tokens, counted.shards)

    def cut_to(self, keep: int) -> _Work:
        """No more than these, whose shards nobody has seen before."""
        whole = self.examples + self.stored
        if keep >= whole:
            return self
        tokens = self.tokens * keep // whole
        return replace(
            self, examples=keep, stored=0, tokens=tokens, shards=math.ceil(keep / SHARD_SIZE)
        )

    def seconds(self, trial: Trial, workers: int) -> float:
        """To encode it, reading files left out."""
        a_token = trial.forward(self.look.lengths) / int(self.look.lengths.sum())
        new = self.tokens * self.examples / (self.examples + self.stored)
        model = new * a_token + self.examples * trial.preparing
        return model / workers + self.examples * trial.putting + self.stored * trial.getting

    def bytes(self, trial: Trial) -> float:
        """Of its encodings in the store."""
        return self.shards * trial.shard_bytes + (self.examples + self.stored) * trial.example_bytes


def _more(trial: Trial, works: Mapping[str, _Work], budget: int) -> float:
    """Bytes that the work will hold beyond what the trial held."""
    examples = sum(work.examples + work.stored for work in works.values())
    longest = max(work.tokens / (work.examples + work.stored) for work in works.values())
    full = min(SHARD_SIZE, examples)
    shard = full * (longest * BYTES_A_TOKEN + trial.dim * BYTES_A_NUMBER)
    return shard + examples * BYTES_AN_EXAMPLE + 4 * budget * BYTES_A_NEIGHBOUR
