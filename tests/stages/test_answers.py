import numpy as np
import pyarrow as pa

from pipelines.model.loop import LoopStats
from pipelines.model.predictor import Filled, Perplexities
from pipelines.schema import FILLING, PSEUDO_PERPLEXITY
from pipelines.stages.answers import filled_column, fillings_column, perplexity_column, scores_column

NAN = float("nan")


def test_fillings_by_hand():
    filled = Filled(
        counts=np.array([1, 0, 2]),
        positions=np.array([3, 1, 2], np.int32),
        ids=np.array([[7, 8], [9, 7], [8, 9]]),
        log_probs=np.array([[-0.5, -1], [-0.25, -2], [-3, -4]], np.float32),
        tokens=["g", "h", "i", "g", "h", "i"],
        texts=["a", "b", "c"],
        failures={},
        stats=LoopStats(),
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
        log_probs=np.array([[-0.5]], np.float32), tokens=["g"], texts=["a g", "b"], failures={}, stats=LoopStats(),
    )  # fmt: skip
    assert filled_column(filled).to_pylist() == ["a g", None]


def test_perplexities_by_hand():
    found = Perplexities(
        log_prob=np.array([-2.0, -1.0, 0.0]),
        num_scored=np.array([2, 1, 0], np.int32),
        token_log_probs=np.array([NAN, -0.5, -1.5, NAN, -1.0], np.float32),
        failures={},
        stats=LoopStats(),
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
        log_probs=np.zeros((0, 5), np.float32), tokens=[], texts=["", ""], failures={}, stats=LoopStats(),
    )  # fmt: skip
    assert fillings_column(filled).to_pylist() == [[], []]
