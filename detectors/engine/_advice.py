"""Options that a bundle advises for a detector, where the run says nothing else.

A method's published defaults were chosen on one model. A bundle that serves it better with
others says so in its manifest; what is set by hand, or written in a recipe, always wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clipvet.detectors.clip import find_bundle
from clipvet.detectors.engine._results import DetectorSpec
from clipvet.detectors.host._host import Host

__all__ = ["advised"]


def advised(
    specs: Sequence[DetectorSpec], *, host: Host, bundle: str | None
) -> tuple[list[DetectorSpec], list[str]]:
    """The specs with their bundles' advice filled in, and a sentence for each that took some.

    Raises:
        BundleError: a bundle that does not exist or is damaged.
    """
    filled, sentences = [], []
    for spec in specs:
        manifest = find_bundle(spec.bundle or bundle, host.bundles).manifest
        new = {
            key: value
            for key, value in manifest.options.get(spec.id, {}).items()
            if key not in spec.options
        }
        filled.append(replace(spec, options={**new, **spec.options}))
        if new:
            settings = ", ".join(f"{key}={value}" for key, value in new.items())
            sentences.append(
                f"{spec.id} runs with {settings}, as bundle {manifest.name} advises "
                f"(--set {spec.id}.{next(iter(new))}=... for another)"
            )
    return filled, sentences
