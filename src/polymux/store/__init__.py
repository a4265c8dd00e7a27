"""Encodings by content: STORE/<model fingerprint>/<shard fingerprint>.parquet.

Both fingerprints are hashes of content, so a renamed file hits and a changed one misses. A file is
written to a temporary sibling and renamed; a checksum in its footer covers every column but the row
numbers, which anyone can count; what is damaged or foreign is set aside and encoded again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from polymux.errors import UsageError, WorkError
from polymux.records import Encodings
from polymux.store.shards import DTYPES, FORMAT, pack, rounded, unpack

__all__ = ["ABOUT", "DTYPES", "FORMAT", "Store"]

# What a person finds beside the shards; nothing is ever read from it but for `polymux store ls`.
ABOUT = "model.json"


class Store:
    """A folder of encoded shards, their embeddings in one of `DTYPES`."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise UsageError(
                f"embeddings cannot be kept as {dtype!r}", f"choose one of: {', '.join(DTYPES)}"
            )
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                "this is a file, not a folder of encodings",
                "give --store another place, or --store off to keep nothing",
                file=str(folder),
            )
        self.folder = folder
        self.dtype = dtype
        self.notes: list[str] = []
        """What a person should know: damaged files that were set aside."""

    def path(self, model_fingerprint: str, shard_fingerprint: str) -> Path:
        """Where the encodings of this shard by this model stand, or would stand.

        Embeddings of another dtype are other numbers: they have a folder of their own.
        """
        name = model_fingerprint
        if self.dtype != "float32":
            name = blake2b(f"{name} {self.dtype}".encode(), digest_size=16).hexdigest()
        return self.folder / name / f"{shard_fingerprint}.parquet"

    def get(self, model_fingerprint: str, shard_fingerprint: str) -> Encodings | None:
        """The encodings of a shard, its rows counted from 0; None if they are not here.

        Raises:
            OSError: the file is there and cannot be read; it stays as it is.
        """
        path = self.path(model_fingerprint, shard_fingerprint)
        try:
            encodings = unpack(path.read_bytes(), self.dtype)
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = set_aside(path)
            self.notes.append(f"{path}: {error}; set aside as {aside.name} and encoded again")
            return None
        # When it was last used, for `prune`. The folder may be another user's.
        with suppress(OSError):
            os.utime(path)
        return encodings

    def put(
        self,
        model_fingerprint: str,
        shard_fingerprint: str,
        encodings: Encodings,
        about: Mapping[str, Any] | None = None,
    ) -> Encodings:
        """Write the encodings of a shard; returns them as `get` will: as the store holds them.

        Two writers at once leave one whole file. `about` is what a person would call the model.

        Raises:
            WorkError: no room or no permission, or numbers that the dtype cannot hold.
        """
        path = self.path(model_fingerprint, shard_fingerprint)
        kept = rounded(encodings, self.dtype, path)
        _write(path, pack(kept, self.dtype))
        told = path.with_name(ABOUT)
        if about is not None and not told.exists():
            lines = json.dumps({**about, "store_dtype": self.dtype}, ensure_ascii=False, indent=2)
            _write(told, f"{lines}\n".encode())
        return kept


def set_aside(path: Path) -> Path:
    """Take a damaged file out of the way; it stays for whoever wants to know what happened."""
    aside = path.with_suffix(".damaged")
    with suppress(FileNotFoundError):  # another reader was faster
        path.replace(aside)
    return aside


def _write(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it.

    Without fsync: a killed process loses nothing by that, and what a power cut tears is seen by
    its checksum and encoded again, which costs less than waiting for the disk at every shard.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        try:
            _fill(draft, content)
            draft.replace(path)
        except FileNotFoundError:
            # The folder is not there yet, or `prune` took it away, empty, at this moment.
            _fill(draft, content)
            draft.replace(path)
    except OSError as error:
        raise WorkError(
            f"encodings cannot be kept here: {error.strerror or error}",
            "make room or permission, or give --store another place; what was encoded before "
            "stays, and the next run goes on from there",
            file=str(path.parent),
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _fill(draft: Path, content: bytes) -> None:
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(content)
