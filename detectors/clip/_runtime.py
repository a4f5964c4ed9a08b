"""The shared CLIP runtime: views and prompts in, features out, one vision session."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipvet.detectors._closing import Closing
from clipvet.detectors.clip._bundle import Bundle, BundleInfo
from clipvet.detectors.clip._gate import DomainGate
from clipvet.detectors.clip._placement import Placement, stray_nodes
from clipvet.detectors.clip._preprocess import preprocess, square, squares
from clipvet.detectors.clip._pruning import pruned_graph
from clipvet.detectors.clip._session import Device, PixelBatch, Session, open_session
from clipvet.detectors.clip._text import TextEncoder
from clipvet.detectors.clip._text_cache import TextCache, default_cache_folder
from clipvet.detectors.errors import BundleError

__all__ = ["Runtime"]


class Runtime(Closing):
    """One bundle on one device, for one set of features.

    Args:
        bundle: an opened bundle.
        needs: features that :meth:`encode_views` gives; the graph is pruned to these.
        device: what is asked for is what is got, or an error; see :func:`open_session`.
        batch_size: views per call of the session. What does not fill a batch is encoded view
            by view on a CPU, and padded to a batch elsewhere: few fixed shapes keep memory flat.
        threads: threads inside one operator (default: one per usable core).
        cache_folder: of text embeddings (default: ``CLIPVET_CACHE`` or the user's cache).

    Sessions are made at first use and may be used from several threads.

    Raises:
        BundleError: the bundle lacks one of the features.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        needs: Collection[str],
        device: Device = "auto",
        batch_size: int = 8,
        threads: int | None = None,
        cache_folder: Path | None = None,
    ) -> None:
        missing = sorted(set(needs) - set(bundle.manifest.features))
        if missing:
            raise BundleError(
                f"bundle {bundle.manifest.name} cannot give {', '.join(missing)}: its image tower "
                "is too small or of another kind"
            )
        self.bundle = bundle
        self.needs = frozenset(needs)
        self.device = device
        self.batch_size = batch_size
        self.threads = threads
        self.encoder_calls = 0
        self._vision: Session | None = None
        self._lock = threading.Lock()
        folder = default_cache_folder() if cache_folder is None else cache_folder
        self._text = TextEncoder(
            bundle,
            TextCache(folder, bundle.info.sha256, bundle.manifest.embed_dim),
            device=device,
            threads=threads,
        )

    @property
    def info(self) -> BundleInfo:
        """Facts of the bundle."""
        return self.bundle.info

    @property
    def gate(self) -> DomainGate | None:
        """The bundle's domain gate, if it has one and this runtime computes what it reads."""
        gate = self.bundle.gate
        return gate if gate is not None and self.needs >= set(gate.features) else None

    @property
    def provider(self) -> str:
        """Execution provider of the vision session, for example ``CPUExecutionProvider``."""
        return self._vision_session().provider

    @property
    def placement(self) -> Placement | None:
        """Execution provider -> operator -> nodes of the image tower; None if nobody tells."""
        return self._vision_session().placement

    @property
    def notes(self) -> tuple[str, ...]:
        """What the device could not do, in sentences: nodes that the CPU runs instead of it."""
        session = self._vision_session()
        strays = stray_nodes(session.placement, session.provider)
        return (*session.notes, *([] if strays is None else [strays]))

    def squares(self, views: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """The views resized: the part of preprocessing that other threads can do beforehand.

        Encoding them gives the same bits as encoding the views.
        """
        settings = self.bundle.manifest.preprocessing
        return [square(view, settings) for view in views] if self.needs else list(views)

    def encode_views(self, views: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """Features of any number of views.

        Args:
            views: uint8 RGB [h, w, 3], any sizes.

        Returns:
            One float32 array for each name in ``needs``; shapes as in ``FEATURES``. A view's
            numbers are bit for bit the same whatever it is encoded together with.
        """
        if not self.needs:
            return {}
        session = self._vision_session()
        outputs = {
            name: session.empty((len(views), *self.bundle.manifest.features[name]))
            for name in self.needs
        }
        for first, count, rows in _batches(len(views), self.batch_size, pads=session.pads):
            end = first + count
            session.run(
                {"pixel_values": self._pixels(session, views[first:end], rows)},
                into={name: values[first:end] for name, values in outputs.items()},
            )
        with self._lock:
            self.encoder_calls += len(views)
        return outputs

    def encode_text(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Text embeddings float32 [len(prompts), E], not normalised; cached on disk."""
        return self._text(prompts)

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of a prompt that a bundle with a closed vocabulary does not know."""
        return self._text.tokenizer.unknown_words(prompt)

    def warmup(self) -> None:
        """Make the session and run it as for one empty view, so that the first is not slow."""
        if self.needs:
            session = self._vision_session()
            ((_, _, rows),) = _batches(1, self.batch_size, pads=session.pads)
            session.run({"pixel_values": self._pixels(session, [], rows)})

    def close(self) -> None:
        """Free both sessions; they are made again if the runtime is used again."""
        with self._lock:
            if self._vision is not None:
                self._vision.close()
                self._vision = None
        self._text.close()

    def _vision_session(self) -> Session:
        with self._lock:
            if self._vision is None:
                # A runtime without features still answers which provider it would use.
                names = self.needs or {"cls_embed"}
                with self.bundle.unchanged():
                    session = open_session(
                        pruned_graph(self.bundle.folder / "vision.onnx", names),
                        self.bundle.home,
                        device=self.device,
                        threads=self.threads,
                        batch=PixelBatch(
                            rows=self.batch_size,
                            preprocessing=self.bundle.manifest.preprocessing,
                            weights=self.info.sha256,
                        ),
                    )
                self._vision = session
            return self._vision

    def _pixels(
        self, session: Session, views: Sequence[NDArray[np.uint8]], rows: int
    ) -> NDArray[np.float32] | NDArray[np.uint8]:
        """What the session reads, padded with zeros to a number of rows."""
        settings = self.bundle.manifest.preprocessing
        side, count = settings.size, len(views)
        if session.pixels == "uint8":
            pixels = session.empty((rows, side, side, 3), np.uint8)
            squares(views, settings, pixels[:count])
        elif count == rows:
            return preprocess(views, settings)
        else:
            pixels = session.empty((rows, 3, side, side))
            pixels[:count] = preprocess(views, settings)
        pixels[count:] = 0
        return pixels


def _batches(count: int, size: int, *, pads: bool) -> Iterator[tuple[int, int, int]]:
    """First view, views and rows of each call."""
    full = count - count % size
    yield from ((first, size, size) for first in range(0, full, size))
    if not pads:
        yield from ((first, 1, 1) for first in range(full, count))
    elif full < count:
        yield full, count - full, size
