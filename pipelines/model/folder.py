"""What a model's folder says about itself, read with the standard library alone: planning needs no torch.

Two kinds of folder are known. A sentence-transformers folder (modules.json, in the layout of versions 1 to 6) tells its
pooling, its further modules, its prompts and its longest input. A plain Hugging Face folder tells none of these: it is
read as sentence-transformers reads it, mean pooling (last_token for a ...ForCausalLM) and no normalization.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

from pipelines.errors import SpecError
from pipelines.model.weight_names import weight_names
from pipelines.spec import DocumentSpec, EmbedSpec, refuse

Spec = TypeVar("Spec", bound=DocumentSpec)

FALLBACK_MAX_SEQLEN = 512
"""Longest input of a model with relative positions that names none itself."""

TRANSFORMER_CONFIGS = ("sentence_bert_config.json", *(f"sentence_{name}_config.json" for name in (
    "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")))  # fmt: skip
POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last_token",
}
LEGACY_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last_token",
}
HEADS = ("Dense", "LayerNorm", "Dropout", "Normalize")
POSITIONS_AFTER_PAD = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "data2vec-text",
                       "roberta-prelayernorm", "xmod", "esm")  # fmt: skip
"""Families whose first position is pad_token_id + 1, so that as many of the table's rows are no positions."""
WEIGHT_PREFIXES = ("bert", "roberta", "albert", "distilbert", "electra", "mpnet")
"""Families whose weights' names begin with theirs, in files with a head."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A module that sentence-transformers applies to the pooled vector: its kind, its folder and its config."""

    kind: str
    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model's folder. ``heads`` are what follows pooling, without a last Normalize, which is ``normalize``."""

    path: Path
    network_path: Path  # config.json, weights and tokenizer
    config: Mapping[str, Any]
    model_type: str
    hidden_size: int
    max_positions: int  # 0: no limit
    max_seqlen: int
    pooling: str  # modes joined by +
    include_prompt: bool
    heads: tuple[Head, ...]
    normalize: bool
    dim: int
    lowercase: bool
    prompts: Mapping[str, str]
    default_prompt_name: str

    @property
    def pad_token_id(self) -> int:
        """Token id of the padding, which no result depends on."""
        pad = self.config.get("pad_token_id")
        return pad if isinstance(pad, int) and pad >= 0 else 0

    @property
    def needs_remote_code(self) -> bool:
        """Whether the network is Python code of the folder's own, since transformers has none for its model_type."""
        transformers = find_spec("transformers")
        if "auto_map" not in self.config or transformers is None or transformers.origin is None:
            return False
        models = Path(transformers.origin).parent / "models"
        return not (models / self.model_type.replace("-", "_")).is_dir()


def read_folder(path: str | Path) -> ModelFolder:
    """What the folder says. SpecError where it holds no model, or one with a module that is not known here."""
    path = Path(path)
    if not path.is_dir():
        raise SpecError(f"{path} is no folder: name one that holds a model (config.json and weights)")
    modules = _read_json(path / "modules.json", default=[])
    network_path, pooling_path, heads = _modules(path, modules)
    config = _read_json(network_path / "config.json", default=None)
    if config is None:
        raise SpecError(f"{network_path} has no config.json: name a folder that holds a model")
    typed = _with_model_type(network_path, config)
    own = _first_json([network_path / name for name in TRANSFORMER_CONFIGS])
    pooled = _read_json(pooling_path / "config.json", default={}) if pooling_path else {}
    st_config = _read_json(path / "config_sentence_transformers.json", default={})
    pooling = _pooling(pooled, config)
    folder = ModelFolder(
        path=path,
        network_path=network_path,
        config=config,
        model_type=typed["model_type"],
        hidden_size=_hidden_size(network_path, config),
        max_positions=num_positions(typed),
        max_seqlen=_max_seqlen(network_path, typed, own),
        pooling=pooling,
        include_prompt=bool(pooled.get("include_prompt", True)),
        heads=heads[:-1] if heads and heads[-1].kind == "Normalize" else heads,
        normalize=bool(heads) and heads[-1].kind == "Normalize",
        dim=0,
        lowercase=bool(own.get("do_lower_case", False)),
        prompts={name: prompt or "" for name, prompt in (st_config.get("prompts") or {}).items()},
        default_prompt_name=st_config.get("default_prompt_name") or "",
    )
    dim = output_dim(folder, pooling)
    return replace(folder, dim=min(dim, int(st_config.get("truncate_dim") or dim)))


def output_dim(folder: ModelFolder, pooling: str) -> int:
    """Numbers of a vector before it is cut to a spec's dim."""
    dim = folder.hidden_size * len(pooling.split("+"))
    for head in folder.heads:
        if head.kind == "Dense":
            if head.config["in_features"] != dim:
                takes = head.config["in_features"]
                raise SpecError(f"{head.path} takes {takes} numbers, pooling {pooling} gives {dim}: write pooling auto")
            dim = int(head.config["out_features"])
    return dim


def resolve(spec: Spec, folder: ModelFolder) -> Spec:
    """The spec with every "auto" but precision made concrete; SpecError where the model cannot do what it asks."""
    if folder.needs_remote_code and not spec.trust_remote_code and not spec.model_class:
        refuse(spec, "trust_remote_code", f"{folder.path} runs Python code of its own: read it, then set this to true")
    resolved = replace(
        spec,
        prompt=document_prompt(folder) if spec.prompt == "auto" else spec.prompt,
        max_seqlen=folder.max_seqlen if spec.max_seqlen == "auto" else spec.max_seqlen,
    )
    if folder.max_positions and int(resolved.max_seqlen) > folder.max_positions:
        refuse(resolved, "max_seqlen", f"{folder.path} has {folder.max_positions} positions, write that at most")
    return cast(Spec, _resolve_vector(resolved, folder)) if isinstance(resolved, EmbedSpec) else resolved


