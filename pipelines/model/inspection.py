"""What a network computes on its way: hidden states, the pooler's output, attention.

By transformers' own forward pass, a chunk at a time and in float32, whatever precision and path a job runs in: this is
for looking at a text, not for a corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import SpecError
from pipelines.model.abilities import INSIDES
from pipelines.model.folder import ModelFolder
from pipelines.model.hugging_face import load_module, set_attention
from pipelines.model.weight_names import weight_names
from pipelines.spec import DocumentSpec

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Insides:
    """What a network computed of a chunk: S tokens, width D, L layers of H heads. None: it was not asked for."""

    hidden_states: Floats | None = None  # [L + 1, S, D], the embeddings first
    pooler_output: Floats | None = None  # [D]
    attentions: Floats | None = None  # [L, H, S, S], how much each token takes from each; rows sum to 1


class Inspector:
    """A network that is looked into. SpecError for names that are none of ``INSIDES``, and where it has no pooler."""

    def __init__(self, folder: ModelFolder, spec: DocumentSpec, names: Sequence[str], *, device: str = "cpu") -> None:
        self._folder, self._names = folder, tuple(names)
        if unknown := [name for name in names if name not in INSIDES]:
            raise SpecError(f"a network has no {unknown[0]!r} inside: choose among {', '.join(INSIDES)}")
        # One that the files lack would be loaded with random numbers.
        if "pooler_output" in names and not any("pooler" in name for name in weight_names(folder.network_path)):
            raise self._lacking("pooler_output")
        module: Any = load_module(
            folder,
            dtype=torch.float32,
            device=torch.device(device),
            trust_remote_code=spec.trust_remote_code,
            model_class=spec.model_class,
        )
        self._module = module.base_model  # a class of the user's own may have a head
        set_attention(self._module, "eager")  # the faster ones never hold the matrix that is asked for

    def inspect(self, ids: Ids, token_types: Ids | None = None) -> Insides:
        """What the network computes of one chunk: its token ids [S], special tokens among them, and their types [S].

        Without types all are 0. Of a model with an encoder and a decoder it is the encoder. SpecError where the network
        does not tell what is asked.
        """
        ids_bs = torch.from_numpy(ids.astype(np.int64))[None].to(self._module.device)
        typed = {}
        if token_types is not None:
            typed["token_type_ids"] = torch.from_numpy(token_types.astype(np.int64))[None].to(ids_bs.device)
        with torch.inference_mode():
            outputs = self._module(
                input_ids=ids_bs,
                **typed,
                attention_mask=torch.ones_like(ids_bs),
                output_hidden_states="hidden_states" in self._names,
                output_attentions="attentions" in self._names,
                return_dict=True,
            )
        return Insides(**{name: self._found(outputs, name) for name in self._names})

    def _found(self, outputs: Any, name: str) -> Floats:
        found = getattr(outputs, name, None)
        if found is None or (not isinstance(found, torch.Tensor) and any(layer is None for layer in found)):
            raise self._lacking(name)
        layers = found if isinstance(found, torch.Tensor) else torch.stack([layer.cpu() for layer in found])
        numbers: Floats = (layers[0] if isinstance(found, torch.Tensor) else layers[:, 0]).float().cpu().numpy()
        return numbers

    def _lacking(self, name: str) -> SpecError:
        others = " or ".join(other for other in INSIDES if other != name)
        family = self._folder.model_type or "network"
        return SpecError(f"the {family} in {self._folder.path} gives no {name}: look at {others} instead")
