from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from pipelines.errors import StoreError
from pipelines.model.pretraining import PretrainingModel
from pipelines.store.location import Location, locate
from pipelines.text.masking import Vocabulary
from pipelines.text.objectives import Task
from pipelines.text.training_batch import TrainingBatch
from pipelines.train.checkpoints import Checkpoints
from pipelines.train.evaluation import LossEvaluator
from pipelines.train.feed import Feed
from pipelines.train.instance_source import Cut, InstanceSource, Masking
from pipelines.train.keeper import Keeper
from pipelines.train.loop import Training
from pipelines.train.recipe import Cadence
from pipelines.train.row_groups import RowGroups, list_row_groups
from pipelines.train.schedule import Pace
from pipelines.train.source import Share, Source
from tests.instances import drawn_rows, instances, put_part
from tests.train.small import small_recipe

VOCABULARY = Vocabulary(special=np.arange(100) < 5, continues=np.zeros(100, bool), mask_id=4)
TASK = Task(objective="mlm+nsp", vocabulary=VOCABULARY, seed=9)
PADDED, PACKED = Cut(token_budget=60, padded=True), Cut(token_budget=60, padded=False)
Ids = tuple[int, ...]


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return locate(str(tmp_path))


@pytest.fixture
def row_groups(location: Location) -> RowGroups:
    put_part(location, "parts/0.parquet", drawn_rows(60, 1))
    return list_row_groups(location, ["parts/0.parquet"])


@pytest.fixture
def held_out(location: Location) -> RowGroups:
    put_part(location, "held_out/0.parquet", drawn_rows(30, 2))
    return list_row_groups(location, ["held_out/0.parquet"])


def source(row_groups: RowGroups, held_out: RowGroups, task: Task = TASK, cut: Cut = PADDED) -> InstanceSource:
    feed = Feed(row_groups, num_streams=4, seed=5)
    return InstanceSource(
        feed,
        held_out,
        maker=Masking(task, lambda lengths, told: lengths.sum() + told),
        cut=cut,
        max_held_out=20,
        depth=3,
    )


def first(
    made: InstanceSource, num: int, position: int = 0, count: int = 8, rank: int = 0, world: int = 1
) -> list[Share]:
    with closing(made.steps(position, count, rank, world)) as shares:
        return list(itertools.islice(shares, num))


