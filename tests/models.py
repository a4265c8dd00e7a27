"""Tiny models and tokenizers, made on the spot: random weights from a seed, nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece

SAMPLE = (
    "the quick brown fox jumps over the lazy dog and runs to the old house by the river",
    "where can I find a doctor who speaks my language near the station tomorrow morning",
    "ich habe seit gestern starke Kopfschmerzen und suche einen Arzt in der Nähe von Köln",
    "elle voudrait réserver une table pour deux personnes ce soir à huit heures près d'ici",
    "el niño come una manzana roja mientras su hermana lee un libro en el jardín grande",
    "мой брат живёт в большом городе и работает врачом в старой больнице у реки",
    "ο γιατρός μένει κοντά στο παλιό σπίτι και διαβάζει ένα βιβλίο κάθε βράδυ",
    "मेरा भाई बड़े शहर में रहता है और पुराने अस्पताल में काम करता है",
    "میرا بھائی بڑے شہر میں رہتا ہے اور پرانے ہسپتال میں کام کرتا ہے",
    "أخي يعيش في مدينة كبيرة ويعمل طبيبا في المستشفى القديم قرب النهر",
    "พี่ชาย ของ ฉัน อยู่ ใน เมือง ใหญ่ และ ทำงาน ที่ โรงพยาบาล เก่า",
    "我 的 哥哥 住 在 大 城市 里 在 旧 医院 工作 每天 晚上 看书",
    "kardeşim büyük bir şehirde yaşıyor ve eski hastanede doktor olarak çalışıyor",
    "నా అన్న పెద్ద నగరంలో ఉంటాడు మరియు పాత ఆసుపత్రిలో పని చేస్తాడు",
    "mi hermano vive en una ciudad grande . ¿ dónde está el médico ? yes , no ! 12 345 %",
)
LABELS = {
    "token-classification": ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    "text-classification": ("entailment", "neutral", "contradiction"),
    "question-answering": (),
}
AUTO = {
    "token-classification": "AutoModelForTokenClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "none": "AutoModel",
    "masked-lm": "AutoModelForMaskedLM",
}
# Which family of tokenizer each kind of model has.
TOKENIZER = {
    "bert": "wordpiece",
    "xlm-roberta": "unigram",
    "roberta": "byte-bpe",
    "modernbert": "byte-bpe",
    "llama": "bpe",
    "gpt2": "byte-bpe",
}
KINDS = tuple(TOKENIZER)
ENCODERS = ("bert", "xlm-roberta", "roberta", "modernbert")
DECODERS = ("llama", "gpt2")

_BERT = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_XLMR = {
    "bos": "<s>",
    "pad": "<pad>",
    "eos": "</s>",
    "unk": "<unk>",
    "cls": "<s>",
    "sep": "</s>",
    "mask": "<mask>",
}
_LLAMA = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}


def _wordpiece(sample: Sequence[str], specials: list[str]) -> Tokenizer:
    made = Tokenizer(WordPiece(unk_token=specials[0]))
    made.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(
        sample, trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials)
    )
    return made


def _unigram(sample: Sequence[str], specials: list[str]) -> Tokenizer:
    made = Tokenizer(Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.train_from_iterator(
        sample,
        trainers.UnigramTrainer(vocab_size=500, special_tokens=specials, unk_token="<unk>"),
    )
    return made


def _byte_bpe(sample: Sequence[str], specials: list[str]) -> Tokenizer:
    made = Tokenizer(BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        sample,
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return made


def _bpe(sample: Sequence[str], specials: list[str]) -> Tokenizer:
    made = Tokenizer(BPE(unk_token=specials[0], fuse_unk=True, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace()
    made.train_from_iterator(sample, trainers.BpeTrainer(vocab_size=500, special_tokens=specials))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return made


def _word(sample: Sequence[str], specials: list[str]) -> Tokenizer:
    made = Tokenizer(WordLevel(unk_token=specials[0]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.train_from_iterator(sample, trainers.WordLevelTrainer(special_tokens=specials))
    return made


_MAKERS: dict[str, tuple[Callable[[Sequence[str], list[str]], Tokenizer], dict[str, str]]] = {
    "wordpiece": (_wordpiece, _BERT),
    "unigram": (_unigram, _XLMR),
    "byte-bpe": (_byte_bpe, _XLMR),
    "bpe": (_bpe, _LLAMA),
    "word": (_word, _BERT),
}


def _template(made: Tokenizer, specials: dict[str, str], style: str) -> None:
    """Put the special tokens around one text and around two, as each family does."""
    first = specials.get("cls", specials.get("bos"))
    last = specials.get("sep")
    if style == "gpt2":
        return
    if last is None:
        single, pair = f"{first} $A", f"{first} $A {first}:1 $B:1"
    elif style == "bert":
        single, pair = f"{first} $A {last}", f"{first} $A {last} $B:1 {last}:1"
    elif style == "modernbert":
        single, pair = f"{first} $A {last}", f"{first} $A {last} $B {last}"
    else:
        single, pair = f"{first} $A {last}", f"{first} $A {last} {last} $B {last}"
    made.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(t, made.token_to_id(t)) for t in (first, last) if t is not None],
    )


@cache
def _trained(family: str, sample: tuple[str, ...], specials: tuple[str, ...]) -> str:
    """Kept, because training twice gives two vocabularies: the trainers break ties by chance."""
    return _MAKERS[family][0](sample, list(specials)).to_str()


def tiny_tokenizer(
    kind: str = "bert",
    *,
    family: str | None = None,
    padding_side: str | None = None,
    pad: bool = True,
    max_length: int = 128,
    sample: Sequence[str] = SAMPLE,
) -> Any:
    """A fast tokenizer trained on `sample`, as this kind of model has it (`pad=False`: no pad)."""
    from transformers import PreTrainedTokenizerFast

    family = family or TOKENIZER[kind]
    specials = {n: token for n, token in _MAKERS[family][1].items() if pad or n != "pad"}
    trained = _trained(family, tuple(sample), tuple(dict.fromkeys(specials.values())))
    made = Tokenizer.from_str(trained)
    _template(made, specials, kind)
    tokens = {f"{name}_token": AddedToken(token, special=True) for name, token in specials.items()}
    if kind not in ("bert",) or family == "word":
        inputs = ["input_ids", "attention_mask"]
    else:
        inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=max_length,
        padding_side=padding_side or ("left" if kind == "llama" else "right"),
        model_input_names=inputs,
        **tokens,
    )


def tiny_config(kind: str, tokenizer: Any, *, dim: int, layers: int, positions: int) -> Any:
    """A configuration of this kind, small, that fits the tokenizer."""
    from transformers import AutoConfig

    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id")
        for name in ("pad", "bos", "eos", "cls", "sep")
    }
    if kind == "gpt2":
        size = {"n_embd": dim, "n_layer": layers, "n_head": 2, "n_positions": positions}
    else:
        size = {
            "hidden_size": dim,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "intermediate_size": 2 * dim,
            # RoBERTa counts positions from the padding id + 1.
            "max_position_embeddings": positions + (2 if "roberta" in kind else 0),
        }
    if kind == "modernbert":
        size |= {"local_attention": 16, "global_attn_every_n_layers": 2}
    if "roberta" in kind:
        size["type_vocab_size"] = 1
    return AutoConfig.for_model(kind, vocab_size=len(tokenizer), **size, **ids)


def tiny_model(
    folder: Path,
    task: str = "token-classification",
    labels: Sequence[str] | None = None,
    kind: str = "bert",
    *,
    seed: int = 0,
    dim: int = 32,
    layers: int = 2,
    positions: int = 128,
    sharpness: float = 3.0,
    **tokenizer_options: Any,
) -> Path:
    """Write a model with a random head for the task and its tokenizer into `folder`.

    `task` may be "none" (no head) or "masked-lm". `sharpness` scales the head: the larger, the
    surer its predictions. The same arguments give the same weights, and in one process the same
    tokenizer.
    """
    import torch
    import transformers

    tokenizer = tiny_tokenizer(kind, max_length=positions, **tokenizer_options)
    config = tiny_config(kind, tokenizer, dim=dim, layers=layers, positions=positions)
    names = LABELS.get(task, ()) if labels is None else tuple(labels)
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: i for i, name in enumerate(names)}
    model = getattr(transformers, AUTO[task]).from_config(config)
    generator = torch.Generator().manual_seed(seed)
    backbone = {name for name, _ in model.base_model.named_parameters(prefix="base")}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            inner = name.partition(".")[2]
            in_head = task != "none" and f"base.{inner}" not in backbone
            if weight.ndim > 1:
                spread = 1.0 if "embed" in name or "wte" in name else weight.shape[-1] ** -0.5
                noise = torch.randn(weight.shape, generator=generator)
                weight.copy_(noise * spread * (sharpness if in_head else 1.0))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
