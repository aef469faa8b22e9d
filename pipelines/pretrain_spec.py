"""What decides a pretrained model: ``PretrainSpec``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipelines.learning_spec import LearningSpec
from pipelines.spec import Auto, refuse

PRESETS = ("bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base", "bert-large")
OBJECTIVES = ("mlm+nsp", "mlm+sop", "mlm", "causal", "span")
Objective = Literal["mlm+nsp", "mlm+sop", "mlm", "causal", "span"]


@dataclass(frozen=True, kw_only=True)
class PretrainSpec(LearningSpec):
    """What decides the model that comes out. Masks, order and dropout are functions of the seed."""

    architecture: str
    """bert-tiny, -mini, -small, -medium, -base, -large; a config.json; or a checkpoint to go on from: a local folder, a
    URI, a hub id (NAME or NAME@REVISION) or package:NAME/FOLDER."""
    objective: Objective | Auto = "auto"
    """mlm+nsp, mlm+sop, mlm, causal or span; auto: what the instances were made for, and the family can have."""
    mask_probability: float = 0.15
    """Share of tokens that are told (mlm), or that are noise (span)."""
    whole_words: bool = False
    """Mask all tokens of a word, or none."""
    sentence_weight: float = 1.0
    """What the loss of sentences (nsp, sop) counts beside that of tokens; BERT's is 1."""
    output_bias: Literal["zero", "unigram"] = "zero"
    """Where the head of a new model starts: unigram: at how frequent each token is, which saves a plateau."""

    told: ClassVar[tuple[str, ...]] = ("architecture", "objective", "max_steps", "max_tokens", "time_budget",
                                       "global_batch", "learning_rate", "schedule", "seed")  # fmt: skip
    """Fields that a model's card tells first."""

    def __post_init__(self) -> None:
        if not self.architecture:
            refuse(self, "architecture", f"write one of {', '.join(PRESETS)}, a config.json, or a checkpoint")
        super().__post_init__()
        if not 0 < self.mask_probability < 1:
            refuse(self, "mask_probability", "write a share above 0 and below 1")
        if self.sentence_weight < 0:
            refuse(self, "sentence_weight", "write a number of at least 0")

    @property
    def idle(self) -> frozenset[str]:
        """See ``LearningSpec``. An architecture decides by its hash."""
        return super().idle | {"architecture"}
