from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.errors import SpecError
from pipelines.text.masking import Vocabulary, mask
from pipelines.text.objectives import Task, causal_batch
from pipelines.text.span_corruption import corrupt
from pipelines.text.training_batch import Instances
from tests.instances import instances

CLS, SEP, MASK = 2, 3, 4
VOCABULARY = Vocabulary(special=np.arange(1000) < 5, continues=np.arange(1000) >= 900, mask_id=MASK)
SENTINELS = (99, 98, 97)
WITH_SENTINELS = Vocabulary(
    special=np.isin(np.arange(1000), [CLS, SEP, *SENTINELS]), continues=np.zeros(1000, bool), sentinel_ids=SENTINELS
)


def pairs() -> Instances:
    return replace(
        instances([[CLS, 10, SEP, 900, 12, SEP], [CLS, 20, 21, SEP]], first=5, epoch=1),
        segment_b_start=np.array([3, 0], np.int32),
        sentence_labels=np.array([1, -100], np.int8),
    )


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop", "mlm"])
def test_masked_tokens_are_told_and_sentences_where_they_are_asked_for(objective: str) -> None:
    batch = Task(objective=objective, vocabulary=VOCABULARY, seed=3, share=0.5, whole_words=True).batch(pairs())
    expected = mask(pairs(), VOCABULARY, seed=3, share=0.5, whole_words=True)
    assert batch.values.tolist() == expected.values.tolist()
    assert batch.positions.tolist() == expected.positions.tolist()
    assert batch.targets.tolist() == expected.targets.tolist()
    assert batch.offsets.tolist() == [0, 6, 10]
    assert batch.segment_b_start.tolist() == [3, 0]
    assert batch.sentence_labels.tolist() == ([-100, -100] if objective == "mlm" else [1, -100])
    assert batch.target_offsets is None
    assert batch.objective == objective


def test_each_token_tells_the_next_of_its_instance() -> None:
    batch = causal_batch(instances([[10, 11, 12], [], [13], [14, 15]]))
    assert batch.positions.tolist() == [0, 1, 4]
    assert batch.targets.tolist() == [11, 12, 15]
    assert batch.values.tolist() == [10, 11, 12, 13, 14, 15]
    assert batch.counts() == {"clm": 3}
    assert Task(objective="causal", vocabulary=WITH_SENTINELS, seed=0).batch(pairs()).counts() == {"clm": 8}


def test_spans_are_told_by_a_decoder() -> None:
    task = Task(objective="span", vocabulary=WITH_SENTINELS, seed=3, share=0.5)
    batch = task.batch(pairs())
    expected = corrupt(pairs(), WITH_SENTINELS.special, SENTINELS, seed=3, share=0.5)
    assert batch.values.tolist() == expected.values.tolist()
    assert batch.offsets.tolist() == expected.offsets.tolist()
    assert batch.targets.tolist() == expected.targets.tolist()
    assert batch.target_offsets is not None
    assert batch.target_offsets.tolist() == expected.target_offsets.tolist()
    assert batch.segment_b_start.tolist() == [0, 0]
    assert batch.positions.tolist() == []
    assert batch.counts() == {"span": len(expected.targets)}


def test_what_the_tokenizer_lacks_is_said_at_birth() -> None:
    with pytest.raises(SpecError, match=r"no mask token, which mlm\+nsp needs: add one, or choose causal"):
        Task(objective="mlm+nsp", vocabulary=WITH_SENTINELS, seed=0)
    with pytest.raises(SpecError, match="no sentinels, which span needs"):
        Task(objective="span", vocabulary=VOCABULARY, seed=0)
    tokens_alone = replace(VOCABULARY, continues=np.zeros(1000, bool))
    with pytest.raises(SpecError, match="does not tell which tokens are a word's: leave out whole_words"):
        Task(objective="mlm", vocabulary=tokens_alone, seed=0, whole_words=True)


@pytest.mark.parametrize("objective", ["mlm", "causal"])
def test_instances_of_another_tokenizer_are_refused(objective: str) -> None:
    task = Task(objective=objective, vocabulary=VOCABULARY, seed=0)
    assert task.batch(instances([[999]])).offsets.tolist() == [0, 1]
    with pytest.raises(SpecError, match="has token id 1000, and the tokenizer 1000 ids: train with the tokenizer that"):
        task.batch(instances([[5, 1000]]))
