"""Several fine-tunings that differ in some fields of their spec: every combination of what is listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any
from urllib.parse import quote

from pipelines.finetune_spec import FinetuneSpec, Task
from pipelines.spec import refuse

SHORT = {"label": "", "model": "model", "learning_rate": "lr", "global_batch": "batch", "seed": "seed"}
"""What a run's name calls a field."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fine-tuning of a sweep."""

    name: str
    spec: FinetuneSpec
    setting: dict[str, Any]
    """What is listed, and its value here, label and seed left out."""
    seed: int
    label: str = ""
    """Column of the labels where several are listed, each a task of its own; "" where there is one task."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Values of fields of the spec, each in place of the spec's own; all their combinations are trained.

    As many at once as the cluster has room for: on CPUs a run takes a node's, but for train.num_cpus.
    """

    label: list[str] | dict[str, Task] = field(default_factory=list)
    """Columns of labels, each a task of its own, with a best model of its own; "{topic: classification, stars:
    regression}" where they are not all of spec.task."""
    learning_rate: list[float] = field(default_factory=list)
    """Greatest learning rates."""
    global_batch: list[int] = field(default_factory=list)
    """Examples of a step."""
    seed: list[int] = field(default_factory=list)
    """Seeds: results are means over them."""
    model: list[str] = field(default_factory=list)
    """Encoders to begin with."""

    def __post_init__(self) -> None:
        for name, values in self.lists.items():
            if len(set(values)) < len(values):
                refuse(self, name, "write each value once")
        if "" in self.label:
            refuse(self, "label", "name columns")

    @property
    def lists(self) -> dict[str, list[Any]]:
        """What is listed."""
        listed = {one.name: list(getattr(self, one.name)) for one in fields(self)}
        return {name: listed[name] for name in SHORT if listed[name]}

    def __bool__(self) -> bool:
        return bool(self.lists)

    def trials(self, spec: FinetuneSpec) -> list[Trial]:
        """All combinations, seeds fastest. SpecError where a value is none that the field takes."""
        lists = self.lists
        found = []
        for values in product(*lists.values()):
            chosen = dict(zip(lists, values, strict=True))
            label = chosen.get("label", "")
            task = self.label.get(label, spec.task) if isinstance(self.label, dict) else spec.task
            ours = replace(spec, **chosen, task=task)
            setting = {name: value for name, value in chosen.items() if name not in ("label", "seed")}
            found.append(Trial(name=self._name(chosen), spec=ours, setting=setting, seed=ours.seed, label=label))
        return found

    def _name(self, chosen: dict[str, Any]) -> str:
        return "-".join(f"{SHORT[name]}{self._word(name, value)}" for name, value in chosen.items())

    def _word(self, name: str, value: Any) -> str:
        if name == "label":
            return folder_of(value)
        return str(self.model.index(value)) if name == "model" else _number(value)


def folder_of(label: str) -> str:
    """A folder's name that is one column's alone: letters and digits as they are, the rest as in a URL."""
    return re.sub(r"[^\w.-]", lambda found: quote(found[0], safe=""), label)


def _number(value: float) -> str:
    return f"{value:g}".replace("e-0", "e-")


def models_of(trials: Sequence[Trial]) -> list[str]:
    """The encoders that the trials begin with, each once."""
    return list(dict.fromkeys(trial.spec.model for trial in trials))
