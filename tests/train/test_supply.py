from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from pipelines.errors import SpecError
from pipelines.learning_spec import TrainPool
from pipelines.train.network import make_network
from pipelines.train.supply import open_supply
from pipelines.train.trace import Trace, read_trace
from tests.tiny import save_model
from tests.tiny_instances import prepare
from tests.train.given import assignment


def test_what_a_worker_reads_is_traced_as_the_loop_takes_it(prepared: Path, config: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", config, TrainPool(trace=True))
    model = make_network(given.course, given.pool).model
    for rank in (0, 1):
        supply = open_supply(given.course, given.pool, model, trace=Trace.of(given, rank, attempt=0))
        assert supply.cautions == ()
        assert supply.source.losses == ("mlm", "nsp")
        with closing(supply.source.steps(0, 16, rank, 2)) as steps:
            for share in islice(steps, 5):
                assert sum(len(batch.offsets) - 1 for batch in share.batches) == 8
                assert share.flops > 0
    found = read_trace(given.output)
    assert list(found) == [0, 1, 2, 3, 4]  # though more was made ahead
    first_epoch = [seen for step in range(4) for seen in found[step]]
    assert len(set(first_epoch)) == len(first_epoch) == 64
    assert {epoch for epoch, _, _ in first_epoch} == {0}
    assert {epoch for epoch, _, _ in found[4]} == {1}


def test_without_a_trace_nothing_is_written(prepared: Path, config: Path, tmp_path: Path) -> None:
    given = assignment(prepared, tmp_path / "model", config, global_batch=100)
    assert Trace.of(given, rank=0, attempt=0) is None
    supply = open_supply(given.course, given.pool, make_network(given.course, given.pool).model, trace=None)
    with closing(supply.source.steps(0, 100, 0, 1)) as steps:
        next(steps)
    assert not (tmp_path / "model").exists()
    assert [caution.split(",")[0] for caution in supply.cautions] == [
        "global_batch=100 is more than the 64 instances there are"
    ]


def test_a_tokenizer_without_a_mask_is_refused(config: Path, tmp_path: Path) -> None:
    other = save_model(tmp_path / "other")
    content = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(content.replace("[MASK]", "[MISK]"))
    instances = prepare(tmp_path / "instances", other)
    given = assignment(instances, tmp_path / "model", config)
    with pytest.raises(SpecError, match="the tokenizer has no mask token"):
        open_supply(given.course, given.pool, make_network(given.course, given.pool).model, trace=None)
