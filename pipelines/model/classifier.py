"""Classifiers: a network, and the fine-tuned head that labels chunks, tokens or the ends of answers.

    classifier = load_classifier(folder, spec, device=device, precision=precision)
    loop = BatchLoop(classifier.network, device, ...)
    harvest = HeadLogits(classifier, chunks, device)
    failures, stats = loop.run(chunks, harvest, lambda: HeadLogits.probe(classifier, device))
    harvest.values  # [n, L] of chunks, [T, L] of tokens, [T, 2] of an answer's start and end

Several harvests share a forward pass where one calls the others. What the logits say is in
``pipelines.stages.classified``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.bert import is_bert, load_bert
from pipelines.model.device import DTYPES, Precision
from pipelines.model.folder import ModelFolder
from pipelines.model.labels import Labels, read_labels
from pipelines.model.loading import asks_for_packed, check_path
from pipelines.model.loop import Chunks, Rows
from pipelines.model.network import Network
from pipelines.model.own_head import OwnHead, take_head
from pipelines.spec import DocumentSpec
from pipelines.text.pack import gathered

MAKERS = {
    "sequence": "AutoModelForSequenceClassification",
    "token": "AutoModelForTokenClassification",
    "answer": "AutoModelForQuestionAnswering",
}


@dataclass(frozen=True)
class Classifier:
    """A network, the head for its vectors, and what the head's numbers stand for."""

    network: Network
    head: OwnHead
    labels: Labels


class HeadLogits:
    """A ``pipelines.model.loop.Harvest``: the head's logits of n chunks, NaN where none were made."""

    def __init__(self, classifier: Classifier, chunks: Chunks, device: torch.device) -> None:
        self._head, self._chunks = classifier.head, chunks
        rows = len(chunks) if self._head.kind == "sequence" else len(chunks.values)
        self._home = torch.full((rows, len(classifier.labels.names)), torch.nan, device=device)

    @classmethod
    def probe(cls, classifier: Classifier, device: torch.device) -> HeadLogits:
        """A harvest for the loop's harmless chunk."""
        return cls(classifier, Chunks(np.zeros(4, np.int32), np.array([0, 4])), device)

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """Logits: [n, L] of chunks, [T, L] of tokens, [T, 2] of the tokens as an answer's start and end."""
        return self._home.cpu().numpy()

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        """Put the logits of a batch home."""
        lengths = self._chunks.lengths[rows]
        places = gathered(self._chunks.offsets[rows], lengths)
        logits = self._head(hidden_td, self._chunks.values[places], lengths)
        homes = torch.from_numpy(rows if self._head.kind == "sequence" else places)
        self._home[homes.to(self._home.device)] = logits


def load_classifier(
    folder: ModelFolder,
    spec: DocumentSpec,
    *,
    device: torch.device,
    precision: Precision,
    path: str = "auto",
    attention: str = "auto",
) -> Classifier:
    """The network, its head and labels, for inference: ``path`` and ``attention`` as in ``load_network``.

    SpecError where the folder has no head, or one that labels otherwise than its config says or asks for more than the
    network's last vectors; where it lacks weights, does not load or can't run as asked.
    """
    from pipelines.model.hugging_face import as_network, load_module

    labels = read_labels(folder)
    how: dict[str, Any] = {"dtype": DTYPES[precision], "device": device}
    told: dict[str, Any] = {"trust_remote_code": spec.trust_remote_code, "model_class": spec.model_class}
    whole: Any = load_module(folder, **how, **told, maker=MAKERS[labels.kind], needs_pooler=True)
    base = whole.base_model
    head = take_head(whole, labels.kind, len(labels.names))
    packed = asks_for_packed(path, device, precision) and not spec.model_class
    may_be_ours = attention == "auto" and not spec.model_class and is_bert(folder)
    ours = load_bert(folder, **how, packed=packed) if may_be_ours else None
    network = ours or as_network(base, folder, packed=packed, attention=attention)
    check_path(spec, folder, path, network)
    return Classifier(network, head, labels)
