"""What decides the numbers of an evaluation beside model and data: ``EvaluationSpec``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipelines.spec import Auto, refuse


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Which columns hold what, and how they are compared. "auto" means: as the model's own folder says."""

    text: str | list[str] = "text"
    """Column of the text, or several that are joined by the separator; of the words (token classification), of the
    question (question answering), of the first text of a pair with a score."""
    text_pair: str | list[str] = ""
    """Column, or columns, of the second text; of the context, which has the answers."""
    label: str = "auto"
    """Column of what is right; auto: label, tags (token classification), answers (question answering), or score (pairs
    for an embedding model)."""
    separator: str = "\n\n"
    """What stands between several text columns."""
    id: str = "id"
    """Id column. Where the data have no column "id", ids are "<path under the data>:<row>"."""
    max_seqlen: int | Auto = "auto"
    """Most tokens of an example, special tokens included; of each text for an embedding model."""
    stride: int = 128
    """Tokens that neighbouring windows of a long context share (question answering)."""
    query_text: str | list[str] = "text"
    """Column of the queries' text, or several."""
    query_id: str = "id"
    """Column of their ids."""
    document_text: str | list[str] = "text"
    """Column of the documents' text, or several, such as title and text."""
    document_id: str = "id"
    """Column of their ids."""
    judged_query: str = "query_id"
    """Of the judgments (qrels): column of the query's id."""
    judged_document: str = "document_id"
    """Column of the document's id."""
    relevance: str = "relevance"
    """Column of how relevant the document is: 0, or less, is not; "": all that are judged are, alike."""
    ks: list[int] = field(default_factory=lambda: [1, 10, 100])
    """Recall, nDCG and MRR are of so many first documents."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """How vectors are compared."""
    query_prompt: str = "auto"
    """Text put before each query; auto: the model's own, "": none."""
    prompt: str = "auto"
    """Text put before each document, and each text of a pair; auto: the model's own, "": none."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the network; auto: bfloat16 where the processor is faster in it."""
    model_class: str = ""
    """Import path of a class of your own that loads the network, such as my_models.MyBert; "": the model's."""
    trust_remote_code: bool = False
    """Run Python code that the model folder carries. Only for folders whose code you have read."""

    def __post_init__(self) -> None:
        if not self.ks or min(self.ks) < 1 or len(set(self.ks)) < len(self.ks):
            refuse(self, "ks", "write numbers of at least 1, each once")
        for name in ("text", "query_text", "document_text", "query_id", "document_id", "judged_query",
                     "judged_document", "label", "id"):  # fmt: skip
            if not getattr(self, name):
                refuse(self, name, "name a column")
        if self.judged_query == self.judged_document:
            refuse(self, "judged_document", "name another column than that of the queries' ids")

    @property
    def texts(self) -> list[str]:
        """The columns of the first text."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def pairs(self) -> list[str]:
        """The columns of the second text; none where there is none."""
        given = [self.text_pair] if isinstance(self.text_pair, str) else list(self.text_pair)
        return [name for name in given if name]
