"""Weights behind a plain URL, downloaded by open_clip, which states some hashes in the address."""

from __future__ import annotations

import re
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path

from clipvet.detectors._hashing import sha256_of
from clipvet.detectors.errors import BundleError, OfflineError

__all__ = ["UrlFile", "describe_url", "download_url"]

_TIMEOUT = 10.0


@dataclass(frozen=True, kw_only=True)
class UrlFile:
    """One file.

    Attributes:
        address: its URL.
        stated: sha256, or the first digits of it, that open_clip states; may be empty.
        cached: where open_clip left it earlier; None if the network must be asked.
    """

    address: str
    size: int | None
    stated: str
    cached: Path | None


def describe_url(url: str, *, offline: bool) -> UrlFile:
    """Size and stated hash.

    Raises:
        OfflineError: the server cannot be reached, or ``offline`` and nothing is cached.
    """
    stated = _stated_sha256(url)
    path = _cache() / url.rsplit("/", 1)[-1]
    if path.is_file() and sha256_of(path).startswith(stated):
        return UrlFile(address=url, size=path.stat().st_size, stated=stated, cached=path)
    if offline:
        raise OfflineError(
            f"{url} has not been downloaded yet and --offline forbids to: pull it where there is "
            "a network, or export a file that you have with --pretrained FILE"
        )
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - open_clip's own https
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            length = answer.headers.get("Content-Length")
    except (OSError, ValueError) as error:
        raise OfflineError(f"cannot reach {url} ({error}): try again with a network") from None
    return UrlFile(address=url, size=int(length) if length else None, stated=stated, cached=None)


def download_url(file: UrlFile) -> Path:
    """The file's content, checked against the hash that open_clip states.

    Raises:
        BundleError: another hash than stated.
        OfflineError: the network went away.
    """
    if file.cached is not None:
        return file.cached
    from open_clip.pretrained import download_pretrained_from_url

    path = _cache() / file.address.rsplit("/", 1)[-1]
    try:
        with warnings.catch_warnings():
            # A stale file of an earlier try: replaced and checked again below.
            warnings.filterwarnings("ignore", message=".*checksum does not match.*")
            download_pretrained_from_url(file.address, cache_dir=str(path.parent))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OfflineError(f"{file.address} broke off ({error}): pull again") from None
    except RuntimeError:
        pass  # open_clip found another hash; so do we
    if not sha256_of(path).startswith(file.stated):
        found = sha256_of(path)
        path.unlink()
        raise BundleError(
            f"{file.address} does not have the sha256 that open_clip states ({file.stated[:12]}, "
            f"got {found[:12]}): deleted, not used"
        )
    return path


def _stated_sha256(url: str) -> str:
    """Where open_clip's own downloader looks for it, if it is hexadecimal at all."""
    folder, _, name = url.rpartition("/")
    digits = ""
    if "openaipublic" in url:
        digits = folder.rsplit("/", 1)[-1]
    elif "mlfoundations" in url:
        digits = name.rsplit(".", 1)[0].rsplit("-", 1)[-1]
    return digits if re.fullmatch("[0-9a-f]{8,64}", digits) else ""


def _cache() -> Path:
    """open_clip's folder, so that neither downloads twice."""
    return Path.home() / ".cache" / "clip"
