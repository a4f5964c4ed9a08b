"""Work in threads whose results come in the order of the work, a bounded number ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item | None], ahead: int
) -> Iterator[Result | None]:
    """Results in the order of the items, at most ``ahead`` of them in the making.

    An item that is None says that the next one is not at hand: what is in the making is finished
    and given first, and then None.
    """
    running: deque[Future[Result]] = deque()
    for item in items:
        if item is not None:
            running.append(pool.submit(work, item))
        while len(running) > (ahead if item is not None else 0):
            yield running.popleft().result()
        if item is None:
            yield None
    while running:
        yield running.popleft().result()
