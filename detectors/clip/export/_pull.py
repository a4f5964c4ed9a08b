"""Find weights on the network, download them under a hash policy, and export them.

Policy: a hash that open_clip itself states (in the file name of a URL) must hold. Every other
file's sha256 is recorded at the first pull (:class:`PullLock`), and a later change is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors._parsing import parse_json
from clipvet.detectors.clip._bundle import Bundle
from clipvet.detectors.clip.export._hub import (
    HubFile,
    describe_file,
    describe_licence,
    download_file,
)
from clipvet.detectors.clip.export._load import (
    WeightsFile,
    load_model,
    model_config,
    pretrained_config,
)
from clipvet.detectors.clip.export._lock import LockedFile, PullLock
from clipvet.detectors.clip.export._url import UrlFile, describe_url, download_url
from clipvet.detectors.errors import BundleError, UsageError

__all__ = ["Offer", "fetch", "find_weights", "pull_bundle"]

_CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_PREFIX = "hf-hub:"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Weights as the network describes them now; nothing large has been downloaded.

    Attributes:
        model: an open_clip name, or ``hf-hub:org/name``.
        name: that a bundle of them gets by default.
        label: where they come from, for the manifest.
        licence: as the source states it.
        weights: the file.
        config: the repository's own model config, if the model is one of the hub.
        stated: open_clip's settings for these weights.
    """

    model: str
    name: str
    label: str
    licence: str
    weights: HubFile | UrlFile
    config: HubFile | None = None
    stated: Mapping[str, Any] = field(default_factory=dict)


def find_weights(
    model: str,
    tag: str | None,
    lock: PullLock,
    *,
    offline: bool = False,
    origin: Literal["hub", "url"] | None = None,
) -> Offer:
    """Look weights up.

    Args:
        model: open_clip name, with ``tag``; or ``hf-hub:org/name``, without.
        tag: an open_clip tag of the model.
        lock: record of earlier pulls.
        offline: use only what earlier downloads left on this machine.
        origin: where to take a tag from that has both; open_clip prefers the hub.

    Raises:
        UsageError: no such model, tag or repository.
        OfflineError: the network is off or cannot be reached.
        MissingDependency: torch, open_clip_torch or huggingface_hub is not installed.
    """
    if model.startswith(_PREFIX):
        if tag is not None:
            raise UsageError(f"{model} holds its own weights: leave --pretrained out")
        repository = model.removeprefix(_PREFIX).strip("/")
        weights = describe_file(repository, _WEIGHTS, lock, offline=offline)
        return Offer(
            model=model,
            name=repository.rsplit("/", 1)[-1],
            label=repository,
            config=describe_file(repository, [_CONFIG], lock, offline=offline),
            weights=weights,
            licence=describe_licence(weights, lock),
        )
    model_config(model)
    if tag is None:
        raise UsageError(f"which weights of {model}? Give --pretrained TAG, or hf-hub:org/name")
    stated = pretrained_config(model, tag)
    hub, url = stated.get("hf_hub", ""), stated.get("url", "")
    facts: dict[str, Any] = {
        "model": model,
        "name": f"{model.replace('/', '-')}-{tag.lower().replace('-', '_')}",
        "stated": stated,
    }
    if (hub and origin != "url") or not url:
        if not hub:
            raise UsageError(f"open_clip names no address for {model} {tag}")
        if origin == "url":
            raise UsageError(f"open_clip names no URL for {model} {tag}: leave --origin out")
        repository, _, named = hub.rpartition("/")
        names = [name for name in (*_alternatives(named), *_WEIGHTS) if name]
        weights = describe_file(repository, names, lock, offline=offline)
        return Offer(
            **facts,
            label=f"tag {tag}, {repository}",
            weights=weights,
            licence=describe_licence(weights, lock),
        )
    if origin == "hub":
        raise UsageError(f"open_clip names no hub repository for {model} {tag}")
    return Offer(
        **facts,
        label=f"tag {tag}, {url}",
        weights=describe_url(url, offline=offline),
        licence="not stated by the source",
    )


