"""What is counted of a slice's instances, by names that add up (``pipelines.run.prepare.instance_counts``)."""

from __future__ import annotations

import numpy as np

from pipelines.text.full_length import FullLength
from pipelines.text.layout import LaidOut
from pipelines.text.segments import Flags, Numbers, SegmentPairs

LENGTH = "length."
"""Followed by a number of tokens, the greatest of a bin: how many instances to train on are so long."""
MOST_BINS = 128


def bin_width(max_seqlen: int) -> int:
    """Lengths that are counted as one: so many that there are 128 bins at most."""
    return -(-max_seqlen // MOST_BINS)


def documents_stats(
    num_sentences: Numbers, num_tokens: int, *, num_duplicates: int = 0, num_dropped: int = 0
) -> dict[str, int]:
    """Of documents with so many sentences each, and so many tokens in all, and of others that were dropped as copies.

    ``num_duplicates`` are the copies, whether they were dropped or not.
    """
    return {
        "instances.sentence_tokens": num_tokens,
        "instances.documents": len(num_sentences) + num_dropped,
        "instances.duplicates": num_duplicates,
        "instances.dropped_documents": num_dropped,
        "instances.sentences": int(num_sentences.sum()),
        "instances.empty_documents": int((num_sentences == 0).sum()),
        "instances.one_sentence_documents": int((num_sentences == 1).sum()),
    }


def split_stats(found: SegmentPairs | FullLength, laid: LaidOut, max_seqlen: int, held: bool) -> dict[str, int]:
    """Of the instances of one side of the split; how long they are is told of those to train on."""
    side = "held_out" if held else "train"
    stats: dict[str, int] = {f"instances.{side}": len(laid.document)}
    if isinstance(found, SegmentPairs):
        stats |= {
            f"instances.{side}_labelled": int(found.labels.sum()),
            f"instances.{side}_short": int(found.is_short.sum()),
            f"instances.{side}_without_other": found.num_without_other,
            "instances.left_over_sentences": found.num_left_over,
        }
    if not held:
        stats |= length_stats(laid.lengths, max_seqlen)
    return stats


def length_stats(lengths: Numbers, max_seqlen: int) -> dict[str, int]:
    """How many instances there are of each length, or bin of lengths, that occurs; and of their tokens."""
    width = bin_width(max_seqlen)
    upper, counts = np.unique(-(-lengths // width) * width, return_counts=True)
    found = zip(upper.tolist(), counts.tolist(), strict=True)
    return {"instances.train_tokens": int(lengths.sum()), **{f"{LENGTH}{length}": count for length, count in found}}


def taken_stats(copies: Numbers, held_out: Flags, made: Flags) -> dict[str, int]:
    """Of the documents: how many are held out, are left out by the weight, and are taken and yet in no instance."""
    taken = copies > 0
    return {
        "instances.held_out_documents": int((taken & held_out).sum()),
        "instances.weighted_out_documents": int((~taken).sum()),
        "instances.documents_without": int((taken & ~made).sum()),
    }
