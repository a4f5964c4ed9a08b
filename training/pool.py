"""What a step of training sees, rendered ahead by a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.clutter import clutter
from training.episodes import Episode, make_episode
from training.layouts import LayoutFacts, make_layout

__all__ = ["Batch", "Layout", "RenderPool", "make_batch"]

Layout = tuple[NDArray[np.uint8], LayoutFacts]

_CHUNK = 12
# Layouts are shown smaller than parts: they are for words alone, and fewer tokens cost less.
_SMALLER = 0.75


@dataclass(frozen=True)
class Batch:
    """One step: ``episodes``, for each of them three quarters of a layout and a fifth of a scene.

    Attributes:
        episodes: Good references and queries, of one side.
        layouts: Pictures uint8 [S', S', 3] of three quarters of that side, with their facts.
        scenes: uint8 [k, S, S, 3], what is outside of the model's world.
    """

    episodes: list[Episode]
    layouts: list[Layout]
    scenes: NDArray[np.uint8]


def make_batch(first: int, count: int, size: int) -> Batch:
    """The episodes, layouts and scenes of the seeds from ``first`` on."""
    seeds = range(first, first + count)
    small = int(size * _SMALLER) // 8 * 8
    return Batch(
        [make_episode(seed, size) for seed in seeds],
        [make_layout(seed, small) for seed in seeds[: _layouts(count)]],
        np.stack([clutter(seed, size) for seed in seeds[: _scenes(count)]]),
    )


class RenderPool:
    """A rolling pool of renders; one process refills it.

    Args:
        first: First seed to render.
        size: Side of the renders.
        capacity: Episodes kept; the oldest is replaced first.
    """

    def __init__(self, first: int, size: int, capacity: int) -> None:
        self.next_seed = first
        self._capacity = capacity
        self._episodes: deque[Episode] = deque(maxlen=capacity)
        self._layouts: deque[Layout] = deque(maxlen=capacity)
        self._scenes: deque[NDArray[np.uint8]] = deque(maxlen=capacity)
        context = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[Batch] = context.Queue(maxsize=8)
        self._process = context.Process(target=_work, args=(first, size, self._queue), daemon=True)
        self._process.start()

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A step of ``count`` different episodes, after taking in at most two fresh chunks."""
        for _ in range(2):
            try:
                self._take(self._queue.get_nowait())
            except queue.Empty:
                break
        while len(self._episodes) < min(4 * count, self._capacity):
            self._take(self._queue.get(timeout=300))
        return Batch(
            [self._episodes[i] for i in _some(rng, len(self._episodes), count)],
            [self._layouts[i] for i in _some(rng, len(self._layouts), _layouts(count))],
            np.stack([self._scenes[i] for i in _some(rng, len(self._scenes), _scenes(count))]),
        )

    def close(self) -> None:
        """Stop the renderer."""
        self._process.terminate()
        self._process.join()
        self._queue.close()

    def _take(self, chunk: Batch) -> None:
        self.next_seed += len(chunk.episodes)
        self._episodes.extend(chunk.episodes)
        self._layouts.extend(chunk.layouts)
        self._scenes.extend(chunk.scenes)


def _layouts(episodes: int) -> int:
    return max(1, episodes * 3 // 4)


def _scenes(episodes: int) -> int:
    return max(1, episodes // 5)


def _some(rng: np.random.Generator, count: int, wanted: int) -> NDArray[np.int64]:
    return rng.choice(count, wanted, replace=False)


def _work(first: int, size: int, out: multiprocessing.Queue[Batch]) -> None:
    os.nice(5)
    cv2.setNumThreads(1)
    out.cancel_join_thread()  # a renderer whose trainer died must not wait for it
    parent = os.getppid()
    seed = first
    while os.getppid() == parent:
        chunk = make_batch(seed, _CHUNK, size)
        seed += _CHUNK
        while os.getppid() == parent:
            try:
                out.put(chunk, timeout=5)
                break
            except queue.Full:
                continue
