"""What a training stands on: its instances, what it begins with, and its output, looked at before Ray starts."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.pretrain_spec import PretrainSpec
from pipelines.run.beginning import Begun, begin
from pipelines.run.training_order import TrainingOrder
from pipelines.store.instances import InstanceOutput
from pipelines.store.location import Location, locate
from pipelines.store.output import expand
from pipelines.store.training_output import FINISHED, TrainingSpec, claim, instances_hash
from pipelines.train.assignment import Assignment
from pipelines.train.checkpoints import committed_steps
from pipelines.train.row_groups import RowGroups, list_row_groups


@dataclass(frozen=True, kw_only=True)
class TrainingGround:
    """Instances, beginning and output of a training. Nothing was written."""

    order: TrainingOrder
    pool: TrainPool
    begun: Begun
    instances: InstanceOutput
    train: RowGroups
    held_out: RowGroups
    output: Location
    agreed: TrainingSpec

    @property
    def spec(self) -> PretrainSpec:
        """The spec, its objective settled."""
        return self.begun.spec

    @property
    def local_inputs(self) -> list[str]:
        """Paths of instances and model that are on a disk."""
        there = [self.instances.location.path] if self.instances.location.is_local else []
        return [*there, *([self.begun.local_model] if self.begun.local_model else [])]

    @property
    def local_output(self) -> str:
        """Path of an output on a disk, "" elsewhere."""
        return self.output.path if self.output.is_local else ""

    @property
    def newest_step(self) -> int | None:
        """Step of the output's newest checkpoint; None where there is none."""
        return max(committed_steps(self.output), default=None)

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.output.stat(FINISHED) is not None

    def claim(self) -> int | None:
        """Begin or go on in the output; the step that it goes on from. See ``training_output.claim``."""
        newest = self.newest_step
        claim(self.output, self.agreed, newest, resume=self.order.resume)
        return newest

    def assignment(self, run: str, num_threads: int) -> Assignment:
        """What a worker is given."""
        return Assignment(
            run=run,
            spec=self.spec,
            pool=self.pool,
            num_threads=num_threads,
            beginning=self.begun.beginning,
            tokenizer=self.instances.tokenizer,
            max_seqlen=int(self.instances.spec.spec["max_seqlen"]),
            train=self.train,
            held_out=self.held_out,
            output=self.output,
            identity={"fingerprint": self.agreed.fingerprint},
            storage=self.order.storage,
            code=self.begun.code,
        )


def survey(order: TrainingOrder, spec: PretrainSpec, pool: TrainPool) -> TrainingGround:
    """Read what instances say of themselves, find what the training begins with, and look at the output.

    Raises SpecError where the request can't be done.
    """
    _, most = pool.worker_range
    if spec.global_batch < most:
        raise SpecError(
            f"PretrainSpec.global_batch is {spec.global_batch}, less than {most} workers: raise it, or lower "
            "train.workers"
        )
    instances = InstanceOutput.open(order.instances, order.storage)
    begun = begin(order, spec, instances)
    agreed = TrainingSpec.of(begun.spec, _model(begun), _instances(instances))
    output = locate(expand(order.output, agreed.fingerprint), order.storage)
    _apart(instances.location, output, begun.local_model)
    output.check_output()
    keys = [part.key for part in instances.parts if part.num_rows]
    if not keys:
        raise SpecError(
            f"{instances.location} holds no instances to train on: look at its report for what became of the documents"
        )
    beside = [part.held_out for part in instances.parts if part.held_out]
    return TrainingGround(
        order=order,
        pool=pool,
        begun=begun,
        instances=instances,
        train=list_row_groups(instances.location, keys),
        held_out=list_row_groups(instances.location, beside),
        output=output,
        agreed=agreed,
    )


def _model(begun: Begun) -> dict[str, str]:
    return {"reference": begun.beginning.name, "hash": begun.beginning.hash}


def _instances(instances: InstanceOutput) -> dict[str, str]:
    digest = instances_hash(instances.spec.fingerprint, ((part.key, part.num_rows) for part in instances.parts))
    return {"reference": str(instances.location), "hash": digest}


def _apart(instances: Location, output: Location, model: str) -> None:
    """Refuse an output that lies in the instances or in the model, or holds them."""
    for name, place in (("instances", instances.uri), ("model", model)):
        here, there = f"{output.uri.rstrip('/')}/", f"{place.rstrip('/')}/"
        if place and (here.startswith(there) or there.startswith(here)):
            raise SpecError(
                f"the output {output} and the {name} {place} lie in one another: give --output a folder beside"
            )
