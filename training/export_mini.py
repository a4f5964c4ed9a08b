"""A finished run to the embedded bundle: ``python -m training.export_mini RUN [--out FOLDER]``.

RUN/export gets the weights as safetensors with open_clip's names, the config, the tokenizer and
the facts of the run; FOLDER (default ``detectors/clip/mini``) gets the bundle and its model card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from clipvet.detectors.clip import GATE_FILE
from clipvet.detectors.clip.export import Source, closed_tokenizer, parse_config, write_bundle
from training import model as clip
from training.fonts import FONTS, available
from training.seeds import NEVER_TRAINED, SEEDS
from training.tokenizer import END, PAD, START, UNKNOWN

__all__ = ["export_run", "load_state", "main", "write_mini"]

_LICENCE = "Apache-2.0"
_DESCRIPTION = (
    "mini: a small CLIP trained only on rendered parts and surfaces. Made for inspecting parts "
    "against good references; it cannot name everyday things, and knows few words."
)


def load_state(checkpoint: Path, settings: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The running mean of a run's weights, with positions for the shipped grid."""
    saved = torch.load(checkpoint, weights_only=True)
    vision = settings["vision_cfg"]
    grid = vision["image_size"] // vision["patch_size"]
    state = {k: v.float().numpy() for k, v in saved["mean"].items()}
    state["visual.positional_embedding"] = clip.positions(grid, vision["width"]).numpy()
    return state


def export_run(run: Path, *, image_size: int = 192) -> Path:
    """Write the weights, the config, the tokenizer and the facts of a run under RUN/export."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    settings = json.loads(json.dumps(saved["plan"]["model"])) if "plan" in saved else clip.config()
    settings["vision_cfg"]["image_size"] = image_size
    out = run / "export"
    out.mkdir(exist_ok=True)
    save_file(load_state(run / "checkpoint.pt", settings), out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (out / "tokenizer.json").write_text(saved["tokenizer"])
    facts = {
        "steps": saved["step"],
        "views": saved["views"],
        "minutes": round(saved["seconds"] / 60, 1),
        "programs_rendered": saved["seed"] - SEEDS["train"].start,
        "machine": "2 shared CPU cores with AVX-512 BF16, no GPU",
        "seeds": {k: [r.start, r.stop] for k, r in SEEDS.items()},
        "held_out_families": sorted(NEVER_TRAINED),
        "data": "renders of training/ alone",
        "pictogram_fonts": sorted(FONTS) if available() else [],
    }
    (out / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    return out


def write_mini(exported: Path, folder: Path) -> None:
    """Replace the bundle files in ``folder``; its other files stay."""
    from safetensors.numpy import load_file

    weights = exported / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "mini"
        write_bundle(
            bundle,
            config=parse_config(exported / "config.json"),
            state=load_file(weights),
            tokenizer=closed_tokenizer(
                (exported / "tokenizer.json").read_text(),
                start=START,
                end=END,
                padding=PAD,
                unknown=UNKNOWN,
            ),
            name="mini",
            description=_DESCRIPTION,
            licence=_LICENCE,
            source=Source(model="mini", weights="training/ of this repository", sha256=digest),
            precision="fp16",
            # Its text tower knows few words; mixed into the score it does harm. The largest cell
            # of a map is its noisiest (NOTES.md has the numbers for both).
            options={"winclip": {"variant": "visual", "top_share": 0.01}},
            mean=clip.MEAN,
            std=clip.STD,
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / GATE_FILE).unlink(missing_ok=True)  # it was another model's
        for path in bundle.iterdir():
            shutil.copy(path, folder / path.name)


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("detectors/clip/mini"))
    parser.add_argument("--image-size", type=int, default=192)
    args = parser.parse_args()
    write_mini(export_run(args.run, image_size=args.image_size), args.out)
    size = sum(p.stat().st_size for p in args.out.iterdir() if p.is_file())
    print(f"{args.out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
