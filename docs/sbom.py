"""Complete a bill of materials: ``.venvs/sbom/bin/python docs/sbom.py WHEEL BOM`` (``make sbom``).

cyclonedx-py lists the packages of an environment. This adds what no package manager knows: the
hash of the wheel, and the models and word lists inside of it, each with its licence and hashes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

# Folder in the wheel -> name, and what it is. All of it was made by this project, but for the trunk
# of mini: NOTICE says where that comes from; its licence is the same.
MODELS = {
    "clipvet/detectors/clip/mini/": (
        "mini",
        "the embedded CLIP: graphs, weights, tokenizer, gate; its trunk (c) 2020 ML Illustrated",
    ),
    "clipvet/plugins/anomalyclip/mini/": ("anomalyclip-mini", "prompts of anomalyclip for mini"),
    "clipvet/plugins/clipn/mini/": ("clipn-mini", "the no-tower of clipn for mini"),
    "clipvet/plugins/fooling/mini/": ("fooling-mini", "the classifier of fooling for mini"),
    "clipvet/plugins/inappropriate/mini/": ("inappropriate-mini", "class vectors for mini"),
    "clipvet/plugins/unanswerable/mini/": ("unanswerable-mini", "learned vectors for mini"),
}
WORDS = "clipvet/detectors/_words.py"
LICENCE = [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]


def main(wheel: Path, bom: Path) -> None:
    """Add them, and validate the whole against the schema of CycloneDX."""
    content = json.loads(bom.read_text("utf-8"))
    root = content["metadata"]["component"]
    root["hashes"] = _hash(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        files = {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith((".py", ".md"))
        }
        words = archive.read(WORDS)
    made = [_model(folder, *about, files) for folder, about in MODELS.items()]
    made.append(
        {
            **_component("data", "common-words", "word lists, written for this package"),
            "hashes": _hash(words),
        }
    )
    content["components"].extend(made)
    for entry in content["dependencies"]:
        if entry["ref"] == root["bom-ref"]:
            known = entry.get("dependsOn", [])
            entry["dependsOn"] = sorted([*known, *(one["bom-ref"] for one in made)])
    content["dependencies"].extend({"ref": one["bom-ref"]} for one in made)
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    _validate(text)
    bom.write_text(text, "utf-8")
    print(f"{bom}: {len(content['components'])} components")


def _model(folder: str, name: str, about: str, files: dict[str, bytes]) -> dict[str, Any]:
    inside = {path: data for path, data in files.items() if path.startswith(folder)}
    if not inside:
        raise SystemExit(f"the wheel has no {folder}: mend MODELS in docs/sbom.py")
    return {
        **_component("machine-learning-model", name, about),
        "components": [
            {"type": "file", "bom-ref": path, "name": path, "hashes": _hash(data)}
            for path, data in sorted(inside.items())
        ],
    }


def _component(kind: str, name: str, about: str) -> dict[str, Any]:
    return {
        "type": kind,
        "bom-ref": f"clipvet-data:{name}",
        "name": name,
        "description": about,
        "licenses": LICENCE,
    }


def _hash(data: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def _validate(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise SystemExit(f"not CycloneDX 1.6: {problem}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
