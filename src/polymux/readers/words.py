"""Texts to words: Unicode word boundaries, or a function of the user's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import regex

from polymux.errors import UsageError

Words = Callable[[str], Sequence[str]]

# UAX 29, with tailoring for no language.
_BOUNDARY = regex.compile(r"(?wV1)\b")
_SPACELESS = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    r"\p{Tai_Tham}\p{Javanese}\p{Balinese}]"
)


def unicode_words(text: str) -> list[str]:
    """The words of a text by Unicode word boundaries (UAX 29); white space is no word."""
    return [part for part in _BOUNDARY.split(text) if part and not part.isspace()]


def spaceless(text: str) -> bool:
    """Whether the text holds a script that puts no space between words."""
    return _SPACELESS.search(text) is not None


def load(name: str) -> Words:
    """The function that `package.module:function` or `file.py:function` names."""
    module_name, _, function_name = name.rpartition(":")
    if not module_name or module_name.startswith("."):
        raise UsageError(
            f"{name!r} names no function to split texts into words",
            "write it as package.module:function or file.py:function",
        )
    try:
        module = _file(module_name) if module_name.endswith(".py") else import_module(module_name)
    except SyntaxError as error:
        raise UsageError(
            f"{error.filename}:{error.lineno}: {error.msg}", "mend that line of the --words file"
        ) from error
    except (ImportError, OSError) as error:
        raise UsageError(
            f"{module_name} cannot be imported: {error}",
            "give the path of a .py file, or install the package",
        ) from error
    function: Words | None = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(
            f"{module_name} has no function {function_name}",
            f"it has: {', '.join(n for n in vars(module) if not n.startswith('_'))}",
        )
    return function


def _file(path: str) -> ModuleType:
    name = f"polymux_words_{Path(path).stem}"
    spec = util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
