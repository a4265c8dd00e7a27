"""Text and tokenizer, the first two stages; what later ones read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from polymux.distill.text.blocks import Rows, Stream, stream_of
from polymux.distill.text.corpus import SPLITS, read_texts
from polymux.distill.text.overlap import overlap
from polymux.distill.text.premiums import premiums
from polymux.distill.text.sampling import sampling_named
from polymux.distill.text.tokenizer import describe, train_tokenizer
from polymux.distill.work import Work, identity_of
from polymux.errors import UsageError, WorkError
from polymux.readers import read

# Lines by which a tokenizer is described.
DESCRIBED = 1000


def corpus(work: Work) -> None:
    """Read, normalise, de-duplicate and split the text; compare it with what probes test on."""
    settings = work.settings.corpus
    paths = {lang: work.path(settings.text, language=lang) for lang in work.settings.languages}
    identity = identity_of(
        settings=settings.model_dump(exclude={"premiums", "overlap"}),
        premiums=premiums(paths, settings.premiums),
        files={language: contents(path) for language, path in paths.items()},
        languages=work.settings.languages,
    )
    if work.done("corpus", identity) is None:
        _make_corpus(work, paths, identity)
    _compare(work)


def _make_corpus(work: Work, paths: Mapping[str, str], identity: str) -> None:
    settings = work.settings.corpus
    own = premiums(paths, settings.premiums)
    texts = read_texts(
        paths,
        split=settings.split,
        block_lines=settings.block_lines,
        held_out={"dev": settings.dev, "test": settings.test},
        largest=settings.largest,
        seed=0,
        progress=work.progress,
    )
    with work.making("corpus", identity) as (draft, told):
        digest, told["languages"] = blake2b(digest_size=16), {}
        for language, text in texts.items():
            sizes: dict[str, Any] = {"read": text.read, "repeated": text.repeated}
            for split in SPLITS:
                lines = list(text.lines(split))
                written = "\n\n".join("\n".join(part) for part in text.documents[split]) + "\n"
                digest.update(written.encode())
                (draft / f"{language}.{split}.txt").write_text(written, encoding="utf-8")
                size = sum(len(line.encode()) + 1 for line in lines)
                sizes[split] = {
                    "lines": len(lines),
                    "units": len(text.documents[split]),
                    "bytes": size,
                    "premium_bytes": size / own[language],
                    "characters": sum(map(len, lines)),
                    "words": sum(len(line.split()) for line in lines),
                }
            told["languages"][language] = sizes
        told["split_by"] = settings.split
        told["contents"] = digest.hexdigest()


def contents(path: str, task: str = "text-classification") -> list[str]:
    """What the files of a PATH hold, or their names where they are not on this machine."""
    found = []
    for file in read(path, task=task, name="text").files:
        local = Path(file.path)
        if local.is_file():
            found.append(blake2b(local.read_bytes(), digest_size=16).hexdigest())
        else:
            found.append(file.path)
    return found


def model_contents(work: Work, name: str, **names: str) -> list[str]:
    """What a model's or tokenizer's folder holds, or its name where it is not on this machine."""
    folder = Path(work.path(name, **names))
    if not folder.is_dir():
        return [name]
    return [
        f"{file.name} {blake2b(file.read_bytes(), digest_size=16).hexdigest()}"
        for file in sorted(folder.iterdir())
        if file.suffix in (".json", ".safetensors", ".txt", ".model")
    ]


def _compare(work: Work) -> None:
    """How much of what is tested on stands in the text; too much fails the run."""
    tasks = work.settings.evaluate.probes(work.settings.languages)
    text = work.needed("corpus", "corpus")["contents"]
    tests = {
        f"{task} {language}": contents(
            work.path(path, language=language, split="test"), "token-classification"
        )
        for task, (path, scored) in tasks.items()
        for language in scored
    }
    identity = identity_of(text=text, tests=tests)
    told = work.done("overlap", identity)
    if told is None:
        with work.making("overlap", identity) as (_, told):
            told["languages"] = {}
            for place, language in enumerate(work.settings.languages):
                work.tell("compare with the tests", place, len(work.settings.languages))
                told["languages"][language] = {
                    task: _overlap(work, language, task, path)
                    for task, (path, scored) in tasks.items()
                    if language in scored
                }
    limit = work.settings.corpus.overlap
    for language, by_task in told["languages"].items():
        for task, found in by_task.items():
            if found["share"] > limit:
                raise WorkError(
                    f"{found['share']:.1%} of the {task} test sentences of {language} stand in its "
                    f"training text; at most {limit:.1%} may",
                    "take them out of the text, or state more as [corpus] overlap",
                )


def _overlap(work: Work, language: str, task: str, pattern: str) -> dict[str, Any]:
    path = work.path(pattern, language=language, split="test")
    tested = read(path, task="token-classification", name=f"{task} test")
    sentences = [example.fields["tokens"] for example in tested]
    found = overlap(lines_of(work, language, "train"), sentences)
    return asdict(found) | {"share": found.share}


def lines_of(work: Work, language: str, split: str) -> list[str]:
    """The lines of a split, in the order in which a cut keeps them."""
    path = work.out / "corpus" / f"{language}.{split}.txt"
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line]


def tokenizer(work: Work) -> None:
    """Train the shared tokenizer, and cut all text with it."""
    settings = work.settings.tokenizer
    text = work.needed("corpus", "corpus")
    own = premiums(work.settings.languages, work.settings.corpus.premiums)
    identity = identity_of(
        settings=settings.model_dump(),
        ready=settings.path and model_contents(work, settings.path),
        text=text["contents"],
        length=work.settings.model.length,
        premiums=own,
    )
    if work.done("tokenizer", identity) is not None:
        return
    lines = {
        (lang, split): lines_of(work, lang, split)
        for lang in work.settings.languages
        for split in SPLITS
    }
    work.tell("train the tokenizer", 0, None)
    made = _ready(work) if settings.path else _trained(work, lines)
    with work.making("tokenizer", identity) as (draft, told):
        made.save_pretrained(draft)
        told["vocabulary"], told["languages"] = len(made), {}
        for place, ((language, split), some) in enumerate(lines.items()):
            work.tell("cut the text", place, len(lines))
            stream = stream_of(some, made, own[language])
            stream.save(draft / f"{language}.{split}.npz")
            if split == "train":
                told["languages"][language] = {"tokens": int(stream.size("tokens"))}
            elif split == "test":
                told["languages"][language] |= describe(made, some[:DESCRIBED])


def _trained(work: Work, lines: Mapping[tuple[str, str], list[str]]) -> Any:
    settings = work.settings.tokenizer
    sizes = {
        language: told["train"]["premium_bytes"]
        for language, told in work.needed("corpus", "corpus")["languages"].items()
    }
    kept = sampling_named(settings.sampling)(sizes, sum(sizes.values()), {}).kept
    chosen = []
    for language, size in sizes.items():
        some = lines[language, "train"]
        share = kept[language] / size
        total, room = 0, share * sum(map(len, some))
        for line in some:
            if total >= room:
                break
            chosen.append(line)
            total += len(line)
    return train_tokenizer(
        chosen,
        kind=settings.kind,
        vocabulary=settings.vocabulary,
        length=work.settings.model.length,
    )


def _ready(work: Work) -> Any:
    from transformers import AutoTokenizer

    path = work.path(work.settings.tokenizer.path or "")
    found = AutoTokenizer.from_pretrained(
        path if Path(path).is_dir() else work.settings.tokenizer.path, trust_remote_code=False
    )
    if not found.is_fast or None in (found.mask_token, found.cls_token, found.sep_token):
        raise UsageError(
            f"{work.settings.tokenizer.path} is no fast tokenizer with mask, start and separator",
            "give the tokenizer of a masked language model",
        )
    return found


def load_tokenizer(work: Work) -> Any:
    """The shared tokenizer."""
    from transformers import AutoTokenizer

    work.needed("tokenizer", "tokenizer")
    return AutoTokenizer.from_pretrained(work.out / "tokenizer", local_files_only=True)


def load_stream(work: Work, language: str, split: str) -> Stream:
    """The tokens of a language."""
    return Stream.load(work.out / "tokenizer" / f"{language}.{split}.npz")


def rows_of(work: Work, stream: Stream, made: Any, lines: int | None = None) -> Rows:
    """Rows of the model's length from the first lines of a language (all of them by default)."""
    return Rows(
        stream,
        len(stream.ends) if lines is None else lines,
        work.settings.model.length,
        work.settings.training.packed,
        made.cls_token_id,
        made.sep_token_id,
    )
