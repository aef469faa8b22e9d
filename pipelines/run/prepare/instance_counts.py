"""What a run of prepare made, as its slices add up: instances, their lengths, the padding that training will see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.prepare_spec import PrepareSpec
from pipelines.stages.instance_stats import LENGTH, bin_width
from pipelines.text.padding import padding_at_random, padding_sorted

COUNTED = ("documents", "sentences", "sentence_tokens", "empty_documents", "one_sentence_documents",
           "held_out_documents", "weighted_out_documents", "documents_without", "duplicates", "dropped_documents",
           "train", "held_out", "train_tokens", "train_labelled", "held_out_labelled", "train_short",
           "train_without_other", "held_out_without_other", "left_over_sentences")  # fmt: skip
"""What slices count under "instances."."""
BATCH, POOL = 32, 256
"""Instances of a padded batch, and of those that are sorted by length together, for the estimate of padding."""


@dataclass(frozen=True, kw_only=True)
class InstanceCounts:
    """Of one run. Shares are of the instances to train on, but for those held out."""

    objective: str
    max_seqlen: int
    documents: int
    """Documents that could be read."""
    sentences: int
    sentence_tokens: int
    empty_documents: int
    one_sentence_documents: int
    held_out_documents: int
    weighted_out_documents: int
    """Documents that their shard's weight leaves out."""
    documents_without: int
    """Documents that were taken, and of which there is no instance."""
    duplicates: int
    """Documents whose text is that of an earlier one."""
    dropped_documents: int
    """Of these, the ones that were dropped: all, or none."""
    train: int
    held_out: int
    train_tokens: int
    """Special tokens included."""
    train_labelled: int
    """Pairs whose second segment is random, or comes first (mlm+sop)."""
    held_out_labelled: int
    train_short: int
    train_without_other: int
    """Pairs that would have been random, had there been another document in the slice."""
    held_out_without_other: int
    left_over_sentences: int
    """Last sentences that are in no pair."""
    lengths: dict[int, int]
    """Number of instances to train on by their tokens, in order; of a bin its greatest length stands for all."""
    bin_width: int

    mean_length: float
    """Tokens of an instance to train on."""
    padding: float
    """Share of padding in padded batches of ``BATCH`` at random."""
    padding_sorted: float
    """Share of padding where ``POOL`` at a time are sorted by length."""

    def share(self, number: int) -> float:
        """A number as a share of the instances to train on."""
        return number / self.train if self.train else 0.0


def count_instances(stats: Mapping[str, float], spec: PrepareSpec) -> InstanceCounts | None:
    """The counts of a run whose slices' stats add up so; None where it made no slice."""
    if "instances.documents" not in stats:
        return None
    found = {int(name.removeprefix(LENGTH)): int(n) for name, n in stats.items() if name.startswith(LENGTH)}
    lengths, numbers = (
        np.array(list(values), np.int64) for values in (sorted(found), (found[n] for n in sorted(found)))
    )
    counts = {name: int(stats.get(f"instances.{name}", 0)) for name in COUNTED}
    return InstanceCounts(
        objective=spec.objective,
        max_seqlen=spec.max_seqlen,
        lengths=dict(sorted(found.items())),
        bin_width=bin_width(spec.max_seqlen),
        mean_length=counts["train_tokens"] / counts["train"] if counts["train"] else 0.0,
        padding=padding_at_random(lengths, numbers, BATCH),
        padding_sorted=padding_sorted(lengths, numbers, BATCH, POOL),
        **counts,
    )
