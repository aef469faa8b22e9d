"""What an evaluation is asked for beside its spec: the model, the data, the output, and how to behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.run.order import Order
from pipelines.spec import Slicing, Storage


@dataclass(frozen=True, kw_only=True)
class EvaluationOrder:
    """The request of an evaluation. Nothing in it decides a metric but what is compared: model and data."""

    model: str
    """A model: an output of a training, another folder, a URI, a hub id or package:NAME/FOLDER."""
    output: str
    """Folder for the metrics, and for what they are made from, local or s3://."""
    data: str | list[str] = ""
    """Labelled examples, or pairs with a score: a file, folder, glob or list of them."""
    queries: str | list[str] = ""
    documents: str | list[str] = ""
    qrels: str | list[str] = ""
    slicing: Slicing = Slicing()
    storage: Storage = Storage()
    limit: int = 0
    max_dead_letters: float = 0.05
    progress: Literal["auto", "live", "log", "json", "none"] = "auto"

    def __post_init__(self) -> None:
        if not self.model:
            raise SpecError("no model is named: give --model a folder, a URI, a hub id or package:NAME/FOLDER")
        if not self.output:
            raise SpecError("no output is named: give --output a folder, local or s3://")
        if "{" in self.output:
            raise SpecError(f"output is {self.output!r}: name one folder, without braces")
        given = [name for name in ("queries", "documents", "qrels") if getattr(self, name)]
        if given and len(given) < 3:
            raise SpecError(f"retrieval needs --queries, --documents and --qrels, and was given {', '.join(given)}")
        if not given and not self.data:
            raise SpecError("no data are named: give --data, or --queries, --documents and --qrels")

    @property
    def has_retrieval(self) -> bool:
        """Whether documents are to be found for queries."""
        return bool(self.queries)

    def place(self, name: str) -> str:
        """A folder of the output."""
        return f"{self.output.rstrip('/')}/{name}"

    def of_texts(self, source: Literal["data", "queries", "documents"], name: str) -> Order:
        """The order of one run over the texts of a field, whose parts lie in a folder of this name under the output."""
        return Order(
            job="evaluate", documents=getattr(self, source), source=f"--{source}", output=self.place(name),
            slicing=self.slicing, storage=self.storage, limit=self.limit, removed="drop",
            max_dead_letters=self.max_dead_letters, progress=self.progress,
        )  # fmt: skip
