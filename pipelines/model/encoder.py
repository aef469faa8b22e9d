"""Chunks of token ids to vectors: pooled in float32, put home by index."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pipelines.model.device import Precision, pick_device, pick_lanes, pick_precision, pick_token_budget
from pipelines.model.folder import ModelFolder
from pipelines.model.heads import load_heads
from pipelines.model.loading import load_network
from pipelines.model.loop import BatchLoop, Chunks, LoopStats, Rows
from pipelines.model.pooling import pool
from pipelines.spec import EmbedSpec
from pipelines.text.ragged import Ragged


@dataclass(frozen=True)
class Encoded:
    """Vectors float32[n, dim], a row of NaN where the chunk failed, and why it did, without any text."""

    vectors: npt.NDArray[np.float32]
    failures: dict[int, str] = field(default_factory=dict)
    stats: LoopStats = field(default_factory=LoopStats)


class PooledVectors:
    """A ``pipelines.model.loop.Harvest``: the vectors of n chunks, NaN where none was made."""

    def __init__(self, count: int, spec: EmbedSpec, heads: nn.Module, left_out: int, device: torch.device) -> None:
        self.vectors_nd = torch.full((count, int(spec.dim)), torch.nan, device=device)
        self._spec, self._heads, self._left_out = spec, heads, left_out

    def __call__(self, rows: Rows, hidden_td: Tensor, lengths_b: Tensor) -> None:
        """Pool and cut the vectors of a batch, and put them home."""
        vectors_bd = self._heads(pool(hidden_td, lengths_b, self._spec.pooling, self._left_out))
        vectors_bd = vectors_bd[:, : self.vectors_nd.shape[1]]
        rows_b = torch.from_numpy(rows).to(self.vectors_nd.device, non_blocking=True)
        self.vectors_nd[rows_b] = normalize(vectors_bd, dim=-1) if self._spec.normalize else vectors_bd

    def numpy(self) -> npt.NDArray[np.float32]:
        """The vectors, float32[n, dim]."""
        return np.asarray(self.vectors_nd.cpu().numpy())


class Encoder:
    """A model's network, pooling and heads, on one device.

    ``spec`` is resolved. ``path`` auto is packed on CUDA in half precision where the network can, else padded, which is
    faster on a CPU. SpecError where the folder does not load or the request does not fit it.
    """

    def __init__(
        self,
        folder: ModelFolder,
        spec: EmbedSpec,
        *,
        device: str = "auto",
        num_threads: int | str = "auto",
        token_budget: int | str = "auto",
        compile: bool = False,
        path: str = "auto",
        attention: str = "auto",
    ) -> None:
        self._device = pick_device(device)
        self.device = self._device.type
        self.precision = pick_precision(spec.precision, self._device)
        self.dim = int(spec.dim)
        self.compiled = compile
        self._folder, self._spec, self._attention = folder, spec, attention
        network = load_network(
            folder, spec, device=self._device, precision=self.precision,
            path=path, attention=attention, compile=compile,
        )  # fmt: skip
        self.path = network.path
        self._heads = load_heads(folder, self._device)
        self._loop = BatchLoop(
            network, self._device, lanes=pick_lanes(num_threads, self._device),
            token_budget=pick_token_budget(token_budget, self._device), max_positions=folder.max_positions,
        )  # fmt: skip
        self._network = network

    @classmethod
    def plain(cls, folder: ModelFolder, spec: EmbedSpec) -> Encoder:
        """The path that all others are held against: float32, eager attention, on the CPU."""
        return cls(folder, replace(spec, precision="float32"), device="cpu", path="padded", attention="eager")

    def variant(self, *, precision: Precision | None = None, compile: bool | None = None) -> Encoder:
        """The same encoder in another precision, or without compilation."""
        return Encoder(
            self._folder,
            replace(self._spec, precision=precision or self.precision),
            device=self.device,
            token_budget=self._loop.token_budget,
            compile=self.compiled if compile is None else compile,
            path=self.path,
            attention=self._attention,
        )

    def encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int = 0) -> Encoded:
        """Vectors of n chunks, of which chunk i is ``values[offsets[i]:offsets[i + 1]]``.

        ``prompt_length`` tokens at the head of each chunk are left out of pooling where the folder says so
        (include_prompt false). A chunk that fails is found by bisection and reported; what a harmless chunk hits too is
        raised. Running out of GPU memory halves the token budget for good. Equal chunks are computed once.
        """
        whole = Ragged(values, offsets)
        first, equal = whole.distinct()
        if len(first) == len(whole):
            return self._encode(values, offsets, prompt_length)
        once = whole.take(first)
        found = self._encode(once.values, once.offsets, prompt_length)
        failures = {row: found.failures[one] for row, one in enumerate(equal.tolist()) if one in found.failures}
        return Encoded(found.vectors[equal], failures, found.stats)

    def _encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int) -> Encoded:
        left_out = 0 if self._folder.include_prompt else prompt_length
        chunks = Chunks(values, offsets)
        pooled = self._pooled(len(chunks), left_out)
        failures, stats = self._loop.run(chunks, pooled, lambda: self._pooled(1, 0))
        vectors = pooled.numpy()
        for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
            failures.setdefault(row, "the vector is not finite")
            vectors[row] = np.nan
        return Encoded(vectors, failures, stats)

    def _pooled(self, count: int, left_out: int) -> PooledVectors:
        return PooledVectors(count, self._spec, self._heads, left_out, self._device)