def fetch(
    offer: Offer, lock: PullLock, *, accept_change: bool = False
) -> tuple[WeightsFile, dict[str, Any] | None]:
    """Download under the hash policy.

    Returns:
        The weights, and the repository's model config if it brings one.

    Raises:
        BundleError: a file is not the one that was promised, or not the one first pulled.
        OfflineError: the network went away.
    """
    config, stated = None, dict(offer.stated)
    if offer.config is not None:
        path, _sha256 = _held(offer.config, offer, lock, accept=accept_change)
        try:
            content = parse_json(path.read_text("utf-8"))
            config = dict(content["model_cfg"])
            stated |= content.get("preprocess_cfg", {})
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{_CONFIG} of {offer.label} holds no model_cfg") from None
    path, sha256 = _held(offer.weights, offer, lock, accept=accept_change)
    weights = WeightsFile(
        path=path,
        label=offer.label,
        revision=offer.weights.revision if isinstance(offer.weights, HubFile) else None,
        sha256=sha256,
        licence=offer.licence,
        stated=stated,
    )
    return weights, config


def pull_bundle(
    offer: Offer,
    out: Path,
    lock: PullLock,
    *,
    accept_change: bool = False,
    activation: Literal["gelu", "quickgelu"] | None = None,
    **options: Any,
) -> tuple[Bundle, tuple[str, ...]]:
    """Download and export in one step; a bundle of the same weights that is there stays.

    Args:
        offer: from :func:`find_weights`.
        out: folder of the bundle.
        lock: record of earlier pulls.
        accept_change: take weights that differ from those first pulled, replacing the bundle.
        activation: see :func:`load_model`.
        options: those of :func:`write_bundle`.

    Returns:
        The bundle, and sentences that a user should read.

    Raises:
        BundleError: see :func:`fetch`.
        UsageError: ``out`` holds a bundle with other settings, or something else.
    """
    with lock.alone():
        weights, config = fetch(offer, lock, accept_change=accept_change)
        replaced = None
        if (out / "manifest.json").is_file():
            there = Bundle.open(out)
            if there.manifest.source.sha256 == weights.sha256:
                _same_settings(there, activation=activation, **options)
                return there, (f"{out.name} is there already, unchanged",)
            if not accept_change:
                raise BundleError(
                    f"{out} was made from other weights: choose another --name, or replace it with "
                    "--accept-change"
                )
            replaced = out
            out = out.with_name(f".{out.name}.new")
            shutil.rmtree(out, ignore_errors=True)
        loaded = load_model(offer.model, weights, config=config, activation=activation)
        bundle = loaded.export(out, name=replaced.name if replaced else out.name, **options)
        if replaced is not None:
            shutil.rmtree(replaced)
            out.rename(replaced)
            bundle = Bundle.open(replaced)
        return bundle, loaded.notes


def _held(
    file: HubFile | UrlFile, offer: Offer, lock: PullLock, *, accept: bool
) -> tuple[Path, str]:
    """The file and its sha256, if it is the one that was promised."""
    if isinstance(file, UrlFile):
        path = download_url(file)
    else:
        if file.sha256 is not None:  # the hub says so beforehand: no need to download a refusal
            lock.check(file.address, file.sha256, accept=accept)
        path = download_file(file)
    sha256 = sha256_of(path)
    if isinstance(file, HubFile) and file.sha256 not in (None, sha256):
        raise BundleError(
            f"{file.address} arrived damaged (sha256 {sha256[:12]}, the hub says "
            f"{str(file.sha256)[:12]}): delete it from the hub's cache and pull again"
        )
    lock.check(file.address, sha256, accept=accept)
    revision = file.revision if isinstance(file, HubFile) else None
    lock.record(file.address, LockedFile(revision=revision, sha256=sha256, licence=offer.licence))
    return path, sha256


def _same_settings(there: Bundle, **asked: Any) -> None:
    made = {
        "activation": there.manifest.activation,
        "precision": there.manifest.precision,
        "resize": there.manifest.preprocessing.resize,
        "image_size": there.manifest.preprocessing.size,
        "vv_start": there.manifest.vision.vv_start,
    }
    other = [
        f"{key} {made[key]}"
        for key, value in asked.items()
        if key in made and value is not None and value != made[key]
    ]
    if other:
        raise UsageError(
            f"{there.folder} exists with {', '.join(other)}: choose another --name, or delete it"
        )


def _alternatives(named: str) -> tuple[str, ...]:
    """A file that a tag names, the safetensors version of it first."""
    stem, dot, suffix = named.rpartition(".")
    return (f"{stem}.safetensors", named) if dot and suffix in ("bin", "pth", "pt") else (named,)
