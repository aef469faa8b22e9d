"""One checkpoint: what a training needs to go on, as files, of which the last one says that all are there.

    model.safetensors      weights, by name
    optimizer.safetensors  the optimizer's state, by name of weight
    history.jsonl          points of the curves so far
    state.json             where the training is, and size and SHA-256 of the others; written last

Randomness has no state to keep: masks, order and dropout are functions of the seed and of the instances.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipelines.store.digests import content_digest
from pipelines.store.location import Location

FORMAT = 2
MODEL, OPTIMIZER, HISTORY, STATE = "model.safetensors", "optimizer.safetensors", "history.jsonl", "state.json"
OS_ERROR = re.compile(r"\(os error (\d+)\)")


class CorruptError(Exception):
    """Files of a checkpoint are not what was written; the message is a clause that says which, and how."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a training is."""

    step: int = 0
    position: int = 0
    """Instances consumed, through all epochs: the next one's number."""
    tokens: int = 0
    seconds: float = 0.0
    """Time that it took so far, over all runs."""
    tally: Mapping[str, Any] = field(default_factory=dict)
    """Sums of the steps since the last point of the curves: ``pipelines.train.meter.Tally``."""
    merit: float | None = None
    """How good it is by an evaluation, where this very step was evaluated: greater is better."""
    best_merit: float | None = None
    """The greatest so far; None where nothing was evaluated."""
    best_step: int = 0
    """The step that had it."""
    num_worse: int = 0
    """Evaluations since then, none of which was better."""

    def judged(self, merit: float) -> State:
        """The same after an evaluation. A merit that is no number is worse than any."""
        if math.isnan(merit) or (self.best_merit is not None and merit <= self.best_merit):
            return replace(self, merit=merit, num_worse=self.num_worse + 1)
        return replace(self, merit=merit, best_merit=merit, best_step=self.step, num_worse=0)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a training needs to go on."""

    state: State
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    history: list[dict[str, Any]]


def nobody_minds() -> None:
    """It may be committed."""


def write(
    output: Location,
    folder: str,
    checkpoint: Checkpoint,
    identity: Mapping[str, str],
    guard: Callable[[], None] = nobody_minds,
) -> int:
    """Write a checkpoint under this key; its bytes.

    It is not committed where the world fails, StoreError, nor where ``guard``, asked right before, raises.
    """
    history = "".join(json.dumps(row) + "\n" for row in checkpoint.history).encode()
    files: dict[str, Callable[[Path], None]] = {
        MODEL: lambda path: _save(checkpoint.weights, path),
        OPTIMIZER: lambda path: _save(checkpoint.optimizer, path),
        HISTORY: lambda path: _write(history, path),
    }
    facts = {name: _publish(output, f"{folder}/{name}", make) for name, make in files.items()}
    content = {"format": FORMAT, "identity": dict(identity), "files": facts, **asdict(checkpoint.state)}
    guard()
    output.put(f"{folder}/{STATE}", _sealed(content))
    return sum(size for size, _ in facts.values())


def read(output: Location, folder: str) -> Checkpoint:
    """The committed checkpoint under this key; CorruptError where it is not what was written."""
    content = read_state(output, folder)
    with tempfile.TemporaryDirectory(prefix="manta-") as aside:
        paths = {name: _checked(output, folder, name, facts, Path(aside)) for name, facts in content["files"].items()}
        fields = {name: content[name] for name in State.__dataclass_fields__}
        return Checkpoint(
            state=State(**fields),
            weights=load_file(paths[MODEL]),
            optimizer=load_file(paths[OPTIMIZER]),
            history=[json.loads(line) for line in paths[HISTORY].read_text().splitlines()],
        )


def read_state(output: Location, folder: str) -> dict[str, Any]:
    """Content of state.json; CorruptError."""
    try:
        content = json.loads(output.read(f"{folder}/{STATE}"))
        seal = content.pop("seal")
    except FileNotFoundError:
        raise CorruptError(f"{STATE} is gone") from None
    except (ValueError, KeyError, AttributeError):
        raise CorruptError(f"{STATE} cannot be read (it ends too early, or is no JSON)") from None
    if seal != _seal(content):
        raise CorruptError(f"{STATE} is not what was written")
    if content["format"] != FORMAT:
        raise CorruptError(f"it is of format {content['format']}, and this version of Manta reads {FORMAT}")
    return content


def _write(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        number = OS_ERROR.search(str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error)) from error


def _publish(output: Location, key: str, make: Callable[[Path], None]) -> tuple[int, str]:
    """Size and SHA-256 of the file that was published."""
    digests = []

    def make_and_look(path: Path) -> None:
        make(path)
        digests.append(content_digest(path))

    return output.put_written(key, make_and_look).size, digests[-1]


def _checked(output: Location, folder: str, name: str, facts: tuple[int, str], aside: Path) -> Path:
    try:
        path = output.on_disk(f"{folder}/{name}", aside)
        size, digest = path.stat().st_size, content_digest(path)
    except OSError as error:
        raise CorruptError(f"{name} cannot be read ({error.strerror or error})") from None
    if [size, digest] != list(facts):
        raise CorruptError(f"{name} is not what was written ({size} bytes for {facts[0]})")
    return path


def _sealed(content: dict[str, Any]) -> bytes:
    return json.dumps({**content, "seal": _seal(content)}, indent=2, sort_keys=True).encode()


def _seal(content: dict[str, Any]) -> str:
    """Hash of all that a state says."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
