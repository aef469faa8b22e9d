"""Entities by hand, and by transformers' own pipeline, over labels and words that hypothesis makes up."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.entities import find_entities

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
STRATEGIES = ["none", "simple", "first", "average", "max"]


def one_hot(labels, sure=0.9):
    """Each token's label with this probability, the rest shared by the others."""
    rows = np.full((len(labels), len(NAMES)), (1 - sure) / (len(NAMES) - 1), np.float32)
    rows[np.arange(len(labels)), [NAMES.index(label) for label in labels]] = sure
    return rows


def told(found):
    """Label, start and end, chunk by chunk."""
    spans = zip(found.labels, found.char_start.tolist(), found.char_end.tolist(), strict=True)
    rows = list(spans)
    ends = np.cumsum(found.counts).tolist()
    return [rows[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def spread(count):
    """Tokens of two letters, a space between them."""
    return np.stack([np.arange(count) * 3, np.arange(count) * 3 + 2], axis=1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["B-PER", "I-PER", "O", "I-PER"], [("PER", 0, 5), ("PER", 9, 11)]),
        (["B-PER", "B-PER", "I-PER", "I-LOC"], [("PER", 0, 2), ("PER", 3, 8), ("LOC", 9, 11)]),
        (["I-LOC", "I-LOC", "B-LOC", "O"], [("LOC", 0, 5), ("LOC", 6, 8)]),
        (["MISC", "MISC", "O", "MISC"], [("MISC", 0, 5), ("MISC", 9, 11)]),
        (["O", "O", "O", "O"], []),
    ],
)
def test_tags_by_hand(labels, expected):
    assert told(find_entities(one_hot(labels), np.array([0, 4]), spread(4), None, NAMES)) == [expected]


def test_tokens_alone():
    found = find_entities(one_hot(["B-PER", "I-PER", "O"]), np.array([0, 3]), spread(3), None, NAMES, "none")
    assert told(found) == [[("B-PER", 0, 2), ("I-PER", 3, 5)]]
    assert found.probabilities == pytest.approx([0.9, 0.9])


def test_special_tokens_are_left_out_and_chunks_kept_apart():
    chars = spread(7)
    chars[[0, 3, 4]] = -1
    labels = ["B-LOC", "I-PER", "I-PER", "I-PER", "I-PER", "I-PER", "O"]
    found = find_entities(one_hot(labels), np.array([0, 4, 4, 7]), chars, None, NAMES)
    assert told(found) == [[("PER", 3, 8)], [], [("PER", 15, 17)]]


@pytest.mark.parametrize(
    ("aggregation", "label", "probability"), [("first", "PER", 0.6), ("average", "LOC", 0.55), ("max", "LOC", 0.8)]
)
def test_a_word_whose_tokens_disagree(aggregation, label, probability):
    """Its first token says PER by .6, LOC by .3; its second PER by .1, LOC by .8."""
    rows = np.zeros((2, len(NAMES)), np.float32)
    rows[:, [2, 4]] = [[0.6, 0.3], [0.1, 0.8]]
    found = find_entities(rows, np.array([0, 2]), np.array([[0, 2], [2, 4]]), np.array([0, 0]), NAMES, aggregation)
    assert told(found) == [[(label, 0, 4)]]
    assert found.probabilities == pytest.approx([probability])


def test_an_entity_is_as_probable_as_its_tokens_are_on_average():
    rows = one_hot(["B-PER", "I-PER"])
    rows[1, 2] = 0.5
    assert find_entities(rows, np.array([0, 2]), spread(2), None, NAMES).probabilities == pytest.approx([0.7])


@pytest.mark.parametrize("aggregation", STRATEGIES)
def test_nothing(aggregation):
    none = np.zeros((0, len(NAMES)), np.float32)
    found = find_entities(none, np.array([0, 0, 0]), np.zeros((0, 2)), np.zeros(0), NAMES, aggregation)
    assert told(found) == [[], []]
    special = find_entities(
        one_hot(["MISC"]), np.array([0, 1]), np.array([[-1, -1]]), np.array([-1]), NAMES, aggregation
    )
    assert told(special) == [[]]


def theirs(rows, chars, words, aggregation):
    """What transformers' pipeline makes of one chunk's probabilities."""
    from transformers.pipelines.token_classification import AggregationStrategy, TokenClassificationPipeline

    pipeline = object.__new__(TokenClassificationPipeline)
    pipeline.model = SimpleNamespace(config=SimpleNamespace(id2label=dict(enumerate(NAMES))))
    pipeline.tokenizer = SimpleNamespace(convert_tokens_to_string=" ".join)
    tokens = [
        {"word": "w", "scores": row, "start": start, "end": end, "index": n, "is_subword": n > 0 and same}
        for n, (row, (start, end), same) in enumerate(
            zip(rows, chars.tolist(), [False, *(words[1:] == words[:-1]).tolist()], strict=True)
        )
    ]
    found = pipeline.aggregate(tokens, AggregationStrategy[aggregation.upper()])
    return [
        (one.get("entity_group", one.get("entity")), one["start"], one["end"], float(one["score"])) for one in found
    ]


TOKENS = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 5), min_size=6, max_size=6)), min_size=1, max_size=14
)


@settings(deadline=None)  # transformers takes seconds to import
@given(TOKENS, st.sampled_from(STRATEGIES), st.integers(0, 14))
def test_as_transformers_puts_them_together(tokens, aggregation, cut):
    words = np.cumsum([new for new, _ in tokens])
    logits = np.array([scores for _, scores in tokens], np.float32)
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    chars, cut = spread(len(tokens)), min(cut, len(tokens))
    offsets = np.array([0, cut, len(tokens)])
    found = find_entities(rows, offsets, chars, words, NAMES, aggregation)
    expected = [
        [one for one in theirs(rows[a:b], chars[a:b], words[a:b], aggregation) if one[0] != "O"] if b > a else []
        for a, b in ((0, cut), (cut, len(tokens)))
    ]
    assert told(found) == [[one[:3] for one in chunk] for chunk in expected]
    assert found.probabilities.tolist() == pytest.approx([one[3] for chunk in expected for one in chunk], abs=1e-6)
