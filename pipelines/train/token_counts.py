"""How often each token occurs among the instances of a training, told by a sample of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.text.masking import Vocabulary
from pipelines.train.feed import Feed
from pipelines.train.row_groups import RowGroups

SAMPLE = 4096
"""Instances that are counted: a few row groups, the same in every run."""
SEED = 0


def count_tokens(train: RowGroups, vocabulary: Vocabulary, vocab_size: int) -> npt.NDArray[np.int64]:
    """int64[vocab_size]: how often each id occurs in the sample; special tokens, which are never told, count 0."""
    feed = Feed(train, num_streams=1, seed=SEED)
    values = feed.share(0, min(SAMPLE, feed.num_instances), 0, 1).values
    counts = np.bincount(values, minlength=vocab_size)
    counts[: len(vocabulary.special)][vocabulary.special] = 0
    return counts
