"""What this installation can really do: versions, providers that start, duplicates, plugins."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from clipvet.detectors._counting import counted
from clipvet.detectors.clip import (
    Bundle,
    Device,
    Runtime,
    available_providers,
    default_cache_folder,
    find_bundle,
    open_session,
)
from clipvet.detectors.errors import ClipvetError, MissingDependency, ProviderUnavailable
from clipvet.detectors.host._host import Host

__all__ = ["Finding", "examine"]

_PACKAGES = ("numpy", "Pillow", "onnx", "tokenizers", "pluggy", "pydantic", "scikit-learn", "typer")
# import name -> (what it is for, the sentence when it is absent)
_CHOSEN = {"onnxruntime": "running bundles", "cv2": "regions and overlays"}
_DEVICES: tuple[Device, ...] = ("cpu", "cuda")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        section: heading that it belongs under.
        name: what was looked at.
        value: what was found.
        state: ``ok``, ``note`` (worth knowing) or ``bad`` (something will not work).
        advice: what to do, or "".
    """

    section: str
    name: str
    value: str
    state: Literal["ok", "note", "bad"] = "ok"
    advice: str = ""


def examine(host: Host) -> list[Finding]:
    """Look at everything; nothing that is broken keeps the rest from being reported."""
    return [
        *_versions(),
        *_chosen_packages(),
        *_providers(host),
        *_bundles(host),
        *_folders(),
        *_plugins(host),
    ]


def _versions() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    tested = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding("versions", "clipvet", metadata.version("clipvet"))
    yield Finding("versions", "Python", f"{platform.python_version()} at {sys.executable}")
    yield Finding(
        "versions",
        "system",
        f"{system}, {counted(len(os.sched_getaffinity(0)), 'usable core')}",
        "ok" if tested else "note",
        "" if tested else "clipvet is tested on Linux x86-64 only",
    )
    for package in _PACKAGES:
        yield Finding("versions", package, metadata.version(package))


def _chosen_packages() -> Iterator[Finding]:
    owners = metadata.packages_distributions()
    for module, purpose in _CHOSEN.items():
        found = sorted(set(owners.get(module, ())))
        value = ", ".join(f"{name} {metadata.version(name)}" for name in found)
        if not found:
            yield Finding(
                "packages of your choice",
                module,
                "not installed",
                "bad",
                f"{purpose} needs it: pip install 'clipvet[cpu]' or 'clipvet[gpu]'",
            )
        elif len(found) > 1:
            yield Finding(
                "packages of your choice",
                module,
                value,
                "bad",
                f"they overwrite each other's files: uninstall all of {', '.join(found)}, "
                "then install the one you want",
            )
        else:
            yield Finding("packages of your choice", module, value)


def _providers(host: Host) -> Iterator[Finding]:
    """Knowing a provider is not having it: each is started on a graph of one node."""
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "probe",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    ).SerializeToString()
    for device in _DEVICES:
        with TemporaryDirectory() as folder:
            try:
                session = open_session(model, Path(folder), device=device)
                session.run({"x": np.ones(1, dtype=np.float32)})
                yield Finding("devices", device, f"{session.provider} works")
                yield from _nodes(device, host)
                if device == "cpu":
                    yield _integer_products()
            except MissingDependency:
                return
            except ProviderUnavailable:
                needed = device == "cpu"
                yield Finding("devices", device, "not usable", "bad" if needed else "note")
    if find_spec("openvino") is not None:
        yield from _nodes("openvino", host)
        yield from _nodes("openvino-bf16", host)
    if "TensorrtExecutionProvider" in available_providers():
        yield Finding(
            "devices", "tensorrt", "in this onnxruntime, not tried: an engine takes minutes", "note"
        )


def _nodes(device: Device, host: Host) -> Iterator[Finding]:
    """Who really computes the image tower of the embedded bundle, every feature of it."""
    name = f"{device}: image tower"
    try:
        bundle = find_bundle(None, host.bundles)
        with Runtime(bundle, needs=bundle.manifest.features, device=device) as runtime:
            provider, placement, notes = runtime.provider, runtime.placement, runtime.notes
    except ProviderUnavailable as error:
        yield Finding("devices", name, "not usable", "note", str(error))
        return
    except ClipvetError as error:
        yield Finding("devices", name, "cannot be opened", "bad", str(error))
        return
    if provider.startswith("OpenVINO"):
        value = f"{provider} works"
    elif placement is None:
        value = "this onnxruntime does not tell which nodes run where"
    else:
        counts = {one: sum(operators.values()) for one, operators in placement.items()}
        value = "nodes: " + ", ".join(f"{count} {one}" for one, count in counts.items())
    yield Finding("devices", name, value, "note" if notes else "ok", "; ".join(notes))


def _integer_products() -> Finding:
    """What ``--precision int8`` brings on this processor."""
    from clipvet.detectors.clip._int8_graph import int8_note, int8_products

    values = {
        "plain": "exact, with instructions of their own",
        "wide": "exact, widened to 16 bits",
        "inexact": "not exact, not used",
    }
    note = int8_note()
    return Finding(
        "devices", "cpu: int8 products", values[int8_products()], "note" if note else "ok", note
    )


def _bundles(host: Host) -> Iterator[Finding]:
    for name, folder in sorted(host.bundles.items()):
        try:
            bundle = Bundle.open(folder)
            bundle.verify()
        except ClipvetError as error:
            yield Finding("bundles", name, "damaged", "bad", str(error))
        else:
            yield Finding("bundles", name, f"verified, sha256 {bundle.info.sha256[:12]}")


def _folders() -> Iterator[Finding]:
    cache = default_cache_folder()
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    place = next(path for path in (cache, *cache.parents) if path.exists())
    writable = os.access(place, os.W_OK)
    yield Finding(
        "folders", "cache", f"{cache} ({size / 1e6:.1f} MB)", "ok" if writable else "note",
        "" if writable else "not writable: prompts are encoded anew in every run",
    )  # fmt: skip


def _plugins(host: Host) -> Iterator[Finding]:
    for failure in host.failures:
        yield Finding(
            "plugins", f"{failure.dist} {failure.version}", f"failed at {failure.phase}", "bad",
            f"{failure.entry_point}: {failure.exception}: {failure.message}",
        )  # fmt: skip
    names = ", ".join(sorted(host.detectors))
    yield Finding("plugins", "detectors", names or "none", "ok" if names else "bad")
