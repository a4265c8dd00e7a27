"""A prescription made again: the same, the same up to a tie, or different?"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from polymux.encoders import Model, readable
from polymux.engines import Engine, opened
from polymux.errors import InputError, UsageError
from polymux.prescribe import select_many
from polymux.prescribe.again import (
    Given,
    Scene,
    Survey,
    changes,
    model_again,
    model_settings,
    options_again,
    pool_again,
)
from polymux.prescribe.compared import DIFFERENT, SAME, TIE, Compared, Verdict, compared
from polymux.prescribe.ground import Barred
from polymux.prescribe.past import Past, past_choices
from polymux.prescribe.prefilter import narrow
from polymux.prescribe.screen import calibrate
from polymux.prescribe.spool import store_for
from polymux.progress import Progress
from polymux.readers.words import Words
from polymux.records import Pool, Prescription
from polymux.store import Store

__all__ = ["DIFFERENT", "SAME", "TIE", "Verdict", "verify"]


def verify(
    out: str | Path,
    *,
    model: Model | str | Path | None = None,
    source: Given | None = None,
    target: Given | None = None,
    gold: Given | None = None,
    exclude: Sequence[Given] | None = None,
    device: str | None = None,
    backend: str | None = None,
    dtype: str | None = None,
    batch_tokens: int | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    words: str | Words | None = None,
    allow_changed: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    offline: bool = False,
    store: str | Path | None = None,
    spool: str | Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Make the choice in `out`, or all choices below it, again from its manifest, and compare.

    Two runs are the same up to a tie where they differ only in comparisons that are closer than two
    honest runs of the model may be apart: 1e-5 of an embedding's norm, 1e-5 in a probability, 1e-4
    in a logarithm. `model`, `source`, `target`, `gold` and `exclude` say where these stand now, if
    not where `selection.json` says; `device`, `backend`, `dtype` and `batch_tokens` run the model
    otherwise than then, `engine` (with `ray_address` and `workers`) has others run it. Code that
    the manifest names is not run unasked: `words`, `allow_pickle` and `trust_remote_code` are given
    again. Encodings are made anew, unless `store` has them.

    Raises:
        UserError: the choice cannot be made again: its folder is not whole, the model or files are
            gone, or they are not what they were (`allow_changed` compares all the same).
        WorkError: the work fails.
    """
    choices = past_choices(out)
    running = {
        "device": device, "backend": backend, "dtype": dtype, "batch_tokens": batch_tokens,
        "allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code, "offline": offline,
    }  # fmt: skip
    hands = {"engine": engine, "ray_address": ray_address, "workers": workers}
    wanted = {pick.content for past in choices for pick in past.picks}
    models: dict[str, Model] = {}
    scenes: dict[str, Scene] = {}
    found: dict[Path, Compared] = {}
    # What `select_many` encoded is read back from the store, here.
    with store_for(store, spool) as shelf, opened() as here:
        for together in _together(choices):
            past, (model_key, scene_key) = together[0], _keys(together[0])
            given = gold if past.strategy == "gold" else source
            if scene_key not in scenes:
                if model_key not in models:
                    models[model_key] = model_again(past.manifest, model, running)
                pools = _pools(past, (given, target, exclude), words=words, offline=offline)
                scenes[scene_key] = _scene(
                    past, models[model_key], pools, wanted, shelf.folder, here
                )
            scene = scenes[scene_key]
            if scene.changed and not allow_changed:
                raise _not_what_it_was(past, scene)
            made = _made(together, scene, hands, progress)
            for one in together:
                now = made[one.strategy, one.budget]
                has_ids = given is None and not scene.changed
                found[one.folder] = compared(one, now, scene, has_ids=has_ids)
    return Verdict(tuple(found[past.folder] for past in choices))


def _together(choices: Sequence[Past]) -> list[list[Past]]:
    """Choices that differ in strategy and budget alone: they share each look at the pool."""
    groups: dict[str, list[Past]] = {}
    for past in choices:
        told = past.manifest
        question = [past.settings, told["seed"], past.strategy == "gold", *_keys(past)]
        groups.setdefault(json.dumps(question, sort_keys=True), []).append(past)
    return list(groups.values())


