"""``detect bundles``: list, show, export, pull and verify CLIP models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipvet.cli._bundle_options import (
    Accept,
    Activation,
    AsJson,
    BundleName,
    ModelName,
    Offline,
    Origin,
    Positions,
    PositionsName,
    Precision,
    PrecisionName,
    Resize,
    ResizeName,
    Size,
    VvStart,
)
from clipvet.cli._text import say

if TYPE_CHECKING:
    from clipvet.detectors.clip import Bundle, Manifest
    from clipvet.detectors.clip.export import Offer, WeightsFile

__all__ = ["app"]

app = typer.Typer(
    name="bundles",
    help="List, show, export, pull and verify CLIP models.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_bundles(as_json: AsJson = False) -> None:
    """List the bundles that have a name: registered by plugins, or pulled."""
    from clipvet.detectors.clip import Bundle, known_bundles
    from clipvet.detectors.errors import BundleError

    registered = _registered()
    rows = []
    for name, folder in known_bundles(registered).items():
        row = {"name": name, "origin": "plugin" if name in registered else "pulled"}
        try:
            row |= {"state": "ok", "about": _about(Bundle.open(folder))}
        except BundleError as error:
            row |= {"state": "damaged", "about": str(error)}
        rows.append({**row, "folder": str(folder)})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        say(f"{row['name']:<28} {row['origin']:<7} {row['state']:<8} {row['about']}")
    if not rows:
        say("no bundles; see `detect bundles pull --help`", err=True)


@app.command()
def show(name: BundleName, as_json: AsJson = False) -> None:
    """Show what a bundle is, where it comes from, its licence and its features."""
    bundle = _find(name)
    manifest = bundle.manifest
    if as_json:
        typer.echo(manifest.to_json(), nl=False)
        return
    source, vision, pre = manifest.source, manifest.vision, manifest.preprocessing
    rows = {
        "about": manifest.description,
        "source": ", ".join(filter(None, [source.model, source.weights])),
        "revision": source.revision or "none stated",
        "sha256": source.sha256 or "none",
        "licence": manifest.licence,
        "image": f"{pre.size} pixels, {vision.grid} x {vision.grid} patches of {vision.patch_size}",
        "resize": f"{pre.resize}, {pre.interpolation}; as trained: "
        f"{source.native_resize or 'not stated'}",
        "towers": f"width {vision.width}, {vision.layers} blocks; text {manifest.text.width}, "
        f"{manifest.text.layers} blocks; joint space {manifest.embed_dim}",
        "trunk": _trunk(manifest),
        "numbers": f"{manifest.activation}, {manifest.precision}, logit scale "
        f"{manifest.logit_scale:.4g}, positions {vision.position_interpolation}",
        "words": f"{manifest.text.vocabulary} vocabulary, {manifest.text.context_length} tokens",
        "features": ", ".join(sorted(manifest.features)),
        "bundle": bundle.info.sha256,
        "folder": str(bundle.folder),
    }
    say(manifest.name)
    for key, value in rows.items():
        if value:
            say(f"  {key:<9} {value}")


@app.command()
def verify(name: BundleName) -> None:
    """Compare the hash of every file of a bundle with its manifest."""
    bundle = _find(name)
    bundle.verify()
    say(f"{bundle.manifest.name}: {len(bundle.manifest.files)} files are as exported")


@app.command()
def export(
    model: ModelName,
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new bundle.")],
    pretrained: Annotated[
        str | None, typer.Option("--pretrained", metavar="TAG|FILE", help="Weights.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="open_clip model config (JSON) of your model.")
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="SEED", min=0, help="Made-up weights.")
    ] = None,
    image_size: Size = None,
    positions: Positions = PositionsName.ANTIALIAS,
    resize: Resize = ResizeName.SQUASH,
    vv_start: VvStart = None,
    precision: Precision = PrecisionName.FP32,
    activation: Activation = None,
    origin: Origin = None,
    offline: Offline = False,
    accept_change: Accept = False,
) -> None:
    """Export a ViT CLIP to a bundle: an open_clip tag, a checkpoint, or random weights."""
    from clipvet.detectors.clip import bundles_folder
    from clipvet.detectors.clip.export import (
        PullLock,
        RandomWeights,
        WeightsFile,
        fetch,
        find_weights,
        load_model,
    )
    from clipvet.detectors.errors import UsageError

    from_hub = model.startswith("hf-hub:")
    if (pretrained is not None) + (random is not None) + from_hub != 1:
        raise UsageError("give one source of weights: --pretrained, --random or hf-hub:org/name")
    brought: dict[str, Any] | None = None
    weights: WeightsFile | RandomWeights
    if random is not None:
        weights = RandomWeights(seed=random)
    elif pretrained is not None and _is_file(pretrained):
        path = Path(pretrained)
        weights = WeightsFile(path=path, label=f"file {path.name}")
    else:
        lock = PullLock(bundles_folder())
        offer = find_weights(
            model, pretrained, lock, offline=offline, origin=origin.value if origin else None
        )
        _announce(offer, out)
        with lock.alone():
            weights, brought = fetch(offer, lock, accept_change=accept_change)
    loaded = load_model(
        model,
        weights,
        config=config or brought,
        activation=activation.value if activation else None,
    )
    bundle = loaded.export(
        out,
        name=out.resolve().name,
        **_options(image_size, positions, resize, vv_start, precision),
    )
    _finish(bundle, loaded.notes)


@app.command()
def pull(
    model: ModelName,
    *,
    pretrained: Annotated[
        str | None, typer.Option("--pretrained", metavar="TAG", help="open_clip tag.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the bundle.")] = None,
    image_size: Size = None,
    positions: Positions = PositionsName.ANTIALIAS,
    resize: Resize = ResizeName.SQUASH,
    vv_start: VvStart = None,
    precision: Precision = PrecisionName.FP32,
    activation: Activation = None,
    origin: Origin = None,
    offline: Offline = False,
    accept_change: Accept = False,
) -> None:
    """Download open_clip weights and export them into the user's folder of bundles."""
    from clipvet.detectors.clip import bundles_folder
    from clipvet.detectors.clip.export import PullLock, find_weights, pull_bundle
    from clipvet.detectors.errors import UsageError

    if name is not None and (Path(name).name != name or name.startswith(".")):
        raise UsageError(f"--name {name}: a plain name is needed; `bundles export` takes --out")
    lock = PullLock(bundles_folder())
    offer = find_weights(
        model, pretrained, lock, offline=offline, origin=origin.value if origin else None
    )
    out = bundles_folder() / (name or offer.name)
    _announce(offer, out)
    bundle, notes = pull_bundle(
        offer,
        out,
        lock,
        accept_change=accept_change,
        activation=activation.value if activation else None,
        **_options(image_size, positions, resize, vv_start, precision),
    )
    _finish(bundle, notes)


