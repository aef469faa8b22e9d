"""What a fine-tuning is asked for beside its spec: the data, the output, and how to behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.run.order import Order
from pipelines.spec import Slicing, Storage
from pipelines.store.output import FINGERPRINT


@dataclass(frozen=True, kw_only=True)
class FinetuneOrder:
    """The request of a fine-tuning. Nothing in it decides a weight."""

    train_data: str | list[str]
    """Labelled Parquet to train on: a file, folder, glob or list of them, local or s3://."""
    output: str
    """Folder for the model, local or s3://."""
    eval_data: str | list[str] = ""
    """Labelled Parquet to evaluate on; "": some of train_data are held out."""
    examples: str = ""
    """Folder for the examples that are made of the data, for trainings to share; "": "examples" in the output."""
    resume: bool = False
    """Go on from the newest checkpoint of the output."""
    storage: Storage = Storage()
    user_code: str = ""
    """Folder of Python code that the spec's model_class is in."""
    progress: Literal["auto", "live", "log", "json", "none"] = "auto"
    slicing: Slicing = Slicing()
    limit: int = 0
    """The data to train on are taken to end after so many rows, for a trial; 0: all."""
    max_dead_letters: float = 0.05
    """Largest share of rows that may be dead letters."""

    def __post_init__(self) -> None:
        if not self.train_data:
            raise SpecError("no data are named: give --train_data a file, a folder, a glob or a list of them")
        if not self.output:
            raise SpecError("no output is named: give --output a folder, local or s3://")
        if FINGERPRINT in self.output and not self.examples:
            raise SpecError(
                f"output {self.output!r} has {FINGERPRINT}, which the examples decide that would be made in it: name a "
                "folder for them with --examples"
            )

    @property
    def train(self) -> Order:
        """The order of the examples to train on."""
        return self._order(self.train_data, "train", "--train_data", self.limit)

    @property
    def evaluation(self) -> Order | None:
        """The order of those to evaluate on; None where some of the others are held out for that."""
        return self._order(self.eval_data, "eval", "--eval_data", 0) if self.eval_data else None

    def _order(self, data: str | list[str], name: str, source: str, limit: int) -> Order:
        folder = self.examples or f"{self.output.rstrip('/')}/examples"
        return Order(
            job="finetune", documents=data, source=source, output=f"{folder.rstrip('/')}/{name}", slicing=self.slicing,
            storage=self.storage, limit=limit, max_dead_letters=self.max_dead_letters, progress=self.progress,
            removed="drop",  # what is learnt from is what the data are now
        )  # fmt: skip
