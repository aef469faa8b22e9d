"""What each worker of an evaluation does: a classifier as it is held against examples, as a fine-tuning does it.

Nothing is learnt and nothing is kept: what the workers' networks told is gathered, in the order of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
import torch

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.model.device import pick_precision, pick_token_budget
from pipelines.train.feed import Feed
from pipelines.train.finetune_course import FinetuneCourse
from pipelines.train.instance_source import Cut, InstanceSource
from pipelines.train.ranks import Ranks
from pipelines.train.task_batches import TaskBatches
from pipelines.train.task_evaluation import Judged, TaskEvaluator
from pipelines.train.task_network import make_task_network


@dataclass(frozen=True, kw_only=True)
class Examination:
    """A model, and the examples that it is held against: those that its course holds out. Good on every node."""

    course: FinetuneCourse
    pool: TrainPool
    num_threads: int
    """Threads of the network on a CPU."""

    def judge(self, ranks: Ranks) -> Judged:
        """Evaluate on all examples; all workers call it, and each has the result.

        SpecError where the model lacks weights of its head.
        """
        spec = self.course.spec
        made = make_task_network(self.course, self.pool)
        if made.new:
            raise SpecError(
                f"{spec.model} lacks the weights of its {' and its '.join(made.new)}: name a model that was trained "
                f"for {spec.task}"
            )
        model, examples = made.model, self.course.held_out
        maker = TaskBatches(
            task=spec.task, num_labels=len(self.course.labels), id_column=self.course.id_column, flops=model.flops
        )
        feed = Feed(examples, num_streams=1, seed=0, columns=maker.columns)
        budget = pick_token_budget(self.pool.token_budget, model.device)
        cut = Cut(token_budget=budget, padded=model.path == "padded")
        source = InstanceSource(feed, examples, maker=maker, cut=cut, max_held_out=examples.num_instances)
        precision = pick_precision(spec.precision, model.device)
        evaluator = TaskEvaluator(
            model,
            task=spec.task,
            labels=self.course.labels,
            metric=spec.metric,
            precision=precision,
            global_batch=spec.global_batch,
        )
        judged = evaluator.judge(source.held_out(ranks.rank, ranks.world), ranks)
        assert judged is not None  # there is an example at least
        return judged


def examine(config: Mapping[str, Any]) -> None:
    """Evaluate on this worker of Ray Train: "examination" is an ``Examination``, "desk" a handle of the desk.

    The first worker puts an event "judged" on the desk: its "evaluation", and what was "told".
    """
    examination: Examination = config["examination"]
    torch.set_num_threads(examination.num_threads)
    ranks = Ranks.joined()
    judged = examination.judge(ranks)
    if ranks.is_first:
        event = {"event": "judged", "judged": judged, "workers": ranks.world}
        ray.get(config["desk"].tell.remote([event]))
