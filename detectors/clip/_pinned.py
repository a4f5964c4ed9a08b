"""Arrays in page-locked memory, which a GPU reads and writes itself.

A copy from or to ordinary memory goes through a page-locked buffer of the driver, one half after
the other. Locking pages is slow, so blocks are kept and used again.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["CudaMemory", "PinnedPool"]

_SMALLEST = 1 << 20
_LARGEST_POOL = 1 << 30
_DEVICE_TO_HOST = 2


class CudaMemory:
    """The three functions of the CUDA runtime that onnxruntime's Python API does not offer.

    Args:
        library: file name or path of the CUDA runtime, the one that onnxruntime itself uses.

    Raises:
        OSError: it cannot be loaded.
    """

    def __init__(self, library: str) -> None:
        runtime = ctypes.CDLL(library)
        self._register = runtime.cudaHostRegister
        self._register.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint]
        self._unregister = runtime.cudaHostUnregister
        self._unregister.argtypes = [ctypes.c_void_p]
        self._memcpy = runtime.cudaMemcpy
        self._memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def lock(self, address: int, size: int) -> bool:
        """Lock the pages of a block; False if that cannot be had."""
        return bool(self._register(address, size, 0) == 0)

    def unlock(self, address: int) -> None:
        """Undo :meth:`lock`."""
        self._unregister(address)

    def to_host(self, array: NDArray[Any], device_address: int) -> bool:
        """Fill a contiguous array from device memory; False if the copy failed."""
        done = self._memcpy(array.ctypes.data, device_address, array.nbytes, _DEVICE_TO_HOST)
        return bool(done == 0)


class PinnedPool:
    """Hands out arrays in page-locked blocks; a block comes back when its array is forgotten.

    What does not fit in 1 GiB of them, or cannot be locked, is ordinary memory.
    """

    def __init__(self, memory: CudaMemory) -> None:
        self._memory = memory
        self._free: dict[int, list[mmap.mmap]] = {}
        self._held = 0
        self._open = True
        self._lock = threading.RLock()  # a block may come back while another is handed out

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """As ``numpy.empty``."""
        wanted = math.prod(shape) * np.dtype(dtype).itemsize
        size = max(_SMALLEST, 1 << max(wanted - 1, 1).bit_length())
        block = self._take(size) if wanted else None
        if block is None:
            return np.empty(shape, dtype=dtype)
        # Every view of the array has this one as its base, so it is forgotten last.
        whole = np.frombuffer(block, dtype=np.uint8)
        weakref.finalize(whole, self._give_back, block, size).atexit = False
        array: NDArray[Any] = whole[:wanted].view(dtype).reshape(shape)
        return array

    def close(self) -> None:
        """Unlock what is free, and the rest as it comes back."""
        with self._lock:
            self._open = False
            for size, blocks in self._free.items():
                for block in blocks:
                    self._release(block, size)
            self._free.clear()

    def _take(self, size: int) -> mmap.mmap | None:
        with self._lock:
            if self._free.get(size):
                return self._free[size].pop()
            if not self._open or self._held + size > _LARGEST_POOL:
                return None
            block = mmap.mmap(-1, size)
            if not self._memory.lock(_address(block), size):
                self._open = False
                return None
            self._held += size
            return block

    def _give_back(self, block: mmap.mmap, size: int) -> None:
        with self._lock:
            if self._open:
                self._free.setdefault(size, []).append(block)
            else:
                self._release(block, size)

    def _release(self, block: mmap.mmap, size: int) -> None:
        self._memory.unlock(_address(block))
        self._held -= size


def _address(block: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(block))
