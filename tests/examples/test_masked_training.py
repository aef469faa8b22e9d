from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from examples.masked_training import LEARNING_RATE, MaskedLanguageModel, Pace, rate, told, train
from examples.masking import IGNORED, Batch, Vocabulary, epoch, tokenized
from pipelines.model.loop import Chunks
from tests.model.conftest import save
from tests.tiny import sentence

BATCH = Batch(
    input_ids=np.array([[2, 50, 4, 60, 3], [2, 4, 3, 0, 0]]),
    attention_mask=np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    labels=np.array([[IGNORED, IGNORED, 55, 60, IGNORED], [IGNORED, 70, IGNORED, IGNORED, IGNORED]]),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT without a masked-language-model head."""
    return save(tmp_path_factory.mktemp("encoder") / "model", "Bert")


def learnt(folder: Path) -> tuple[Chunks, Vocabulary]:
    return tokenized([sentence(number, 12) for number in range(24)], folder, 32)


def forever(folder: Path) -> Iterator[Batch]:
    chunks, vocabulary = learnt(folder)
    rng = np.random.default_rng(0)
    while True:
        yield from epoch(chunks, vocabulary, 100, rng)


def plain_logits(lm: MaskedLanguageModel) -> torch.Tensor:
    """At the hidden tokens of BATCH, by the whole model, one text at a time without padding."""
    long = lm.model(input_ids=torch.tensor([[2, 50, 4, 60, 3]])).logits[0]
    short = lm.model(input_ids=torch.tensor([[2, 4, 3]])).logits[0]
    return torch.stack([long[2], long[3], short[1]])


def test_logits_are_made_where_tokens_are_hidden_and_nowhere_else(folder: Path) -> None:
    lm = MaskedLanguageModel(folder, seed=1, precision="float32")
    logits, targets = lm.logits(BATCH)
    assert targets.tolist() == [55, 60, 70]
    assert logits.allclose(plain_logits(lm), atol=1e-5)


def test_the_encoder_is_the_folders_and_the_decoder_its_word_embeddings(folder: Path) -> None:
    from transformers import BertModel

    model = MaskedLanguageModel(folder, seed=1).model
    words = BertModel.from_pretrained(folder).embeddings.word_embeddings.weight
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert model.cls.predictions.decoder.weight.equal(words)


def test_at_first_tokens_are_as_likely_as_they_are_frequent(folder: Path) -> None:
    """The bias alone: 3 of 4 tokens are number 50."""
    lm = MaskedLanguageModel(folder, seed=1)
    lm.know_frequencies(np.array([50, 50, 50, 60] * 1000))
    probabilities = lm.model.cls.predictions.decoder.bias.detach().exp()
    assert probabilities[[50, 60]].tolist() == pytest.approx([0.75, 0.25], rel=0.01)
    assert float(probabilities.sum()) == pytest.approx(1)


def test_told_counts_losses_and_hits(folder: Path) -> None:
    """Twice the batch is told as well as once."""
    lm = MaskedLanguageModel(folder, seed=1, precision="float32")
    plain = plain_logits(lm).detach()
    found = told(lm, iter([BATCH, BATCH]))
    assert found.loss == pytest.approx(float(cross_entropy(plain, torch.tensor([55, 60, 70]))), rel=1e-5)
    assert found.accuracy == float((plain.argmax(-1) == torch.tensor([55, 60, 70])).float().mean())
    assert str(found).startswith("loss ")


def test_a_step_is_that_of_the_mean_over_all_its_batches(folder: Path) -> None:
    """Two batches of 3 and 1 hidden tokens against the plain gradient of all four, after AdamW's first step."""
    lone = Batch(*(array[1:, :3] for array in vars(BATCH).values()))
    lm, plain = (MaskedLanguageModel(folder, seed=1, precision="float32") for _ in range(2))
    pace = Pace(seconds=0, steps=1)
    optimizer = torch.optim.AdamW(plain.parameters, lr=LEARNING_RATE * rate(0.5), betas=(0.9, 0.98))
    one, two = plain.logits(BATCH), plain.logits(lone)
    cross_entropy(torch.cat([one[0], two[0]]), torch.cat([one[1], two[1]])).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters, 1.0)
    optimizer.step()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("examples.masked_training.pick_lanes", lambda *_: 2)
        trained = train(lm, iter([BATCH, lone]), pace, say=lambda line: None)
    assert (trained.steps, trained.tokens) == (1, 11)
    for ours, theirs in zip(lm.parameters, plain.parameters, strict=True):
        assert ours.allclose(theirs, atol=1e-6)


def test_loss_falls_and_the_same_steps_give_the_same_model(folder: Path) -> None:
    lm, again = (MaskedLanguageModel(folder, seed=1) for _ in range(2))
    chunks, vocabulary = learnt(folder)

    def loss() -> float:
        return told(lm, epoch(chunks, vocabulary, 100, np.random.default_rng(5))).loss

    before, lines = loss(), list[str]()
    train(lm, forever(folder), Pace(seconds=0, steps=80), say=lines.append)
    assert loss() < 0.8 * before
    assert 10 <= len(lines) <= 20
    train(again, forever(folder), Pace(seconds=0, steps=80), say=lines.append)
    assert all(one.equal(other) for one, other in zip(lm.parameters, again.parameters, strict=True))


def test_the_clock_ends_a_training(folder: Path) -> None:
    """A clock that is read twice a step: 1 s each, so that 20 s are over after 10 steps."""
    ticks = count()
    pace = Pace(seconds=20, clock=lambda: float(next(ticks)))
    assert train(MaskedLanguageModel(folder, seed=1), forever(folder), pace, say=lambda line: None).steps == 10


def test_steps_grow_then_shrink() -> None:
    assert [rate(progress) for progress in (0, 0.05, 0.1, 0.55, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert Pace(seconds=0, steps=4).progress(1, begin=0) == 0.375
