"""Rows taken a block at a time, in threads that change no bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ROWS_AT_ONCE = 1024

T = TypeVar("T")


def in_blocks(work: Callable[[slice], T], n: int, threads: int) -> Iterator[T]:
    """What ``work`` makes of each block of n rows, in order; in so many threads.

    At most two blocks a thread are done and not yet asked for.
    """
    parts = [slice(first, first + ROWS_AT_ONCE) for first in range(0, n, ROWS_AT_ONCE)]
    if threads < 2 or len(parts) < 2:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(parts), 2 * threads):
            yield from pool.map(work, parts[first : first + 2 * threads])
