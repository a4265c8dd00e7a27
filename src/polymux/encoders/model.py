"""A model with a trained head for a task: checked at once, loaded when it is first asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from polymux.encoders import checks
from polymux.encoders.backends import BACKENDS, Calibration, first_with
from polymux.encoders.facts import contents, look_at, saved_config
from polymux.encoders.probe import Fastest, Precision, fastest
from polymux.errors import UsageError, WorkError
from polymux.records import Encodings, Example, content_hashes
from polymux.store import FORMAT
from polymux.tasks import Feature, task_named
from polymux.tasks.qa import AGGREGATES

# DeMuX, appendix: longest rows, special tokens included.
MAX_LENGTH = {
    "token-classification": 128,
    "text-classification": 128,
    "question-answering": 256,
}


class Model:
    """A model with a trained head for a task, and how it reads.

    Everything is checked when it is made. Weights are loaded when they are first needed, and once
    on a machine before, where the backend `auto` tries what is fastest.

    Raises:
        ModelError: no model, no trained head for the task, no fast tokenizer, pickled weights.
        UsageError: an option that cannot be.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        task: str,
        device: str = "auto",
        backend: str = "auto",
        max_length: int | None = None,
        stride: int = 128,
        batch_tokens: int | None = None,
        dtype: str = "float32",
        aggregate: str = "joint",
        allow_pickle: bool = False,
        trust_remote_code: bool = False,
        offline: bool = False,
    ) -> None:
        self.path = str(path)
        self.task = task
        self._module = task_named(task)
        _one_of("backend", backend, ("auto", *BACKENDS))
        _one_of("aggregate", aggregate, AGGREGATES)
        self.dtype, self.stride, self.aggregate = dtype, stride, aggregate
        checks.check_at_least("--stride", stride, 0)
        self._sample: tuple[Feature, ...] = ()
        self.safety = {"allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code}
        """What it was allowed that can run code."""
        self._offline = offline
        self._facts = look_at(path, **self.safety, offline=offline)
        self.labels = checks.labels_of(self._facts, task)
        """By class number; none for question answering."""
        self._begin(backend, device, batch_tokens)
        self.notes: list[str] = []
        """What a person should know of how the model reads."""
        if checks.has_generic_names(self.labels):
            self.notes.append(f"{path} does not name its labels: they are {', '.join(self.labels)}")
        self.max_length = self._longest(max_length)
        """Longest row, special tokens included."""

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels as what it was made from; the weights are read where they are needed."""
        # A folder by its whole path, but a name on the hub as it is: its folder differs by machine.
        is_folder = Path(self.path).expanduser().is_dir()
        path = str(self._facts.folder.absolute()) if is_folder else self.path
        options = {**self.settings, **self.safety, "offline": self._offline}
        state = {"_sample": self._sample}
        return partial(type(self), path, task=self.task, **options), (), state

    def _begin(self, backend: str, device: str, batch_tokens: int | None) -> None:
        """Find out what runs the model, where, and in batches of what size."""
        self.backend = backend if backend != "auto" else self._usual_backend(device)
        self._backend: Any = import_module(BACKENDS[self.backend])
        self.device: str = self._backend.device_named(device)
        _one_of("dtype", self.dtype, self._backend.DTYPES)
        usual: int = self._backend.BATCH_TOKENS[self.device]
        self.batch_tokens = usual if batch_tokens is None else batch_tokens
        checks.check_at_least("--batch-tokens", self.batch_tokens, 1)

    def _usual_backend(self, device: str) -> str:
        """The fastest for float32; for another dtype the first backend that has it."""
        if self.dtype == "float32":
            return self.fastest("exact", device=device).backend
        return first_with(self.dtype)

    def fastest(self, precision: Precision, *, device: str | None = None) -> Fastest:
        """The backend and dtype that run this model fastest here: float32, or for a screen `low`.

        They are tried for some seconds, once on a machine. A screen is a second Model made with
        the backend and the dtype that `fastest("low")` gives.
        """
        where = self.device if device is None else device
        return fastest(
            self._facts, task=self.task, precision=precision, device=where, **self.safety
        )

    @property
    def tokenizer(self) -> Any:
        """The model's fast tokenizer."""
        return self._facts.tokenizer

    @property
    def is_decoder(self) -> bool:
        """Whether each position sees only those before it."""
        return self._facts.is_decoder

    @property
    def settings(self) -> dict[str, Any]:
        """What decides how it reads, by name."""
        names = ("backend", "device", "dtype", "batch_tokens", "max_length", "stride", "aggregate")
        return {name: getattr(self, name) for name in names}

    @property
    def about(self) -> dict[str, Any]:
        """What a person calls it: where it is, its task and its settings."""
        return {"path": str(self._facts.folder.absolute()), "task": self.task, **self.settings}

    @property
    def fingerprint(self) -> str:
        """A name for everything that decides the numbers: weights, tokenizer, config, settings.

        And the store's format and the measures: a measure of the user's own is a new name.
        """
        measures = ",".join(sorted(self._module.MEASURES))
        text = f"{FORMAT} {self._itself} {measures}"
        if self.is_calibrated:
            text += f" {_name_of(self._calibrated())}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def contents(self) -> str:
        """A name for what stands in its folder (weights, tokenizer, config), however it is run."""
        told = (self._contents, saved_config(self._facts.folder), self._words)
        text = json.dumps(told, sort_keys=True, default=str)
        return blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def _contents(self) -> str:
        return contents(self._facts)

    @property
    def _words(self) -> dict[str, Any]:
        """What the tokenizer says of itself beside its file."""
        special = {name: str(token) for name, token in self.tokenizer.special_tokens_map.items()}
        return {"special": special, "inputs": self.tokenizer.model_input_names}

    @cached_property
    def _itself(self) -> str:
        """The part of the fingerprint that is long to compute and never changes."""
        config = self._facts.config.to_dict()
        for name in ("_name_or_path", "transformers_version"):
            config.pop(name, None)
        everything = {
            "contents": self._contents,
            "config": config,
            **self._words,
            "task": self.task,
            "settings": self.settings,
            "version": self._backend.version(),
        }
        text = json.dumps(everything, sort_keys=True, default=str)
        return blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def _loaded(self) -> Any:
        padding = self.tokenizer.pad_token_id
        if padding is None:
            padding = self._facts.config.get_text_config().pad_token_id
        loaded = self._backend.load(
            self._facts.folder,
            auto=self._module.AUTO,
            device=self.device,
            dtype=self.dtype,
            batch_tokens=self.batch_tokens,
            padding=padding or 0,
            is_decoder=self.is_decoder,
            segments="token_type_ids" in self.tokenizer.model_input_names,
            calibration=self._calibration(),
            **self.safety,
        )
        return replace(loaded, notes=self.notes)

    def reading_as(self, backend: str, dtype: str) -> Model:
        """The same model by another backend or in another precision, with its usual batches."""
        known = {k: v for k, v in vars(self).items() if k not in ("_itself", "_loaded")}
        other = type(self).__new__(type(self))
        other.__dict__.update(known, dtype=dtype, notes=[], _sample=())
        _one_of("backend", backend, BACKENDS)
        other._begin(backend, self.device, None)
        return other

    @property
    def is_calibrated(self) -> bool:
        """Whether it is made from a sample of what it will read, given by `calibrate`."""
        return self.dtype in self._backend.CALIBRATED

    def calibrate(self, examples: Sequence[Example]) -> None:
        """Give a quantised model the examples it is made from, before it is first asked.

        Their rows are part of the fingerprint: the same sample, in any order, is the same model.
        A few hundred are enough. A model that is not quantised needs none, and ignores them.

        Raises:
            InputError: the model sees nothing in an example.
            UsageError: no example, or it was calibrated with others.
        """
        if not self.is_calibrated:
            return
        features = sorted(self.prepare(examples), key=lambda f: (f.input_ids, f.type_ids or ()))
        if not features:
            raise UsageError("there is no example to calibrate with", "give a few hundred")
        if self._sample and _name_of(self._sample) != _name_of(features):
            raise UsageError(
                "this model was calibrated with other examples", "make another Model for them"
            )
        self._sample = tuple(features)

    def _calibrated(self) -> tuple[Feature, ...]:
        if not self._sample:
            raise UsageError(
                f"a model of {self.dtype} is made from a sample of what it will read",
                "call Model.calibrate with a few hundred examples first",
            )
        return self._sample

    def _calibration(self) -> Calibration | None:
        if not self.is_calibrated:
            return None
        from platformdirs import user_cache_path

        kept = user_cache_path("polymux") / self.dtype / self.fingerprint
        return Calibration(self._calibrated(), kept)

    def prepare(self, examples: Sequence[Example], *, windows: bool = False) -> list[Feature]:
        """The rows that the model reads; with `windows` as many as hold every word of each."""
        return self._module.prepare(
            examples,
            self.tokenizer,
            max_length=self.max_length,
            stride=self.stride,
            windows=windows,
            pooled="last" if self.is_decoder else "first",
        )

    def forward(
        self, features: Sequence[Feature], tick: Callable[[int], None] | None = None
    ) -> tuple[Float[np.ndarray, "features dim"], Float[np.ndarray, "positions classes"]]:
        """Mean hidden states a feature, and logits at every feature's positions, in order."""
        embeddings, logits = self._backend.forward(self._loaded, features, tick)
        return embeddings, logits

    def encode(self, examples: Sequence[Example]) -> Encodings:
        """One embedding, every uncertainty and a prediction for each example of a shard.

        Raises:
            InputError: the model sees nothing in an example.
            WorkError: numbers that are not finite, or no memory for one row.
        """
        return self.encode_features(examples, self.prepare(examples))

    def encode_features(
        self,
        examples: Sequence[Example],
        features: Sequence[Feature],
        tick: Callable[[int], None] | None = None,
    ) -> Encodings:
        """`encode` for examples that were prepared (without windows) already."""
        embeddings_FD, logits_PC = self.forward(features, tick)
        check_finite(examples, features, embeddings_FD, logits_PC)
        embeddings_ND, uncertainty, predictions = self._module.summarise(
            examples, features, embeddings_FD, logits_PC, self.labels, aggregate=self.aggregate
        )
        lengths = np.zeros(len(examples), dtype=np.int64)
        lost = np.zeros(len(examples), dtype=np.int64)
        for feature in features:
            lengths[feature.example] += len(feature.input_ids)
            lost[feature.example] += feature.lost
        return Encodings(
            rows=np.arange(len(examples), dtype=np.int64),
            hashes=content_hashes(examples),
            embeddings=embeddings_ND,
            uncertainty=uncertainty,
            lengths=lengths,
            lost=lost,
            predictions=[json.dumps(told, ensure_ascii=False) for told in predictions],
        )

    def _longest(self, asked: int | None) -> int:
        length = MAX_LENGTH[self.task] if asked is None else asked
        if asked is not None and asked > self._facts.reads:
            self.notes.append(
                f"{self.path} reads {self._facts.reads} sub-words at most, not {asked}"
            )
        return checks.longest_row(self._facts, self.task, length)


def _name_of(features: Sequence[Feature]) -> str:
    """A name for what the model is given of these rows."""
    text = json.dumps([(f.input_ids, f.type_ids) for f in features])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _one_of(what: str, name: str, table: Any) -> None:
    if name not in table:
        raise UsageError(f"there is no {what} {name!r}", f"choose one of: {', '.join(table)}")


def check_finite(
    examples: Sequence[Example],
    features: Sequence[Feature],
    embeddings_FD: Float[np.ndarray, "features dim"],
    logits_PC: Float[np.ndarray, "positions classes"],
) -> None:
    """Refuse what a model gives if it is not finite, naming the example."""
    bad_F = ~np.isfinite(embeddings_FD).all(axis=1)
    owner_P = np.repeat(np.arange(len(features)), [len(f.logits_at) for f in features])
    bad_F[owner_P[~np.isfinite(logits_PC).all(axis=1)]] = True
    if bad_F.any():
        example = examples[features[int(bad_F.argmax())].example]
        raise WorkError(
            "the model gives numbers that are not finite for this example",
            "use --dtype float32; if it is that already, the model's weights are broken: "
            "train it again with a lower --lr",
            file=example.file,
            line=example.line,
        )
