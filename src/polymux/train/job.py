"""Where a training writes: its folder, the checkpoint beside it, the manifest at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polymux.encoders.pytorch import quiet
from polymux.errors import UsageError
from polymux.folders import check_free, claimed, written

MANIFEST = "training.json"
LOGS = "logs"
# What `polymux train --dev` says of a model: nothing of the one that takes its place.
SCORED = ("dev/evaluation.json", "dev/predictions.jsonl")


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model on disk, and how it was made."""

    path: Path
    manifest: Mapping[str, Any]
    """What `training.json` says."""

    @property
    def labels(self) -> tuple[str, ...]:
        """By class number; none for question answering."""
        return tuple(self.manifest["labels"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        return tuple(self.manifest["notes"])


@dataclass(frozen=True, slots=True)
class Job:
    """A training and its place on disk."""

    out: Path
    resume: bool
    force: bool

    @classmethod
    @contextmanager
    def begun(cls, out: str | Path, *, force: bool, resume: bool) -> Iterator[Job]:
        """Make sure that the result can be written, and that nobody else writes it meanwhile."""
        job = cls(Path(out), resume, force)
        with claimed(job.out):
            if not job.is_done:
                check_free(job.out, force=force)
            yield job

    @property
    def checkpoint(self) -> Path:
        """A sibling, so that what is in `out` is complete."""
        return self.out.with_name(f".{self.out.name}.training")

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to resume."""
        return self.resume and (self.out / MANIFEST).is_file()

    def finished(self, identity: str) -> Trained:
        """The result of the same training, done before."""
        manifest = json.loads((self.out / MANIFEST).read_text(encoding="utf-8"))
        if manifest["identity"] != identity:
            raise UsageError(
                f"{self.out} holds a model trained with other settings or on other data",
                "give --out another folder, or leave --resume out and give --force",
            )
        return Trained(self.out, manifest)

    def save(self, network: Any, tokenizer: Any, manifest: Mapping[str, Any]) -> Trained:
        """Write a Hugging Face folder and the manifest, all or nothing."""
        with written(self.out, force=self.force) as draft, quiet():
            network.save_pretrained(draft)
            tokenizer.save_pretrained(draft)
            if (self.checkpoint / LOGS).is_dir():
                shutil.copytree(self.checkpoint / LOGS, draft / LOGS)
            text = json.dumps(manifest, ensure_ascii=False, indent=2)
            (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
            for place in (self.out / name for name in SCORED):
                if self.force and place.is_file():
                    place.unlink()
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        return Trained(self.out, manifest)
