from __future__ import annotations

import numpy as np

from pipelines.stages.instance_stats import bin_width, documents_stats, length_stats, split_stats, taken_stats
from pipelines.text.layout import LaidOut
from pipelines.text.segments import SegmentPairs


def test_documents_by_their_sentences() -> None:
    assert documents_stats(np.array([0, 1, 1, 5]), 30, num_duplicates=3, num_dropped=2) == {
        "instances.sentence_tokens": 30,
        "instances.documents": 6,
        "instances.duplicates": 3,
        "instances.dropped_documents": 2,
        "instances.sentences": 7,
        "instances.empty_documents": 1,
        "instances.one_sentence_documents": 2,
    }


def test_lengths_are_counted_in_bins_that_end_at_a_multiple() -> None:
    assert (bin_width(128), bin_width(129), bin_width(512)) == (1, 2, 4)
    assert length_stats(np.array([5, 5, 128]), 128) == {
        "instances.train_tokens": 138, "length.5": 2, "length.128": 1,
    }  # fmt: skip
    assert length_stats(np.array([1, 4, 5, 512]), 512) == {
        "instances.train_tokens": 522, "length.4": 2, "length.8": 1, "length.512": 1,
    }  # fmt: skip


def test_each_side_of_the_split_counts_its_pairs() -> None:
    pairs = SegmentPairs(
        document=np.array([0, 0]), first=np.zeros((2, 2), int), second=np.zeros((2, 2), int),
        labels=np.array([0, 1], np.int8), is_short=np.array([True, True]), num_left_over=3, num_without_other=1,
    )  # fmt: skip
    laid = LaidOut(
        document=np.array([0, 0]), values=np.zeros(9, np.int32), offsets=np.array([0, 4, 9]),
        segment_b_start=np.array([2, 2]), labels=pairs.labels,
    )  # fmt: skip
    assert split_stats(pairs, laid, 128, held=True) == {
        "instances.held_out": 2, "instances.held_out_labelled": 1, "instances.held_out_short": 2,
        "instances.held_out_without_other": 1, "instances.left_over_sentences": 3,
    }  # fmt: skip
    train = split_stats(pairs, laid, 128, held=False)
    assert (train["instances.train"], train["instances.train_labelled"], train["length.4"]) == (2, 1, 1)


def test_documents_that_are_not_taken_or_yield_nothing() -> None:
    copies, held_out = np.array([1, 0, 2, 1]), np.array([True, True, False, False])
    assert taken_stats(copies, held_out, np.array([True, False, False, True])) == {
        "instances.held_out_documents": 1,
        "instances.weighted_out_documents": 1,
        "instances.documents_without": 1,
    }