def _options(
    image_size: int | None,
    positions: PositionsName,
    resize: ResizeName,
    vv_start: int | None,
    precision: PrecisionName,
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "position_interpolation": positions.value,
        "resize": resize.value,
        "vv_start": vv_start,
        "precision": precision.value,
    }
    return options if image_size is None else {**options, "image_size": image_size}


def _announce(offer: Offer, out: Path) -> None:
    """Licence and size, before anything is written."""
    size = "unknown size" if offer.weights.size is None else f"{offer.weights.size / 1e6:,.1f} MB"
    say(f"{offer.model} from {offer.label}", err=True)
    say(f"licence: {offer.licence}   download: {size}   to: {out}", err=True)


def _finish(bundle: Bundle, notes: tuple[str, ...]) -> None:
    for note in notes:
        say(f"note: {note}", err=True)
    say(f"{bundle.folder}: {_about(bundle)}")


def _trunk(manifest: Manifest) -> str:
    """Source, licence and grids of a convolutional trunk in words; empty where there is none."""
    trunk = manifest.trunk
    if trunk is None:
        return ""
    grids = (f"{name} {' x '.join(map(str, trunk.grid(name)))}" for name in sorted(trunk.strides))
    source = f"{trunk.source.model} ({trunk.source.weights}, {trunk.licence})"
    return f"{source}, {trunk.input_size} pixels; cells: {', '.join(grids)}"


def _about(bundle: Bundle) -> str:
    manifest = bundle.manifest
    size = sum(facts.bytes for facts in manifest.files.values()) / 1e6
    return (
        f"{manifest.source.model}, {manifest.preprocessing.size} px, {manifest.activation}, "
        f"{manifest.precision}, {size:,.1f} MB, licence {manifest.licence}"
    )


def _is_file(text: str) -> bool:
    """A path, also of a file that is not there: no open_clip tag has a suffix or a slash."""
    return Path(text).is_file() or "/" in text or bool(Path(text).suffix)


def _find(name: str) -> Bundle:
    from clipvet.detectors.clip import find_bundle

    return find_bundle(name, _registered())


def _registered() -> dict[str, Path]:
    from clipvet.detectors import Host

    return dict(Host.load().bundles)
