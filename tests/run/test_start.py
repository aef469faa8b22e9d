"""Where a run gets its actors: the placement of a real run on the session's Ray, and the arithmetic before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.data import DataContext

from pipelines.errors import SpecError
from pipelines.run.order import Order
from pipelines.run.placement import Actors
from pipelines.run.start import Pools, num_parameters, pools_for
from pipelines.run.trunk import open_run
from pipelines.spec import EmbedSpec, EncodePool, Slicing, TokenizePool
from pipelines.stages.actors import ActorPool
from pipelines.stages.recipe import Recipe
from tests.tiny import FLAT, write_shard


def test_a_run_gets_pools_that_fit_the_cluster(
    ray_session: None, data_context: DataContext, tiny_model: Path, tmp_path: Path
) -> None:
    write_shard(tmp_path / "corpus/a.parquet", 40)
    order = Order(
        job="embed", documents=str(tmp_path / "corpus"), output=str(tmp_path / "vectors"), progress="none",
        slicing=Slicing(max_rows=4),
    )  # fmt: skip
    recipe = Recipe.of(EmbedSpec(model=str(tiny_model)))
    with open_run(order, recipe) as run:
        pools = pools_for(run, TokenizePool(), EncodePool())
        assert pools.placement.cpus <= 4
        assert pools.encode.max == 1
        assert (pools.tokenize.min, pools.write.min) == (1, 1)
        assert DataContext.get_current().target_max_block_size == 1
        with pytest.raises(SpecError, match="an encode actor takes 64 CPUs"):
            pools_for(run, TokenizePool(), EncodePool(num_cpus=64))
        with pytest.raises(SpecError, match="no node has a GPU"):
            pools_for(run, TokenizePool(), EncodePool(num_gpus=1))
    assert data_context.target_max_block_size != 1


def test_pools_are_read_off_a_placement() -> None:
    from dataclasses import replace

    place = replace(FLAT, read_tasks=3, read_cpus=0.5, encode_actors=Actors(1, 8, 8), encode_gpus=1.0, num_threads=5)
    pools = Pools(placement=replace(place, tokenize_actors=7, tokenize_cpus=2, write_actors=2, write_cpus=0.25))
    assert pools.read == {"num_tasks": 3, "num_cpus": 0.5}
    assert pools.encode == ActorPool(min=1, max=8, initial=8, num_cpus=0, num_gpus=1.0)
    assert pools.tokenize == ActorPool(min=7, max=7, initial=7, num_cpus=2)
    assert pools.write == ActorPool(min=2, max=2, initial=2, num_cpus=0.25)
    assert pools.num_threads == 5


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        # BERT-base has 85.1 M beside its embeddings, MiniLM-L6 10.6 M, DistilBERT 42.5 M
        ({"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}, 85.1),
        ({"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}, 10.6),
        ({"dim": 768, "n_layers": 6, "hidden_dim": 3072}, 42.5),
        ({"d_model": 768, "num_layers": 12, "d_ff": 3072}, 85.1),
        ({"hidden_size": 768, "num_hidden_layers": 12}, 85.1),
    ],
)
def test_parameters_are_estimated_from_the_config(config: dict[str, int], millions: float) -> None:
    assert num_parameters(config) / 1e6 == pytest.approx(millions, rel=0.1)
