"""A file to read and how it is named: to a person in messages, to machines in ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import PurePosixPath

from polymux.errors import InputError
from polymux.readers.streams import COMPRESSED, DAMAGE, Encoding, Undecodable, decoded, decompressed

_CUT = 80


class Notes:
    """What a person should know of how files were read: once, however often they are read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._told: dict[str, dict[str, int]] = {}

    def tell(self, what: str, path: str, count: int = 1) -> None:
        """Say something of one file; `{count}` in it becomes the sum of its counts over files."""
        files = self._told.setdefault(what, {})
        # Who stops in the middle has not seen all of them.
        if files.get(path, -1) >= count:
            return
        files[path] = count
        self.lines[:] = [_note(what, files) for what, files in self._told.items()]


def _note(what: str, files: dict[str, int]) -> str:
    first = next(iter(files))
    place = first if len(files) == 1 else f"{first} and {len(files) - 1} more"
    return f"{place}: {what.replace('{count}', str(sum(files.values())))}"


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a folder that holds one data set."""

    path: str
    """As the user can open it: what messages say."""
    key: str
    """Below the PATH given, with `/`: the first half of every id."""
    location: str
    """Where `opener` finds it."""
    opener: Callable[[str], BufferedReader]
    notes: Notes = field(default_factory=Notes)
    folder: str = ""
    """The PATH given, where that is a folder which was searched."""
    saved: bool = False
    """A folder that `save_to_disk` wrote."""
    format: str = ""
    """As the user named it; otherwise it is to be found."""
    offline: bool = False

    @property
    def name(self) -> str:
        """The name of the file without the folders and without the suffix of a compression."""
        name = PurePosixPath(self.location).name
        for suffix in COMPRESSED:
            name = name.removesuffix(suffix)
        return name

    @property
    def suffix(self) -> str:
        """`.conllu` of `train.conllu.xz`, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def tell(self, what: str, count: int = 1) -> None:
        """Put something into the notes of the pool."""
        self.notes.tell(what, self.path, count)

    def bad(self, what: str, hint: str, line: int | None = None, text: str = "") -> InputError:
        """An error at a line of this file, with the line itself, cut."""
        if text:
            what += f": {text[:_CUT] + '...' if len(text) > _CUT else text!s}"
        return InputError(what, hint, file=self.path, line=line)

    def open(self) -> AbstractContextManager[BufferedReader]:
        """The content, decompressed."""
        try:
            raw = self.opener(self.location)
        except OSError as error:
            raise self.bad(
                f"the file cannot be opened: {error.strerror or error}",
                "look at its path and its permissions",
            ) from error
        return decompressed(raw)

    def head(self, size: int = 1 << 16) -> bytes:
        """The first bytes, decompressed."""
        try:
            with self.open() as stream:
                return stream.read(size)
        except DAMAGE as error:
            raise self._damaged(error, None) from error

    def lines(self, *, keep_ends: bool = False) -> Iterator[tuple[int, str] | InputError]:
        """Numbered lines of text, in whatever encoding the file surely has."""
        number = 0
        try:
            with self.open() as stream:
                for item in decoded(stream):
                    if isinstance(item, Encoding):
                        self.tell(f"read as {item.name}: {item.reason}")
                    elif isinstance(item, Undecodable):
                        number = item.number
                        yield self._undecodable(item)
                    elif keep_ends:
                        number = item[0]
                        yield item
                    else:
                        number, text = item
                        yield number, text.removesuffix("\n").removesuffix("\r")
        except DAMAGE as error:
            yield self._damaged(error, number + 1)

    def _damaged(self, error: BaseException, line: int | None) -> InputError:
        return self.bad(
            f"the file cannot be read to its end: {error}",
            "it is cut or damaged: get it again",
            line,
        )

    def _undecodable(self, item: Undecodable) -> InputError:
        if item.position == 0:
            return self.bad(
                f"from this line on the text is not {item.guesses[0].upper()}, "
                "as the byte order mark at its beginning says",
                "the file is cut or damaged: get it again",
                item.number,
            )
        hint = "mend that line, or convert the file to UTF-8"
        if item.guesses:
            hint = (
                f"convert it: iconv -f {item.guesses[0]} -t UTF-8 OLD > NEW "
                f"(it may be {' or '.join(item.guesses)}; none is sure)"
            )
        return self.bad(
            f"byte {item.position} of the line (0x{item.byte:02X}) is not UTF-8", hint, item.number
        )
