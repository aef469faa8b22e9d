"""A folder's network as transformers builds it, from local files alone: every family, and the plain path."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cached_property
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder
from pipelines.model.network import Path, Work, first_position
from pipelines.model.prepack import can_prepack, prepack
from pipelines.model.registry import PACKED, PADDED, register
from pipelines.model.user_class import user_class

ENCODER_HALVES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
}
"""Models with a decoder, of which the encoder alone is loaded."""


@dataclass(frozen=True)
class HuggingFaceNetwork:
    """A ``pipelines.model.network.Network`` around a module of transformers."""

    module: Any
    path: Path
    first_position: int
    work: Work

    @property
    def pad_id(self) -> int:
        """Token id of the padding."""
        return getattr(self.module.config, "pad_token_id", None) or 0

    @property
    def vocab_size(self) -> int:
        """Token ids that the network knows."""
        return int(self.module.config.vocab_size)

    @cached_property
    def has_types(self) -> bool:
        """Whether the network knows a second type of tokens."""
        takes = takes_keyword(self.module, "token_type_ids")
        return takes and int(getattr(self.module.config, "type_vocab_size", 0) or 0) > 1

    def padded(self, input_ids_bs: Tensor, attention_mask_bs: Tensor, token_types_bs: Tensor | None = None) -> Tensor:
        """See ``Network``."""
        found = self.module(
            input_ids=input_ids_bs, attention_mask=attention_mask_bs, return_dict=True, **self._types(token_types_bs)
        )
        hidden_td: Tensor = found.last_hidden_state[attention_mask_bs.bool()]
        return hidden_td

    def packed(
        self,
        input_ids_t: Tensor,
        position_ids_t: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        token_types_t: Tensor | None = None,
    ) -> Tensor:
        """See ``Network``."""
        found = self.module(
            input_ids=input_ids_t[None], position_ids=(position_ids_t + self.first_position)[None], return_dict=True,
            cu_seq_lens_q=cu_seqlens, cu_seq_lens_k=cu_seqlens, max_length_q=max_seqlen, max_length_k=max_seqlen,
            **self._types(None if token_types_t is None else token_types_t[None]),
        )  # fmt: skip
        hidden_td: Tensor = found.last_hidden_state[0]
        return hidden_td

    def _types(self, token_types: Tensor | None) -> dict[str, Tensor]:
        return {} if token_types is None or not self.has_types else {"token_type_ids": token_types}


def load_hugging_face(
    folder: ModelFolder,
    *,
    dtype: torch.dtype,
    device: torch.device,
    packed: bool = False,
    attention: str = "auto",
    compile: bool = False,
    trust_remote_code: bool = False,
    model_class: str = "",
) -> HuggingFaceNetwork:
    """The network for inference, packed where that is asked for and it can, else padded.

    ``attention`` is a name in transformers' registry; auto: the fastest that the network takes. SpecError as
    ``load_module``.
    """
    how: dict[str, Any] = {"dtype": dtype, "device": device, "trust_remote_code": trust_remote_code}
    module = load_module(folder, **how, model_class=model_class)
    return as_network(module, folder, packed=packed, attention=attention, compile=compile)


def as_network(
    module: Any, folder: ModelFolder, *, packed: bool = False, attention: str = "auto", compile: bool = False
) -> HuggingFaceNetwork:
    """A module that is loaded already as a network, with the attention and path of ``load_hugging_face``."""
    dtype, on_cpu = module.dtype, module.device.type == "cpu"
    packs = packed and can_pack(module) and set_attention(module, PACKED)
    if not packs and attention != "auto":
        set_attention(module, attention)
    elif not packs and on_cpu and dtype != torch.float32:
        set_attention(module, PADDED)
    work = work_of(module)
    plain = attention != "auto" or compile
    if on_cpu and dtype != torch.float16 and not plain and can_prepack():
        prepack(module)
    if compile:
        module.compile(dynamic=True)
    return HuggingFaceNetwork(module, "packed" if packs else "padded", first_position(folder), work)


def load_module(
    folder: ModelFolder,
    *,
    dtype: torch.dtype,
    device: torch.device,
    trust_remote_code: bool = False,
    maker: str = "",
    model_class: str = "",
    needs_pooler: bool = False,
    **fields: Any,
) -> nn.Module:
    """The network in inference mode, with the attention that transformers prefers for it.

    ``maker`` names the class of transformers that loads it, "": the one for the network alone; a ``model_class`` of the
    user's own goes before (``pipelines.model.user_class``). ``fields`` of the config count in place of the folder's.

    Weights come from safetensors, or from .bin files through weights_only loading. SpecError where the folder cannot
    be loaded, lacks weights that are needed (of a pooler only where that is said), or has them in other shapes.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # what is missing is refused below, what is beside it is no fault
    own = user_class(model_class) if model_class else None
    loader: Any = own or getattr(transformers, maker or ENCODER_HALVES.get(folder.model_type, "AutoModel"))
    try:
        module, info = loader.from_pretrained(
            folder.network_path,
            config=_config(folder, own, trust_remote_code, fields),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, in words
        )
    except (OSError, ValueError, ImportError, UnpicklingError) as error:
        raise SpecError(f"{folder.network_path} does not load: {error}") from error
    missing = sorted(name for name in info["missing_keys"] if needs_pooler or "pooler" not in name.split("."))
    if missing:
        raise SpecError(
            f"{folder.network_path} lacks {len(missing)} weights such as {missing[0]}: fetch the model again"
        )
    if mismatched := sorted(str(name) for name, *_ in info["mismatched_keys"]):
        raise SpecError(
            f"{folder.network_path} has {len(mismatched)} weights such as {mismatched[0]} in other shapes than its "
            "config.json tells of: correct that (the labels in id2label, say) or fetch the model again"
        )
    return module.to(device).eval().requires_grad_(False)