def threads() -> list[str]:
    """Those in which something is made ahead."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def ids(batch: TrainingBatch) -> list[Ids]:
    return [tuple(batch.values[a:b].tolist()) for a, b in itertools.pairwise(batch.offsets)]


def seen(batches: Iterable[Any]) -> list[Ids]:
    return [one for batch in batches for one in ids(batch)]


def unmasked(batch: Any) -> TrainingBatch:
    values = batch.values.copy()
    values[batch.positions] = batch.targets
    return replace(batch, values=values)


@pytest.mark.parametrize("cut", [PADDED, PACKED])
def test_micro_batches_hold_each_instance_once_within_the_budget(cut: Cut) -> None:
    given_ones = instances([row[0] for row in drawn_rows(40, 3)])
    found = [TASK.batch(part) for part in cut.parts(given_ones)]
    assert len(found) > 1
    assert Counter(seen(map(unmasked, found))) == Counter(tuple(row[0]) for row in drawn_rows(40, 3))
    lengths = [np.diff(batch.offsets) for batch in found]
    costs = [len(sizes) * sizes.max() if cut.padded else sizes.sum() for sizes in lengths]
    assert max(costs) <= 60
    longest = [int(sizes.max()) for sizes in lengths]
    assert longest == sorted(longest, reverse=True)


def test_an_instance_is_masked_the_same_at_any_rank_and_cut(row_groups: RowGroups, held_out: RowGroups) -> None:
    whole = ids(TASK.batch(Feed(row_groups, num_streams=4, seed=5).share(0, 40, 0, 1)))
    for world, cut in [(1, PADDED), (3, PACKED)]:
        made = source(row_groups, held_out, cut=cut)
        shares = [first(made, 1, count=40, rank=rank, world=world)[0] for rank in range(world)]
        assert Counter(one for share in shares for one in seen(share.batches)) == Counter(whole)


def test_what_the_loop_is_told_of_a_share(row_groups: RowGroups, held_out: RowGroups) -> None:
    made: Source = source(row_groups, held_out)
    assert made.losses == ("mlm", "nsp")
    with closing(made.steps(0, 16, 0, 1)) as shares:
        share = next(shares)
    tokens = sum(map(len, seen(share.batches)))
    assert share.num_tokens == tokens
    assert share.count("nsp") == 16
    assert share.flops == tokens + share.count("mlm")


def test_the_documents_of_a_micro_batch(row_groups: RowGroups, held_out: RowGroups) -> None:
    made = source(row_groups, held_out)
    ids_of = {f"d{n}": tuple(row[0]) for n, row in enumerate(drawn_rows(60, 1))}
    share = first(made, 2, count=16, rank=1, world=2)[1]
    for number, batch in enumerate(share.batches):
        assert [ids_of[name] for name in made.names(16, 16, 1, 2, number)] == seen([unmasked(batch)])


def test_steps_go_on_from_a_position(row_groups: RowGroups, held_out: RowGroups) -> None:
    made = source(row_groups, held_out)
    whole = [seen(share.batches) for share in first(made, 12, world=2)]
    assert [seen(share.batches) for share in first(made, 8, position=32, world=2)] == whole[4:]
    assert len(set(map(tuple, whole))) == 12  # of the second epoch, too


def test_evaluations_see_the_same_instances_masked_the_same(row_groups: RowGroups, held_out: RowGroups) -> None:
    one, other = source(row_groups, held_out), source(row_groups, held_out, replace(TASK, seed=1), PACKED)
    found = Counter(seen(one.held_out(0, 1)))
    assert found.total() == 20
    assert Counter(seen(one.held_out(0, 1))) == found
    assert Counter(told for rank in range(3) for told in seen(other.held_out(rank, 3))) == found


def test_nothing_is_held_out(row_groups: RowGroups, location: Location) -> None:
    assert list(source(row_groups, list_row_groups(location, [])).held_out(0, 1)) == []


def test_what_cannot_be_read_is_raised_and_no_thread_is_left(
    row_groups: RowGroups, held_out: RowGroups, location: Location
) -> None:
    made = source(row_groups, held_out)
    with closing(made.steps(0, 8, 0, 1)) as shares:
        next(shares)
        assert len(threads()) == 1
    location.remove(["parts/0.parquet"])
    with pytest.raises(StoreError, match=r"0\.parquet can't be read"):
        first(source(row_groups, held_out), 1)
    assert threads() == []


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Products as small as these lose by threads, the more so where others compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_weights_do_not_depend_on_how_a_step_is_cut(row_groups: RowGroups, held_out: RowGroups, tmp_path: Path) -> None:
    whole, pieces = (trained(source(row_groups, held_out, cut=Cut(token_budget=budget, padded=True)), tmp_path / name)
                     for name, budget in [("whole", 10_000), ("pieces", 40)])  # fmt: skip
    assert whole.keys() == pieces.keys()
    assert max(float((whole[name] - pieces[name]).abs().max()) for name in whole) < 1e-6


def trained(made: InstanceSource, output: Path) -> dict[str, torch.Tensor]:
    """The weights of a small BERT after six steps, without dropout."""
    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = PretrainingModel(BertForPreTraining(config), "mlm+nsp")
    recipe = replace(small_recipe(), pace=Pace(max_steps=6), global_batch=16)
    keeper = Keeper(Checkpoints(locate(str(output)), {"spec": "a"}, 1), every_steps=0, every_seconds=0.0)
    judge = LossEvaluator(model, made.losses, "float32")
    Training(model, made, evaluator=judge, recipe=recipe, cadence=Cadence(), keeper=keeper).run()
    return {name: weight.detach() for name, weight in model.named_parameters()}
