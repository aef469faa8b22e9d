"""What a sample of the documents that are to be prepared tells: instances are made of it here, as the makers do it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.instances import NUM_TOKENS
from pipelines.run.prepare.instance_counts import InstanceCounts, count_instances
from pipelines.run.prospects.pooled import Documents, Ints, by_place, error_of, pooled
from pipelines.run.prospects.sample import sample_of
from pipelines.schema import SliceHeader, fold, unfold
from pipelines.stages.instances import InstanceMaker
from pipelines.stages.read import Reading, Stretch, slices_at_once
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenizer_recipe import TokenizerRecipe

NUM_DOCUMENTS, SEED = 512, 0
"""Fewer than where documents are embedded: to be worth pairing they are longer."""


@dataclass(frozen=True, kw_only=True)
class SampledInstances:
    """What was made of some documents from all over what is to be done."""

    num_documents: int
    num_dead_letters: int
    counts: InstanceCounts | None
    """None where no document could be read."""
    places: Ints
    """[places, 2]: documents of each place, and the tokens of its instances."""
    seconds: float
    """Of one maker, here."""
    rows: pa.Table
    """The instances, also those that are held out."""

    @property
    def tokens_error(self) -> float:
        """Half the width of the 95 % interval of tokens a document, as a share of it."""
        return error_of(self.places)


def sample_instances(stretches: Sequence[Stretch], reading: Reading, recipe: TokenizerRecipe) -> SampledInstances:
    """Instances of a seeded sample of the stretches' documents; of few of them all. Shards that break are left out.

    Copies are not looked for. StoreError where the world fails.
    """
    maker, sizes = InstanceMaker(recipe), list[int]()
    made: list[tuple[pa.Table, SliceHeader]] = []
    for slices in slices_at_once(sample_of(stretches, NUM_DOCUMENTS, SEED), reading):
        read = [(documents, header) for documents, header in map(unfold, slices) if not header.error]
        for some in _by_weight(read, recipe):
            documents, header = pooled(some, len(sizes), some[0][1].shard)
            sizes += [one.num_documents for _, one in some]
            made.append(unfold(maker(fold(documents, header))))
    return _told(made, np.array(sizes, np.int64), recipe)


def _by_weight(read: Documents, recipe: TokenizerRecipe) -> Iterator[Documents]:
    """The documents of shards that count alike: a slice is of one shard, whose weight is that of all of it."""
    weights = [recipe.spec.weight(header.shard) for _, header in read]
    for weight in sorted(set(weights)):
        yield [one for one, its in zip(read, weights, strict=True) if its == weight]


def _told(made: Documents, documents: Ints, recipe: TokenizerRecipe) -> SampledInstances:
    stats: Counter[str] = Counter()
    for _, header in made:
        stats.update(header.stats)
    rows = pa.concat_tables(table for table, _ in made) if made else pa.table({ROW: [], NUM_TOKENS: []})
    numbers, tokens = (rows[name].to_numpy().astype(np.int64) for name in (ROW, NUM_TOKENS))
    return SampledInstances(
        num_documents=int(documents.sum()),
        num_dead_letters=sum(len(header.dead_letters) for _, header in made),
        counts=count_instances(stats, recipe.spec),
        places=by_place(documents, numbers, tokens),
        seconds=float(stats["tokenize_seconds"] + stats["instances_seconds"]),
        rows=rows,
    )
