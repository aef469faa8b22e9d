"""What is made ahead of its use, in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")
END = object()


class Ahead(Generic[Item]):
    """The items of an iterable, of which at most ``depth`` are made before they are asked for.

    What the iterable raises is raised where its item is asked for; then there are no more. Close it, or use
    it as a context: the item that is being made is finished, and no other begun.
    """

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = iter(items)
        self._pool = ThreadPoolExecutor(1, "ahead")
        self._coming: deque[Future[object]] = deque(self._next() for _ in range(max(1, depth)))

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if not self._coming:
            raise StopIteration
        item = self._coming.popleft().result()
        if item is END:
            self.close()
            raise StopIteration
        self._coming.append(self._next())
        return cast(Item, item)

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make no more."""
        self._coming.clear()
        self._pool.shutdown(cancel_futures=True)

    def _next(self) -> Future[object]:
        return self._pool.submit(next, self._items, END)
