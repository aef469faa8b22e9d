"""What a run stands on: the corpus as it is now, and the output, in agreement about spec, slicing and column types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fsspec.utils import glob_translate

from pipelines.errors import ShardError, SpecError
from pipelines.fingerprint import fingerprint
from pipelines.run.order import Order
from pipelines.spec import CorpusSpec, DocumentSpec, Slicing, Storage
from pipelines.stages.documents import DocumentColumns, columns_for
from pipelines.stages.read import Reading
from pipelines.stages.recipe import RunRecipe
from pipelines.store.location import Location, locate
from pipelines.store.output import KEY as SPEC_KEY
from pipelines.store.output import OutputSpec, claim, expand, read_spec
from pipelines.store.parts import part_key
from pipelines.store.shards import MAGIC, Footer, Shard, list_shards, read_footers

BYTES_A_TOKEN = 2
"""Least bytes of text a token is reckoned with where a part's size is estimated: long chunks of dense scripts."""

ROW_BYTES = 16
"""Bytes of a row in a part beside its vector: an id, some numbers."""

AT_A_TIME = 64
"""Footers read at once in search of a shard that can be used."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Corpus and output of a run."""

    order: Order
    recipe: RunRecipe
    shards: tuple[Shard, ...]
    output: Location
    agreed: OutputSpec
    columns: DocumentColumns
    row_bytes: int
    """Bytes of a row in a part, about."""

    @property
    def slicing(self) -> Slicing:
        """How slices are cut: as the output's first run had it."""
        return self.agreed.slicing

    @property
    def reading(self) -> Reading:
        """How the read stage is to read."""
        return Reading(
            columns=self.columns,
            slicing=self.slicing,
            output_row_bytes=self.row_bytes,
            storage=self.order.storage,
        )

    @property
    def told(self) -> dict[str, str]:
        """What each part's footer, and the manifest's, says of how it was made, quantizing left out."""
        recipe = self.recipe
        names = [name for name in recipe.spec.told if name not in recipe.spec.idle]
        told: dict[str, Any] = {name: getattr(recipe.spec, name) for name in names}
        told |= {**recipe.told, "fingerprint": self.agreed.fingerprint, "source": self.order.documents}
        return {f"manta.{name}": str(value) for name, value in told.items()}

    @property
    def slice_bytes(self) -> int:
        """Most bytes of a slice on its way: its text, or what is made of it."""
        return self.slicing.max_bytes + min(self.slicing.max_output_bytes, self.slicing.max_rows * self.row_bytes)

    @property
    def local_inputs(self) -> list[str]:
        """Paths of documents and model that are on a disk."""
        documents, model = self.order.documents, self.recipe.model
        named = [documents] if isinstance(documents, str) else list(documents)
        if model.kind == "folder":
            named.append(model.resolved)
        places = [locate(name, self.order.storage) for name in named]
        return [place.path for place in places if place.is_local]

    @property
    def local_files(self) -> list[str]:
        """The same, and a file of the output, which is there from the survey on."""
        there = self.output.join(SPEC_KEY)
        return [*self.local_inputs, *([there.path] if there.is_local else [])]


def survey(order: Order, recipe: RunRecipe, settle: Callable[[Location, OutputSpec], OutputSpec] = claim) -> Ground:
    """List the corpus, open the output, and agree with it; a new output is claimed, unless ``settle`` is ``agree``.

    Raises SpecError where corpus or output can't be reached, FingerprintError where another spec has the output.
    """
    listed = list_shards(order.documents, order.storage)
    recipe.spec.check_shards(shard.name for shard in listed)
    shards = order.period.select(listed)
    output = locate(expand(order.output, fingerprint(recipe.spec, recipe.identity.hash)), order.storage)
    refuse_overlap(order, listed, output, part_key("0" * 16, 0, 1))
    output.check_output()
    row_bytes = recipe.output_bytes + ROW_BYTES
    theirs = read_spec(output)
    found = DocumentColumns.from_facts(theirs.columns) if theirs else None
    columns = found or first_columns(order, recipe.spec, shards or listed)
    ours = OutputSpec.of(
        recipe.spec,
        recipe.identity,
        _slicing(order.slicing, recipe.spec, row_bytes),
        columns.facts(),
    )
    agreed = settle(output, ours)
    return Ground(
        order=order, recipe=recipe, shards=tuple(shards), output=output, agreed=agreed,
        columns=DocumentColumns.from_facts(agreed.columns), row_bytes=row_bytes,
    )  # fmt: skip


