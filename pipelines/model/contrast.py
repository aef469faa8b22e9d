"""Texts that are told from each other: each anchor's positive among the texts of the whole batch.

The loss is InfoNCE over cosines (van den Oord et al. 2018, arXiv:1807.03748; with the negatives of the batch Henderson
et al. 2017, arXiv:1705.00652). It is of all texts at once, so that it must not be made a micro-batch at a time.

Shapes: n examples of m texts in all (an anchor, its positive, and negatives), d of them no anchors; D width.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from pipelines.text.example_batch import ExampleBatch

Ints = npt.NDArray[np.int64]
ANCHOR, POSITIVE, NEGATIVE = 0, 1, 2


@dataclass(frozen=True)
class Roles:
    """What the texts of some examples are there for, in the order of their vectors."""

    places: Ints  # [m], place of a text in its example: ANCHOR, POSITIVE, and NEGATIVE or above
    keys: Ints  # [m], equal for equal texts

    @classmethod
    def of(cls, batch: ExampleBatch) -> Roles:
        """Those of a batch's texts. A key is a hash of the token ids: 64 bits, which no two texts of a batch share."""
        assert batch.examples is not None
        counts = np.diff(batch.examples)
        places = np.arange(int(batch.examples[-1])) - np.repeat(batch.examples[:-1], counts)
        ids = np.split(np.ascontiguousarray(batch.values), batch.offsets[1:-1]) if len(places) else []
        return cls(places, np.fromiter(map(_key, ids), np.int64, len(ids)))

    @classmethod
    def joined(cls, parts: Sequence[Roles]) -> Roles:
        """Those of several batches, end to end."""
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("places", "keys")))

    def between(self, begin: int, end: int) -> Roles:
        """Those of some texts in a row."""
        return Roles(self.places[begin:end], self.keys[begin:end])

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Matched:
    """How well each of n anchors' positives is told: the loss, with a gradient, and whether no other text is nearer."""

    losses: Tensor  # float32[n]
    correct: Tensor  # bool[n]


def match(vectors_md: Tensor, roles: Roles, temperature: float) -> Matched:
    """Tell each anchor's positive among all positives and negatives. Vectors may have any length: angles count.

    A text that is the anchor itself, or the same as its positive, is none of that anchor's negatives.
    """
    anchors, documents = (np.flatnonzero(found) for found in (roles.places == ANCHOR, roles.places != ANCHOR))
    own_n = np.flatnonzero(roles.places[documents] == POSITIVE)
    unit_md = normalize(vectors_md.float(), dim=-1)
    with torch.autocast(vectors_md.device.type, enabled=False):
        logits_nd = unit_md[_on(anchors, vectors_md)] @ unit_md[_on(documents, vectors_md)].T / temperature
    logits_nd = logits_nd.masked_fill(_on(_same(roles, anchors, documents, own_n), vectors_md), -torch.inf)
    own = _on(own_n, vectors_md)
    with torch.no_grad():
        correct = logits_nd.gather(1, own[:, None])[:, 0] == logits_nd.amax(1) if len(own) else own.bool()
    return Matched(cross_entropy(logits_nd, own, reduction="none"), correct)


def matched_in_turn(pairs_n2d: Tensor, temperature: float, at_a_time: int) -> Matched:
    """Tell each anchor's positive among those of as many pairs as a batch has, in the order that they are given.

    So held-out pairs have a loss to be compared with that of training, however they came to be evaluated. Pairs that
    are left over are told with those before them; texts that are the same are not looked for.
    """
    count = len(pairs_n2d)
    cuts = [*range(0, max(1, count - count % at_a_time), at_a_time), count]
    roles = Roles(np.tile([ANCHOR, POSITIVE], count), np.arange(2 * count))
    parts = [
        match(pairs_n2d[begin:end].flatten(0, 1), roles.between(2 * begin, 2 * end), temperature)
        for begin, end in itertools.pairwise(cuts)
    ]
    return Matched(torch.cat([part.losses for part in parts]), torch.cat([part.correct for part in parts]))


def slopes(vectors_md: Tensor, roles: Roles, temperature: float) -> tuple[Matched, Tensor]:
    """What ``match`` tells, without a gradient, and the gradient of the sum of its losses by the vectors, [m, D]."""
    leaves_md = vectors_md.detach().float().requires_grad_()
    with torch.enable_grad():
        found = match(leaves_md, roles, temperature)
        found.losses.sum().backward()
    assert leaves_md.grad is not None
    return Matched(found.losses.detach(), found.correct), leaves_md.grad


def _same(roles: Roles, anchors: Ints, documents: Ints, own_n: Ints) -> npt.NDArray[np.bool_]:
    """Which documents are no negatives of an anchor, nor its positive: [n, d]."""
    keys_d = roles.keys[documents]
    same = (keys_d == roles.keys[anchors][:, None]) | (keys_d == keys_d[own_n][:, None])
    same[np.arange(len(own_n)), own_n] = False
    return same


def _key(ids: npt.NDArray[np.int32]) -> int:
    return int.from_bytes(hashlib.blake2b(ids.tobytes(), digest_size=8).digest(), "little", signed=True)


def _on(array: npt.NDArray[np.generic], like: Tensor) -> Tensor:
    return torch.from_numpy(array).to(like.device)
