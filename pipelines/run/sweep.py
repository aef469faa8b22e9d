"""Several fine-tunings that differ in some fields of their spec: every combination of what is listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any

from pipelines.finetune_spec import FinetuneSpec
from pipelines.spec import refuse

SHORT = {"model": "model", "learning_rate": "lr", "global_batch": "batch", "seed": "seed"}
"""What a run's name calls a field."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fine-tuning of a sweep."""

    name: str
    spec: FinetuneSpec
    setting: dict[str, Any]
    """What is listed, and its value here, the seed left out."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Values of fields of the spec, each in place of the spec's own; all their combinations are trained."""

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

    @property
    def lists(self) -> dict[str, list[Any]]:
        """What is listed."""
        listed = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: listed[name] for name in SHORT if listed[name]}

    def __bool__(self) -> bool:
        return bool(self.lists)

    def trials(self, spec: FinetuneSpec) -> list[Trial]:
        """All combinations, seeds fastest. SpecError where a value is none that the field takes."""
        lists = self.lists
        found = []
        for values in product(*lists.values()):
            chosen = dict(zip(lists, values, strict=True))
            ours = replace(spec, **chosen)
            setting = {name: value for name, value in chosen.items() if name != "seed"}
            found.append(Trial(name=self._name(chosen), spec=ours, setting=setting, seed=ours.seed))
        return found

    def _name(self, chosen: dict[str, Any]) -> str:
        words = [
            f"{SHORT[name]}{self.model.index(value) if name == 'model' else _number(value)}"
            for name, value in chosen.items()
        ]
        return "-".join(words)


def _number(value: float) -> str:
    return f"{value:g}".replace("e-0", "e-")


def models_of(trials: Sequence[Trial]) -> list[str]:
    """The encoders that the trials begin with, each once."""
    return list(dict.fromkeys(trial.spec.model for trial in trials))
