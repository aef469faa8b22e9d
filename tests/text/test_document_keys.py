from __future__ import annotations

import hashlib

import numpy as np

from pipelines.text.document_keys import document_keys, is_held_out, num_copies

KEYS = document_keys(range(100_000))


def test_a_key_is_the_hash_of_the_ids_text() -> None:
    by_hand = int.from_bytes(hashlib.blake2b(b"1862-Lincoln-1", digest_size=8).digest(), "little")
    assert document_keys(["1862-Lincoln-1"]).tolist() == [by_hand]
    assert document_keys([7, "7", b"7"]).tolist() == [int(document_keys([7])[0])] * 3
    assert len(set(document_keys([7, 8, "Ä", b"\xff"]).tolist())) == 4
    assert document_keys([]).dtype == np.uint64


def test_the_split_is_as_large_as_asked_and_grows() -> None:
    small, large = is_held_out(KEYS, 0.01), is_held_out(KEYS, 0.1)
    assert abs(small.mean() - 0.01) < 0.001
    assert abs(large.mean() - 0.1) < 0.003
    assert not (small & ~large).any()
    assert not is_held_out(KEYS, 0.0).any()


def test_the_split_is_the_same_for_ever() -> None:
    assert np.flatnonzero(is_held_out(KEYS[:500], 0.01)).tolist() == [3, 70, 165, 422, 474]


def test_whole_copies_and_one_by_chance() -> None:
    assert num_copies(KEYS[:3], 2.0, seed=1).tolist() == [2, 2, 2]
    assert num_copies(KEYS[:3], 0.0, seed=1).tolist() == [0, 0, 0]
    copies = num_copies(KEYS, 1.25, seed=1)
    assert set(copies.tolist()) == {1, 2}
    assert abs(copies.mean() - 1.25) < 0.005
    half, other = (num_copies(KEYS, 0.5, seed=seed) for seed in (1, 2))
    assert abs(half.mean() - 0.5) < 0.005
    assert abs((half == other).mean() - 0.5) < 0.01


def test_copies_are_as_many_among_the_held_out() -> None:
    held_out = is_held_out(KEYS, 0.1)
    assert abs(num_copies(KEYS, 0.5, seed=0)[held_out].mean() - 0.5) < 0.02
