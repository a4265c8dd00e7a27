"""What a manifest says was asked, asked again: its model, its pools, its options."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polymux.encoders import Model
from polymux.engines import Engine
from polymux.errors import UsageError
from polymux.prescribe import Options
from polymux.prescribe.ground import Aim, Barred
from polymux.prescribe.past import Past
from polymux.prescribe.pools import EncodedPool
from polymux.readers import anchored, read
from polymux.readers.words import Words
from polymux.records import Pool, content_hashes
from polymux.store import Store

Given = Pool | Sequence[str | Path]
# Options of `select_many` that are no part of the question, or are given in another way here.
_APART = {
    *("exclude", "gold", "like", "plan", "store", "spool", "progress"),
    # The pool comes narrowed, and how the choice was found is no part of it: it is made again by
    # plain reading, by whoever is asked.
    *("prefilter", "prefilter_sample", "engine", "ray_address", "workers"),
}
# Options that belong to one strategy.
_OF_STRATEGY = {"gold": "gold", "same-distribution": "like", "plan": "plan"}
_CONTENT = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Survey:
    """What stands in a pool, read without a model."""

    fingerprint: str
    read: int
    places: Mapping[_CONTENT, tuple[int, str]]
    """Row and id of what was asked for, by content: the first where there are several."""

    @classmethod
    def of(cls, pool: Pool, wanted: Collection[_CONTENT]) -> Survey:
        """Read the pool once."""
        digest, count = blake2b(digest_size=16), 0
        places: dict[_CONTENT, tuple[int, str]] = {}
        for shard in pool.shards():
            hashes = content_hashes(shard.examples)
            digest.update(hashes.tobytes())
            count += len(hashes)
            for place, pair in enumerate(map(tuple, hashes.tolist())):
                if pair in wanted:
                    places.setdefault(pair, (shard.first + place, shard.examples[place].id))
        return cls(digest.hexdigest(), count, places)


@dataclass(frozen=True, eq=False)
class Scene:
    """The model and the pools of a choice that was made before, as they are now."""

    model: Model
    source: Pool
    target: Pool
    exclude: tuple[Pool, ...]
    exclude_target: bool
    without: tuple[str, ...]
    """Languages that nobody could annotate."""
    survey: Survey
    """Of the source."""
    changed: tuple[str, ...]
    """What is not what it was, with the fingerprints of then and now."""
    store: Store
    engine: Engine

    @cached_property
    def aim(self) -> Aim:
        """The target with its encodings, from the store."""
        return Aim.of(self.target, self.model, self.store, self.engine, None)

    @cached_property
    def pool(self) -> EncodedPool:
        """The source with its encodings, from the store."""
        barred = Barred.by(self.exclude).hashes
        if self.exclude_target:
            barred.add(self.aim.encodings.hashes)
        encoded = EncodedPool(self.source, self.model, self.store, self.engine)
        encoded.encode(barred, without=self.without)
        return encoded


def pool_again(
    told: Mapping[str, Any],
    given: Given | None,
    *,
    task: str,
    name: str,
    words: str | Words | None,
    offline: bool,
) -> Pool:
    """The pool that a manifest tells of, or what was given in its place, read in the same way."""
    if isinstance(given, Pool):
        return given
    how, cwd = told["how"], Path(told["cwd"])
    if given is None and "paths" not in how:
        raise UsageError(
            f"the {name} was made in memory: selection.json cannot say where it is",
            f"give it: verify(out, {name}=pool) from Python, or --{name} PATH",
        )
    if how.get("words") is not None and words is None:
        raise UsageError(
            f"the texts of the {name} were split by {how['words']}, which is code to run",
            f"look at it; if you trust it, give --words {how['words']}",
        )
    base = cwd if cwd.is_dir() else Path.cwd()
    paths = [anchored(path, base) for path in how["paths"]] if given is None else given
    return read(
        *paths,
        task=task,
        language=how.get("language"),
        fields=how.get("fields"),
        format=how.get("format"),
        on_error=how.get("on_error", "stop"),
        name=name,
        words=words if how.get("words") is not None or "paths" not in how else None,
        offline=offline,
    )


def model_settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How the model was run, as its own options."""
    options = inspect.signature(Model).parameters.keys() - {"path", "task"}
    known = options & manifest["settings"].keys()
    return {name: manifest["settings"][name] for name in sorted(known)}


def model_again(
    manifest: Mapping[str, Any], given: Model | str | Path | None, running: Mapping[str, Any]
) -> Model:
    """The model that a manifest tells of, run as it was but for what `running` asks."""
    if isinstance(given, Model):
        return given
    path = given
    if path is None:
        there = Path(manifest["source"]["cwd"], manifest["model"]["path"])
        path = there if there.is_dir() else manifest["model"]["path"]
    settings = model_settings(manifest)
    asked = {name: value for name, value in running.items() if value is not None}
    if "device" in asked and "batch_tokens" not in asked:
        # What fits one device may be far too much for another.
        settings.pop("batch_tokens", None)
    return Model(path, task=manifest["task"], **{**settings, **asked})


def options_again(together: Sequence[Past], scene: Scene) -> dict[str, Any]:
    """The options of `select_many` as they were; what this version does not know stays out."""
    settings, seed = together[0].settings, together[0].manifest["seed"]
    names = (Options.__annotations__.keys() & settings.keys()) - _APART
    options: dict[str, Any] = {name: settings[name] for name in names}
    quotas = settings.get("quotas")
    given = {"gold": scene.source, "same-distribution": quotas, "plan": quotas}
    for strategy, option in _OF_STRATEGY.items():
        if any(past.strategy == strategy for past in together):
            options[option] = given[strategy]
    return {**options, "seed": seed, "exclude": scene.exclude}


def changes(
    past: Past, model: Model, surveys: Mapping[str, Survey], barred: Barred
) -> tuple[str, ...]:
    """What is not what it was, each with both fingerprints."""
    found = []
    told = past.manifest["model"]
    then, now = told.get("contents"), model.contents
    if then is not None and then != now:
        found.append(f"the model ({model.path}) is another: {then} then, {now} now")
    for name, survey in surveys.items():
        facts = past.manifest[name]
        if facts["fingerprint"] != survey.fingerprint:
            called = "gold pool" if (past.strategy, name) == ("gold", "source") else name
            found.append(
                f"the {called} is another: {facts['fingerprint']} ({facts['read']:,} examples) "
                f"then, {survey.fingerprint} ({survey.read:,} examples) now"
            )
    before = [facts["fingerprint"] for facts in past.settings.get("exclude", ())]
    after = [facts["fingerprint"] for facts in barred.facts]
    if before != after:
        found.append(f"what is excluded is other: {before} then, {after} now")
    return tuple(found)
