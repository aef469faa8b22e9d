"""The loop: steps from where the newest checkpoint is to the end of the training, told and kept on the way.

All workers run it, each with its share of every batch, and make the same decisions: what they decide by (time, a wish
to stop) is agreed on once a step, together with the counts that the losses are divided by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from pipelines.errors import SpecError
from pipelines.model.device import pick_precision
from pipelines.model.refusal import is_out_of_memory
from pipelines.train.agreement import Agreed, agree
from pipelines.train.checkpoint import Checkpoint, State
from pipelines.train.divergence import refuse_divergence
from pipelines.train.evaluation import Evaluator
from pipelines.train.events import Evaluated, Observer, Stepped
from pipelines.train.keeper import Keeper
from pipelines.train.meter import Meter, Tally
from pipelines.train.optimizer import restore, state_of
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Cadence, Recipe
from pipelines.train.source import Share, Source
from pipelines.train.step import Stepper
from pipelines.train.weights import put_weights, weights_of


@dataclass(frozen=True)
class Outcome:
    """Where a run of the loop ended, and whether because it was asked to."""

    state: State
    stopped: bool
    weights_step: int
    """The step whose weights the network has."""
    is_early: bool = False
    """Whether it ended because it got no better."""


class Training:
    """One worker's part in a training; ``model`` and ``source`` are as ``pipelines.train.source`` has them.

    ``evaluator`` tells how good the network is. ``on_begin`` hears where it goes on from, ``observer`` of events: both
    on the first worker alone. ``should_keep`` and ``should_stop`` are asked once before each step on every worker:
    where one says yes there is a checkpoint, and to stop all of them stop after it.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        *,
        evaluator: Evaluator,
        recipe: Recipe,
        cadence: Cadence,
        keeper: Keeper,
        ranks: Ranks = Ranks(),
        observer: Observer = lambda event: None,
        on_begin: Callable[[State], None] = lambda state: None,
        should_keep: Callable[[], bool] = lambda: False,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if recipe.global_batch < ranks.world:
            raise SpecError(
                f"global_batch={recipe.global_batch} is less than {ranks.world} workers: raise it, or take fewer"
            )
        self._model, self._source, self._recipe, self._cadence = model, source, recipe, cadence
        self._evaluator = evaluator
        self._keeper, self._ranks, self._observer, self._on_begin = keeper, ranks, observer, on_begin
        self._should_keep, self._should_stop, self._clock = should_keep, should_stop, clock
        self._losses = tuple(source.losses)
        precision = pick_precision(recipe.precision, next(model.parameters()).device)
        self._stepper = Stepper(
            model, recipe.adam, losses=self._losses, ranks=ranks, seed=recipe.seed, precision=precision,
            loss_weights=recipe.loss_weights,
        )  # fmt: skip
        self._meter = Meter(self._losses, ranks)
        self._first = self._state = State()
        self._history: list[dict[str, Any]] = []
        self._begun, self._step_seconds, self._rate = clock(), 0.0, 0.0

    def run(self) -> Outcome:
        """Train to the end, or until asked to stop. StoreError, DivergenceError, FingerprintError."""
        self._resume()
        position, ranks = self._state.position, self._ranks
        with closing(self._source.steps(position, self._recipe.global_batch, ranks.rank, ranks.world)) as shares:
            stopped = self._train(shares)
        if not stopped and self._meter.tally.steps:
            self._tell(self._fold())
        if not stopped and self._state.merit is None:
            self._evaluate()
        self._keep()
        if stopped:
            return Outcome(self._state, stopped, self._state.step)
        return Outcome(self._state, stopped, self._choose(), is_early=self._progress() < 1)

    def _train(self, shares: Iterator[Share]) -> bool:
        """Make steps to the end; whether it was asked to stop before."""
        while self._progress() < 1 and not self._is_out_of_patience:
            began = self._clock()
            share = next(shares)
            waited = self._clock() - began
            agreed = self._agree(share)
            self._state = replace(self._state, seconds=agreed.seconds)
            if agreed.stop:
                return True
            if self._progress() < 1:
                self._turn(share, agreed, waited)
        return False

    @property
    def _is_out_of_patience(self) -> bool:
        return bool(self._recipe.patience) and self._state.num_worse >= self._recipe.patience

    def _choose(self) -> int:
        """Put in the weights that are to be delivered; the step that they are of."""
        state = self._state
        if self._recipe.deliver == "best" and state.best_merit is not None and state.best_step != state.step:
            best = self._keeper.at(state.best_step)
            if best is not None:
                put_weights(self._model, best.weights)
                return state.best_step
        return state.step

    def _resume(self) -> None:
        """Go to where the newest checkpoint is."""
        kept = self._keeper.newest()
        if kept is not None:
            put_weights(self._model, kept.weights)
            restore(self._model, self._stepper.optimizer, kept.optimizer)
            self._first = self._state = kept.state
            self._history = kept.history
            self._meter.tally = Tally(**kept.state.tally)
        if self._ranks.is_first:
            self._on_begin(self._state)
        self._begun = self._clock()

    def _progress(self, steps: float = 0, tokens: float = 0, seconds: float = 0) -> float:
        """Share of the training that is done, or will be after so much more."""
        state = self._state
        return self._recipe.pace.progress(state.step + steps, state.tokens + tokens, state.seconds + seconds)

    def _elapsed(self) -> float:
        return self._first.seconds + self._clock() - self._begun

    def _agree(self, share: Share) -> Agreed:
        clock = (self._elapsed(), self._step_seconds)
        keep, stop = self._should_keep(), self._should_stop()
        return agree(share, self._losses, self._ranks, clock=clock, keep=keep, stop=stop)

    def _turn(self, share: Share, agreed: Agreed, waited: float) -> None:
        """A checkpoint where one is due, then a step, and what is due after it."""
        if agreed.keep or self._keeper.is_due(self._state):
            self._keep()
        began = self._clock()
        self._step(share, agreed)
        self._meter.note(agreed.counts, agreed.tokens, waited, share.flops)
        norm = self._fold() if self._is_due(self._cadence.log_steps) else None
        self._step_seconds = waited + self._clock() - began
        self._meter.tally.seconds += self._step_seconds
        if norm is not None:
            self._tell(norm)
        if self._is_due(self._cadence.eval_steps):
            self._evaluate()

    def _step(self, share: Share, agreed: Agreed) -> None:
        """Its learning rate is that of its middle, so that neither the first nor the last one is 0."""
        self._rate = self._recipe.schedule.at(self._progress(0.5, agreed.tokens / 2, agreed.step_seconds / 2))
        with self._refusing_large_batches():
            self._stepper.step(self._state.step, share, agreed.counts, self._rate)
        self._state = replace(
            self._state,
            step=self._state.step + 1,
            position=self._state.position + self._recipe.global_batch,
            tokens=self._state.tokens + agreed.tokens,
            merit=None,
        )

    @contextmanager
    def _refusing_large_batches(self) -> Iterator[None]:
        """SpecError where memory runs out: workers that wait for this one's gradients can't go on with less."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise SpecError(
                f"a micro-batch of step {self._state.step} does not fit into memory: lower train.token_budget, or set "
                "train.activation_checkpointing"
            ) from error

    def _is_due(self, every: int) -> bool:
        return bool(every) and self._state.step % every == 0

    def _fold(self) -> float:
        """Bring together what the workers did; the length of the last gradient. DivergenceError."""
        batch = self._recipe.global_batch
        first = self._state.position - self._state.step * batch
        refuse_divergence(self._stepper.not_finite(), first, batch, self._source, self._ranks)
        told, norm = self._stepper.taken()
        self._meter.fold(told)
        return norm

    def _tell(self, norm: float) -> None:
        """A point of the curves."""
        tally, elapsed = self._meter.tally, self._elapsed()
        losses, accuracies = tally.means()
        self._emit(
            Stepped(
                step=self._state.step,
                position=self._state.position,
                tokens=self._state.tokens,
                seconds=elapsed,
                progress=self._progress(seconds=elapsed - self._state.seconds),
                losses=losses,
                accuracies=accuracies,
                learning_rate=self._rate,
                grad_norm=norm,
                num_steps=tally.steps,
                step_seconds=tally.seconds / tally.steps,
                data_wait=tally.waited / (tally.seconds * self._ranks.world) if tally.seconds else 0.0,
                tokens_per_second=tally.tokens / tally.seconds if tally.seconds else 0.0,
                flops_per_second=tally.flops / tally.seconds if tally.seconds else 0.0,
                seconds_left=self._seconds_left(elapsed),
                workers=self._ranks.world,
            )
        )
        self._meter.begin()

    def _seconds_left(self, elapsed: float) -> float | None:
        """At the pace of this run."""
        first = self._first
        begun = self._recipe.pace.progress(first.step, first.tokens, first.seconds)
        now = self._progress(seconds=elapsed - self._state.seconds)
        return (1 - now) * (elapsed - first.seconds) / (now - begun) if now > begun else None

    def _evaluate(self) -> None:
        self._fold()
        began = self._clock()
        found = self._evaluator(self._source.held_out(self._ranks.rank, self._ranks.world), self._ranks)
        if found is None:
            return
        self._state = state = self._state.judged(self._ranks.of_first(found.merit))
        self._emit(
            Evaluated(
                step=state.step,
                position=state.position,
                tokens=state.tokens,
                seconds=self._clock() - began,
                **vars(found),
            )
        )
        if self._recipe.deliver == "best" and state.best_step == state.step:
            self._keep()

    def _keep(self) -> None:
        self._fold()
        self._keeper.keep(self._state, self._checkpoint)

    def _checkpoint(self) -> Checkpoint:
        """What the first worker keeps. Its clock goes on beyond what was agreed on, by which all of them decide."""
        return Checkpoint(
            state=replace(self._state, seconds=self._elapsed(), tally=asdict(self._meter.tally)),
            weights=weights_of(self._model),
            optimizer=state_of(self._model, self._stepper.optimizer),
            history=self._history,
        )

    def _emit(self, event: Stepped | Evaluated) -> None:
        if self._ranks.is_first:
            kind = {Stepped: "stepped", Evaluated: "evaluated"}[type(event)]
            self._history.append({"event": kind, **event.row()})
            self._observer(event)
