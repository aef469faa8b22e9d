from __future__ import annotations

import pytest

from pipelines.errors import GateError, Interrupted, SpecError, StoreError
from pipelines.run.cause import cause


def test_interrupted_is_not_swallowed_by_the_search_for_a_cause():
    assert isinstance(cause(Interrupted("x")), Interrupted)
    assert cause(ValueError("x")) is None
    assert isinstance(cause(SpecError("x")), SpecError)


@pytest.mark.parametrize("at_birth", [False, True])
def test_what_an_actor_raised_is_found(at_birth, ray_session):
    import ray.data

    class Broken:
        def __init__(self):
            if at_birth:
                self.fail()

        def __call__(self, batch):
            self.fail()

        def fail(self):
            try:
                raise OSError(28, "No space left on device")
            except OSError as error:
                raise StoreError("/disk/x: the disk is full: make room") from error

    broken = ray.data.range(1).map_batches(Broken, num_cpus=0.1, compute=ray.data.ActorPoolStrategy(size=1))
    with pytest.raises(ray.exceptions.RayError) as raised:
        broken.materialize()
    found = cause(raised.value)
    assert (type(found), str(found)) == (StoreError, "/disk/x: the disk is full: make room")


def test_what_a_task_raised_is_found_as_it_was(ray_session):
    import ray

    def fail():
        raise GateError("cosine 0.9")

    with pytest.raises(GateError) as raised:
        ray.get(ray.remote(fail).options(num_cpus=0).remote())
    found = cause(raised.value)
    assert (type(found), str(found)) == (GateError, "cosine 0.9")
