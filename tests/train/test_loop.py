"""The loop on a network small enough to be counted by hand: exact however it is cut, stopped or spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import DivergenceError, FingerprintError, SpecError
from pipelines.store.location import locate
from pipelines.train.checkpoints import committed_steps, folder_of
from pipelines.train.evaluation import Evaluation
from pipelines.train.events import Checkpointed, Evaluated, Stepped, Warned
from pipelines.train.ranks import Ranks
from pipelines.train.schedule import Pace
from tests.servers import S3Server
from tests.train.small import Clock, Small, SmallBatch, SmallModel, SmallSource, flat, small, small_recipe


def test_steps_evaluations_and_checkpoints_come_when_they_are_due(tmp_path: Path) -> None:
    run = small(tmp_path)
    outcome = run.training.run()
    assert (outcome.stopped, outcome.state.step, outcome.state.position) == (False, 12, 144)
    assert outcome.weights_step == 12
    assert outcome.state.tokens == 144
    assert [(type(event).__name__, event.step) for event in run.events] == [
        ("Stepped", 3),
        ("Checkpointed", 4),
        ("Stepped", 6),
        ("Evaluated", 6),
        ("Checkpointed", 8),
        ("Stepped", 9),
        ("Stepped", 12),
        ("Evaluated", 12),
        ("Checkpointed", 12),
    ]
    assert run.of(Checkpointed)[0].uri == f"{tmp_path}/_manta/checkpoints/step-000000004"
    last = run.of(Stepped)[-1]
    assert (last.progress, last.num_steps, last.tokens, last.seconds_left) == (1.0, 3, 144, 0.0)
    # Steps 1, 2, 3 of 12 are made with the rates of 0.5/12, 1.5/12, 2.5/12, of which the first 0.2 warm up.
    assert run.of(Stepped)[0].learning_rate == pytest.approx(0.01 * (1 - 2.5 / 12) / 0.8)


def test_it_learns(tmp_path: Path) -> None:
    run = small(tmp_path, recipe=small_recipe(Pace(max_steps=60)))
    run.training.run()
    first, *_, last = run.of(Stepped)
    assert last.losses["classes"] < first.losses["classes"]
    assert last.losses["words"] < first.losses["words"]


def test_means_are_over_what_was_told(tmp_path: Path) -> None:
    """The held-out losses of a network that has not moved are those of a plain forward pass."""
    run = small(tmp_path, source=SmallSource(held=range(2, 9)))
    batch = SmallBatch(range(2, 9))
    found = run.model(batch)
    run.training._evaluate()
    (event,) = run.of(Evaluated)
    assert event.counts == {"words": 2 + 0 + 1 + 2 + 0 + 1 + 2, "classes": 4}
    for name, count in event.counts.items():
        assert event.losses[name] == pytest.approx(found[name].sum.item() / count)
        assert event.accuracies[name] == pytest.approx(found[name].correct.item() / count)
    assert event.row()["perplexity_words"] == pytest.approx(math.exp(event.losses["words"]))


def test_nothing_held_out_is_nothing_told(tmp_path: Path) -> None:
    run = small(tmp_path, source=SmallSource(held=()))
    run.training.run()
    assert run.of(Evaluated) == []


@pytest.mark.parametrize("micro", [1, 3, 5])
def test_micro_batches_add_up_to_the_batch(tmp_path: Path, micro: int) -> None:
    whole, cut = small(tmp_path / "whole"), small(tmp_path / "cut", source=SmallSource(micro=micro))
    whole.training.run()
    cut.training.run()
    assert np.abs(flat(whole.model) - flat(cut.model)).max() < 1e-6
    for one, other in zip(whole.of(Stepped), cut.of(Stepped), strict=True):
        assert one.losses == pytest.approx(other.losses, abs=1e-6)
        assert one.accuracies == other.accuracies


@pytest.mark.parametrize("stop_after", [0, 1, 4, 6, 11])
def test_stopped_and_resumed_is_undisturbed(tmp_path: Path, stop_after: int) -> None:
    """Bit by bit, dropout included, also in the middle between two points of the curves."""
    undisturbed = small(tmp_path / "one", model=SmallModel(dropout=0.3))
    undisturbed.training.run()
    first = small(tmp_path / "two", model=SmallModel(dropout=0.3), stop_after=stop_after)
    outcome = first.training.run()
    assert (outcome.stopped, outcome.state.step) == (True, stop_after)
    second = small(tmp_path / "two", model=SmallModel(dropout=0.3, seed=9 if stop_after else 0))
    assert second.training.run().state.step == 12
    assert flat(second.model).tolist() == flat(undisturbed.model).tolist()
    told = [*first.of(Stepped), *second.of(Stepped)]
    assert [row.losses for row in told] == [row.losses for row in undisturbed.of(Stepped)]
    assert [row.num_steps for row in told] == [3, 3, 3, 3]


def test_every_instance_is_seen_once_however_often_it_is_stopped(tmp_path: Path) -> None:
    whole = SmallSource()
    small(tmp_path / "one", source=whole).training.run()
    seen = []
    for _ in range(5):
        source = SmallSource()
        outcome = small(tmp_path / "two", source=source, stop_after=3).training.run()
        seen += source.seen[: 12 * 3] if outcome.stopped else source.seen
    assert seen == whole.seen


def test_a_finished_training_does_nothing_more(tmp_path: Path) -> None:
    first, second = small(tmp_path), small(tmp_path, model=SmallModel(seed=9))
    first.training.run()
    assert second.training.run() == first.training.run()
    assert second.events == []
    assert flat(second.model).tolist() == flat(first.model).tolist()


def test_a_broken_checkpoint_is_said_and_the_one_before_gone_on_from(tmp_path: Path) -> None:
    undisturbed = small(tmp_path / "one")
    undisturbed.training.run()
    small(tmp_path / "two", stop_after=9).training.run()
    (tmp_path / "two" / folder_of(9) / "optimizer.safetensors").write_bytes(b"")
    again = small(tmp_path / "two")
    again.training.run()
    assert again.begun == [8]
    (said,) = again.of(Warned)
    assert f"{folder_of(9)} is not used: optimizer.safetensors is not what was written" in said.message
    assert flat(again.model).tolist() == flat(undisturbed.model).tolist()


def test_it_goes_on_from_s3(tmp_path: Path, s3: S3Server) -> None:
    output = locate(f"s3://{s3.bucket()}/model")
    undisturbed = small(tmp_path)
    undisturbed.training.run()
    small(output, stop_after=9).training.run()
    again = small(output)
    again.training.run()
    assert again.begun == [9]
    assert flat(again.model).tolist() == flat(undisturbed.model).tolist()
    assert committed_steps(output) == [9, 12]


def test_time_adds_up_over_runs(tmp_path: Path) -> None:
    """Each look at the clock takes a second; what a run took counts in the next."""
    pace = Pace(max_seconds=100)
    first = small(tmp_path, recipe=small_recipe(pace), clock=Clock(1.0), stop_after=4)
    begun = first.training.run().state
    assert 0 < begun.seconds < 100
    second = small(tmp_path, recipe=small_recipe(pace), clock=Clock(1.0))
    ended = second.training.run().state
    assert ended.seconds >= 100
    assert ended.step > begun.step
    alone = small(tmp_path / "alone", recipe=small_recipe(pace), clock=Clock(1.0)).training.run().state
    assert abs(alone.step - ended.step) <= 3  # that many steps take as long as starting again
    rates = [row.learning_rate for row in second.of(Stepped)]
    assert rates == sorted(rates, reverse=True)


def test_tokens_may_be_the_length(tmp_path: Path) -> None:
    state = small(tmp_path, recipe=small_recipe(Pace(max_tokens=30))).training.run().state
    assert (state.step, state.tokens) == (3, 36)


def test_time_is_a_reason_for_a_checkpoint(tmp_path: Path) -> None:
    run = small(tmp_path, every_steps=0, every_seconds=15.0, clock=Clock(1.0))
    run.training.run()
    kept = [event.step for event in run.of(Checkpointed)]
    assert 2 < len(kept) < 12
    assert kept[-1] == 12


def test_a_wish_is_a_reason_for_a_checkpoint(tmp_path: Path) -> None:
    run = small(tmp_path, keep_after=5, keep=9)
    run.training.run()
    assert [event.step for event in run.of(Checkpointed)] == [4, 5, 8, 12]


def test_rates_are_told(tmp_path: Path) -> None:
    run = small(tmp_path, clock=Clock(1.0))
    run.training.run()
    row = run.of(Stepped)[1]
    # Of four looks at the clock a step (and one beside it) two are around the wait and two around the work.
    assert row.step_seconds == 2.0
    assert row.data_wait == 0.5
    assert row.tokens_per_second == 6.0
    assert row.flops_per_second == 5.0
    assert row.workers == 1
    assert row.seconds_left == pytest.approx((row.seconds) / 6 * 6)


def test_a_loss_that_is_no_number_names_its_instances(tmp_path: Path) -> None:
    run = small(tmp_path, source=SmallSource(micro=4, poison=True), recipe=small_recipe(batch=4), every_steps=1)
    with pytest.raises(DivergenceError) as refusal:
        run.training.run()
    assert "step 1 is not finite, in a batch of document-4, document-5, document-6, document-7:" in str(refusal.value)
    assert [event.step for event in run.of(Checkpointed)] == [1]
    assert np.isfinite(flat(SmallModel())).all()


def test_a_gradient_that_is_no_number_is_told_from_a_loss(tmp_path: Path) -> None:
    model = SmallModel()
    model.classes.weight.register_hook(lambda gradient: gradient * math.inf)
    run = small(tmp_path, model=model)
    with pytest.raises(DivergenceError, match="the gradient of step 0 is not finite, while its loss is"):
        run.training.run()


def test_memory_that_runs_out_is_said_with_its_remedy(tmp_path: Path) -> None:
    model = SmallModel()

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.inner.register_forward_hook(fail)
    with pytest.raises(SpecError, match=r"a micro-batch of step 0 does not fit into memory: lower train\.token_budget"):
        small(tmp_path, model=model).training.run()


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    small(tmp_path).training.run()
    with pytest.raises(FingerprintError, match="spec: 'abc' -> 'abd'"):
        small(tmp_path, identity={"spec": "abd"}).training.run()


def test_a_batch_must_reach_for_all_workers(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="global_batch=12 is less than 13 workers"):
        small(tmp_path, ranks=Ranks(0, 13))


class Marks:
    """An evaluator that has its marks written down; the weights that it saw at each."""

    def __init__(self, model: SmallModel, marks: Sequence[float]) -> None:
        self.model, self.marks, self.seen = model, iter(marks), list[list[float]]()

    def __call__(self, batches: object, ranks: Ranks) -> Evaluation:
        self.seen.append(flat(self.model).tolist())
        return Evaluation(losses={}, accuracies={}, counts={}, merit=next(self.marks), metrics={"mark": 0.5})


def marked(
    output: Path, marks: Sequence[float], *, patience: int = 0, stop_after: int | None = None
) -> tuple[Small, Marks]:
    """A training of 24 steps that is evaluated after each 6, and delivers the best."""
    model = SmallModel()
    evaluator = Marks(model, marks)
    recipe = replace(small_recipe(Pace(max_steps=24)), deliver="best", patience=patience)
    return small(output, model=model, evaluator=evaluator, recipe=recipe, stop_after=stop_after), evaluator


def test_the_best_weights_are_kept_and_delivered(tmp_path: Path) -> None:
    run, evaluator = marked(tmp_path, [0.5, 0.75, 0.75, 0.25])
    outcome = run.training.run()
    assert (outcome.state.step, outcome.weights_step, outcome.state.num_worse) == (24, 12, 2)
    assert flat(run.model).tolist() == evaluator.seen[1]
    assert [event.step for event in run.of(Checkpointed)] == [4, 6, 8, 12, 16, 20, 24]
    assert committed_steps(locate(str(tmp_path))) == [12, 20, 24]
    assert [event.row()["metric_mark"] for event in run.of(Evaluated)] == [0.5] * 4


def test_a_training_that_gets_no_better_ends(tmp_path: Path) -> None:
    run, evaluator = marked(tmp_path, [0.5, 0.25, 0.25, 0.75], patience=2)
    outcome = run.training.run()
    assert (outcome.stopped, outcome.state.step, outcome.weights_step) == (False, 18, 6)
    assert flat(run.model).tolist() == evaluator.seen[0]
    again, _ = marked(tmp_path, [], patience=2)
    assert again.training.run().state.step == 18
    assert flat(again.model).tolist() == evaluator.seen[0]


@pytest.mark.parametrize("stop_after", [7, 12, 13])
def test_patience_goes_on_where_it_was(tmp_path: Path, stop_after: int) -> None:
    marks = [0.5, 0.25, 0.25, 0.75]
    undisturbed, _ = marked(tmp_path / "one", marks, patience=2)
    ended = undisturbed.training.run()
    first, seen = marked(tmp_path / "two", marks, patience=2, stop_after=stop_after)
    assert first.training.run().stopped
    second, _ = marked(tmp_path / "two", marks[len(seen.seen) :], patience=2)
    outcome = second.training.run()
    assert replace(outcome.state, seconds=0, tally={}) == replace(ended.state, seconds=0, tally={})
    assert flat(second.model).tolist() == flat(undisturbed.model).tolist()


def test_where_the_best_checkpoint_is_broken_the_last_weights_are_delivered(tmp_path: Path) -> None:
    run, _ = marked(tmp_path, [0.75, 0.5, 0.25, 0.25], stop_after=20)
    run.training.run()
    (tmp_path / folder_of(6) / "model.safetensors").write_bytes(b"")
    again, evaluator = marked(tmp_path, [0.25])
    assert again.training.run().weights_step == 24
    assert flat(again.model).tolist() == evaluator.seen[0]
    (said,) = again.of(Warned)
    assert f"{folder_of(6)} is not used: model.safetensors is not what was written" in said.message
