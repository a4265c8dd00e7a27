"""The labelled corpora of an experiment: read once, held in memory, cut as configurations ask."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np

from polymux.errors import InputError, UsageError
from polymux.experiments.noise import mistyped
from polymux.experiments.settings import Configuration, Experiment, anchored
from polymux.readers import read
from polymux.records import Example, Pool, PoolFile, content_hashes
from polymux.selection.draws import draws
from polymux.train.start import Labelled

LANGUAGE = "{language}"


@dataclass(frozen=True, eq=False)
class Setting:
    """What one configuration chooses from, for, and is scored on."""

    source: Pool
    gold: Pool | None
    """The labelled target languages, where they have a train split: the upper bound."""
    target: Pool
    tests: Mapping[str, tuple[Example, ...]]
    """By target language; all labelled."""

    @cached_property
    def targets(self) -> int:
        """How many examples the target sample has."""
        return sum(1 for _ in self.target)

    @cached_property
    def by_id(self) -> Mapping[str, Example]:
        """Whatever may be chosen."""
        pools = [self.source, *([] if self.gold is None else [self.gold])]
        return {example.id: example for pool in pools for example in pool}

    @cached_property
    def fingerprint(self) -> str:
        """A name for all of it, labels included."""
        digest = blake2b(digest_size=16)
        parts: list[Sequence[Example]] = [list(self.source), list(self.target)]
        parts += [list(self.gold or ()), *self.tests.values()]
        for part in parts:
            digest.update(Labelled(tuple(part), 0, 0).fingerprint.encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Corpora:
    """The corpora of an experiment, whose file stands in `folder`."""

    experiment: Experiment
    folder: Path

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Those that may be chosen from."""
        data = self.experiment.data
        called = {name: language for language, name in data.names.items()}
        found = data.languages or tuple(
            called.get(name, name) for name in _found(anchored(data.train, self.folder))
        )
        if not found:
            raise InputError(
                "there is no file of any language", "look at data.train", file=data.train
            )
        return tuple(name for name in found if name not in data.without)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels that occur, of the start language, too: an annotator's list."""
        parts = [self.split("train", language) for language in self.languages]
        targets = {t for told in self.experiment.configurations.values() for t in told.target}
        parts += [self.split("test", language) for language in sorted(targets)]
        parts += [tuple(self.start(n)) for n, told in self.experiment.models.items() if told.train]
        found: set[str] = set()
        for part in parts:
            found |= Labelled(part, 0, 0).found
        return tuple(sorted(found))

    def start(self, model: str) -> Pool:
        """What a model that is not ready is fine-tuned on first."""
        paths = self.experiment.models[model].train
        return self._pool([anchored(path, self.folder) for path in paths])

    def setting(self, name: str) -> Setting:
        """The pools of a configuration.

        Raises:
            UsageError: it asks for languages that are not there.
            InputError: files that are not there, or tests without labels.
        """
        told = self.experiment.configurations[name]
        named = told.source or tuple(one for one in self.languages if one not in told.target)
        strange = sorted(set(named) - set(self.languages))
        if strange:
            raise UsageError(
                f"configurations.{name}.source names {', '.join(strange)}",
                f"there is text to choose from in: {', '.join(self.languages)}",
            )
        aside = {language: self._carved(language, told) for language in told.target}
        own = {language: self._own(language, aside[language]) for language in told.target}
        files = [(name, own[name] if name in own else self.split("train", name)) for name in named]
        if told.mixed:
            files += [(f"{t} mixed", _share(own[t], told.mixed)) for t in told.target]
        gold = [(language, some) for language, some in own.items() if some]
        if told.most_source is not None:
            kept = {
                one.id for one in _first([e for _, some in files for e in some], told.most_source)
            }
            files = [(name, tuple(one for one in some if one.id in kept)) for name, some in files]
        return Setting(
            self._held(files, "source"),
            self._held(gold, "gold") if gold else None,
            self._target(told, aside),
            {language: self._test(language) for language in told.target},
        )

    def _target(self, told: Configuration, aside: Mapping[str, Sequence[Example]]) -> Pool:
        """The target sample, cut and with typing errors as asked."""
        if told.sample is not None:
            found = list(self._pool([anchored(told.sample, self.folder)]))
        elif told.carved is not None:
            found = [one for some in aside.values() for one in some]
        else:
            named = told.sampled or told.target
            found = [one for language in named for one in self.split("target", language)]
        if told.most_target is not None:
            found = list(_first(found, told.most_target))
        if told.noise:
            found = [mistyped(one, told.noise) for one in found]
        return self._held([("target", found)], "target")

    def _carved(self, language: str, told: Configuration) -> tuple[Example, ...]:
        """The target sample of a language that has no other split."""
        if told.carved is None:
            return ()
        whole = self.split("train", language)
        count = told.carved * len(whole) if told.carved < 1 else told.carved
        return _first(whole, round(count))

    def _own(self, language: str, aside: Sequence[Example]) -> tuple[Example, ...]:
        """A target language's train split without what its target sample took."""
        if language not in self.languages and not self._has_train(language):
            return ()
        taken = {example.id for example in aside}
        return tuple(one for one in self.split("train", language) if one.id not in taken)

    def _has_train(self, language: str) -> bool:
        path = self._path("train", language)
        return "://" in path or Path(path).exists()

    def _test(self, language: str) -> tuple[Example, ...]:
        found = tuple(one for one in self.split("test", language) if one.label is not None)
        if not found:
            raise InputError(
                f"no test example of {language} has a label",
                "score on labelled examples: look at data.test",
                file=anchored(self.experiment.data.test, self.folder),
            )
        return found

    @cache  # noqa: B019  (a method of what lives as long as the experiment)
    def split(self, kind: str, language: str) -> tuple[Example, ...]:
        """The examples of a language: `train`, `target` or `test`."""
        data = self.experiment.data
        most: int | None = getattr(data, f"most_{kind}")
        pattern: str = getattr(data, kind)
        if LANGUAGE in pattern:
            found: Iterable[Example] = self._pool([self._path(kind, language)])
        else:
            found = self._by_field(kind).get(data.names.get(language, language), [])
        return tuple(
            replace(example, id=f"{language}/{example.id}", language=language)
            for example in islice(found, most)
        )

    def _path(self, kind: str, language: str) -> str:
        """Where a split of a language stands."""
        data = self.experiment.data
        pattern: str = getattr(data, kind)
        return anchored(pattern, self.folder).replace(LANGUAGE, data.names.get(language, language))

    @cache  # noqa: B019
    def _by_field(self, kind: str) -> Mapping[str, Sequence[Example]]:
        """The examples of a PATH that holds all languages, by what the field says before a dash."""
        data = self.experiment.data
        if data.language is None:
            raise UsageError(
                f"data.{kind} has no {LANGUAGE} in it: {getattr(data, kind)}",
                f"write {LANGUAGE} where the name of the language stands, or name the field that "
                "says it: data.language",
            )
        known = set(data.names.values())
        found: dict[str, list[Example]] = {}
        for example in self._pool([anchored(getattr(data, kind), self.folder)]):
            said = example.language or ""
            found.setdefault(said if said in known else said.split("-")[0], []).append(example)
        return found

    def _pool(self, paths: Sequence[str]) -> Pool:
        data = self.experiment.data
        return read(
            *paths,
            task=self.experiment.task,
            fields=data.fields,
            on_error=data.on_error,
            language=data.language,
        )

    def _held(self, parts: Sequence[tuple[str, Sequence[Example]]], name: str) -> Pool:
        """A pool of examples in memory; a language a file, so that shards stay what they are."""
        files = [PoolFile(language, partial(iter, tuple(some))) for language, some in parts if some]
        return Pool(self.experiment.task, files, name=name)


def _found(pattern: str) -> Iterator[str]:
    """The languages that have a file."""
    if "://" in pattern or LANGUAGE not in pattern:
        raise UsageError(
            f"the languages of {pattern} cannot be listed", "name them: data.languages"
        )
    before, _, after = pattern.partition(LANGUAGE)
    folder, _, name = before.rpartition("/")
    shape = re.compile(re.escape(before) + r"([^/]+)" + re.escape(after))
    for path in sorted(Path(folder or ".").glob(glob.escape(name) + "*" + after)):
        match = shape.fullmatch(str(path))
        if match is not None:
            yield match[1]


def _order(examples: Sequence[Example]) -> list[int]:
    """An order that belongs to content alone."""
    drawn = draws(0, "corpus", content_hashes(examples))
    order: list[int] = np.argsort(drawn, kind="stable").tolist()
    return order


def _first(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    return tuple(examples[at] for at in sorted(_order(examples)[:count]))


def _share(examples: Sequence[Example], share: float) -> tuple[Example, ...]:
    return _first(examples, round(len(examples) * share))
