from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from pipelines.model.contrast import Roles, match, matched_in_turn, slopes
from pipelines.text.example_batch import ExampleBatch


def batch(*examples: list[list[int]]) -> ExampleBatch:
    """Examples of texts of token ids."""
    texts = [text for example in examples for text in example]
    return ExampleBatch(
        task="embedding",
        values=np.array([token for text in texts for token in text], np.int32),
        offsets=np.cumsum([0, *map(len, texts)]),
        segment_b_start=np.zeros(len(texts), np.int32),
        targets=np.zeros(0, np.float32),
        number=np.arange(len(examples)),
        examples=np.cumsum([0, *map(len, examples)]),
    )


def roles(*counts: int) -> Roles:
    """Of examples of so many different texts."""
    return Roles(np.array([place for count in counts for place in range(count)], np.int64), np.arange(sum(counts)))


def test_texts_have_their_places_and_are_known_again() -> None:
    found = Roles.of(batch([[5], [6, 7], [8]], [[5], [5, 6]], [[6, 7], [5]]))
    assert found.places.tolist() == [0, 1, 2, 0, 1, 0, 1]
    first = [found.keys.tolist().index(key) for key in found.keys]
    assert first == [0, 1, 2, 0, 4, 1, 0]
    assert len(Roles.of(batch())) == 0
    both = Roles.joined([Roles.of(batch([[5], [6, 7]])), Roles.of(batch([[8], [5]]))])
    assert (both.places.tolist(), both.keys[0] == both.keys[3]) == ([0, 1, 0, 1], True)


def test_the_loss_by_hand() -> None:
    """Cosines of the first anchor are 1 and 0, of the second 0 and 1; the negative is at right angles to all."""
    unit = torch.eye(3)
    vectors = torch.stack([unit[0], 2 * unit[0], unit[2], unit[1], unit[1]])
    found = match(vectors, roles(3, 2), 0.5)
    expected = -math.log(math.e**2 / (math.e**2 + 2))
    assert found.losses.tolist() == pytest.approx([expected, expected])
    assert found.correct.tolist() == [True, True]


def plain(vectors: Tensor, counts: list[int], temperature: float) -> Tensor:
    """The sum, an anchor at a time."""
    examples = vectors.split(counts)
    documents = torch.cat([example[1:] for example in examples])
    firsts = np.cumsum([0, *(count - 1 for count in counts)])
    losses = [
        cross_entropy(cosine_similarity(example[:1], documents) / temperature, tensor(int(first)))
        for example, first in zip(examples, firsts, strict=False)
    ]
    return torch.stack(losses).sum()


def test_losses_and_slopes_are_those_of_autograd() -> None:
    counts = [2, 4, 3, 2]
    vectors = torch.randn(11, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = plain(vectors, counts, 0.1)
    expected.backward()
    found, slope = slopes(vectors, roles(*counts), 0.1)
    torch.testing.assert_close(found.losses.sum(), expected)
    torch.testing.assert_close(slope, vectors.grad)
    assert not found.losses.requires_grad


def test_texts_that_are_the_same_are_no_negatives() -> None:
    """Two anchors have one positive, whose second copy each leaves out; the third's positive is the first anchor."""
    given = batch([[5], [6]], [[7], [6]], [[8], [5]])
    vectors = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    found = match(vectors, Roles.of(given), 1.0).losses

    def loss(anchor: int, *documents: int) -> float:
        return float(cross_entropy(cosine_similarity(vectors[[anchor]], vectors[list(documents)]), tensor(0)))

    assert found.tolist() == pytest.approx([loss(0, 1), loss(2, 3, 5), loss(4, 5, 1, 3)])


def test_an_anchor_alone_has_nothing_to_tell_its_positive_from() -> None:
    found, slope = slopes(torch.randn(2, 4), roles(2), 0.05)
    assert found.losses.tolist() == [0.0]
    assert found.correct.tolist() == [True]
    assert not slope.any()


def test_nothing_at_all() -> None:
    vectors = torch.zeros(0, 4, requires_grad=True)
    found = match(vectors, roles(), 0.05)
    found.losses.sum().backward()
    assert (len(found.losses), len(found.correct)) == (0, 0)


@pytest.mark.parametrize(("count", "expected"), [(4, [4]), (8, [4, 4]), (10, [4, 6]), (3, [3]), (0, [0])])
def test_held_out_pairs_are_told_a_batch_at_a_time(count: int, expected: list[int]) -> None:
    pairs = torch.randn(count, 2, 5, generator=torch.Generator().manual_seed(2))
    found = matched_in_turn(pairs, 0.5, 4)
    parts = [match(part.flatten(0, 1), roles(*[2] * len(part)), 0.5) for part in pairs.split(expected)]
    assert found.losses.tolist() == pytest.approx([loss for part in parts for loss in part.losses.tolist()])
    assert len(found.correct) == count
