"""Whether a second text follows the first: BERT's next-sentence head (Devlin et al. 2018, arXiv:1810.04805, 3.1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.abilities import NEXT_SENTENCE_HEAD
from pipelines.model.bert_weights import BertWeights
from pipelines.model.folder import ModelFolder
from pipelines.model.loop import Rows

FOLLOWS = 0
"""Label of "is next", as in Hugging Face's next_sentence_label."""


class NextSentenceHead(nn.Module):
    """The pooler over a chunk's first token, and the two logits over that, in float32 whatever the network's precision.

    SpecError where the folder's files lack either.
    """

    def __init__(self, folder: ModelFolder, device: torch.device) -> None:
        super().__init__()
        weights = BertWeights.read(folder, torch.float32, device)
        try:
            self.pooler = weights.linear("pooler.dense")
            self.relation = weights.beside(torch.float32).linear(NEXT_SENTENCE_HEAD.removesuffix(".weight"))
        except KeyError as error:
            raise SpecError(
                f"{folder.path} lacks weights of its next-sentence head ({error}): fetch it again"
            ) from error
        self.eval().requires_grad_(False)

    def forward(self, first_bd: Tensor) -> Tensor:
        """Vectors of first tokens [B, D] to logits float32[B, 2]."""
        logits_b2: Tensor = self.relation(torch.tanh(self.pooler(first_bd.float())))
        return logits_b2


class Following:
    """A ``pipelines.model.loop.Harvest``: of each of n pairs the probability that the second text follows the first."""

    def __init__(self, count: int, head: NextSentenceHead) -> None:
        self.probabilities = np.full(count, np.nan, np.float32)
        self._head = head

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        first_bd = hidden_td[lengths_b.cumsum(0) - lengths_b]
        self.probabilities[rows] = self._head(first_bd).softmax(-1)[:, FOLLOWS].cpu().numpy()