def _config(folder: ModelFolder, own: Any, trust_remote_code: bool, fields: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    if own and own.config_class:
        return own.config_class.from_pretrained(folder.network_path, local_files_only=True, **fields)
    if "model_type" not in folder.config:
        return AutoConfig.for_model(folder.model_type, **{**folder.config, **fields})
    return AutoConfig.from_pretrained(
        folder.network_path, local_files_only=True, trust_remote_code=trust_remote_code, **fields
    )


def work_of(module: Any) -> Work:
    """What the network computes. ALBERT's layers share the weights of a few groups, which count at each use."""
    config = module.config
    tables = [child.weight for child in module.modules() if isinstance(child, nn.Embedding)]
    work = Work.of(module.parameters(), tables, config.hidden_size * config.num_hidden_layers)
    if config.model_type != "albert":
        return work
    shared = sum(weight.numel() for weight in module.encoder.albert_layer_groups.parameters())
    again = shared * (config.num_hidden_layers // config.num_hidden_groups - 1)
    return replace(work, num_weights=work.num_weights + again)


def set_attention(module: Any, attention: str) -> bool:
    """Use this attention of transformers' registry; False, and nothing changed, where the network cannot.

    Ours is for networks that ask the registry, and for no variant of attention that it does not know.
    """
    register()
    ours = attention in (PACKED, PADDED)
    capped = any("softcap" in name and value for name, value in module.config.to_dict().items())
    if (ours and (capped or not module._supports_attention_backend)) or not module._can_set_attn_implementation():
        return False
    module.set_attn_implementation(attention)
    return True


def takes_keyword(module: Any, name: str) -> bool:
    """Whether a module's forward names the keyword, or hands further ones on to a class above whose forward does."""
    forwards = (vars(kind)["forward"] for kind in type(module).__mro__ if "forward" in vars(kind))
    for forward in forwards:
        parameters = inspect.signature(forward).parameters
        if name in parameters:
            return True
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return False
    return False


def can_pack(module: Any) -> bool:
    """Whether the network takes the positions that chunks end to end need, and has heads the kernel knows.

    Absolute and rotary positions can be given, relative ones cannot; the kernel takes multiples of 8 up to 256.
    """
    config = module.config.to_dict()
    relative = any(value for name, value in config.items() if name.startswith("relative_attention"))
    width = config.get("head_dim") or module.config.hidden_size // module.config.num_attention_heads
    takes_positions = "position_ids" in inspect.signature(module.forward).parameters
    return takes_positions and not relative and width % 8 == 0 and width <= 256