def _resolve_vector(spec: EmbedSpec, folder: ModelFolder) -> EmbedSpec:
    pooling = folder.pooling if spec.pooling == "auto" else spec.pooling
    most = output_dim(folder, pooling)
    own_dim = folder.dim if pooling == folder.pooling else most
    resolved = replace(
        spec,
        pooling=pooling,
        normalize=folder.normalize if spec.normalize == "auto" else spec.normalize,
        dim=own_dim if spec.dim == "auto" else spec.dim,
    )
    if int(resolved.dim) > most:
        refuse(resolved, "dim", f"{folder.path} gives vectors of {most} numbers, write that at most")
    return resolved


def document_prompt(folder: ModelFolder) -> str:
    """What the folder puts before a document: its prompt "document", "passage" or "corpus", else its default prompt.

    A default prompt that is named "query" is for queries, as in ``SentenceTransformer.encode_document``.
    """
    names = ("document", "passage", "corpus", folder.default_prompt_name)
    found = next((name for name in names if name in folder.prompts and name != "query"), "")
    return folder.prompts.get(found, "")


def query_prompt(folder: ModelFolder) -> str:
    """What the folder puts before a query; "" where it says nothing."""
    return folder.prompts.get("query", folder.prompts.get(folder.default_prompt_name, ""))


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise SpecError(f"{path} is no JSON ({error}): fetch the model again") from error


def _first_json(paths: list[Path]) -> dict[str, Any]:
    return next((found for path in paths if (found := _read_json(path, default={}))), {})


def _modules(path: Path, modules: list[dict[str, Any]]) -> tuple[Path, Path | None, tuple[Head, ...]]:
    """Folders of the network and of the pooling, and the heads, from modules.json."""
    if not modules:
        return path, None, ()
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    for kind in kinds[2:]:
        if kind not in HEADS:
            raise SpecError(f"{path}/modules.json has a module {kind}: choose a model with {', '.join(HEADS)} alone")
    if kinds[0] != "Transformer" or kinds[1:2] != ["Pooling"]:
        found = ", ".join(kinds)
        raise SpecError(f"{path}/modules.json begins with {found}: choose a model with Transformer, then Pooling")
    folders = [_inside(path, module["path"]) for module in modules]
    return folders[0], folders[1], tuple(_head(k, f) for k, f in zip(kinds[2:], folders[2:], strict=True))


def _inside(path: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SpecError(f"{path}/modules.json leads out of its folder ({name!r}): choose another model")
    return path / name


def _head(kind: str, path: Path) -> Head:
    config = _read_json(path / "config.json", default={})
    if config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise SpecError(f"{kind} in {path} works on single tokens: choose a model that gives one vector a text")
    return Head(kind=kind, path=path, config=config)


def _pooling(pooled: dict[str, Any], config: dict[str, Any]) -> str:
    if not pooled:
        causal = str((config.get("architectures") or [""])[0]).endswith("ForCausalLM") and config.get("is_causal", True)
        return "last_token" if causal else "mean"
    if "pooling_mode" in pooled:
        modes = pooled["pooling_mode"]
        return "+".join(POOLING_NAMES[mode] for mode in ([modes] if isinstance(modes, str) else modes))
    return "+".join(mode for key, mode in LEGACY_POOLING_KEYS.items() if pooled.get(key)) or "mean"


def _with_model_type(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The config with a model_type, which very old ones lack: it is told by the architecture, else by the weights."""
    if "model_type" in config:
        return config
    architecture = str((config.get("architectures") or [""])[0])
    if architecture:
        return config | {"model_type": architecture.split("For")[0].removesuffix("Model").lower()}
    beginnings = {name.split(".")[0] for name in weight_names(path)}
    found = next((family for family in WEIGHT_PREFIXES if family in beginnings), None)
    if found is None:
        raise SpecError(f'{path}/config.json says of no family: add its "model_type", such as "bert"')
    return config | {"model_type": found}


def _first_int(config: Mapping[str, Any], *names: str) -> int:
    return next((config[name] for name in names if isinstance(config.get(name), int)), 0)


def _hidden_size(path: Path, config: dict[str, Any]) -> int:
    size = _first_int(config, "hidden_size", "d_model", "dim", "n_embd")
    if not size:
        raise SpecError(f"{path}/config.json names no hidden_size: choose a text encoder")
    return size


def num_positions(config: Mapping[str, Any]) -> int:
    """Most tokens that a network of this config takes; 0: any number. The config names its model_type."""
    rows = max(0, _first_int(config, "max_position_embeddings", "n_positions"))
    if config.get("relative_attention") and not config.get("position_biased_input", True):
        return 0
    if config["model_type"] in ("t5", "mt5", "umt5", "longt5"):
        return 0
    if rows and config["model_type"] in POSITIONS_AFTER_PAD:
        return rows - _first_int({"pad_token_id": 1, **config}, "pad_token_id") - 1
    return rows


def _max_seqlen(path: Path, config: dict[str, Any], own: dict[str, Any]) -> int:
    """The folder's own limit, never beyond its positions."""
    positions = num_positions(config)
    kwargs = own.get("processor_kwargs") or own.get("tokenizer_args") or {}
    wish = own.get("max_seq_length") or kwargs.get("model_max_length")
    wish = wish or _read_json(path / "tokenizer_config.json", default={}).get("model_max_length") or 10**30
    limit = int(min(wish, positions or 10**9))
    return limit if limit < 10**9 else FALLBACK_MAX_SEQLEN
