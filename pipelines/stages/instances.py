"""instances: documents -> pretraining instances, on the CPU pool. One actor cuts, tokenizes and pairs.

The instances of a slice are a function of the slice alone: a random next is from one of its documents. Held-out
documents are paired, and packed, with each other only, so that none of their text is trained on.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ray.data import Dataset

from pipelines.instances import INPUT_IDS, INSTANCES, NUM_TOKENS, SEGMENT_B_START, SENTENCE_LABEL
from pipelines.model.sentence_tokenizer import SentenceTokenizer
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import HEADER, SliceHeader, flat, is_folded, ragged
from pipelines.stages.actors import ActorPool, on_slices
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import GROUP, TEXT, joined, lists, values_of
from pipelines.stages.instance_stats import documents_stats, split_stats, taken_stats
from pipelines.stages.sentences import sentence_spans
from pipelines.stages.slicewise import ROW, Outcome, slicewise, without
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.store.copies import copies_key, read_array
from pipelines.store.location import Location
from pipelines.text.document_keys import Keys, document_keys, is_held_out, num_copies
from pipelines.text.duplicates import NONE
from pipelines.text.full_length import FullLength, full_length
from pipelines.text.layout import LaidOut, lay_full, lay_pairs
from pipelines.text.ranges import ends_of
from pipelines.text.segments import Numbers, SegmentPairs, TakenDocuments, segment_pairs

TOKENS, LENGTHS = "_tokens", "_lengths"
"""A document's token ids end to end, and how many its sentences have, none of them 0."""
IS_HELD_OUT = "_held_out"
"""Column that says of an instance whether it is held out. It does not reach the parts."""
SHARDS_AT_HAND = 4
"""Shards whose copies an actor keeps in mind: slices of few shards are on their way at once."""


def make_instances(documents: Dataset, recipe: TokenizerRecipe, pool: ActorPool, output: Location) -> Dataset:
    """Documents become instances (``pipelines.instances.INSTANCES``) with IS_HELD_OUT: a document none, one or many.

    ``output`` tells which documents are copies (``pipelines.store.copies``).
    """
    return on_slices(documents, InstanceMaker, pool, recipe=recipe, attempts=Attempts(), output=output)


