"""The weights of a network under training, to a safetensors file and back."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipelines.errors import SpecError, StoreError
from pipelines.model.pretraining import PretrainingModel


def save_weights(model: PretrainingModel, path: Path) -> None:
    """Write the module's weights, under transformers' names; one that stands at two places is written once.

    OSError where the disk fails.
    """
    tensors = {name: weight.detach().contiguous() for name, weight in _weights(model.module).items()}
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def load_weights(model: PretrainingModel, path: Path) -> None:
    """Put what ``save_weights`` wrote in place of the module's weights, in whatever precision and place they are.

    StoreError where the file is not whole; SpecError where it holds the weights of another network.
    """
    try:
        saved = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreError(f"the weights in {path} do not load ({error}): use an earlier checkpoint") from error
    own = _weights(model.module)
    if strange := sorted(saved.keys() ^ own.keys()):
        raise SpecError(
            f"{path} holds the weights of another network ({len(strange)} names differ, such as {strange[0]}): go on "
            "with the architecture that it was trained with"
        )
    for name, weight in own.items():
        if saved[name].shape != weight.shape:
            raise SpecError(
                f"{path} has {name} as {list(saved[name].shape)}, the network as {list(weight.shape)}: go on with the "
                "architecture that it was trained with"
            )
    for name, weight in own.items():
        weight.data.copy_(saved[name])


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and kept buffers, each once."""
    named = module.state_dict(keep_vars=True)
    first: dict[int, str] = {}
    for name, weight in named.items():
        first.setdefault(id(weight), name)
    return {name: named[name] for name in first.values()}
