"""A small distillation: utterances of two languages of the demo, their slots as names to probe."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from polymux.demo.corpus import columns
from polymux.demo.utterances import language, utterances

LANGUAGES = ("hi", "de")
CONFIG = """
out = "run"
languages = ["hi", "de"]
seeds = [1]

[groups]
low = ["hi"]
high = ["de"]

[corpus]
text = "{language}.txt"
split = "lines"
dev = 0.1
test = 0.1
# Templates repeat whole phrases: nothing here is held apart as real text is.
overlap = 1.0

[tokenizer]
vocabulary = 700

[model]
layers = 2
hidden = 64
heads = 2
intermediate = 128
length = 32

[training]
tokens = 150_000
batch_tokens = 1024
lr = 3e-3
precision = "float32"

[teachers]
tokens = 100_000

[evaluate]
ner = "{language}/{split}.conll"
sentences = 60
"""


def write_world(folder: Path, config: str = CONFIG, codes: Iterable[str] = LANGUAGES) -> Path:
    """Text, labelled slots and a configuration; gives its path."""
    for code in codes:
        spoken = utterances(language(code), 1400, seed=0)
        text = "".join(f"{one.text}\n" for one in spoken[300:])
        (folder / f"{code}.txt").write_text(text, encoding="utf-8")
        (folder / code).mkdir()
        for place, split in enumerate(("train", "dev", "test")):
            part = spoken[place * 100 : (place + 1) * 100]
            path = folder / code / f"{split}.conll"
            path.write_text("".join(columns(part)), encoding="utf-8")
    path = folder / "distill.toml"
    path.write_text(config, encoding="utf-8")
    return path


def changed(config: str, **sections: Any) -> str:
    """The configuration with other values in some sections, as TOML again."""
    told = tomllib.loads(config)
    for name, values in sections.items():
        told[name] = {**told.get(name, {}), **values} if isinstance(values, dict) else values
    return toml(told)


def toml(told: dict[str, Any]) -> str:
    """A nested dict as TOML."""
    lines = [f"{key} = {_value(v)}" for key, v in told.items() if not isinstance(v, dict)]
    for key, v in told.items():
        if isinstance(v, dict) and key == "systems":
            for name, system in v.items():
                lines += [f"[systems.{name}]", *(f"{k} = {_value(x)}" for k, x in system.items())]
        elif isinstance(v, dict):
            lines += [f"[{key}]", *(f"{k} = {_value(x)}" for k, x in v.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