def _keys(past: Past) -> tuple[str, str]:
    """What two choices must share to share a model, and to share model and pools."""
    told, settings = past.manifest, past.settings
    is_gold = past.strategy == "gold"
    # A calibrated model is made from the pool that it reads: gold has another.
    model = json.dumps([told["task"], told["model"], model_settings(told), is_gold], sort_keys=True)
    excluded = [settings.get(name) for name in ("exclude", "exclude_target", "prefilter")]
    pools = [(told[name]["how"], told[name]["fingerprint"]) for name in ("source", "target")]
    return model, json.dumps([model, pools, excluded], sort_keys=True)


def _pools(
    past: Past,
    given: tuple[Given | None, Given | None, Sequence[Given] | None],
    *,
    words: str | Words | None,
    offline: bool,
) -> tuple[Pool, Pool, tuple[Pool, ...]]:
    """Source, target and what is excluded, as told or as given."""
    task = past.manifest["task"]

    def pool(told: Mapping[str, Any], instead: Given | None, name: str) -> Pool:
        return pool_again(told, instead, task=task, name=name, words=words, offline=offline)

    source, target, exclude = given
    told = past.settings.get("exclude", ())
    if len(exclude or ()) > len(told):
        raise UsageError(
            f"{len(exclude or ())} pools are given as excluded, {len(told)} were excluded then",
            "give --exclude once for each PATH that selection.json excludes, in its order",
        )
    excluded = [
        pool(facts, instead, "exclude") for facts, instead in zip_longest(told, exclude or ())
    ]
    name = "gold" if past.strategy == "gold" else "source"
    return (
        pool(past.manifest["source"], source, name),
        pool(past.manifest["target"], target, "target"),
        tuple(excluded),
    )


def _scene(
    past: Past,
    model: Model,
    pools: tuple[Pool, Pool, tuple[Pool, ...]],
    wanted: Collection[tuple[int, int]],
    folder: Path,
    engine: Engine,
) -> Scene:
    """Everything in its place, and what of it is not what it was; the model has not run yet."""
    source, target, exclude = pools
    exclude_target = bool(past.settings.get("exclude_target", False))
    without = tuple(past.settings.get("without", ()))
    barred = Barred.by(exclude)
    if past.manifest.get("prefilter") is not None:
        # The pool that was chosen from, narrowed again as it was then.
        source = narrow(
            source,
            target,
            model,
            past.settings["prefilter"],
            sample=1,
            seed=past.manifest["seed"],
            barred=Barred.by([*exclude, target] if exclude_target else exclude).hashes,
            without=without,
            one_of=past.settings.get("one_of"),
        ).pool
    calibrate(model, source, past.manifest["seed"])
    surveys = {
        "source": Survey.of(readable(source, model), wanted),
        "target": Survey.of(readable(target, model), ()),
    }
    changed = changes(past, model, surveys, barred)
    store = Store(folder, past.settings.get("store_dtype", "float32"))
    survey = surveys["source"]
    return Scene(
        model, source, target, exclude, exclude_target, without, survey, changed, store, engine
    )


def _not_what_it_was(past: Past, scene: Scene) -> InputError:
    return InputError(
        "; ".join(scene.changed),
        "give the model and the files of then: --model, --source, --target, --gold, --exclude "
        "(--allow-changed compares all the same)",
        file=str(past.folder / "selection.json"),
    )


def _made(
    together: Sequence[Past],
    scene: Scene,
    hands: Mapping[str, Any],
    progress: Progress | None,
) -> dict[tuple[str, int], Prescription]:
    """These choices made again, in one pass."""
    options = options_again(together, scene)
    return select_many(
        scene.model,
        scene.source,
        scene.target,
        budgets=sorted({past.budget for past in together}),
        strategies=list(dict.fromkeys(past.strategy for past in together)),
        store=scene.store.folder,
        progress=progress,
        **hands,
        **options,
    )
