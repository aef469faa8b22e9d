"""What a training is asked for beside its spec: the instances, the output, and how to behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import SpecError
from pipelines.spec import Storage


@dataclass(frozen=True, kw_only=True)
class TrainingOrder:
    """The request of a training. Nothing in it decides a weight."""

    instances: str
    """An output of ``jobs.prepare``, local or s3://."""
    output: str
    """Folder for the model, local or s3://; {fingerprint} in it is replaced."""
    resume: bool = False
    """Go on from the newest checkpoint of the output."""
    storage: Storage = Storage()
    user_code: str = ""
    """Folder of Python code that the spec's model_class is in."""
    progress: Literal["auto", "live", "log", "json", "none"] = "auto"

    def __post_init__(self) -> None:
        if not self.instances:
            raise SpecError("no instances are named: give --instances an output of jobs.prepare, local or s3://")
        if not self.output:
            raise SpecError("no output is named: give --output a folder, local or s3://")
