"""What decides the shards that ``jobs.convert`` makes of text files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipelines.spec import refuse

TYPES = ("string", "int64", "float64", "bool")


@dataclass(frozen=True, kw_only=True)
class ConvertSpec:
    """How documents are made of files, and how they are cut into shards."""

    text: str = "text"
    """Column of the texts, which is "text" in the output; "": none, all columns keep their names."""
    id: str = "id"
    """Column of the ids, which is "id" in the output."""
    ids: Literal["auto", "column", "line", "hash"] = "auto"
    """Where ids are from: the column, FILE:LINE, or a hash of the text (equal texts have equal ids then); auto: the
    column where there is one, else FILE:LINE."""
    types: dict[str, str] = field(default_factory=dict)
    """Type by column: string (what is no string becomes its JSON), int64, float64 or bool; of others what the files
    begin with decides."""
    documents: Literal["lines", "paragraphs", "files"] = "lines"
    """What is a document of a .txt: a line, what stands between blank lines, or the whole file."""
    delimiter: str = ""
    """What parts the columns of a .csv; "": a comma, in .tsv a tab."""
    max_document_bytes: int = 64 * 2**20
    """Most bytes of a line, paragraph or file that is a document; a longer one is a dead letter."""
    shard_rows: int = 1_000_000
    """Most documents of a shard."""
    shard_bytes: int = 256 * 2**20
    """Most bytes of a shard's values, before they are compressed. The last shard of files that are read together has
    from half of it to half as much again."""

    def __post_init__(self) -> None:
        if not self.id:
            refuse(self, "id", "name a column; where there is none of that name, ids are made")
        if not self.text and self.ids == "hash":
            refuse(self, "ids", "a hash needs the text column: name it by text")
        if self.text == self.id:
            refuse(self, "id", "name another column than the text's; --spec.ids hash makes ids of texts")
        wrong = next((name for name, kind in self.types.items() if kind not in TYPES), None)
        if wrong is not None:
            refuse(self, "types", f"write one of {', '.join(TYPES)} for {wrong!r}")
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            refuse(self, "delimiter", "write one character, no quote or line break")
        for name in ("max_document_bytes", "shard_rows", "shard_bytes"):
            if getattr(self, name) < 1:
                refuse(self, name, "write a number of at least 1")
