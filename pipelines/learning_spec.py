"""What decides a training beside its data and its network, and what only its speed: LearningSpec, TrainPool."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.spec import Auto, refuse

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TIME = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def seconds_of(time: str) -> float:
    """Seconds of "90s", "30m", "2h", "1h30m" or "1d"; 0 of "". ValueError of anything else."""
    found = TIME.findall(time)
    if "".join(number + unit for number, unit in found) != time:
        raise ValueError(f"{time!r} is no time")
    return sum(float(number) * SECONDS[unit] for number, unit in found)


@dataclass(frozen=True, kw_only=True)
class LearningSpec:
    """What decides how a network learns. Order and dropout are functions of the seed."""

    model_class: str = ""
    """Import path of a class of your own that makes the network, such as my_models.MyBert; "": the model's own."""
    max_steps: int = 0
    """Train for so many steps."""
    max_tokens: int = 0
    """Train for so many tokens, padding not counted, in place of steps."""
    time_budget: str = ""
    """Train for so long, such as 90s, 30m, 2h or 1h30m, in place of steps."""
    global_batch: int = 256
    """Instances of a step, on all workers together."""
    learning_rate: float = 1e-4
    """Greatest learning rate."""
    schedule: Literal["linear", "wsd", "constant"] = "linear"
    """After the warm-up: down in a line, or (wsd) level and down in a line at the end, or level."""
    warmup: float = 0.01
    """Share of the training in which the learning rate rises from 0."""
    decay: float = 0.1
    """Share of the training in which it falls to 0 at the end (schedule=wsd)."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, on all weights but biases and norms."""
    betas: tuple[float, float] = (0.9, 0.999)
    """How much AdamW keeps of its two moments."""
    epsilon: float = 1e-6
    """Least denominator of AdamW."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this length; 0: as they are."""
    dropout: float | Auto = "auto"
    """Dropout of the layers and of attention; auto: as the architecture has it."""
    num_streams: int = 64
    """Orderly stretches of an epoch that are read side by side; a divisor of global_batch keeps reads few."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the products (autocast); auto: bfloat16 where the processor is faster in it. Weights are float32."""
    max_eval_instances: int = 4096
    """Held-out instances of an evaluation; the same each time."""
    seed: int = 0
    """Decides first weights, order and dropout."""
    trust_remote_code: bool = False
    """Run Python code that the model folder carries. Only for folders whose code you have read."""

    def __post_init__(self) -> None:
        self._check_length()
        for name in ("global_batch", "num_streams", "max_eval_instances"):
            if getattr(self, name) < 1:
                refuse(self, name, "write a number of at least 1")
        for name in ("warmup", "decay", "weight_decay"):
            if not 0 <= getattr(self, name) <= 1:
                refuse(self, name, "write a share from 0 to 1")
        for name in ("learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                refuse(self, name, "write a number above 0")
        if self.max_grad_norm < 0:
            refuse(self, "max_grad_norm", "write a length, or 0 for gradients as they are")
        if not all(0 <= beta < 1 for beta in self.betas):
            refuse(self, "betas", "write two numbers from 0 to below 1")
        if self.dropout != "auto" and not 0 <= self.dropout < 1:
            refuse(self, "dropout", "write auto, or a share from 0 to below 1")

    @property
    def lengths(self) -> dict[str, int | float | str]:
        """The fields that say how long the training is; one of them is given."""
        return {"max_steps": self.max_steps, "max_tokens": self.max_tokens, "time_budget": self.time_budget}

    @property
    def budget_seconds(self) -> float:
        """Seconds of the time budget; 0: none."""
        return seconds_of(self.time_budget)

    @property
    def idle(self) -> frozenset[str]:
        """Fields that decide nothing here, so that they are not fingerprinted."""
        names = set() if self.schedule == "wsd" else {"decay"}
        return frozenset(names if self.model_class else names | {"model_class"})

    def _check_length(self) -> None:
        for name, value in self.lengths.items():
            if not isinstance(value, str) and value < 0:
                refuse(self, name, "write a number above 0")
        try:
            seconds_of(self.time_budget)
        except ValueError:
            refuse(self, "time_budget", "write a time such as 90s, 30m, 2h or 1h30m")
        given = [name for name, value in self.lengths.items() if value]
        if len(given) != 1:
            fact = " and ".join(f"{name}={getattr(self, name)}" for name in given) or "no length of the training"
            *others, last = self.lengths
            raise SpecError(f"{type(self).__name__} has {fact}: write one of {', '.join(others)} and {last}")


@dataclass(frozen=True, kw_only=True)
class TrainPool:
    """Workers that train, what they have, and how often they keep and tell what they did. Decides the speed alone."""

    workers: int | str = 1
    """Workers: a number, or a range such as 2-8, within which the training follows the cluster."""
    num_gpus: int | Auto = "auto"
    """GPUs a worker: 0 on a CPU machine."""
    num_cpus: float | Auto = "auto"
    """Logical CPUs a worker."""
    num_threads: int | Auto = "auto"
    """Threads of a worker's network on a CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto: cuda where the worker has a GPU."""
    token_budget: int | Auto = "auto"
    """Most tokens of a micro-batch, padding counted; auto: as many as fit."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more work."""
    compile: bool = False
    """Run the network through torch.compile."""
    checkpoint_steps: int = 1000
    """Steps between checkpoints; 0: by time alone."""
    checkpoint_minutes: float = 15.0
    """Minutes after which there is a checkpoint in any case; 0: by steps alone."""
    keep: int = 3
    """Newest checkpoints that are kept, beside the best."""
    eval_steps: int = 500
    """Steps between evaluations on the held-out split; 0: at the end alone. A fine-tuning has one an epoch at least,
    and delivers the best of what was evaluated."""
    log_steps: int = 10
    """Steps between lines of the log, and points of the curves."""
    max_failures: int = 3
    """Failures of workers that are survived, each by a restart from the newest checkpoint; -1: any number."""
    resize_minutes: float = 5.0
    """Minutes between looks whether a range of workers may be more of them, or has to be fewer. Each change is a
    restart of all, from a checkpoint that is made for it."""
    trace: bool = False
    """Keep which instances each step was made of, under the output's _manta/trace/."""

    def __post_init__(self) -> None:
        self.worker_range  # noqa: B018  refuses what is no number and no range
        for name, least in (("num_cpus", 0), ("num_gpus", 0), ("num_threads", 1), ("token_budget", 1)):
            value = getattr(self, name)
            if value != "auto" and value < least:
                refuse(self, name, f"write auto, or a number of at least {least}")
        for name, least in (("keep", 1), ("log_steps", 1), ("checkpoint_steps", 0), ("checkpoint_minutes", 0),
                            ("eval_steps", 0), ("max_failures", -1), ("resize_minutes", 0)):  # fmt: skip
            if getattr(self, name) < least:
                refuse(self, name, f"write a number of at least {least}")
        if not self.checkpoint_steps and not self.checkpoint_minutes:
            refuse(self, "checkpoint_steps", "write a number, or set checkpoint_minutes: a training needs checkpoints")
        if self.device == "cuda" and self.num_gpus == 0:
            refuse(self, "device", "a worker without a GPU cannot use cuda: set num_gpus")

    @property
    def worker_range(self) -> tuple[int, int]:
        """Fewest and most workers."""
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(self.workers))
        least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= least <= most:
            refuse(self, "workers", "write a number of at least 1, or a range such as 2-8")
        return least, most

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change during the training."""
        least, most = self.worker_range
        return least < most