class InstanceMaker:
    """Actor that makes instances of slices, or of any table that has the spec's columns.

    Copies are told in slices alone, where there is an output that says which rows they are.
    """

    def __init__(
        self, recipe: TokenizerRecipe, attempts: Attempts | None = None, output: Location | None = None
    ) -> None:
        self._spec = recipe.spec
        self._attempts = attempts
        self._tokenizer = SentenceTokenizer(recipe.folder())
        self._output = output
        self._read = lru_cache(maxsize=SHARDS_AT_HAND)(read_array)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A slice of documents becomes a slice of instances; a plain table likewise, of which ids are carried.

        What may kill a process is the work on single documents, so that it is done first, and guarded alone: instances
        are the same whether it was done at once or one by one.
        """
        header = SliceHeader.from_arrow(batch[HEADER][0]) if is_folded(batch) else None
        weight = self._spec.weight(header.shard if header else "")
        copies = self._copies(header.shard_id) if header and weight and not header.error else NONE
        sentences = slicewise(batch, "tokenize", partial(self._tokenize, copies=copies), self._attempts)
        return slicewise(sentences, "instances", partial(self._make, weight=weight))

    def _copies(self, shard_id: str) -> Numbers:
        """The rows of a shard that are copies."""
        return self._read(self._output, copies_key(shard_id)) if self._output else NONE

    def _tokenize(self, documents: pa.Table, *, copies: Numbers) -> Outcome:
        """Documents to the tokens of their sentences; without the copies, where they are to be dropped."""
        is_copy = np.isin(documents[ROW].to_numpy(), copies)
        num_dropped = int(is_copy.sum()) if self._spec.duplicates == "drop" else 0
        if num_dropped:
            documents = documents.filter(pa.array(~is_copy))
        documents = _with_texts(documents, self._spec)
        rows = documents[ROW].to_pylist()
        cut = [_sentences(value, self._spec) for value in values_of(documents[TEXT])]
        failures = {row: found for row, found in zip(rows, cut, strict=True) if isinstance(found, str)}
        sound = [found for found in cut if not isinstance(found, str)]
        tokens = self._tokenizer.tokenize([sentence for found in sound for sentence in found])
        lengths = np.diff(tokens.offsets)
        bounds = ends_of(np.array([len(found) for found in sound], np.int64))
        kept = ends_of((lengths > 0).astype(np.int64))[bounds]
        carried = [ROW, self._spec.id, *self._spec.passthrough, *([GROUP] if self._spec.group else [])]
        documents = without(documents, list(failures)).select(carried)
        documents = documents.append_column(TOKENS, ragged(tokens.values, tokens.offsets[bounds]))
        documents = documents.append_column(LENGTHS, ragged(lengths[lengths > 0].astype(np.int32), kept))
        counts = {"num_duplicates": int(is_copy.sum()), "num_dropped": num_dropped}
        stats = documents_stats(np.diff(kept), len(tokens.values), **counts)
        return Outcome(table=documents, failures=failures, stats=stats)

    def _make(self, documents: pa.Table, *, weight: float) -> Outcome:
        """The tokens of sentences to instances: those to train on, and then those that are held out."""
        spec = self._spec
        (values, _), (lengths, bounds) = flat(documents[TOKENS]), flat(documents[LENGTHS])
        keys = document_keys(documents[spec.id].to_pylist())
        groups = document_keys(documents[GROUP].to_pylist()) if spec.group else keys
        held_out, copies = is_held_out(groups, spec.held_out), num_copies(keys, weight, spec.seed)
        made = np.zeros(len(keys), bool)
        tables: list[pa.Table] = []
        stats: Counter[str] = Counter()
        for is_held in (False, True):
            index, taken = _taken(bounds, keys, np.where(held_out == is_held, copies, 0))
            found, laid = self._lay(values, ends_of(lengths), taken)
            made[index[laid.document] if spec.is_paired else index] = True
            tables.append(_table(documents, laid, index[laid.document], is_held))
            stats.update(split_stats(found, laid, spec.max_seqlen, is_held))
        table = pa.concat_tables(tables)
        stats.update({"num_tokens": int(table[NUM_TOKENS].to_numpy().sum()), **taken_stats(copies, held_out, made)})
        return Outcome(table=table, stats=stats)

    def _lay(
        self, values: npt.NDArray[np.int32], offsets: Numbers, taken: TakenDocuments
    ) -> tuple[SegmentPairs | FullLength, LaidOut]:
        """The instances of some documents, as ranges of tokens and with their special tokens."""
        spec, special, separator = self._spec, self._tokenizer.special, self._tokenizer.separator
        if spec.is_paired:
            room = spec.max_seqlen - special.num_pair
            pairs = segment_pairs(
                offsets, taken, room=room, short_probability=spec.short_probability, seed=spec.seed,
                swap=spec.objective == "mlm+sop",
            )  # fmt: skip
            return pairs, lay_pairs(values, pairs, special.before, special.between, special.end)
        full = full_length(
            offsets, taken, room=spec.max_seqlen - special.num_single, seed=spec.seed, num_separators=len(separator),
            at_the_end=not len(special.after), whole=spec.whole_sentences,
        )  # fmt: skip
        return full, lay_full(values, full, special.before, special.after, separator)


def _with_texts(documents: pa.Table, spec: PrepareSpec) -> pa.Table:
    """The documents with TEXT, and GROUP where the spec has one, which a table that was not read as slices lacks."""
    if TEXT not in documents.column_names:
        texts = lists(documents, spec.texts[0]) if spec.has_lists else joined(documents, spec.texts, spec.separator)
        documents = documents.append_column(TEXT, texts)
    if spec.group and GROUP not in documents.column_names:
        documents = documents.append_column(GROUP, documents[spec.group])
    return documents


def _sentences(value: str | list[str] | bool | None, spec: PrepareSpec) -> list[str] | str:
    """The sentences of a text, or why there are none.

    All but a document's first begin with a space, for tokenizers that tell a word at the beginning from one within.
    """
    if not isinstance(value, str | list):
        return f"the text is {'null' if value is None else 'not valid UTF-8'}"
    if isinstance(value, list):
        if None in value:
            return "a sentence is null"
        parts = [part.strip() for part in value]
    elif spec.sentences == "lines":
        parts = [line.strip() for line in value.splitlines()]
    else:
        parts = [value[start:stop] for start, stop in sentence_spans(value, spec.language)]
    found = [part for part in parts if part]
    return [*found[:1], *(f" {part}" for part in found[1:])]


def _taken(bounds: Numbers, keys: Keys, copies: Numbers) -> tuple[Numbers, TakenDocuments]:
    """The documents that are taken, as often as there are copies of each, without those that have no sentence.

    ``bounds`` [n + 1] are where the sentences of each begin.
    """
    index = np.repeat(np.arange(len(keys)), np.where(np.diff(bounds) > 0, copies, 0))
    sentences = np.stack([bounds[index], bounds[index + 1]], axis=1)
    number = np.arange(len(index)) - np.searchsorted(index, index)
    return index, TakenDocuments(sentences=sentences, keys=keys[index], copies=number)


def _table(documents: pa.Table, laid: LaidOut, index: Numbers, is_held: bool) -> pa.Table:
    """Instances as a table: what is carried of their documents, and the columns of the contract."""
    table = documents.drop_columns([name for name in (TOKENS, LENGTHS, GROUP) if name in documents.column_names])
    table = table.take(pa.array(index, pa.int64()))
    ids = ragged(laid.values, laid.offsets).cast(INSTANCES.field(INPUT_IDS).type)
    columns = {
        INPUT_IDS: ids,
        SEGMENT_B_START: pa.array(laid.segment_b_start, pa.int32()),
        SENTENCE_LABEL: pa.array(laid.labels, pa.int8()),
        NUM_TOKENS: pa.array(laid.lengths, pa.int32()),
    }
    for name, column in columns.items():
        table = table.append_column(INSTANCES.field(name), column)
    return table.append_column(IS_HELD_OUT, pa.array(np.full(len(index), is_held)))
