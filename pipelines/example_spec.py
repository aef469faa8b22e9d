"""What decides the examples that fine-tuning, or an evaluation, reads: the data's part of a ``FinetuneSpec``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pipelines.finetune_spec import FinetuneSpec, Task
from pipelines.spec import Auto, CorpusSpec

WINDOWS_A_QUESTION = 4
"""For an estimate of a part's size, as the next."""
BYTES_A_TOKEN = {"token_classification": 8, "question_answering": 20}
"""Bytes that are written of a token: its id, and what goes with it."""


@dataclass(frozen=True, kw_only=True)
class ExampleSpec(CorpusSpec):
    """What decides examples. The tokenizer decides by the hash of its files; ``max_seqlen`` "auto" is to be settled."""

    model: str
    """Whose tokens: the encoder's that is to learn."""
    task: Task
    text_pair: str | list[str] = ""
    negatives: list[str] = field(default_factory=list)
    label: str = ""
    """Column of the targets; "" where there is none."""
    labels: list[str] = field(default_factory=list)
    """The classes in their order; [] where the task has none, or where they are still to be found."""
    group: str = ""
    eval_share: float = 0.0
    """Share that is held out to evaluate on; 0: there are data for that, or these are they."""
    split_seed: int = 0
    twins: Literal["name", "drop"] = "name"
    max_seqlen: int | Auto = "auto"
    stride: int = 0

    told: ClassVar = ("task", "labels", "max_seqlen", "eval_share", "split_seed")
    reserved: ClassVar = frozenset(
        ("input_ids", "segment_b_start", "next_sentence_label", "num_tokens", "label", "labels", "value",
         "token_labels", "answer_start", "answer_end", "char_starts", "char_ends", "context", "answers",
         "text_lengths", "score", "_row", "_text", "_text_pair", "_group", "_held_out")
    )  # fmt: skip

    @classmethod
    def of(
        cls, spec: FinetuneSpec, labels: Sequence[str], *, is_split: bool, is_evaluation: bool = False
    ) -> ExampleSpec:
        """The part of a spec that decides its examples, of these classes.

        ``is_split``: some are held out to evaluate on; ``is_evaluation``: all of them are.
        """
        return cls(
            model=spec.model,
            task=spec.task,
            text=spec.texts,
            text_pair=spec.pairs,
            negatives=list(spec.negatives),
            label=spec.label,
            labels=list(labels),
            separator=spec.separator,
            id=spec.id,
            group=spec.group if is_split else "",
            eval_share=spec.eval_share if is_split else 0.0,
            split_seed=spec.split_seed if is_split else 0,
            twins=spec.twins if is_split or is_evaluation else "name",
            max_seqlen=spec.max_seqlen,
            stride=spec.stride if spec.task == "question_answering" else 0,
        )

    @property
    def pairs(self) -> list[str]:
        """See ``CorpusSpec``."""
        given = [self.text_pair] if isinstance(self.text_pair, str) else list(self.text_pair)
        return [name for name in given if name]

    @property
    def targets(self) -> list[str]:
        """See ``CorpusSpec``."""
        return [*([self.label] if self.label else []), *self.negatives]

    @property
    def has_lists(self) -> bool:
        """See ``CorpusSpec``."""
        return self.task == "token_classification"

    @property
    def group_by(self) -> str:
        """See ``CorpusSpec``."""
        return self.group

    @property
    def idle(self) -> frozenset[str]:
        """See ``CorpusSpec``."""
        return super().idle | {"model"}

    def output_bytes(self, width: int) -> int:
        """Bytes that are written of a document, about."""
        texts = 2 + len(self.negatives) if self.task == "embedding" else 1
        windows = WINDOWS_A_QUESTION if self.task == "question_answering" else 1
        return texts * windows * BYTES_A_TOKEN.get(self.task, 4) * int(self.max_seqlen)
