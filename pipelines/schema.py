"""Arrow contracts of every table that crosses a door, and the two verbs between a table and a slice.

Between the stages one row is one slice: ``fold`` turns a table of N documents into a table of one row, each column a
list of N, and ``unfold`` turns it back. Both only lay offsets over the same buffers; nothing is copied. Beside its
columns a slice carries a header: which rows of which shard it holds, what went wrong, what was counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa

HEADER = "_slice"

EMBEDDING = "embedding"
"""Column of the vectors: ``vectors_to_arrow`` of floats, ``codes_to_arrow`` of int8 or binary."""

DEAD_LETTER = pa.struct([("row", pa.int64()), ("stage", pa.string()), ("reason", pa.string())])
"""A row that could not be processed: its number in the shard, which stage said so, why (never the text)."""

SLICE = pa.struct(
    [
        pa.field("shard", pa.string(), nullable=False),  # path under the corpus
        pa.field("shard_id", pa.string(), nullable=False),
        pa.field("first_row", pa.int64(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),  # rows of the shard that the slice covers
        pa.field("error", pa.string(), nullable=False),  # "": none; else why the shard ends here
        pa.field("dead_letters", pa.list_(DEAD_LETTER), nullable=False),
        pa.field("stats", pa.map_(pa.string(), pa.float64()), nullable=False),  # seconds, tokens, bytes by name
        pa.field("facts", pa.map_(pa.string(), pa.string()), nullable=False),  # what ran, for the part's footer
    ]
)

DEAD_LETTERS = pa.schema(
    [
        ("shard", pa.string()),
        ("shard_id", pa.string()),
        ("row", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
    ]
)
"""_manta/dead_letters/<shard_id>/<first_row>-<num_documents>.parquet"""

MANIFEST = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),  # path under the corpus
        pa.field("shard_id", pa.string(), nullable=False),
        pa.field("shard_bytes", pa.int64(), nullable=False),
        pa.field("shard_version", pa.string(), nullable=False),  # ETag, or mtime in nanoseconds
        pa.field("shard_rows", pa.int64()),  # null: unreadable
        pa.field("set_aside", pa.string()),  # why the shard, or the rest of it, was set aside
        pa.field("part", pa.string()),  # key under the output; null where a shard has none
        pa.field("first_row", pa.int64()),
        pa.field("num_documents", pa.int64()),
        pa.field("num_rows", pa.int64()),
        pa.field("num_dead_letters", pa.int64()),
        pa.field("part_bytes", pa.int64()),
        pa.field("part_version", pa.string()),
        pa.field("added_run", pa.string(), nullable=False),
        pa.field("removed_run", pa.string()),  # null: live
    ]
)
"""_manta/manifest.parquet: a row a part, also parts that later left; a row without part for a shard that has none."""

RECEIPT = pa.schema(
    [
        pa.field(HEADER, SLICE, nullable=False),
        pa.field("part", pa.string(), nullable=False),  # "" for an error slice
        pa.field("num_rows", pa.int64(), nullable=False),
        pa.field("part_bytes", pa.int64(), nullable=False),
        pa.field("part_version", pa.string(), nullable=False),
    ]
)
"""What the write stage gives back for each slice, one row."""

FILLING = pa.struct(
    [
        pa.field("position", pa.int32(), nullable=False),  # the mask's place among the chunk's tokens
        pa.field("tokens", pa.list_(pa.string()), nullable=False),  # as the vocabulary has them, likeliest first
        pa.field("ids", pa.list_(pa.int32()), nullable=False),
        pa.field("log_probs", pa.list_(pa.float32()), nullable=False),
    ]
)
"""What a mask may stand for."""

PSEUDO_PERPLEXITY = pa.struct(
    [
        pa.field("log_prob", pa.float64()),  # sum over the scored tokens, natural logarithm
        pa.field("num_scored", pa.int32(), nullable=False),
        pa.field("perplexity", pa.float64()),  # exp(-log_prob / num_scored)
        pa.field("reason", pa.string()),  # why there is none; null where there is one
    ]
)
"""How likely a chunk is, each of its tokens told by the others."""

NEXT_SENTENCE = pa.struct(
    [
        pa.field("char_start", pa.int64(), nullable=False),  # of a sentence in its document, in code points
        pa.field("char_end", pa.int64(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),  # that it follows the sentence before it
    ]
)
"""How well a sentence follows the one before."""


def token_embeddings_type(dim: int) -> pa.DataType:
    """A vector a token of a chunk, special tokens and the prompt's included, which have no place in the text."""
    return pa.struct(
        [
            pa.field("vectors", pa.list_(pa.list_(pa.float16(), dim)), nullable=False),
            pa.field("char_starts", pa.list_(pa.int32()), nullable=False),  # in code points; null: special, or ahead
            pa.field("char_ends", pa.list_(pa.int32()), nullable=False),
        ]
    )


CLASS = pa.struct(
    [
        pa.field("label", pa.string(), nullable=False),  # the likeliest
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # of all labels in the model's order, sum 1
    ]
)
"""classify of a ...ForSequenceClassification whose labels exclude each other."""

CLASSES = pa.struct(
    [
        pa.field("labels", pa.list_(pa.string()), nullable=False),  # those of probability .5 or more
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # of all labels in the model's order
    ]
)
"""classify of a ...ForSequenceClassification whose labels do not exclude each other (multi_label_classification)."""

VALUE = pa.struct([pa.field("value", pa.float32(), nullable=False)])
"""classify of a ...ForSequenceClassification with one number: a regression, a cross-encoder's score."""

VALUES = pa.struct([pa.field("values", pa.list_(pa.float32()), nullable=False)])
"""classify of a regression with several numbers."""

