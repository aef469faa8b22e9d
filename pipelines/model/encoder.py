"""Chunks of token ids to vectors: sorted by length, cut by token budget, pooled in float32, put home by index."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from pipelines.model.device import Precision, pick_device, pick_lanes, pick_precision, pick_token_budget
from pipelines.model.folder import ModelFolder
from pipelines.model.heads import load_heads
from pipelines.model.loading import load_network
from pipelines.model.pooling import pool
from pipelines.model.refusal import is_out_of_memory, reason, refusals
from pipelines.spec import EmbedSpec
from pipelines.text.pack import pack_batch, pad_batch, plan_batches

Rows = npt.NDArray[np.int64]


@dataclass(kw_only=True)
class EncodeStats:
    """What a call of ``encode`` did. ``flops`` are the useful ones, padding not counted."""

    num_tokens: int = 0
    num_computed_tokens: int = 0  # with padding
    compute_seconds: float = 0.0  # in the network, pooling and heads
    convert_seconds: float = 0.0  # planning batches, making tensors, fetching vectors
    flops: float = 0.0
    token_budget: int = 0  # in force at the end


@dataclass(frozen=True)
class Encoded:
    """Vectors float32[n, dim], a row of NaN where the chunk failed, and why it did, without any text."""

    vectors: npt.NDArray[np.float32]
    failures: dict[int, str] = field(default_factory=dict)
    stats: EncodeStats = field(default_factory=EncodeStats)


@dataclass(frozen=True)
class _Job:
    """One call of ``encode``: its n chunks, and what has become of them."""

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    lengths: Rows
    prompt_length: int
    vectors_nd: Tensor
    failures: dict[int, str]
    stats: EncodeStats


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
        self._lanes = pick_lanes(num_threads, self._device)
        self._lock = threading.Lock()
        self.device = self._device.type
        self.precision = pick_precision(spec.precision, self._device)
        self.dim = int(spec.dim)
        self.compiled = compile
        self._folder, self._spec, self._attention = folder, spec, attention
        self._token_budget = pick_token_budget(token_budget, self._device)
        self._network = load_network(
            folder, spec, device=self._device, precision=self.precision,
            path=path, attention=attention, compile=compile,
        )  # fmt: skip
        self.path = self._network.path
        self._heads = load_heads(folder, self._device)

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
            token_budget=self._token_budget,
            compile=self.compiled if compile is None else compile,
            path=self.path,
            attention=self._attention,
        )

    def encode(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int = 0) -> Encoded:
        """Vectors of n chunks, of which chunk i is ``values[offsets[i]:offsets[i + 1]]``.

        ``prompt_length`` tokens at the head of each chunk are left out of pooling where the folder says so
        (include_prompt false). A chunk that fails is found by bisection and reported; what a harmless chunk hits too is
        raised. Running out of GPU memory halves the token budget for good.
        """
        started = time.perf_counter()
        job = self._job(values, offsets, prompt_length)
        healthy = np.setdiff1d(np.arange(len(job.lengths)), list(job.failures))
        self._run_all(job, self._plan(job, healthy))
        vectors = job.vectors_nd.cpu().numpy()
        for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
            job.failures.setdefault(row, "the vector is not finite")
            vectors[row] = np.nan
        job.stats.convert_seconds /= self._lanes
        job.stats.compute_seconds = time.perf_counter() - started - job.stats.convert_seconds
        job.stats.token_budget = self._token_budget
        return Encoded(vectors, job.failures, job.stats)

    def _job(self, values: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], prompt_length: int) -> _Job:
        lengths = np.diff(offsets).astype(np.int64)
        vectors_nd = torch.full((len(lengths), self.dim), torch.nan, device=self._device)
        stats = EncodeStats(num_tokens=int(lengths.sum()), flops=self._network.work.useful_flops(lengths))
        left_out = 0 if self._folder.include_prompt else prompt_length
        refused = refusals(values, offsets, self._network.vocab_size, self._folder.max_positions)
        return _Job(values, offsets, lengths, left_out, vectors_nd, refused, stats)

    def _plan(self, job: _Job, rows: Rows) -> list[Rows]:
        started = time.perf_counter()
        batches = plan_batches(job.lengths[rows], self._token_budget, padded=self.path == "padded")
        with self._lock:
            job.stats.convert_seconds += time.perf_counter() - started
        return [rows[batch] for batch in batches]

    def _run_all(self, job: _Job, batches: list[Rows]) -> None:
        """Run the batches, on a CPU as many at once as there are lanes, each in a thread that computes alone."""
        if self.device != "cpu":
            self._run(job, batches)
            return
        with ThreadPoolExecutor(self._lanes, "lane", initializer=torch.set_num_threads, initargs=(1,)) as lanes:
            for done in [lanes.submit(self._run, job, [rows]) for rows in batches]:
                done.result()

    def _run(self, job: _Job, batches: list[Rows]) -> None:
        """Vectors of these batches; where one fails, of each part of it for which it does not."""
        pending = deque(batches)
        while pending:
            rows = pending.popleft()
            if len(rows) > 1 and self._cost(job, rows) > self._token_budget:  # planned before memory ran out
                pending.extendleft(reversed(self._plan(job, rows)))
                continue
            failure = self._attempt(job, rows)
            if failure is None:
                continue
            if len(rows) == 1:
                job.failures[int(rows[0])] = reason(failure)
            else:
                pending.extendleft(np.array_split(rows, 2)[::-1])

    def _attempt(self, job: _Job, rows: Rows) -> Exception | None:
        """Run a batch; what went wrong with it, if it was the batch's fault."""
        try:
            self._forward(job, rows)
            return None
        except Exception as error:  # reported by the caller, or raised by the probe
            failure = error.with_traceback(None)  # the frames would keep the batch's memory
        if not is_out_of_memory(failure):
            self._probe(failure)
        elif len(rows) > 1:
            self._token_budget = max(1, self._cost(job, rows) // 2)
        if self.device == "cuda":
            torch.cuda.empty_cache()
        return failure

    def _cost(self, job: _Job, rows: Rows) -> int:
        lengths = job.lengths[rows]
        return int(lengths.sum() if self.path == "packed" else len(rows) * lengths.max())

    def _probe(self, failure: Exception) -> None:
        """Raise the failure where a harmless chunk fails too: then no row is to blame."""
        offsets = np.array([0, 4])
        try:
            self._forward(self._job(np.full(4, self._network.pad_id, np.int32), offsets, 0), np.array([0]))
        except Exception as error:
            raise failure from error

    @torch.inference_mode()
    def _forward(self, job: _Job, rows: Rows) -> None:
        started = time.perf_counter()
        arrays = self._packed(job, rows) if self.path == "packed" else self._padded(job, rows)
        tensors = [self._tensor(array) for array in arrays]
        lengths_b, rows_b = self._tensor(job.lengths[rows]), self._tensor(rows)
        with self._lock:
            job.stats.convert_seconds += time.perf_counter() - started
        hidden_td = self._run_network(tensors, int(job.lengths[rows].max()))
        vectors_bd = self._heads(pool(hidden_td, lengths_b, self._spec.pooling, job.prompt_length))[:, : self.dim]
        job.vectors_nd[rows_b] = normalize(vectors_bd, dim=-1) if self._spec.normalize else vectors_bd
        with self._lock:
            job.stats.num_computed_tokens += arrays[0].size

    def _run_network(self, tensors: list[Tensor], longest: int) -> Tensor:
        if self.path == "padded":
            input_ids_bs, attention_mask_bs = tensors
            return self._network.padded(input_ids_bs, attention_mask_bs)
        input_ids_t, position_ids_t, cu_seqlens = tensors
        return self._network.packed(input_ids_t, position_ids_t, cu_seqlens, longest)

    def _padded(self, job: _Job, rows: Rows) -> tuple[npt.NDArray[Any], ...]:
        return pad_batch(job.values, job.offsets, rows, self._network.pad_id)

    def _packed(self, job: _Job, rows: Rows) -> tuple[npt.NDArray[Any], ...]:
        batch = pack_batch(job.values, job.offsets, rows)
        return batch.input_ids, batch.position_ids, batch.cu_seqlens

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.device == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)
