"""Episodes (a good reference and a query of one program), rendered by a process of their own."""

from __future__ import annotations

import multiprocessing
import os
import queue
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.render import Facts, render
from training.scenes import make_program

__all__ = ["Episode", "EpisodePool", "make_episode"]

_CHUNK = 12


@dataclass(frozen=True)
class Episode:
    """``images`` uint8 [2, S, S, 3] (reference, query), query ``mask`` uint8 [S, S] 0/1, facts."""

    images: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    facts: tuple[Facts, Facts]


def make_episode(seed: int, size: int) -> Episode:
    """The episode of one program seed; three in five queries are defective."""
    program = make_program(seed)
    bad = np.random.default_rng([seed, 5]).random() < 0.6
    reference = render(program, 0, size=(size, size))
    query = render(program, 1, defect="any" if bad else None, size=(size, size))
    return Episode(
        np.stack([reference.image, query.image]),
        query.mask.astype(np.uint8),
        (reference.facts, query.facts),
    )


def _work(first: int, size: int, out: multiprocessing.Queue[list[Episode]]) -> None:
    os.nice(5)
    cv2.setNumThreads(1)
    out.cancel_join_thread()  # a renderer whose trainer died must not wait for it
    parent = os.getppid()
    seed = first
    while os.getppid() == parent:
        chunk = [make_episode(s, size) for s in range(seed, seed + _CHUNK)]
        seed += _CHUNK
        while os.getppid() == parent:
            try:
                out.put(chunk, timeout=5)
                break
            except queue.Full:
                continue


class EpisodePool:
    """A rolling pool of rendered episodes; one renderer process refills it.

    Args:
        first: First program seed to render.
        size: Side of the renders.
        capacity: Episodes kept; the oldest is replaced first.
    """

    def __init__(self, first: int, size: int, capacity: int) -> None:
        self.next_seed = first
        self._capacity = capacity
        self._episodes: list[Episode] = []
        self._slot = 0
        context = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[list[Episode]] = context.Queue(maxsize=8)
        self._process = context.Process(target=_work, args=(first, size, self._queue), daemon=True)
        self._process.start()

    def draw(self, rng: np.random.Generator, count: int) -> list[Episode]:
        """``count`` different episodes, after taking in at most two chunks of fresh ones."""
        for _ in range(2):
            try:
                self._take(self._queue.get_nowait())
            except queue.Empty:
                break
        while len(self._episodes) < 4 * count:
            self._take(self._queue.get(timeout=300))
        return [self._episodes[i] for i in rng.choice(len(self._episodes), count, replace=False)]

    def close(self) -> None:
        """Stop the renderer."""
        self._process.terminate()
        self._process.join()
        self._queue.close()

    def _take(self, chunk: list[Episode]) -> None:
        self.next_seed += len(chunk)
        for episode in chunk:
            if len(self._episodes) < self._capacity:
                self._episodes.append(episode)
            else:
                self._episodes[self._slot] = episode
                self._slot = (self._slot + 1) % self._capacity
