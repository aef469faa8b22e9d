"""What decides predictions: which outputs a run of ``jobs.predict`` makes of each document, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pipelines.spec import POOLINGS, DocumentSpec, refuse

EMBEDDINGS = ("embedding", *(f"embedding_{pooling}" for pooling in POOLINGS))
MASKED = ("fill_mask", "pseudo_perplexity")
PREDICTIONS = (*EMBEDDINGS, "token_embeddings", *MASKED, "next_sentence", "classify")
Aggregation = Literal["none", "simple", "first", "average", "max"]
DECIDE = {
    "fill_mask": ("top_k", "mask_every"),
    "pseudo_perplexity": ("mask_unit", "mask_stride", "token_log_probs"),
    "next_sentence": ("language",),
    "classify": ("aggregation", "question", "max_answer_tokens"),
}
"""Fields that matter to one output alone."""
FILLING_BYTES, ENTITY_BYTES, NUMBERS_BYTES = 24, 24, 32
"""Bytes on disk of a filling, an entity, and what an output writes once a chunk, about."""


@dataclass(frozen=True, kw_only=True)
class PredictSpec(DocumentSpec):
    """What decides a model's predictions. "auto" means: as the model's own folder says."""

    outputs: list[str] = field(default_factory=lambda: ["fill_mask"])
    """What to predict: fill_mask, pseudo_perplexity, next_sentence, classify, token_embeddings, embedding (pooled as
    the folder says) and embedding_cls, _mean, _max, _mean_sqrt_len, _weighted_mean or _last_token."""
    text_pair: str | list[str] = ""
    """Column of a second text, or several that are joined: what may follow, a pair's other one, an answer's context."""
    top_k: int = 5
    """Fillings a mask (fill_mask)."""
    mask_every: int = 0
    """Mask every so many words of a document that has no mask itself (fill_mask); 0: none."""
    mask_unit: Literal["token", "word", "word_l2r"] = "token"
    """What is masked where a token is scored (pseudo_perplexity): it alone, its word, or its word from it on."""
    mask_stride: int = 0
    """Mask every so many tokens (or words) at once, in as many passes, less exactly; 0: one a pass."""
    token_log_probs: bool = False
    """Write the log-probability of each token too (pseudo_perplexity)."""
    language: str = "en"
    """Language by whose rules documents are cut into sentences (next_sentence without text_pair)."""
    aggregation: Aggregation = "simple"
    """How tokens become entities (classify of tokens): as transformers' pipeline of the same words."""
    question: str = ""
    """One question that is put to every document (classify that answers); "": text is it, text_pair its context."""
    max_answer_tokens: int = 30
    """Most tokens of an answer (classify that answers)."""
    prompt: str = ""
    """Text put before each document."""

    told: ClassVar = ("outputs", "text_pair", "top_k", "mask_every", "mask_unit", "mask_stride", "language",
                      "aggregation", "question", "max_answer_tokens", "prompt", "max_seqlen", "precision",
                      "model_class")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.outputs or not set(self.outputs) <= set(PREDICTIONS) or len(set(self.outputs)) < len(self.outputs):
            refuse(self, "outputs", f"write one or more of {', '.join(PREDICTIONS)}, each once")
        for name, least in (("top_k", 1), ("mask_every", 0), ("mask_stride", 0), ("max_answer_tokens", 1)):
            if getattr(self, name) < least:
                refuse(self, name, f"write a number of at least {least}")
        self._check_pairs()

    def _check_pairs(self) -> None:
        if self.text_pair and not all(self.pairs):
            refuse(self, "text_pair", "name columns, or leave it out where there is one text a document")
        if self.question and "classify" not in self.outputs:
            refuse(self, "question", "it is for classify: add that to outputs, or leave it out")
        if self.question and self.text_pair:
            refuse(self, "question", "leave out text_pair, which is the context where text is the question")
        if self.is_paired and "token_embeddings" in self.outputs:
            refuse(self, "outputs", "token_embeddings are of one text: leave out text_pair and question")
        if self.asks_for_sentences and self.overlong == "chunk":
            refuse(
                self, "overlong", "next_sentence goes from sentence to sentence of a whole document: truncate the rest"
            )

    @property
    def pairs(self) -> list[str]:
        """The columns of the second text, as a list also where there is one; none where there is no second text."""
        return [self.text_pair] if isinstance(self.text_pair, str) and self.text_pair else list(self.text_pair)

    @property
    def is_paired(self) -> bool:
        """Whether chunks hold two texts."""
        return bool(self.pairs or self.question)

    @property
    def asks_for_sentences(self) -> bool:
        """Whether each sentence of a document is held against the one before."""
        return "next_sentence" in self.outputs and not self.is_paired

    @property
    def needs_masks(self) -> bool:
        """Whether the model's masked-language-model head is needed."""
        return bool(set(MASKED) & set(self.outputs))

    @property
    def needs_words(self) -> bool:
        """Whether it matters which tokens make a word."""
        scored = "pseudo_perplexity" in self.outputs and self.mask_unit != "token"
        return scored or ("fill_mask" in self.outputs and self.mask_every > 0)

    @property
    def idle(self) -> frozenset[str]:
        """Fields that decide nothing here, so that they are not fingerprinted."""
        fields = [name for output, names in DECIDE.items() if output not in self.outputs for name in names]
        return super().idle | {*fields, *([] if self.text_pair else ["text_pair"])}

    def output_bytes(self, width: int) -> int:
        """Bytes that are written of a chunk beside its id and its numbers, about. The spec is resolved."""
        length = int(self.max_seqlen)
        masks = length // self.mask_every if self.mask_every else 4
        sizes = {
            "fill_mask": masks * self.top_k * FILLING_BYTES + 6 * length,
            "pseudo_perplexity": NUMBERS_BYTES + (4 * length if self.token_log_probs else 0),
            "next_sentence": NUMBERS_BYTES * max(1, length // 16),
            "classify": NUMBERS_BYTES + ENTITY_BYTES * length // 8,
            "token_embeddings": length * (2 * width + 12),
        }
        return sum(sizes.get(output, 4 * width) for output in self.outputs)
