from __future__ import annotations

import numpy as np

from pipelines.model.folder import ModelFolder
from pipelines.model.inputs import Inputs
from pipelines.model.tokenizer import DocumentTokenizer
from tests.model.conftest import spec_for


def test_what_a_tokenizer_gave(minilm: ModelFolder) -> None:
    tokens = DocumentTokenizer(minilm, spec_for(minilm)).tokenize(["a b"], pairs=["c"], with_words=True)
    inputs = Inputs.of(tokens)
    np.testing.assert_array_equal(inputs.values, tokens.values)
    assert (inputs.chars, inputs.sentences) == (None, None)
    assert inputs.words is not None
    assert inputs.words.tolist() == [-1, 0, 1, -1, 2, -1]


def test_types_where_the_tokenizer_tells_them_apart() -> None:
    inputs = Inputs(
        values=np.array([1, 2, 3], np.int32), offsets=np.array([0, 3]), segment_b_start=np.array([2], np.int32)
    )
    assert inputs.chunks(typed=False).segment_b_start is None
    starts = inputs.chunks(typed=True).segment_b_start
    assert starts is not None
    assert starts.tolist() == [2]
