"""Each detector's paper, by its own protocol: ``python -m benchmarks.paper --bundle B --data D``.

For whoever has the weights and the data; benchmarks/README.md says how the folders below D lie. A
part is the id of a detector; a part whose data is not there is skipped with a sentence. Learned
weights are given with ``--artefact ID=FOLDER``. One JSON object on stdout, or in --out: no number
in it is the paper's, and none of ours is in the documentation.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._paper import Setup, Unmeasured
from benchmarks._paper_anomaly import anomalyclip, winclip
from benchmarks._paper_fooling import fooling
from benchmarks._paper_inappropriate import inappropriate
from benchmarks._paper_ood import clipn, vim
from benchmarks._paper_unanswerable import unanswerable
from clipvet.detectors import ClipvetError, Host

__all__ = ["PARTS", "main", "run"]

PARTS: dict[str, Callable[[Setup], dict[str, Any]]] = {
    "winclip": winclip,
    "anomalyclip": anomalyclip,
    "clipn": clipn,
    "vim": vim,
    "inappropriate": inappropriate,
    "unanswerable": unanswerable,
    "fooling": fooling,
}


def run(setup: Setup, parts: Sequence[str]) -> dict[str, Any]:
    """What each part found, or why it was skipped.

    Raises:
        BundleError: there is no such bundle.
    """
    info = setup.opened().info
    installed = Host.load().detectors
    found = {}
    for part in parts:
        artefact = setup.artefacts.get(part)
        try:
            if part not in installed:
                raise Unmeasured(f"detector {part} is not installed")
            numbers = PARTS[part](setup)
        except (ClipvetError, Unmeasured) as error:
            numbers = {"skipped": str(error)}
        found[part] = {"artefact": None if artefact is None else str(artefact), **numbers}
        # A part may take hours: what is found is on the screen, whatever happens to the next one.
        print(json.dumps({part: found[part]}), file=sys.stderr, flush=True)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "bundle": {"id": info.id, "sha256": info.sha256},
        "data": str(setup.data),
        "parts": found,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts that are named, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--bundle", required=True, help="name or folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--artefact", action="append", default=[], metavar="ID=FOLDER")
    parser.add_argument("--seeds", type=int, default=5, help="draws of winclip's good images")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="instead of stdout")
    args = parser.parse_args(arguments)
    parts = args.parts or list(PARTS)
    artefacts = dict(given.partition("=")[::2] for given in args.artefact)
    for name in (*parts, *artefacts):
        if name not in PARTS:
            parser.error(f"unknown part {name}: choose from {', '.join(PARTS)}")
    if args.seeds < 1:
        parser.error("--seeds needs one draw at least")
    setup = Setup(
        bundle=args.bundle,
        data=args.data,
        artefacts={name: Path(folder) for name, folder in artefacts.items()},
        seeds=args.seeds,
    )
    try:
        found = run(setup, parts)
    except ClipvetError as error:
        parser.exit(error.exit_code, f"{parser.prog}: {error}\n")
    text = json.dumps(found, indent=1, allow_nan=False) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
