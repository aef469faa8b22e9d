"""Span corruption: stretches of an instance are cut out for a decoder to tell, as T5 is trained.

Raffel et al. 2020 (JMLR 21:140), sections 3.1.4 and 3.3.4, and random_spans_noise_mask of google-research/text-to-text-
transfer-transformer: of n tokens round(share * n) are noise, in round(noise / mean length) spans; their lengths, and
those of the stretches between, are drawn evenly among all ways to part so many tokens into so many stretches. Noise
never begins an instance and always ends it. Each span becomes one sentinel for the encoder; the decoder tells sentinel
and span in turn, "<extra_id_0> for inviting <extra_id_1> last", without the one more sentinel at the end that the paper
shows and the code leaves out.

Special tokens are never noise. Those that close an instance close its targets too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.text.draws import bits, shuffled
from pipelines.text.pack import gathered
from pipelines.text.training_batch import Instances

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]

CORRUPTION = 0x7370616E
"""Key of all draws here, so that they are not those made elsewhere of the same seed."""
NOISE, REST = range(2)


@dataclass(frozen=True, kw_only=True)
class Corrupted:
    """What the encoder sees and what the decoder is to tell, of n instances."""

    values: npt.NDArray[np.int32]
    offsets: Ints  # [n + 1]
    targets: Ints
    target_offsets: Ints  # [n + 1]


def corrupt(
    instances: Instances,
    special: Bools,
    sentinel_ids: tuple[int, ...],
    *,
    seed: int,
    share: float = 0.15,
    mean_length: float = 3.0,
) -> Corrupted:
    """The instances with spans cut out. ``special`` [V] says which ids are never noise, sentinels among them.

    An instance without any other token has no span. SpecError where it has more spans than there are sentinels.
    """
    content = np.flatnonzero(~special[instances.values])
    owner = np.repeat(np.arange(len(instances)), instances.lengths)
    counts = np.bincount(owner[content], minlength=len(instances))
    noise = np.zeros(len(owner), bool)
    keys = bits(seed, CORRUPTION, instances.epoch, instances.number)
    noise[content] = _noise(counts, keys, share, mean_length)
    return _parted(instances, owner, noise, _closing(instances, special, owner), sentinel_ids)


def _noise(counts: Ints, keys: Keys, share: float, mean_length: float) -> Bools:
    """Which tokens are noise, of instances with so many, end to end."""
    num_noise = np.clip(np.round(counts * share), 1, np.maximum(counts - 1, 1)).astype(np.int64) * (counts > 0)
    num_spans = np.maximum(np.round(num_noise / mean_length).astype(np.int64), 1)
    num_spans = np.minimum(num_spans, np.maximum(counts - num_noise, 1))  # each span has something before it
    noise = _stretches(num_noise, num_spans, bits(NOISE, keys))
    rest = _stretches(counts - num_noise, num_spans, bits(REST, keys))
    lengths = np.stack([rest, noise], axis=1).ravel()
    return np.repeat(np.tile([False, True], len(noise)), lengths)


def _stretches(totals: Ints, parts: Ints, keys: Keys) -> Ints:
    """Lengths of the stretches into which each total is parted, each of at least 1, any way being as likely.

    The last token of a total ends a stretch, and of the others those parts - 1 whose draws are least. A total of 0 is
    one stretch of length 0.
    """
    owner = np.repeat(np.arange(len(totals)), totals)
    place = gathered(np.zeros_like(totals), totals)
    draws = bits(0, keys[owner], place)
    draws[np.cumsum(totals)[totals > 0] - 1] = 0
    is_end = np.zeros(len(owner), bool)
    is_end[shuffled(draws, owner)] = place < parts[owner]  # groups stay where they are: `place` is the rank as well
    lengths = np.zeros(int(parts.sum()), np.int64)
    lengths[np.repeat(totals > 0, parts)] = np.diff(np.flatnonzero(is_end), prepend=-1)
    return lengths


def _closing(instances: Instances, special: Bools, owner: Ints) -> Bools:
    """Which tokens are special ones behind an instance's last other token."""
    is_special = special[instances.values]
    places = np.arange(len(owner))
    last = np.full(len(instances), -1)
    np.maximum.at(last, owner[~is_special], places[~is_special])
    return np.asarray(is_special & (places > last[owner]))


def _parted(
    instances: Instances, owner: Ints, noise: Bools, closing: Bools, sentinel_ids: tuple[int, ...]
) -> Corrupted:
    """Spans and the rest, laid end to end. A span that a special token stands within is two."""
    before = np.concatenate([[False], noise[:-1]]) & (np.diff(owner, prepend=-1) == 0)
    begins = noise & ~before
    num_spans = np.bincount(owner[begins], minlength=len(instances))
    if num_spans.max(initial=0) > len(sentinel_ids):
        raise SpecError(
            f"an instance has {num_spans.max()} spans, and the tokenizer {len(sentinel_ids)} sentinels: add tokens "
            "<extra_id_0> and so on to it, take shorter instances, or set a lower mask_probability"
        )
    number = gathered(np.zeros_like(num_spans), num_spans)
    sentinels = np.zeros(len(owner), np.int64)
    sentinels[begins] = np.array(sentinel_ids, np.int64)[number]
    seen = ~noise | begins
    values = np.where(begins, sentinels, instances.values)[seen].astype(np.int32)
    told = np.stack([begins, noise | closing], axis=1)  # a span's sentinel, then its tokens
    targets = np.stack([sentinels, instances.values], axis=1)[told]
    return Corrupted(
        values=values,
        offsets=_offsets(owner[seen], len(instances)),
        targets=targets,
        target_offsets=_offsets(np.repeat(owner, told.sum(1)), len(instances)),
    )


def _offsets(owner: Ints, num: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=num))]).astype(np.int64)
