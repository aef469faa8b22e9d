from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipelines.train.ahead import Ahead


def test_items_come_in_order_and_end() -> None:
    with Ahead(range(5), depth=2) as items:
        assert list(items) == [0, 1, 2, 3, 4]
        assert list(items) == []
    assert list(Ahead([], depth=3)) == []


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    second = threading.Event()

    def counted() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 2:
                second.set()
            yield number

    with Ahead(counted(), depth=2) as items:
        assert next(items) == 0
        assert second.wait(30)  # the third is made once the first is taken, though nobody asks
        assert made == [0, 1, 2]
    assert made == [0, 1, 2]


def test_what_the_iterable_raises_is_raised_at_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with Ahead(broken(), depth=4) as items:
        assert next(items) == 1
        with pytest.raises(OSError, match="the disk is gone"):
            next(items)
        assert list(items) == []


def test_closing_leaves_no_thread() -> None:
    before = threading.active_count()
    items = Ahead(iter(int, 1), depth=3)  # without an end
    assert next(items) == 0
    assert threading.active_count() == before + 1
    items.close()
    items.close()
    assert threading.active_count() == before
    assert list(items) == []