def refuse_overlap(order: Order, shards: Sequence[Shard], output: Location, part: str) -> None:
    """Refuse an output among the documents, whose parts would be shards to the next run, and the other way round.

    ``part`` is such a part's path under the output. Raises SpecError.
    """
    inside = [shard for shard in shards if shard.uri.startswith(output.uri.rstrip("/") + "/")]
    if inside:
        raise SpecError(
            f"{inside[0].uri} is under the output {output.uri}: give --output a folder that holds none of the documents"
        )
    for root in [order.documents] if isinstance(order.documents, str) else order.documents:
        if would_list(locate(root, order.storage).uri, output.join(part).uri):
            raise SpecError(
                f"the output {output.uri} is among the documents {root}: the next run would take its parts for shards; "
                "give --output a folder beside them"
            )


def would_list(root: str, path: str) -> bool:
    """Whether a file of this path is among the documents of a root (folder, file or glob; both absolute)."""
    magic = MAGIC.search(root)
    folder = root[: magic.start()].rpartition("/")[0] if magic else root.rstrip("/")
    if not path.startswith(f"{folder}/"):
        return False
    names = path[len(folder) + 1 :].split("/")
    if any(name.startswith(("_", ".")) for name in names):
        return False
    pattern = re.compile(glob_translate(root)) if magic else re.compile(re.escape(folder))
    return any(pattern.fullmatch("/".join([folder, *names[:depth]])) for depth in range(len(names) + 1))


class Source(Protocol):
    """Where documents come from."""

    @property
    def storage(self) -> Storage: ...
    @property
    def source(self) -> str:
        """How whoever asks names it."""


def first_columns(order: Source, spec: CorpusSpec, shards: Sequence[Shard]) -> DocumentColumns:
    """The columns as the first shard has them that can be read and has them all."""
    first: ShardError | None = None
    for shard, footer in _footers(shards, order.storage):
        try:
            return _columns_of(shard, footer, spec)
        except ShardError as error:
            first = first or error
    raise SpecError(
        f"none of the {len(shards)} shards can be used; the first: {first}; "
        f"check {order.source}, and the columns that {_flags(spec)} name"
    ) from first


def _flags(spec: CorpusSpec) -> str:
    """Those that name columns."""
    return f"--spec.text, --spec.id and --spec.{'label' if hasattr(spec, 'label') else 'passthrough'}"


def _footers(shards: Sequence[Shard], storage: Storage) -> Iterator[tuple[Shard, Footer | ShardError]]:
    """Footers in the shards' order: the first alone, which mostly will do, and then many at a time."""
    for start, stop in [(0, 1), *((start, start + AT_A_TIME) for start in range(1, len(shards), AT_A_TIME))]:
        found = read_footers(shards[start:stop], storage, AT_A_TIME)
        for shard in shards[start:stop]:
            yield shard, found[shard.shard_id]


def _columns_of(shard: Shard, footer: Footer | ShardError, spec: CorpusSpec) -> DocumentColumns:
    if isinstance(footer, ShardError):
        raise footer
    try:
        return columns_for(spec, footer.schema)
    except ShardError as error:
        raise ShardError(f"{shard.name} {error}") from error


def _slicing(slicing: Slicing, spec: CorpusSpec, row_bytes: int) -> Slicing:
    """The slicing, with smaller slices where chunks overlap so much that a part would be too large."""
    if not isinstance(spec, DocumentSpec) or spec.overlong != "chunk":
        return slicing
    step_tokens = max(1, int(spec.max_seqlen) - 2 - spec.stride)
    vectors = max(1, slicing.max_output_bytes // row_bytes)
    return replace(slicing, max_bytes=min(slicing.max_bytes, vectors * step_tokens * BYTES_A_TOKEN))
