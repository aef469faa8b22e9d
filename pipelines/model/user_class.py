"""A class of the user's own that loads a network: found by its import path, and held to what it must have.

It subclasses ``transformers.PreTrainedModel`` or one of its heirs, such as BertModel, and gives vectors as wide as the
folder's config says. Its ``from_pretrained`` loads the folder; its forward is called with input_ids, attention_mask and
return_dict.

Shapes: B rows of S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from pipelines.errors import MantaError, SpecError
from pipelines.model.folder import ModelFolder
from pipelines.model.refusal import reason
from pipelines.predict_spec import PredictSpec
from pipelines.spec import DocumentSpec

LARGEST_ERROR = 1e-3
"""By which two ways to the same numbers may differ in float32."""
CPU = torch.device("cpu")


def user_class(path: str) -> Any:
    """The class at an import path, such as my_models.MyBert. SpecError where there is none that can be loaded."""
    from transformers import PreTrainedModel

    module, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")) or module in ("", "__main__"):
        raise SpecError(f"model_class is {path!r}: write MODULE.CLASS, my_models.MyBert for a class in my_models.py")
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:  # whatever a module does where it is imported
        raise SpecError(
            f"model_class {path}: {module} cannot be imported ({reason(error)}): name the folder that holds it by "
            "--user_code, or install its package on every node"
        ) from error
    if not isinstance(found, type):
        raise SpecError(f"model_class {path}: {module} has no class {name}: write MODULE.CLASS")
    if not issubclass(found, PreTrainedModel):
        raise SpecError(
            f"model_class {path} is no subclass of transformers.PreTrainedModel: derive it from BertModel or another "
            "model of transformers"
        )
    return found


def check_user_class(folder: ModelFolder, spec: DocumentSpec) -> None:
    """SpecError where the spec's class can't do what the spec asks: it loads the folder, and two short rows go through.

    The spec is resolved. It takes the time and memory of loading the network, in float32 on the CPU.
    """
    network, mask_head = _loaded(spec, lambda: _equip(folder, spec))
    _check_vectors(network, folder, spec)
    if mask_head:
        _check_logits(network, mask_head, folder, spec)


def _equip(folder: ModelFolder, spec: DocumentSpec) -> tuple[Any, Any]:
    """The network as a run has it on a CPU, and the mask head where the spec needs it."""
    from pipelines.model.loading import load_network
    from pipelines.model.reader import equip

    how: dict[str, Any] = {"device": CPU, "precision": "float32"}
    if not isinstance(spec, PredictSpec):
        return load_network(folder, spec, **how), None
    found = equip(folder, spec, how)
    return found.network, found.mask_head


def _check_vectors(network: Any, folder: ModelFolder, spec: DocumentSpec) -> None:
    """The second row is one token and padding; the token's vector must be as where it stands alone."""
    ids_bs, mask_bs = _two_rows(network)
    hidden_bsd = _vectors(network.module, folder, ids_bs, mask_bs)
    alone_bsd = _vectors(network.module, folder, ids_bs[1:, :1], mask_bs[1:, :1])
    if not _same(hidden_bsd[1:, :1], alone_bsd):
        raise SpecError(
            f"{spec.model_class} gives a token other vectors where padding follows: let its forward heed attention_mask"
        )


def _check_logits(network: Any, mask_head: Any, folder: ModelFolder, spec: DocumentSpec) -> None:
    """Logits are made at masks alone, of the base model and the head: they must be those of the whole."""
    from pipelines.model.hugging_face import load_module

    ids_bs, mask_bs = _two_rows(network)
    whole = load_module(folder, dtype=torch.float32, device=CPU, model_class=spec.model_class)
    logits = _output(whole, ids_bs, mask_bs, "logits")[mask_bs.bool()]
    if not _same(mask_head(network.padded(ids_bs, mask_bs)), logits):
        raise SpecError(
            f"{spec.model_class} gives other logits than its base model and its head: leave the forward of the class "
            "with the head as it is, and change its base model instead"
        )


def _loaded(spec: DocumentSpec, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except MantaError:
        raise
    except Exception as error:  # whatever a class of the user's does
        raise SpecError(
            f"{spec.model_class} does not load {spec.model} ({reason(error)}): its __init__ is called with the config, "
            "and names its weights as the folder does"
        ) from error


def _two_rows(network: Any) -> tuple[Tensor, Tensor]:
    """Ids and mask of two tokens, and of one and padding."""
    first, second = [token for token in range(3) if token != network.pad_id][:2]
    return torch.tensor([[first, second], [first, network.pad_id]]), torch.tensor([[1, 1], [1, 0]])


def _vectors(module: Any, folder: ModelFolder, ids_bs: Tensor, mask_bs: Tensor) -> Tensor:
    """last_hidden_state, [B, S, D]. SpecError where forward gives none, or one of another shape."""
    hidden: Tensor = _output(module, ids_bs, mask_bs, "last_hidden_state")
    expected = (*ids_bs.shape, folder.hidden_size)
    if tuple(hidden.shape) != expected:
        raise SpecError(
            f"{type(module).__name__} gives vectors of shape {tuple(hidden.shape)} for ids of shape "
            f"{tuple(ids_bs.shape)}: make it {expected}, as config.json has the width"
        )
    return hidden


def _output(module: Any, ids_bs: Tensor, mask_bs: Tensor, name: str) -> Any:
    kind = type(module).__name__
    try:
        with torch.inference_mode():
            found = module(input_ids=ids_bs, attention_mask=mask_bs, return_dict=True)
    except Exception as error:  # whatever a class of the user's does
        raise SpecError(
            f"{kind} fails on two tokens ({reason(error)}): its forward is called with input_ids, attention_mask and "
            "return_dict, let it take these and further keywords"
        ) from error
    if not isinstance(getattr(found, name, None), Tensor):
        raise SpecError(
            f"{kind} gives a {type(found).__name__} without {name}: name a class whose forward gives it, as "
            f"{'BertModel' if name == 'last_hidden_state' else 'BertForMaskedLM'}'s does"
        )
    return getattr(found, name)


def _same(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=LARGEST_ERROR, atol=LARGEST_ERROR)
