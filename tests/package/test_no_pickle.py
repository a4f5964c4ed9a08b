"""No pickle is ever executed: a trap in every disguise, through everything that reads a file."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

import clipvet.cli
from clipvet.cli._main import run_command
from clipvet.detectors import BundleError, Heatmap, UsageError
from clipvet.detectors.clip import Bundle
from tests.hostile_bundles import copy_of_mini, seal, use
from tests.report_runs import HandMade

SIZES = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> Any:
        return (os.makedirs, (self.target, 0o777, True))


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


@pytest.fixture
def traps(tmp_path: Path, sprung: Path) -> Path:
    """A folder of files that would all write ``sprung`` if they were unpickled."""
    folder = tmp_path / "traps"
    folder.mkdir()
    trap = Trap(sprung)
    table = {"state_dict": {"logit_scale": torch.zeros(()), "x": trap}, "prompt_learner": trap}
    torch.save(table, folder / "new.pt")
    torch.save(table, folder / "old.pth", _use_new_zipfile_serialization=False)
    for protocol in range(6):
        (folder / f"bare{protocol}.bin").write_bytes(pickle.dumps(trap, protocol))
    joblib.dump(trap, folder / "model.joblib")
    objects = np.array([trap, trap], dtype=object)
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    np.savez(folder / "objects.npz", grid=objects, box=objects, image_size=objects)
    with zipfile.ZipFile(folder / "script.pt", "w") as archive:  # as TorchScript, as far as it goes
        archive.writestr("a/constants.pkl", pickle.dumps(trap, 2))
        archive.writestr("a/data.pkl", pickle.dumps(trap, 2))
        archive.writestr("a/version", "3\n")
    (folder / "prompts.p").write_bytes(pickle.dumps(objects, 3))
    return folder


def test_the_traps_would_spring(traps: Path, sprung: Path) -> None:
    springs: dict[str, Callable[[Path], Any]] = {
        "new.pt": lambda path: torch.load(path, weights_only=False),
        "old.pth": lambda path: torch.load(path, weights_only=False),
        "bare4.bin": lambda path: pickle.loads(path.read_bytes()),
        "model.joblib": joblib.load,
        "objects.npy": lambda path: np.load(path, allow_pickle=True),
        "objects.npz": lambda path: np.load(path, allow_pickle=True)["grid"],
        "prompts.p": lambda path: pickle.loads(path.read_bytes()),
    }
    for name, spring in springs.items():
        spring(traps / name)
        assert sprung.exists(), name
        sprung.rmdir()


@pytest.mark.filterwarnings("ignore")
def test_no_command_springs_one(
    traps: Path, sprung: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CLIPVET_BUNDLES", str(tmp_path / "bundles"))
    config, out = tmp_path / "small.json", tmp_path / "out"
    config.write_text(json.dumps(SIZES))
    for path in sorted(traps.iterdir()):
        for words, codes in [
            (["bundles", "export", "small", "--config", config, "--pretrained", path], {2}),
            (["x", "import-clipn", path], {2}),
            (["x", "import-anomalyclip", path], {2}),
            (["x", "import-q16", path, "--bundle", "mini"], {2, 4}),
        ]:
            code = run_command([*map(str, words), "--out", str(out)])
            said = capsys.readouterr().err
            assert code in codes, (words, said)
            assert said.startswith("detect: "), said
            assert len(said.splitlines()) == 1, said
            assert not sprung.exists(), words
            assert not out.exists(), words


def test_no_run_springs_one(
    traps: Path, sprung: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As images, under image names, as classes, questions, masks and artefacts."""
    monkeypatch.setenv("CLIPVET_CACHE", str(tmp_path / "cache"))
    for path in list(traps.iterdir()):
        (traps / f"{path.name}.png").write_bytes(path.read_bytes())
    common = ["--device", "cpu", "-q", "--heatmaps", "none"]
    run = ["run", str(traps), "--all-files", "--out", str(tmp_path / "run"), *common]
    assert run_command(run) == 3
    for option in ("--classes", "--questions", "--roi", "--recipe", "--references", "--bundle"):
        for name in ("new.pt", "bare4.bin", "objects.npz", "model.joblib"):
            extra = [option, str(traps / name), "-d", "winclip"]
            extra = extra[:2] if option == "--recipe" else extra
            assert run_command([*run[:-6], str(tmp_path / "no"), *common, *extra]) in {2, 3, 4}
    artefact = tmp_path / "art"
    artefact.mkdir()
    for name in ("artefact.json", "artefact.safetensors"):
        (artefact / name).write_bytes((traps / "bare4.bin").read_bytes())
    for detector in ("vim", "fooling", "clipn", "anomalyclip", "unanswerable", "inappropriate"):
        extra = ["-d", detector, "--artefact", f"{detector}={artefact}"]
        assert run_command([*run[:-6], str(tmp_path / "no"), *common, *extra]) in {2, 3, 4}
    assert not sprung.exists()


def test_no_bundle_springs_one(traps: Path, sprung: Path, tmp_path: Path) -> None:
    bundle = copy_of_mini(tmp_path / "bundle")
    for path in traps.iterdir():
        (bundle / path.name).write_bytes(path.read_bytes())
    use(bundle)  # what lies beside its files is not looked at
    bad = (traps / "bare4.bin").read_bytes()
    for name in ("gate.safetensors", "tokenizer.json", "vision.onnx"):
        whole = (bundle / name).read_bytes()
        (bundle / name).write_bytes(bad)
        seal(bundle)
        with pytest.raises(BundleError, match=name):
            use_with_gate(bundle)
        (bundle / name).write_bytes(whole)
    assert not sprung.exists()


def use_with_gate(bundle: Path) -> None:
    use(bundle)
    assert Bundle.open(bundle).gate is not None


def test_no_report_springs_one(traps: Path, sprung: Path, tmp_path: Path) -> None:
    from clipvet.detectors import write_report

    made = HandMade(tmp_path / "hand")
    made.add("a.png")
    folder = made.write()
    (folder / "heatmaps" / "0000.npz").write_bytes((traps / "objects.npz").read_bytes())
    write_report(folder)
    for path in traps.iterdir():
        with pytest.raises(UsageError, match="not a heatmap of clipvet"):
            Heatmap.load(path)
    assert not sprung.exists()


def test_no_module_can_unpickle() -> None:
    """Held where it is written, too: no call of a reader that would."""
    rooms = Path(clipvet.cli.__file__).parents[1]
    unsafe = []
    for path in sorted(rooms.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called, words = (
                ast.unparse(node.func),
                {k.arg: ast.unparse(k.value) for k in node.keywords},
            )
            if called in {
                "pickle.load",
                "pickle.loads",
                "pickle.Unpickler",
                "joblib.load",
                "marshal.loads",
                "torch.jit.load",
                "shelve.open",
                "eval",
                "exec",
            }:
                unsafe.append((path.relative_to(rooms).as_posix(), called))
            elif called == "torch.load":
                assert words.get("weights_only") == "True", path
            elif called in {"np.load", "numpy.load"}:
                assert words.get("allow_pickle") == "False", path
    # The checks of plugins send their own instance to another process, and back.
    assert unsafe == [("detectors/testing/_checks.py", "pickle.loads")]


def test_a_file_of_tensors_is_still_read(tmp_path: Path) -> None:
    from clipvet.detectors.clip.export import read_torch_file

    buffer = io.BytesIO()
    torch.save({"a": torch.ones(2)}, buffer)
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    assert read_torch_file(tmp_path / "a.pt")["a"].tolist() == [1, 1]
