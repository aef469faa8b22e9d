"""The head by hand; against transformers it is held in test_predictor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.next_sentence import Following, NextSentenceHead

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(make_folder: Callable[..., Path]) -> ModelFolder:
    return read_folder(make_folder("Bert", kind="ForPreTraining"))


def test_probabilities_are_those_of_first_tokens(folder: ModelFolder) -> None:
    from transformers import BertForPreTraining

    whole = BertForPreTraining.from_pretrained(folder.path).eval()
    following = Following(3, NextSentenceHead(folder, CPU))
    hidden_td = torch.randn(6, folder.hidden_size)
    following(np.array([2, 0]), hidden_td, torch.tensor([4, 2]))
    with torch.inference_mode():
        firsts = hidden_td[[0, 4]]
        logits = whole.cls.seq_relationship(torch.tanh(whole.bert.pooler.dense(firsts)))
    expected = logits.softmax(-1)[:, 0].numpy()
    np.testing.assert_allclose(following.probabilities[[2, 0]], expected, atol=1e-6)
    assert np.isnan(following.probabilities[1])


def test_files_without_a_pooler_are_refused(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="lacks weights of its next-sentence head"):
        NextSentenceHead(read_folder(make_folder("Bert")), CPU)
