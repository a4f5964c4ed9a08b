"""Files of Hugging Face repositories: what they are now, and their content.

Every failure is one of clipvet's own errors; no call waits longer than ``_TIMEOUT`` for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipvet.detectors.clip.export._lock import PullLock
from clipvet.detectors.errors import MissingDependency, OfflineError, UsageError

__all__ = ["HubFile", "describe_file", "describe_licence", "download_file"]

_TIMEOUT = 10.0


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file at one revision.

    Attributes:
        sha256: as the hub states it, for files in large-file storage; else None.
        cached: where the file is, when it was found without the network.
    """

    repository: str
    name: str
    revision: str
    size: int | None
    sha256: str | None
    cached: Path | None = None

    @property
    def address(self) -> str:
        """``hf-hub:org/name/file``, the key of the lock file."""
        return _address(self.repository, self.name)


def describe_file(
    repository: str, names: Sequence[str], lock: PullLock, *, offline: bool
) -> HubFile:
    """The first of ``names`` that the repository has.

    Args:
        repository: ``org/name``.
        names: file names, the preferred one first.
        lock: says which revision is meant when there is no network to ask.
        offline: look into the local cache only.

    Raises:
        OfflineError: the hub cannot be reached, or ``offline`` and nothing is cached.
        UsageError: no such repository, or it has none of these files.
    """
    if offline:
        return _cached_file(repository, names, lock)
    hub = _huggingface_hub()
    for name in names:
        with _told(repository):
            try:
                facts = hub.get_hf_file_metadata(hub.hf_hub_url(repository, name), timeout=_TIMEOUT)
            except hub.errors.EntryNotFoundError:
                continue
        stated = facts.etag or ""
        return HubFile(
            repository=repository,
            name=name,
            revision=facts.commit_hash or "main",
            size=facts.size,
            sha256=stated if re.fullmatch("[0-9a-f]{64}", stated) else None,
        )
    raise UsageError(f"{repository} has none of {', '.join(names)}: not an open_clip repository")


def describe_licence(weights: HubFile, lock: PullLock) -> str:
    """The licence that the repository's card names, or that it names none."""
    locked = lock.get(weights.address)
    unknown = (locked and locked.licence) or "not stated by the source"
    if weights.cached is not None:
        return unknown
    hub = _huggingface_hub()
    try:
        card = hub.HfApi().model_info(weights.repository, timeout=_TIMEOUT).card_data or {}
    except Exception:  # noqa: BLE001 - a missing licence stops nothing: it is shown as unknown
        return unknown
    named = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return str(named or unknown)


def download_file(file: HubFile) -> Path:
    """The file's content, from the hub's own cache where it is there already.

    Raises:
        OfflineError: the hub cannot be reached.
    """
    if file.cached is not None:
        return file.cached
    hub = _huggingface_hub()
    with _told(file.repository):
        return Path(
            hub.hf_hub_download(
                file.repository, file.name, revision=file.revision, etag_timeout=_TIMEOUT
            )
        )


def _cached_file(repository: str, names: Sequence[str], lock: PullLock) -> HubFile:
    hub = _huggingface_hub()
    for name in names:
        locked = lock.get(_address(repository, name))
        # "main" for what another program of the user has downloaded.
        for revision in (locked and locked.revision, "main"):
            found = revision and hub.try_to_load_from_cache(repository, name, revision=revision)
            if isinstance(found, str):
                path = Path(found)
                return HubFile(
                    repository=repository,
                    name=name,
                    # .../snapshots/<revision>/<name>
                    revision=path.parts[path.parts.index("snapshots") + 1],
                    size=path.stat().st_size,
                    sha256=None,
                    cached=path,
                )
    raise OfflineError(
        f"{repository} is not in the local cache and --offline forbids to download it: pull it "
        "where there is a network, or export a file that you have with --pretrained FILE"
    )


def _address(repository: str, name: str) -> str:
    return f"hf-hub:{repository}/{name}"


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """Failures of the hub as one sentence."""
    hub = _huggingface_hub()
    try:
        yield
    except hub.errors.HFValidationError as error:
        raise UsageError(f"{repository!r} is not a repository name: {error}") from None
    except hub.errors.GatedRepoError:
        raise UsageError(
            f"{repository} asks for a login: accept its terms on the hub, then `hf auth login`"
        ) from None
    except hub.errors.RepositoryNotFoundError:
        raise UsageError(f"the hub has no public repository {repository}") from None
    except Exception as error:  # the transport's own errors differ between versions of the hub
        what = " ".join(str(error).split())[:160] or type(error).__name__
        raise OfflineError(
            f"cannot reach {hub.constants.ENDPOINT} for {repository} ({what}): try again "
            "with a network, or export a file that you have with --pretrained FILE"
        ) from error


def _huggingface_hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise MissingDependency("huggingface_hub", "pulling a bundle", "export") from None
    return huggingface_hub
