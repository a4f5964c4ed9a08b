"""What the CUDA session does that needs no GPU: its buffers, its memory, its second try."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip import _cuda as module
from clipvet.detectors.clip._cuda import (
    UNWANTED,
    BoundSession,
    CudaSettings,
    cuda_provider,
    open_bound,
)
from clipvet.detectors.clip._device_graph import device_graph
from clipvet.detectors.clip._pinned import CudaMemory, PinnedPool
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import PixelBatch, inference_session, session_options

Views = list[NDArray[np.uint8]]
NEEDS = ["cls_embed", "patch_embed"]


class HostMemory(CudaMemory):
    """Counts locks; the "device" is host memory, as it is for a bound session on the CPU."""

    def __init__(self) -> None:
        self.locked: dict[int, int] = {}
        self.copies = 0

    def lock(self, address: int, size: int) -> bool:
        self.locked[address] = size
        return True

    def unlock(self, address: int) -> None:
        del self.locked[address]

    def to_host(self, array: NDArray[Any], device_address: int) -> bool:
        self.copies += 1
        ctypes.memmove(array.ctypes.data, device_address, array.nbytes)
        return True


def bound(bundle: Bundle, rows: int, memory: CudaMemory | None = None) -> BoundSession:
    batch = PixelBatch(rows=rows, preprocessing=bundle.manifest.preprocessing, weights="")
    graph = device_graph(pruned_graph(bundle.folder / "vision.onnx", NEEDS), batch, fuse=True)
    options = session_options(bundle.folder, 2)
    inner = inference_session(graph, options, ["CPUExecutionProvider"], without=UNWANTED)
    session = BoundSession(inner, worker=ThreadPoolExecutor(1), device="cpu", memory=memory)
    session.provider = "CUDAExecutionProvider"  # so that the runtime pads, as it does there
    return session


def runtime_on(session: BoundSession, bundle: Bundle, rows: int) -> Runtime:
    runtime = Runtime(bundle, needs=NEEDS, device="cpu", batch_size=rows)
    runtime._vision = session
    return runtime


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_runtime_on_a_bound_session(gelu: Bundle, images: Views, rows: int, pinned: bool) -> None:
    memory = HostMemory() if pinned else None
    with Runtime(gelu, needs=NEEDS, device="cpu") as plain:
        wanted = plain.encode_views(images)
    with runtime_on(bound(gelu, rows, memory), gelu, rows) as runtime:
        runtime.warmup()
        got = runtime.encode_views(images)  # six views: the last batch of four is padded
        again = runtime.encode_views(images[::-1])
        alone = runtime.encode_views(images[2:3])
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], values, atol=5e-6 * np.abs(values).max())
        np.testing.assert_array_equal(got[name], again[name][::-1])
        np.testing.assert_array_equal(got[name][2], alone[name][0])
    assert memory is None or (memory.copies > 0 and memory.locked)


def test_one_thread_does_everything(
    gelu: Bundle, images: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    copy = BoundSession._run

    def run(self: BoundSession, *args: Any) -> None:
        seen.add(threading.current_thread().name)
        copy(self, *args)

    monkeypatch.setattr(BoundSession, "_run", run)
    batch = PixelBatch(rows=1, preprocessing=gelu.manifest.preprocessing, weights="")
    graph = device_graph(pruned_graph(gelu.folder / "vision.onnx", NEEDS), batch, fuse=True)
    provider = ("CPUExecutionProvider", dict[str, str]())
    session = open_bound(graph, session_options(gelu.folder, 2), [provider], batch, device="cpu")
    pixels = {"pixel_values": images[0][None]}
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(session.run, [pixels] * 9))
    session.close()
    assert len(seen) == 1
    assert seen != {threading.current_thread().name}
    assert next(iter(seen)).startswith("clipvet-gpu")
    assert not [one for one in threading.enumerate() if one.name in seen]


def test_many_threads_share_the_buffers(gelu: Bundle, images: Views) -> None:
    memory = HostMemory()
    with runtime_on(bound(gelu, 2, memory), gelu, 2) as runtime:
        wanted = [runtime.encode_views([view]) for view in images]
        with ThreadPoolExecutor(4) as threads:
            got = list(threads.map(lambda view: runtime.encode_views([view]), images * 5))
    for number, features in enumerate(got):
        for name, values in features.items():
            np.testing.assert_array_equal(values, wanted[number % len(images)][name])


def test_a_batch_of_another_size_is_refused(gelu: Bundle) -> None:
    session = bound(gelu, 2)
    with pytest.raises(Exception, match=r"(?i)size|shape|dim"):
        session.run({"pixel_values": np.zeros((5, 96, 96, 3), np.uint8)})


def test_a_closed_session_says_so(gelu: Bundle) -> None:
    session = bound(gelu, 1, HostMemory())
    session.close()
    with pytest.raises(RuntimeError, match="this session is closed"):
        session.run({"pixel_values": np.zeros((1, 96, 96, 3), np.uint8)})


def test_a_locked_block_is_used_again_when_its_last_view_is_gone() -> None:
    memory = HostMemory()
    pool = PinnedPool(memory)
    array = pool.empty((3, 100), np.float32)
    assert array.shape == (3, 100)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    address, view = array.ctypes.data, array[1:]
    del array
    gc.collect()
    other = pool.empty((3, 100), np.float32)
    assert other.ctypes.data != address  # a view of the first is still there
    del view
    gc.collect()
    assert pool.empty((7,), np.uint8).ctypes.data == address
    assert len(memory.locked) == 2
    pool.close()
    gc.collect()
    assert len(memory.locked) == 1
    del other
    gc.collect()
    assert not memory.locked
    assert pool.empty((2, 2), np.float32).base is None  # ordinary memory after that


def test_what_cannot_be_locked_is_ordinary_memory() -> None:
    class Refusing(HostMemory):
        def lock(self, address: int, size: int) -> bool:
            return False

    assert PinnedPool(Refusing()).empty((4, 4), np.float32).base is None
    assert PinnedPool(HostMemory()).empty((1 << 20, 1 << 10), np.float32).base is None  # 4 GiB
    assert PinnedPool(HostMemory()).empty((0, 5), np.float32).shape == (0, 5)


def test_the_cuda_runtime_without_a_gpu_refuses_to_lock() -> None:
    found = importlib.util.find_spec("nvidia")
    places = [] if found is None else list(found.submodule_search_locations or ())
    libraries = [path for place in places for path in Path(place).rglob("libcudart.so.*")]
    if not libraries:
        pytest.skip("no CUDA runtime is installed here")
    try:
        memory = CudaMemory(str(libraries[0]))
    except OSError as error:
        pytest.skip(f"the CUDA runtime does not load: {error}")
    block = np.zeros(1 << 20, np.uint8)
    if memory.lock(block.ctypes.data, block.nbytes):
        memory.unlock(block.ctypes.data)  # there is a GPU
        pytest.skip("there is a GPU here")
    assert PinnedPool(memory).empty((8,), np.float32).base is None


def test_a_batch_that_cannot_be_captured_runs_without_a_graph(
    gelu: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = PixelBatch(rows=2, preprocessing=gelu.manifest.preprocessing, weights="")
    graph = device_graph(pruned_graph(gelu.folder / "vision.onnx", NEEDS), batch, fuse=True)
    tried: list[str] = []

    def session(graph: bytes, options: Any, providers: Any, **settings: Any) -> Any:
        ((_name, given),) = providers
        tried.append(given["enable_cuda_graph"])
        if given["enable_cuda_graph"] == "1":
            raise RuntimeError("This session cannot use the graph capture feature as requested")
        return inference_session(graph, options, ["CPUExecutionProvider"], **settings)

    monkeypatch.setattr(module, "inference_session", session)
    provider = ("CPUExecutionProvider", cuda_provider(graphs=True)[1])
    made = open_bound(graph, session_options(gelu.folder, 2), [provider], batch, device="cpu")
    assert tried == ["1", "0"]
    (note,) = made.notes
    assert note.startswith("CUDA graphs are off: This session cannot use")
    monkeypatch.setattr(module, "inference_session", _fails)
    with pytest.raises(RuntimeError, match="graph capture"):  # asked for without: no second try
        open_bound(graph, None, [cuda_provider(graphs=False)], batch)


def _fails(*_args: Any, **_settings: Any) -> Any:
    raise RuntimeError("graph capture")


def test_the_environment_switches_cuda_graphs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIPVET_CUDA_GRAPHS", raising=False)
    assert CudaSettings.from_environment().graphs
    monkeypatch.setenv("CLIPVET_CUDA_GRAPHS", "0")
    assert not CudaSettings.from_environment().graphs


def test_float32_is_not_tf32() -> None:
    name, options = cuda_provider(graphs=True)
    assert name == "CUDAExecutionProvider"
    assert options["use_tf32"] == "0"
    assert isinstance(options, Mapping)
    assert all(isinstance(value, str) for value in options.values())
