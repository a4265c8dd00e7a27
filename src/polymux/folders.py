"""Result folders: complete or not there.

A file is written to a temporary sibling and renamed, the manifest comes last, and a folder that
holds anything is left alone unless told otherwise. Who kills the work in the middle finds what was
there before.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path
from uuid import uuid4

from polymux.errors import UsageError

# The name of a file and the maker of its text; None: a file an earlier run may have left goes.
Texts = Mapping[str, Callable[[], Iterable[str]] | None]


# What `polymux select --dry-run` leaves for the run that it estimated.
ESTIMATE = "estimate.json"


def check_free(folder: Path, *, force: bool) -> None:
    """Refuse a folder that is not empty, unless `force`; an estimate alone is no result.

    Called before the work starts, so that hours are not spent for a folder that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "give --out a folder that is not there yet")
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if there and there != [ESTIMATE] and not force:
        raise UsageError(
            f"{folder} is not empty ({', '.join(there[:3])}{', ...' if len(there) > 3 else ''})",
            "give --out another folder, or --force to replace what polymux wrote there",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        raise PermissionError(13, "no permission to write here", str(folder))


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Work for a folder alone, by whatever path: a second process is told at once."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as work:
        try:
            work.enter_context(_held(folder.with_name(f".{folder.name}.lock")))
        except BlockingIOError:
            raise UsageError(
                f"another polymux is working for {folder}",
                "wait for it, or work in another folder",
            ) from None
        yield


@contextmanager
def written(folder: Path, *, force: bool) -> Iterator[Path]:
    """A temporary sibling to fill; it takes the folder's place when the block ends well.

    If another process filled the folder meanwhile, its result stays, unless `force`. Siblings that
    killed processes left go.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{escape(folder.name)}.*.part.lock"):
        with suppress(BlockingIOError), _held(left):
            shutil.rmtree(left.with_suffix(""), ignore_errors=True)
    draft = folder.with_name(f".{folder.name}.{uuid4().hex[:12]}.part")
    # Who sweeps may look at this one before it is locked.
    with _held(draft.with_name(f"{draft.name}.lock"), wait=True):
        draft.mkdir()
        try:
            yield draft
            check_free(folder, force=force)
            _move(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _move(draft: Path, folder: Path) -> None:
    """What polymux did not write stays; no manifest of before stands beside new files."""
    # A shell would go on in the folder that another takes the place of.
    if not folder.is_dir() or not (folder == Path.cwd() or any(folder.iterdir())):
        draft.replace(folder)
        return
    paths = _manifest_last(draft)
    for path in (path for path in paths if path.name in MANIFESTS):
        (folder / path.relative_to(draft)).unlink(missing_ok=True)
    for path in paths:
        place = folder / path.relative_to(draft)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


@contextmanager
def _held(lock: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock, which the system frees however the process ends, and take it away.

    Raises:
        BlockingIOError: another process holds it, and this one does not wait.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    while True:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not _is_at(held.fileno(), lock):
                # Who held it took it away between opening and locking, and a third may hold anew.
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


MANIFESTS = frozenset(
    {
        *("selection.json", "training.json", "evaluation.json", "summary.json", "stage.json"),
        *("tables.json", "diagnosis.json"),
    }
)


def _manifest_last(draft: Path) -> list[Path]:
    files = [path for path in sorted(draft.rglob("*")) if path.is_file()]
    return sorted(files, key=lambda path: path.name in MANIFESTS)


def write_texts(folder: Path, texts: Texts, *, force: bool) -> None:
    """Write these files, each from its maker of text, all or none."""
    check_free(folder, force=force)
    with written(folder, force=force) as draft:
        for name, make in texts.items():
            if make is None:
                continue
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            with (draft / name).open("w", encoding="utf-8", newline="\n") as out:
                out.writelines(make())
    for name in (name for name, make in texts.items() if make is None):
        (folder / name).unlink(missing_ok=True)


def check_new(path: Path, *, force: bool) -> None:
    """Refuse a file that is there already, unless `force`; before the work that would fill it."""
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} is there already", "give --out another file, or --force")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A draft beside a file; it takes the file's place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole: beside its place, then renamed."""
    check_new(path, force=force)
    with replaced(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
