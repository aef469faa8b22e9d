"""Chunks through a network: sorted by length, cut by token budget, a batch that fails bisected to the chunk."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.model.network import Network
from pipelines.model.refusal import is_out_of_memory, reason, refusals
from pipelines.text.pack import gathered, pack_batch, pad_batch, plan_batches, second_types

Rows = npt.NDArray[np.int64]
Harvest = Callable[[Rows, Tensor, Tensor], None]
"""Takes in a batch: which chunks it holds [B], the vectors of all their tokens [T, D], their lengths [B].

Lanes call it at the same time, never twice for a chunk that it has taken in.
"""


@dataclass(frozen=True)
class Chunks:
    """n chunks of token ids, of which chunk i is ``values[offsets[i]:offsets[i + 1]]``.

    ``segment_b_start`` [n] is the place in each chunk from which its tokens are of the second type; None: in none.
    """

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    segment_b_start: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Rows:
        """Tokens of each chunk: [n]."""
        return np.diff(self.offsets).astype(np.int64)

    def take(self, rows: Rows) -> Chunks:
        """These chunks alone, in this order."""
        lengths = self.lengths[rows]
        values = self.values[gathered(self.offsets[rows], lengths)]
        starts = None if self.segment_b_start is None else self.segment_b_start[rows]
        return Chunks(values, np.concatenate([[0], np.cumsum(lengths)]), starts)


@dataclass(kw_only=True)
class LoopStats:
    """What a run of the loop did. ``flops`` are the useful ones, padding not counted."""

    num_tokens: int = 0
    num_computed_tokens: int = 0  # with padding
    compute_seconds: float = 0.0  # in the network and the harvest
    convert_seconds: float = 0.0  # planning batches, making tensors
    flops: float = 0.0
    token_budget: int = 0  # in force at the end

    def plus(self, later: LoopStats) -> LoopStats:
        """What both runs did together."""
        sums = {f.name: getattr(self, f.name) + getattr(later, f.name) for f in fields(self)}
        return LoopStats(**{**sums, "token_budget": later.token_budget})


@dataclass(frozen=True)
class _Run:
    """One run: its chunks, and what has become of them."""

    chunks: Chunks
    lengths: Rows
    harvest: Harvest
    failures: dict[int, str] = field(default_factory=dict)
    stats: LoopStats = field(default_factory=LoopStats)


class BatchLoop:
    """A network at work on one device. On a CPU ``lanes`` batches run at once, each in a thread that computes alone.

    ``max_positions`` is the longest chunk that the network takes, 0: any.
    """

    def __init__(
        self, network: Network, device: torch.device, *, lanes: int, token_budget: int, max_positions: int
    ) -> None:
        self.token_budget = token_budget
        self._network, self._device, self._max_positions = network, device, max_positions
        self._lanes = lanes
        self._lock = threading.Lock()

    def run(self, chunks: Chunks, harvest: Harvest, probe: Callable[[], Harvest]) -> tuple[dict[int, str], LoopStats]:
        """Give every chunk to the harvest but those that fail; those by number with the reason, and what was done.

        A chunk that fails is found by bisection. What a harmless chunk hits too, given to a harvest that ``probe``
        makes for one chunk, is raised. Running out of memory halves the token budget for good.
        """
        started = time.perf_counter()
        run = _Run(chunks, chunks.lengths, harvest)
        run.failures.update(refusals(chunks.values, chunks.offsets, self._network.vocab_size, self._max_positions))
        batches = self._plan(run, np.setdiff1d(np.arange(len(chunks)), list(run.failures)))
        self._run_all(run, batches, probe)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        stats = run.stats
        stats.num_tokens, stats.flops = int(run.lengths.sum()), self._network.work.useful_flops(run.lengths)
        stats.convert_seconds /= self._lanes
        stats.compute_seconds = time.perf_counter() - started - stats.convert_seconds
        stats.token_budget = self.token_budget
        return run.failures, stats

    def _plan(self, run: _Run, rows: Rows) -> list[Rows]:
        started = time.perf_counter()
        batches = plan_batches(run.lengths[rows], self.token_budget, padded=self._network.path == "padded")
        with self._lock:
            run.stats.convert_seconds += time.perf_counter() - started
        return [rows[batch] for batch in batches]

    def _run_all(self, run: _Run, batches: list[Rows], probe: Callable[[], Harvest]) -> None:
        if self._device.type != "cpu":
            self._work(run, batches, probe)
            return
        with ThreadPoolExecutor(self._lanes, "lane", initializer=torch.set_num_threads, initargs=(1,)) as lanes:
            for done in [lanes.submit(self._work, run, [rows], probe) for rows in batches]:
                done.result()

    def _work(self, run: _Run, batches: list[Rows], probe: Callable[[], Harvest]) -> None:
        """Run these batches; where one fails, each part of it that does not."""
        pending = deque(batches)
        while pending:
            rows = pending.popleft()
            if len(rows) > 1 and self._cost(run, rows) > self.token_budget:  # planned before memory ran out
                pending.extendleft(reversed(self._plan(run, rows)))
                continue
            failure = self._attempt(run, rows, probe)
            if failure is None:
                continue
            if len(rows) == 1:
                run.failures[int(rows[0])] = reason(failure)
            else:
                pending.extendleft(np.array_split(rows, 2)[::-1])

    def _attempt(self, run: _Run, rows: Rows, probe: Callable[[], Harvest]) -> Exception | None:
        """Run a batch; what went wrong with it, if it was the batch's fault."""
        try:
            self._forward(run, rows)
            return None
        except Exception as error:  # reported by the caller, or raised by the probe
            failure = error.with_traceback(None)  # the frames would keep the batch's memory
        if not is_out_of_memory(failure):
            self._try_harmless(failure, probe())
        elif len(rows) > 1:
            self.token_budget = max(1, self._cost(run, rows) // 2)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return failure

    def _cost(self, run: _Run, rows: Rows) -> int:
        lengths = run.lengths[rows]
        return int(lengths.sum() if self._network.path == "packed" else len(rows) * lengths.max())

    def _try_harmless(self, failure: Exception, harvest: Harvest) -> None:
        """Raise the failure where a harmless chunk fails too: then no chunk is to blame."""
        chunks = Chunks(np.full(4, self._network.pad_id, np.int32), np.array([0, 4]))
        try:
            self._forward(_Run(chunks, chunks.lengths, harvest), np.array([0]))
        except Exception as error:
            raise failure from error

    @torch.inference_mode()
    def _forward(self, run: _Run, rows: Rows) -> None:
        started = time.perf_counter()
        arrays = self._arrays(run.chunks, rows)
        tensors = [self._tensor(array) for array in arrays]
        types = self._types(run.chunks, rows)
        lengths_b = self._tensor(run.lengths[rows])
        with self._lock:
            run.stats.convert_seconds += time.perf_counter() - started
        hidden_td = self._through(tensors, int(run.lengths[rows].max()), types)
        run.harvest(rows, hidden_td, lengths_b)
        with self._lock:
            run.stats.num_computed_tokens += arrays[0].size

    def _arrays(self, chunks: Chunks, rows: Rows) -> tuple[npt.NDArray[Any], ...]:
        if self._network.path == "padded":
            return pad_batch(chunks.values, chunks.offsets, rows, self._network.pad_id)
        batch = pack_batch(chunks.values, chunks.offsets, rows)
        return batch.input_ids, batch.position_ids, batch.cu_seqlens

    def _types(self, chunks: Chunks, rows: Rows) -> Tensor | None:
        if chunks.segment_b_start is None:
            return None
        padded = self._network.path == "padded"
        return self._tensor(second_types(chunks.offsets, rows, chunks.segment_b_start, padded=padded))

    def _through(self, tensors: list[Tensor], longest: int, types: Tensor | None) -> Tensor:
        if self._network.path == "padded":
            input_ids_bs, attention_mask_bs = tensors
            return self._network.padded(input_ids_bs, attention_mask_bs, types)
        input_ids_t, position_ids_t, cu_seqlens = tensors
        return self._network.packed(input_ids_t, position_ids_t, cu_seqlens, longest, types)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self._device.type == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)
