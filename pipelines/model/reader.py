"""A network at work with the heads that a spec's outputs need: what reads chunks, and passes the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pipelines.model.at_masks import AtMasks, Masks
from pipelines.model.classifier import Classifier, load_classifier
from pipelines.model.device import Precision, pick_device, pick_lanes, pick_precision, pick_token_budget
from pipelines.model.encoder import Encoded
from pipelines.model.folder import ModelFolder
from pipelines.model.loading import load_network
from pipelines.model.loop import BatchLoop, Chunks, Harvest, LoopStats, Rows
from pipelines.model.masked_lm import MaskHead, load_masked_lm
from pipelines.model.network import Network
from pipelines.model.next_sentence import NextSentenceHead
from pipelines.model.pooling import pool
from pipelines.predict_spec import PredictSpec


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """A network, and of the heads those that are needed."""

    network: Network
    mask_head: MaskHead | None = None
    next_sentence_head: NextSentenceHead | None = None
    classifier: Classifier | None = None


@dataclass(frozen=True, kw_only=True)
class Gleaning:
    """What an output takes from a pass: which chunks it needs, and a harvest of them.

    ``probe`` makes a harvest for one harmless chunk.
    """

    rows: Rows
    harvest: Harvest
    probe: Callable[[], Harvest]


class Reader:
    """A model on one device, with the heads of ``spec.outputs``. ``spec`` is resolved.

    SpecError where the folder does not load, or lacks a head.
    """

    compiled = False

    def __init__(
        self,
        folder: ModelFolder,
        spec: PredictSpec,
        *,
        device: str = "auto",
        num_threads: int | str = "auto",
        token_budget: int | str = "auto",
        path: str = "auto",
        attention: str = "auto",
    ) -> None:
        self.folder, self.spec, self._attention = folder, spec, attention
        self.torch_device = pick_device(device)
        self.device = self.torch_device.type
        self.precision: Precision = pick_precision(spec.precision, self.torch_device)
        how = {"device": self.torch_device, "precision": self.precision, "path": path, "attention": attention}
        self.equipment = equip(folder, spec, how)
        self.path = self.equipment.network.path
        self._loop = BatchLoop(
            self.equipment.network, self.torch_device, lanes=pick_lanes(num_threads, self.torch_device),
            token_budget=pick_token_budget(token_budget, self.torch_device), max_positions=folder.max_positions,
        )  # fmt: skip

    @classmethod
    def plain(cls, folder: ModelFolder, spec: PredictSpec) -> Reader:
        """The path that all others are held against: float32, eager attention, on the CPU."""
        return cls(folder, replace(spec, precision="float32"), device="cpu", path="padded", attention="eager")

    def variant(self, *, precision: Precision | None = None, compile: bool | None = None) -> Reader:
        """The same reader in another precision; it is never compiled."""
        spec = replace(self.spec, precision=precision or self.precision)
        budget = self._loop.token_budget
        return Reader(
            self.folder, spec, device=self.device, token_budget=budget, path=self.path, attention=self._attention
        )

    @property
    def vocab_size(self) -> int:
        """Token ids that the network knows."""
        return self.equipment.network.vocab_size

    @property
    def mask_head(self) -> MaskHead:
        """The masked-language-model head, where the spec's outputs need it."""
        assert self.equipment.mask_head is not None
        return self.equipment.mask_head

    def read(self, chunks: Chunks, gleanings: Sequence[Gleaning]) -> tuple[dict[int, str], LoopStats]:
        """One pass over the chunks that any of the gleanings needs. Chunks that fail by number, and what was done."""
        rows = _together([gleaning.rows for gleaning in gleanings])
        harvests = [gleaning.harvest for gleaning in gleanings]
        failures, stats = self._loop.run(
            chunks.take(rows), _All(harvests, rows), lambda: _All([gleaning.probe() for gleaning in gleanings])
        )
        return {int(rows[row]): reason for row, reason in failures.items()}, stats

    def encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int = 0) -> Encoded:
        """What the gate compares: with a mask head its logits at the middle token of each chunk, less their mean.

        Else the mean of the vectors of all tokens.
        """
        chunks = Chunks(values, offsets)
        width = self.mask_head.vocab_size if self.equipment.mask_head else self.folder.hidden_size
        found = np.full((len(chunks), width), np.nan, np.float32)

        def middle(masks: Rows, hidden_md: Tensor) -> None:
            logits = self.mask_head(hidden_md)
            found[masks] = (logits - logits.mean(dim=-1, keepdim=True)).cpu().numpy()

        def mean(rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
            found[rows] = pool(hidden_td, lengths_b, "mean").cpu().numpy()

        at = Masks(np.arange(len(chunks) + 1), chunks.lengths // 2)
        harvest: Harvest = AtMasks(at, middle) if self.equipment.mask_head else mean
        gleaning = Gleaning(rows=np.arange(len(chunks)), harvest=harvest, probe=lambda: nothing)
        failures, stats = self.read(chunks, [gleaning])
        return Encoded(found, failures, stats)


def equip(folder: ModelFolder, spec: PredictSpec, how: dict[str, Any]) -> Equipment:
    """The network and the heads that the spec's outputs need."""
    follows = NextSentenceHead(folder, how["device"]) if "next_sentence" in spec.outputs else None
    if spec.needs_masks:
        model = load_masked_lm(folder, spec, **how)
        return Equipment(network=model.network, mask_head=model.head, next_sentence_head=follows)
    if "classify" in spec.outputs:
        classifier = load_classifier(folder, spec, **how)
        return Equipment(network=classifier.network, classifier=classifier, next_sentence_head=follows)
    return Equipment(network=load_network(folder, spec, **how), next_sentence_head=follows)


def nothing(rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
    """A harvest that takes nothing: the network alone is tried."""


class _All:
    """Several harvests as one. ``rows`` are the numbers of the chunks that it is given as 0, 1, 2 and so on."""

    def __init__(self, harvests: Sequence[Harvest], rows: Rows | None = None) -> None:
        self._harvests, self._rows = harvests, rows

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        numbers = rows if self._rows is None else self._rows[rows]
        for harvest in self._harvests:
            harvest(numbers, hidden_td, lengths_b)


def _together(rows: Sequence[Rows]) -> Rows:
    return np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
