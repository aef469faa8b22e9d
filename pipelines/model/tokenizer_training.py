"""A tokenizer of one's own: trained by the tokenizers library, saved as a folder that transformers loads.

Three kinds, each with the special tokens, normalization and template that its family has: wordpiece as BERT (Devlin et
al. 2019), bpe on bytes as RoBERTa (Liu et al. 2019), unigram as ALBERT and T5 (Kudo 2018, arXiv:1804.10959).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from pipelines.errors import SpecError

Kind = Literal["wordpiece", "bpe", "unigram"]
SENTINELS = 100
"""<extra_id_0> .. <extra_id_99> of a unigram vocabulary, as T5 has them: its last ids, in falling order."""
BYTES = 256
FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Special:
    """The special tokens of a kind, by their roles."""

    pad: str
    unk: str
    cls: str
    sep: str
    mask: str

    @property
    def in_order(self) -> list[str]:
        """As they stand at the beginning of the vocabulary: RoBERTa's is another order than BERT's."""
        bert = [self.pad, self.unk, self.cls, self.sep, self.mask]
        return [self.cls, self.pad, self.sep, self.unk, self.mask] if self.cls == "<s>" else bert


SPECIAL = {
    "wordpiece": Special("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "bpe": Special("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
    "unigram": Special("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
}


def train_tokenizer(kind: Kind, texts: Iterable[str], vocab_size: int, *, lowercase: bool) -> Tokenizer:
    """A tokenizer with ``vocab_size`` tokens at most, special ones included: one to keep.

    The library's trainers settle ties by chance, so that the same texts would give another one the next time. The
    template of two texts gives the second one tokens of a type of its own, whatever the kind. SpecError where the
    vocabulary has no room for the kind's own tokens, or the texts hold nothing to learn from.
    """
    _check_room(kind, vocab_size)
    tokenizer = _untrained(kind, lowercase)
    try:
        tokenizer.train_from_iterator(texts, _trainer(kind, vocab_size))
    except Exception as error:  # the library raises no narrower one
        raise SpecError(
            f"a {kind} tokenizer of {vocab_size} tokens can't be trained on this sample ({error}): take more documents "
            "or fewer tokens"
        ) from error
    if tokenizer.get_vocab_size() <= _own_tokens(kind):
        raise SpecError(
            f"a {kind} tokenizer can't be trained on this sample: there is no text in it, take more documents"
        )
    if kind == "unigram":
        tokenizer.add_special_tokens([f"<extra_id_{n}>" for n in reversed(range(SENTINELS))])
    tokenizer.post_processor = _template(tokenizer, SPECIAL[kind])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, kind: Kind, folder: Path, max_seqlen: int) -> None:
    """Write the files of ``FILES`` into a folder that is there; AutoTokenizer loads it."""
    special = SPECIAL[kind]
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_seqlen,
        "pad_token": special.pad, "unk_token": special.unk, "cls_token": special.cls,
        "sep_token": special.sep, "mask_token": special.mask, "bos_token": special.cls, "eos_token": special.sep,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }  # fmt: skip
    if kind == "unigram":
        config["additional_special_tokens"] = [f"<extra_id_{n}>" for n in range(SENTINELS)]
    tokenizer.save(str(folder / FILES[0]))
    (folder / FILES[1]).write_text(json.dumps(config, indent=2), encoding="utf-8")


def _check_room(kind: Kind, vocab_size: int) -> None:
    own = _own_tokens(kind) + (SENTINELS if kind == "unigram" else 0)
    if vocab_size <= own:
        raise SpecError(f"vocab_size is {vocab_size}: a {kind} tokenizer needs {own} tokens of its own, write more")


def _own_tokens(kind: Kind) -> int:
    """Tokens that the kind has before it has seen a text, sentinels not counted."""
    return len(SPECIAL[kind].in_order) + (BYTES if kind == "bpe" else 0)


def _untrained(kind: Kind, lowercase: bool) -> Tokenizer:
    unknown = SPECIAL[kind].unk
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer
    tokenizer = Tokenizer(models.BPE() if kind == "bpe" else models.Unigram())
    small = [normalizers.Lowercase()] if lowercase else []
    if kind == "bpe":
        tokenizer.normalizer = normalizers.Sequence(small)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *small])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _trainer(kind: Kind, vocab_size: int) -> trainers.Trainer:
    special = SPECIAL[kind]
    tokens = [AddedToken(token, lstrip=token == "<mask>", special=True) for token in special.in_order]
    about: dict[str, Any] = {"special_tokens": tokens, "show_progress": False}
    if kind == "wordpiece":
        return trainers.WordPieceTrainer(vocab_size=vocab_size, min_frequency=2, **about)
    if kind == "bpe":
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, initial_alphabet=alphabet, **about)
    return trainers.UnigramTrainer(vocab_size=vocab_size - SENTINELS, unk_token=special.unk, **about)


def _template(tokenizer: Tokenizer, special: Special) -> TemplateProcessing:
    first, last = special.cls, special.sep
    return TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
