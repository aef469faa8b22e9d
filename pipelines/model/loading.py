"""The network of a folder: our own where it is BERT's, transformers' where not, or of a class of the user's."""

from __future__ import annotations

from typing import Any

import torch

from pipelines.model.bert import is_bert, load_bert
from pipelines.model.device import DTYPES, Precision
from pipelines.model.folder import ModelFolder
from pipelines.model.network import Network
from pipelines.spec import DocumentSpec, refuse


def load_network(
    folder: ModelFolder,
    spec: DocumentSpec,
    *,
    device: torch.device,
    precision: Precision,
    path: str = "auto",
    attention: str = "auto",
    compile: bool = False,
) -> Network:
    """The network on its device, for inference.

    ``path`` auto is packed on CUDA in half precision where the network can, else padded. ``attention`` names one of
    transformers', whose network it then is. A class of the user's own is padded always: what it does between tokens is
    not known. SpecError where the folder does not load or can't run as asked.
    """
    packed = asks_for_packed(path, device, precision) and not spec.model_class
    how: dict[str, Any] = {"dtype": DTYPES[precision], "device": device, "packed": packed, "compile": compile}
    ours = attention == "auto" and not spec.model_class and is_bert(folder)
    network = (load_bert(folder, **how) if ours else None) or _load_hugging_face(folder, attention, how, spec)
    check_path(spec, folder, path, network)
    return network


def asks_for_packed(path: str, device: torch.device, precision: Precision) -> bool:
    """Whether rows are to be packed where the network can."""
    return path == "packed" or (path == "auto" and device.type == "cuda" and precision != "float32")


def check_path(spec: DocumentSpec, folder: ModelFolder, path: str, network: Network) -> None:
    """SpecError where the path that is asked for is not the network's."""
    if path == "packed" and network.path != "packed":
        refuse(spec, "model", f"a {folder.model_type} network cannot run packed: choose path padded")


def _load_hugging_face(folder: ModelFolder, attention: str, how: dict[str, Any], spec: DocumentSpec) -> Network:
    from pipelines.model.hugging_face import load_hugging_face  # seconds, which BERT needs not

    told: dict[str, Any] = {"trust_remote_code": spec.trust_remote_code, "model_class": spec.model_class}
    return load_hugging_face(folder, **how, **told, attention=attention)
