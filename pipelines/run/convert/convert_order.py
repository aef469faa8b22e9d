"""What a conversion is asked for beside its spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.run.order import Order
from pipelines.spec import Storage


@dataclass(frozen=True, kw_only=True)
class ConvertOrder:
    """The request of a conversion."""

    source: str | list[str]
    """File, folder, glob or list of them, local or s3://."""
    output: str
    """Folder, local or s3://; {fingerprint} in it is replaced."""
    max_dead_letters: float = 0.05
    """Largest share of documents that may be dead letters."""
    progress: Literal["auto", "live", "log", "json", "none"] = "auto"
    storage: Storage = Storage()

    def __post_init__(self) -> None:
        assert self.run  # refuses what makes no sense

    @property
    def run(self) -> Order:
        """The same in the words of a run over a corpus."""
        return Order(
            job="convert", documents=self.source, source="--source", output=self.output, storage=self.storage,
            max_dead_letters=self.max_dead_letters, progress=self.progress,
        )  # fmt: skip
