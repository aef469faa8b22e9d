"""Every store keeps the same promise."""

from __future__ import annotations

import inspect
import pickle

import pytest

from pipelines.store.disk import Disk
from pipelines.store.elsewhere import Elsewhere
from pipelines.store.entry import Conflict, Entry, Store
from pipelines.store.s3 import S3

PROMISES = [name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [Disk, S3, Elsewhere])
def test_every_store_has_what_a_store_has(kind: type) -> None:
    assert len(PROMISES) == 11
    for name in PROMISES:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Store, name)), name


def test_an_entry_is_small_and_travels() -> None:
    entry = Entry("parts/a", 1, "v")
    assert not hasattr(entry, "__dict__")
    assert pickle.loads(pickle.dumps(entry)) == entry


def test_a_conflict_travels() -> None:
    assert str(pickle.loads(pickle.dumps(Conflict("taken")))) == "taken"