ENTITY = pa.struct(
    [
        pa.field("label", pa.string(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("char_start", pa.int64(), nullable=False),  # in the text, in code points
        pa.field("char_end", pa.int64(), nullable=False),
    ]
)
"""One of the entities that classify lists of a ...ForTokenClassification."""

ANSWER = pa.struct(
    [
        pa.field("char_start", pa.int64()),  # in the text that is asked, in code points; null where no answer fits
        pa.field("char_end", pa.int64()),
        pa.field("probability", pa.float32()),
        pa.field("no_answer", pa.float32()),  # probability that the text holds none; null where the model has no [CLS]
    ]
)
"""classify of a ...ForQuestionAnswering: the likeliest answer, also where no_answer is likelier."""

CHUNK_FIELDS = [("chunk_index", pa.int32()), ("char_start", pa.int64()), ("char_end", pa.int64())]


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A row that could not be processed. ``row`` counts from the shard's first row."""

    row: int
    stage: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """Which rows of which shard a slice holds, what went wrong in it, what was counted on the way."""

    shard: str
    shard_id: str
    first_row: int
    num_documents: int
    error: str = ""
    dead_letters: tuple[DeadLetter, ...] = ()
    stats: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the slice's part under parts/, without its suffix."""
        return f"{self.shard_id}/{self.first_row}-{self.num_documents}"

    def add(
        self,
        dead_letters: Iterable[DeadLetter] = (),
        stats: Mapping[str, float] = MappingProxyType({}),
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> SliceHeader:
        """The header with further dead letters and facts, and with counts added to those of the same name."""
        sums = {name: float(self.stats.get(name, 0.0) + stats.get(name, 0.0)) for name in {**self.stats, **stats}}
        letters = (*self.dead_letters, *dead_letters)
        return replace(self, dead_letters=letters, stats=sums, facts={**self.facts, **facts})

    def to_arrow(self) -> pa.Array:
        """One value of type SLICE."""
        value = {
            "shard": self.shard,
            "shard_id": self.shard_id,
            "first_row": self.first_row,
            "num_documents": self.num_documents,
            "error": self.error,
            "dead_letters": [vars(letter) for letter in self.dead_letters],
            "stats": list(self.stats.items()),
            "facts": list(self.facts.items()),
        }
        return pa.array([value], SLICE)

    @classmethod
    def from_arrow(cls, value: pa.Scalar) -> SliceHeader:
        """The header that ``to_arrow`` wrote."""
        values = value.as_py()
        letters = tuple(DeadLetter(**letter) for letter in values.pop("dead_letters"))
        stats, facts = dict(values.pop("stats")), dict(values.pop("facts"))
        return cls(dead_letters=letters, stats=stats, facts=facts, **values)


def is_folded(table: pa.Table) -> bool:
    """Whether the table is made of slices."""
    return HEADER in table.column_names


def fold(table: pa.Table, header: SliceHeader) -> pa.Table:
    """A table of one row from a table of N documents: each column becomes one list of N, the header a column."""
    offsets = pa.array([0, table.num_rows], pa.int64())
    columns = [pa.LargeListArray.from_arrays(offsets, _one_chunk(column)) for column in table.columns]
    return pa.table([header.to_arrow(), *columns], [HEADER, *table.column_names])


def unfold(row: pa.Table) -> tuple[pa.Table, SliceHeader]:
    """The table of N documents and the header, from the one row that ``fold`` made."""
    if row.num_rows != 1:
        raise ValueError(f"a slice is one row, this table has {row.num_rows}")
    header = SliceHeader.from_arrow(row[HEADER][0])
    names = [name for name in row.column_names if name != HEADER]
    columns = [_one_chunk(row[name]).flatten() for name in names]
    return pa.table(columns, names), header


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ragged(values: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Flat token ids and n+1 offsets as large_list<int32>, n rows, without copying."""
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(values, pa.int32()))


def flat(column: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Values int32[T] and offsets int64[n+1] starting at 0, from what ``ragged`` made."""
    array = _one_chunk(column) if isinstance(column, pa.ChunkedArray) else column
    offsets = array.offsets.to_numpy(zero_copy_only=False)
    return array.flatten().to_numpy(zero_copy_only=False), offsets - offsets[0]


def vectors_to_arrow(vectors: np.ndarray, dtype: pa.DataType) -> pa.FixedSizeListArray:
    """float[n, dim] as fixed_size_list<dtype>[dim]."""
    dim = vectors.shape[1]
    flat_values = np.ascontiguousarray(vectors, dtype=dtype.to_pandas_dtype()).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat_values, dtype), dim)


def vectors_to_numpy(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """What ``vectors_to_arrow`` made, as [n, dim]."""
    array = _one_chunk(column) if isinstance(column, pa.ChunkedArray) else column
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), array.type.list_size)


def codes_to_arrow(codes: np.ndarray) -> pa.FixedSizeBinaryArray:
    """int8 or uint8 [n, k] as fixed_size_binary[k]."""
    values = np.ascontiguousarray(codes)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(codes.shape[1]), len(codes), [None, pa.py_buffer(values)])


def codes_to_numpy(column: pa.ChunkedArray | pa.Array, dtype: np.dtype | type = np.int8) -> np.ndarray:
    """What ``codes_to_arrow`` made, as [n, k] of this type of one byte."""
    array = _one_chunk(column) if isinstance(column, pa.ChunkedArray) else column
    codes = np.frombuffer(array.buffers()[1] or b"", dtype).reshape(-1, array.type.byte_width)
    return codes[array.offset : array.offset + len(array)]
