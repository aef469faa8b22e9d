from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.prepare_spec import PrepareSpec
from pipelines.run.prepare.instance_counts import InstanceCounts, count_instances

SPEC = PrepareSpec(tokenizer="t", max_seqlen=8)
STATS = {
    "instances.documents": 5.0, "instances.sentences": 40.0, "instances.sentence_tokens": 200.0,
    "instances.train": 10.0, "instances.held_out": 2.0, "instances.train_tokens": 60.0,
    "instances.train_labelled": 5.0, "instances.train_short": 1.0, "instances.held_out_documents": 1.0,
    "length.8": 5.0, "length.4": 5.0, "read_bytes": 9.0,
}  # fmt: skip


def counts(**changes: object) -> InstanceCounts:
    found = count_instances(STATS, SPEC)
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]


def test_what_slices_count_is_read_off_their_sums() -> None:
    ours = counts()
    assert (ours.objective, ours.max_seqlen, ours.documents, ours.sentences) == ("mlm+nsp", 8, 5, 40)
    assert (ours.train, ours.held_out, ours.train_tokens, ours.mean_length) == (10, 2, 60, 6.0)
    assert list(ours.lengths.items()) == [(4, 5), (8, 5)]
    assert (ours.share(ours.train_labelled), ours.share(ours.train_short)) == (0.5, 0.1)
    assert ours.padding == pytest.approx(0.25)  # of 32 one has 8 tokens, for sure
    assert ours.padding_sorted == 0.0
    assert ours.documents_without == ours.left_over_sentences == 0


def test_a_run_that_made_no_slice_has_no_counts_and_one_without_instances_no_shares() -> None:
    assert count_instances({}, SPEC) is None
    empty = count_instances({"instances.documents": 3.0}, SPEC)
    assert empty is not None
    assert (empty.train, empty.mean_length, empty.padding, empty.share(3)) == (0, 0.0, 0.0, 0.0)
