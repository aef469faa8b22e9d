import numpy as np
import pyarrow as pa
import pytest

from pipelines.model.found import Filled, FollowedSentences, Perplexities, TokenEmbeddings
from pipelines.model.inputs import Inputs
from pipelines.model.tokens import SentencePairs
from pipelines.schema import FILLING, NEXT_SENTENCE, PSEUDO_PERPLEXITY, token_embeddings_type
from pipelines.stages.answers import (
    columns_of,
    filled_column,
    fillings_column,
    perplexity_column,
    scores_column,
    sentences_column,
    token_embeddings_column,
)

NAN = float("nan")


def test_fillings_by_hand():
    filled = Filled(
        counts=np.array([1, 0, 2]),
        positions=np.array([3, 1, 2], np.int32),
        ids=np.array([[7, 8], [9, 7], [8, 9]]),
        log_probs=np.array([[-0.5, -1], [-0.25, -2], [-3, -4]], np.float32),
        tokens=["g", "h", "i", "g", "h", "i"],
        texts=["a", "b", "c"],
    )
    column = fillings_column(filled)
    column.validate(full=True)
    assert column.type == pa.list_(FILLING)
    assert column.to_pylist() == [
        [{"position": 3, "tokens": ["g", "h"], "ids": [7, 8], "log_probs": [-0.5, -1]}],
        [],
        [
            {"position": 1, "tokens": ["i", "g"], "ids": [9, 7], "log_probs": [-0.25, -2]},
            {"position": 2, "tokens": ["h", "i"], "ids": [8, 9], "log_probs": [-3, -4]},
        ],
    ]


def test_what_has_no_mask_is_not_filled():
    filled = Filled(
        counts=np.array([1, 0]), positions=np.array([3], np.int32), ids=np.array([[7]]),
        log_probs=np.array([[-0.5]], np.float32), tokens=["g"], texts=["a g", "b"],
    )  # fmt: skip
    assert filled_column(filled).to_pylist() == ["a g", None]


def test_perplexities_by_hand():
    found = Perplexities(
        log_prob=np.array([-2.0, -1.0, 0.0]),
        num_scored=np.array([2, 1, 0], np.int32),
        token_log_probs=np.array([NAN, -0.5, -1.5, NAN, -1.0], np.float32),
    )
    column = perplexity_column(found)
    column.validate(full=True)
    assert column.type == PSEUDO_PERPLEXITY
    short = {"log_prob": None, "perplexity": None, "reason": "fewer than two tokens to score"}
    assert column.to_pylist() == [
        {"log_prob": -2.0, "num_scored": 2, "perplexity": np.e, "reason": None},
        {"num_scored": 1, **short},
        {"num_scored": 0, **short},
    ]
    scores = scores_column(found, np.array([0, 4, 5, 5]))
    assert scores.to_pylist() == [[None, -0.5, -1.5, None], [-1.0], []]


def test_nothing():
    filled = Filled(
        counts=np.zeros(2, np.int64), positions=np.zeros(0, np.int32), ids=np.zeros((0, 5), np.int64),
        log_probs=np.zeros((0, 5), np.float32), tokens=[], texts=["", ""],
    )  # fmt: skip
    assert fillings_column(filled).to_pylist() == [[], []]


def test_vectors_of_tokens_by_hand():
    found = TokenEmbeddings(
        vectors=np.array([[1, 2], [3, 4], [5, 6]], np.float16), chars=np.array([[-1, -1], [0, 3], [4, 6]], np.int32)
    )
    column = token_embeddings_column(found, np.array([0, 2, 3]))
    column.validate(full=True)
    assert column.type == token_embeddings_type(2)
    assert column.to_pylist() == [
        {"vectors": [[1, 2], [3, 4]], "char_starts": [None, 0], "char_ends": [None, 3]},
        {"vectors": [[5, 6]], "char_starts": [4], "char_ends": [6]},
    ]


def test_sentences_that_follow_by_hand():
    pairs = SentencePairs(
        values=np.zeros(0, np.int32), offsets=np.zeros(4, np.int64), segment_b_start=np.zeros(3, np.int32),
        counts=np.array([2, 0, 1]), char_start=np.array([5, 9, 4]), char_end=np.array([8, 12, 7]),
    )  # fmt: skip
    column = sentences_column(FollowedSentences(np.array([0.5, 0.25, 1], np.float32), pairs))
    column.validate(full=True)
    assert column.type == pa.list_(NEXT_SENTENCE)
    assert column.to_pylist() == [
        [{"char_start": 5, "char_end": 8, "probability": 0.5}, {"char_start": 9, "char_end": 12, "probability": 0.25}],
        [],
        [{"char_start": 4, "char_end": 7, "probability": 1.0}],
    ]


def test_an_output_that_nobody_lays_out_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="embedding has no column for dict"):
        columns_of("embedding", {}, Inputs(values=np.zeros(0, np.int32), offsets=np.zeros(1, np.int64)), None)
