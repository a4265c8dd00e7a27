"""One tokenizer for all languages: cased, accents kept, every text comes back as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD, CLS, SEP, UNK, MASK = range(len(SPECIALS))
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# What stands for a space inside tokens; where a text has the sign itself it comes back as a space.
SPACE = "\u2581"


def train_tokenizer(texts: Iterable[str], *, kind: str, vocabulary: int, length: int) -> Any:
    """A fast tokenizer of Hugging Face for rows of `length`, trained on these texts.

    Text is brought to NFC and nothing else: no casing, no accent is lost. A character that the
    vocabulary lacks is written in bytes (`<0x41>`), so nothing is unknown.
    """
    return for_rows(KINDS[kind](texts, vocabulary), length)


def for_rows(made: Any, length: int) -> Any:
    """A tokenizer that begins with `SPECIALS` as a fast one of Hugging Face, rows in `<s> </s>`."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", CLS), ("</s>", SEP)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        pad_token="<pad>",
        cls_token="<s>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=length,
        clean_up_tokenization_spaces=False,
    )


def _bpe(texts: Iterable[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, trainers
    from tokenizers.models import BPE

    made = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=False))
    _around(made)
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[*SPECIALS, *_BYTES],
            # Characters beyond these are rare ones, which bytes can write.
            limit_alphabet=vocabulary // 4,
            show_progress=False,
        ),
    )
    return _bytes_are_words(made)


def _unigram(texts: Iterable[str], vocabulary: int) -> Any:
    from tokenizers import Tokenizer, trainers
    from tokenizers.models import Unigram

    made = Tokenizer(Unigram())
    _around(made)
    made.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=vocabulary,
            special_tokens=[*SPECIALS, *_BYTES],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    return _bytes_are_words(made)


def _around(made: Any) -> None:
    """How words are parted and put together again: a word carries the space before it."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    # Each text begins with a space of its own, also one that begins with a space already.
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    words = pre_tokenizers.Split(Regex(SPACE), behavior="merged_with_next")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.Digits(individual_digits=True)]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )


def _bytes_are_words(made: Any) -> Any:
    """The same tokenizer with bytes as ordinary entries, so that decoding does not skip them."""
    import json

    from tokenizers import Tokenizer

    told = json.loads(made.to_str())
    told["added_tokens"] = [t for t in told["added_tokens"] if t["content"] in SPECIALS]
    if told["model"]["type"] == "Unigram":
        told["model"] |= {"byte_fallback": True, "unk_id": UNK}
    return Tokenizer.from_str(json.dumps(told))


KINDS: dict[str, Callable[[Iterable[str], int], Any]] = {"bpe": _bpe, "unigram": _unigram}


def describe(tokenizer: Any, lines: Iterable[str]) -> dict[str, float]:
    """What a tokenizer makes of a language: tokens a word, unknown and byte shares, round trip.

    Words are counted by white space (no meaning for scripts without spaces).
    """
    import unicodedata

    tokens = words = unknown = in_bytes = same = count = characters = 0
    byte_ids = {tokenizer.get_vocab().get(name) for name in _BYTES} - {None}
    for line in lines:
        ids = tokenizer(line, add_special_tokens=False, verbose=False, split_special_tokens=True)[
            "input_ids"
        ]
        tokens += len(ids)
        words += len(line.split())
        characters += len(line)
        unknown += sum(token == tokenizer.unk_token_id for token in ids)
        in_bytes += sum(token in byte_ids for token in ids)
        same += tokenizer.decode(ids) == unicodedata.normalize("NFC", line)
        count += 1
    return {
        "tokens_per_word": tokens / max(1, words),
        "characters_per_token": characters / max(1, tokens),
        "unknown": unknown / max(1, tokens),
        "bytes": in_bytes / max(1, tokens),
        "round_trip": same / max(1, count),
    }
