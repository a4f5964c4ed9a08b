"""Bundles and safetensors files that somebody made to do harm, hashes and all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import clipvet.detectors.clip
from clipvet.detectors.clip import Bundle, Runtime

MINI = Path(clipvet.detectors.clip.__file__).parent / "mini"


def copy_of_mini(folder: Path) -> Path:
    """The embedded bundle, to be changed."""
    return Path(shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__")))


def edit_manifest(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the manifest says."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def seal(bundle: Path) -> None:
    """Have the manifest list every file as it is: whoever makes a bundle writes its hashes."""
    files = {
        path.name: {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in bundle.iterdir()
        if path.is_file() and path.suffix in {".onnx", ".bin", ".json", ".safetensors"}
        if path.name not in {"manifest.json", "text_cache.safetensors"}
    }
    edit_manifest(bundle, lambda manifest: manifest.update(files=files))


def edit_graph(bundle: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    """Change ``vision.onnx``, and the manifest with it."""
    path = bundle / "vision.onnx"
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    seal(bundle)


def use(bundle: Path) -> np.ndarray[Any, Any]:
    """One picture through the image tower of a bundle."""
    with Runtime(Bundle.open(bundle), needs={"cls_embed"}, device="cpu", threads=1) as runtime:
        return runtime.encode_views([np.zeros((8, 8, 3), np.uint8)])["cls_embed"]


def safetensors(header: bytes | dict[str, Any], body: bytes = b"") -> bytes:
    """A file with that header, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def _tensor(shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


HOSTILE_SAFETENSORS = {
    "no bytes": b"",
    "a header longer than memory": (1 << 62).to_bytes(8, "little") + b"{}",
    "a header longer than the file": (99 << 20).to_bytes(8, "little") + b"{}",
    "tensors that overlap": safetensors(
        {"a": _tensor([2], 0, 8), "b": _tensor([2], 4, 12)}, b"\0" * 12
    ),
    "a hole": safetensors({"a": _tensor([1], 4, 8)}, b"\0" * 8),
    "one name twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b"\0" * 8,
    ),
    "one name twice, in one place": safetensors(
        b'{"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b"\0" * 4,
    ),
    "a name that is no UTF-8": safetensors(
        b'{"\xff":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4
    ),
    "more numbers than memory": safetensors({"a": _tensor([1 << 40, 1 << 40], 0, 4)}, b"\0" * 4),
    "a negative side": safetensors({"a": _tensor([-1], 0, 4)}, b"\0" * 4),
    "100 axes": safetensors({"a": _tensor([1] * 100, 0, 4)}, b"\0" * 4),
    "a deep header": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a type of the future": safetensors(
        {"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}, b"\0" * 4
    ),
    "more after the end": safetensors({"a": _tensor([1], 0, 4)}, b"\0" * 8),
}  # fmt: skip
