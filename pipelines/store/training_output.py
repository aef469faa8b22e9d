"""What an output of a training holds: ``_manta/spec.json``, and whether a training may begin or go on there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.errors import FingerprintError, SpecError
from pipelines.fingerprint import canonical, differences, fingerprint
from pipelines.store.location import Location
from pipelines.store.output import KEY, UNTOUCHED

FORMAT = 1
MODEL = "config.json"
BEGINNINGS = {"PretrainSpec": "architecture"}
"""Field that names what a training begins with, by the class of its spec, where it is not "model"."""
FINISHED = "_manta/finished.json"
"""Written last, after the model: the training came to its end."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What made a model: the content of spec.json."""

    fingerprint: str
    kind: str
    """The class of the spec, PretrainSpec."""
    spec: dict[str, Any]
    """The resolved spec, as ``pipelines.fingerprint.canonical`` gives it."""
    model: dict[str, str]
    """What it begins with: its reference, and the hash of its files or of its config."""
    instances: dict[str, str]
    """What it is trained on: where that was, and the hash of ``instances_hash``."""

    @classmethod
    def of(cls, spec: object, model: Mapping[str, str], instances: Mapping[str, str]) -> TrainingSpec:
        """From a resolved spec. ``model`` and ``instances`` have a "reference" and a "hash"."""
        both = hashlib.sha256(f"{model['hash']}\0{instances['hash']}".encode()).hexdigest()
        return cls(
            fingerprint=fingerprint(spec, both),
            kind=type(spec).__name__,
            spec=json.loads(json.dumps(canonical(spec))),  # what is read back is equal
            model=dict(model),
            instances=dict(instances),
        )

    def to_json(self) -> bytes:
        """Content of spec.json."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> TrainingSpec:
        """What ``to_json`` wrote. Raises ValueError where it is not that."""
        values = json.loads(data)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}, which this version of Manta reads")
        try:
            return cls(**values)
        except TypeError:
            raise ValueError(f"it is what made results of another kind ({values.get('kind')})") from None


def instances_hash(fingerprint: str, parts: Iterable[tuple[str, int]]) -> str:
    """Hash of instances: of what made them, and of which parts of how many rows there are, in order of reading."""
    text = "\n".join([fingerprint, *(f"{key} {num_rows}" for key, num_rows in parts)])
    return hashlib.sha256(text.encode()).hexdigest()


def claim(output: Location, ours: TrainingSpec, newest_step: int | None, *, resume: bool) -> None:
    """Let a training begin in an output, or go on where there is a checkpoint, which has to be asked for.

    Raises SpecError where it may not begin there, FingerprintError where what is there was made by another spec.
    """
    theirs = _read(output)
    if newest_step is None:
        _refuse_others(output, ours)
        output.put(KEY, ours.to_json())
        return
    if not resume:
        raise SpecError(
            f"{output} has a checkpoint of step {newest_step:,}: go on from it with --resume, or name another --output"
        )
    if theirs is None:
        raise FingerprintError(
            f"{output} has checkpoints but no {KEY}, so it is unknown what made them; {UNTOUCHED}: restore that file, "
            "or name another --output"
        )
    if theirs.fingerprint != ours.fingerprint:
        raise FingerprintError(
            f"{output} has checkpoints of another training: {'; '.join(_differences(ours, theirs))}; {UNTOUCHED}: go "
            f"on with what it began with, or begin another from its weights ({_flag(ours)} {output} --output ...)"
        )


def _read(output: Location) -> TrainingSpec | None:
    try:
        return TrainingSpec.from_json(output.read(KEY))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FingerprintError(
            f"{output.join(KEY)} is not of a training ({error}); {UNTOUCHED}: name another --output"
        ) from None


def _refuse_others(output: Location, ours: TrainingSpec) -> None:
    """SpecError where there is a model, or parts of another job: a training would write over them."""
    if output.stat(MODEL):
        raise SpecError(
            f"{output} holds a model already, and no checkpoint to go on from: name another --output (to begin with "
            f"its weights: {_flag(ours)} {output})"
        )
    part = next((entry.key for entry in output.list("parts/")), None)
    if part is not None:
        raise SpecError(f"{output} holds parts of another job (such as {part}): name another --output")


def _flag(ours: TrainingSpec) -> str:
    """The flag that names what a training begins with."""
    return f"--spec.{BEGINNINGS.get(ours.kind, 'model')}"


def _differences(ours: TrainingSpec, theirs: TrainingSpec) -> list[str]:
    """The fields that differ; model and instances count by their hashes, and are told by their names too."""
    facts = []
    for one, other in ((ours, theirs), (theirs, ours)):
        told = dict(one.spec)
        for name in ("model", "instances"):
            mine, its = getattr(one, name), getattr(other, name)
            if mine["hash"] != its["hash"]:
                told[name] = f"{mine['reference']} (hash {mine['hash'][:12]})"
        facts.append(told)
    return differences(*facts)
