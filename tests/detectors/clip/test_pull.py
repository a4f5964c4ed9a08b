"""``detect bundles pull`` against a small hub on the loopback interface, in a process of its own.

huggingface_hub reads its environment when it is imported, so every pull is a subprocess.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from clipvet.detectors.clip import Bundle, Runtime
from clipvet.detectors.clip.export import LoadedModel
from tests.detectors.clip.small_hub import Hub, serve
from tests.detectors.clip.small_model import CONFIG as SMALL
from tests.detectors.clip.small_model import as_tensors, small_model

CONFIG: dict[str, Any] = {**SMALL, "quick_gelu": True}
PREPROCESS = {"size": [64, 64], "mode": "RGB", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2],
              "interpolation": "bilinear", "resize_mode": "shortest", "fill_color": 0}  # fmt: skip
REPOSITORY = "someone/tiny-clip"
WEIGHTS = "open_clip_model.safetensors"
# Runs a command as `detect` would: a handled error is one line and its exit code.
CODE = """
import sys
{prepare}
from clipvet.cli.bundles import app
from clipvet.detectors.errors import ClipvetError
try:
    app(sys.argv[1:], standalone_mode=False)
except ClipvetError as error:
    print(f"error: {{error}}", file=sys.stderr)
    sys.exit(error.exit_code)
"""
# An open_clip tag that has both a hub repository and a URL, as real ones do.
TAG = """
import json, os
import open_clip, open_clip.factory, open_clip.pretrained
open_clip.factory._MODEL_CONFIGS["tiny"] = json.loads(os.environ["TINY_CONFIG"])
open_clip.pretrained._PRETRAINED["tiny"] = {"test": open_clip.pretrained._pcfg(
    url=os.environ["TINY_URL"], hf_hub="someone/tiny-clip/")}
"""
Pull = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return small_model(seed=1, quick_gelu=True)


def safetensors(loaded: LoadedModel, factor: float = 1) -> bytes:
    state = as_tensors(loaded)
    state["visual.proj"] *= factor
    return save(state)


@pytest.fixture
def hub(loaded: LoadedModel) -> Iterator[Hub]:
    files = {
        "open_clip_config.json": json.dumps(
            {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
        ).encode(),
        WEIGHTS: safetensors(loaded),
    }
    with serve(Hub(repositories={REPOSITORY: files}, licences={REPOSITORY: "mit"})) as hub:
        yield hub


@pytest.fixture
def pull(hub: Hub, tmp_path: Path) -> Pull:
    def run(*words: str, prepare: str = "", **environment: str) -> Any:
        keep = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
        return subprocess.run(
            [sys.executable, "-c", CODE.format(prepare=prepare), *words],
            env={
                **keep,
                "HF_ENDPOINT": hub.address,
                "HF_HOME": str(tmp_path / "hf"),
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "HOME": str(tmp_path / "home"),
                "CLIPVET_BUNDLES": str(tmp_path / "bundles"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def locked(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "bundles" / "pulls.json").read_text())["files"])


def test_first_pull_second_pull_and_a_change(
    pull: Pull, hub: Hub, tmp_path: Path, loaded: LoadedModel
) -> None:
    revision = hub.revision(REPOSITORY)
    done = pull("pull", f"hf-hub:{REPOSITORY}")
    assert done.returncode == 0, done.stderr
    assert "licence: mit" in done.stderr
    assert f"download: {len(hub.repositories[REPOSITORY][WEIGHTS]) / 1e6:.1f} MB" in done.stderr
    bundle = Bundle.open(tmp_path / "bundles" / "tiny-clip")
    bundle.verify()
    manifest = bundle.manifest
    sha256 = hashlib.sha256(hub.repositories[REPOSITORY][WEIGHTS]).hexdigest()
    assert manifest.source.model == f"hf-hub:{REPOSITORY}"
    assert (manifest.source.revision, manifest.source.sha256) == (revision, sha256)
    assert manifest.source.native_resize == "shortest"
    assert manifest.licence == "mit"
    assert manifest.activation == "quickgelu"
    assert manifest.preprocessing.mean == (0.5, 0.4, 0.3)
    assert manifest.preprocessing.interpolation == "bilinear"
    assert manifest.preprocessing.resize == "squash"
    entry = locked(tmp_path)[f"hf-hub:{REPOSITORY}/{WEIGHTS}"]
    assert (entry["revision"], entry["sha256"]) == (revision, sha256)
    direct = loaded.export(tmp_path / "direct")
    same_numbers(bundle, direct, tmp_path)

    again = pull("pull", f"hf-hub:{REPOSITORY}")
    assert again.returncode == 0, again.stderr
    assert "is there already, unchanged" in again.stderr
    assert hub.gets(WEIGHTS) == 1
    assert Bundle.open(bundle.folder).info.sha256 == bundle.info.sha256

    other = pull("pull", f"hf-hub:{REPOSITORY}", "--precision", "fp16")
    assert other.returncode == 2
    assert "exists with precision fp32: choose another --name" in other.stderr

    hub.repositories[REPOSITORY][WEIGHTS] = safetensors(loaded, factor=2)
    refused = one_line(pull("pull", f"hf-hub:{REPOSITORY}"))
    assert f"{WEIGHTS} has changed since it was pulled on" in refused
    assert sha256[:12] in refused
    assert "--accept-change" in refused
    assert hub.gets(WEIGHTS) == 1, "a change that the hub states need not be downloaded"
    assert locked(tmp_path)[f"hf-hub:{REPOSITORY}/{WEIGHTS}"] == entry
    assert Bundle.open(bundle.folder).info.sha256 == bundle.info.sha256

    accepted = pull("pull", f"hf-hub:{REPOSITORY}", "--accept-change")
    assert accepted.returncode == 0, accepted.stderr
    assert Bundle.open(bundle.folder).info.sha256 != bundle.info.sha256
    assert locked(tmp_path)[f"hf-hub:{REPOSITORY}/{WEIGHTS}"]["sha256"] != sha256
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == [
        "pulls.json",
        "tiny-clip",
    ]


def test_pulls_at_once_leave_one_whole_bundle(
    pull: Pull, hub: Hub, tmp_path: Path, loaded: LoadedModel
) -> None:
    with ThreadPoolExecutor(3) as together:
        work = [together.submit(pull, "pull", f"hf-hub:{REPOSITORY}") for _ in range(3)]
        for done in [one.result() for one in work]:
            assert done.returncode == 0, done.stderr
    bundle = Bundle.open(tmp_path / "bundles" / "tiny-clip")
    bundle.verify()
    same_numbers(bundle, loaded.export(tmp_path / "direct"), tmp_path)
    files = ("open_clip_config.json", WEIGHTS)
    assert list(locked(tmp_path)) == [f"hf-hub:{REPOSITORY}/{file}" for file in files]
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == [
        "pulls.json",
        "tiny-clip",
    ]


def same_numbers(first: Bundle, second: Bundle, tmp_path: Path) -> None:
    """Same weights, whatever the preprocessing says."""
    weights = [(bundle.folder / "weights.bin").read_bytes() for bundle in (first, second)]
    assert weights[0] == weights[1]
    with Runtime(first, needs=["cls_embed"], cache_folder=tmp_path) as runtime:
        view = np.zeros((30, 40, 3), dtype=np.uint8)
        assert np.isfinite(runtime.encode_views([view])["cls_embed"]).all()


def test_a_changed_config_is_refused_too(pull: Pull, hub: Hub) -> None:
    assert pull("pull", f"hf-hub:{REPOSITORY}").returncode == 0
    changed = {"model_cfg": {**CONFIG, "quick_gelu": False}, "preprocess_cfg": PREPROCESS}
    hub.repositories[REPOSITORY]["open_clip_config.json"] = json.dumps(changed).encode()
    refused = one_line(pull("pull", f"hf-hub:{REPOSITORY}", "--name", "second"))
    assert "open_clip_config.json has changed since it was pulled" in refused


def test_a_new_revision_of_the_same_files_is_no_change(
    pull: Pull, hub: Hub, tmp_path: Path
) -> None:
    assert pull("pull", f"hf-hub:{REPOSITORY}").returncode == 0
    before = locked(tmp_path)
    hub.repositories[REPOSITORY]["README.md"] = b"a new sentence"
    done = pull("pull", f"hf-hub:{REPOSITORY}", "--name", "second")
    assert done.returncode == 0, done.stderr
    assert locked(tmp_path) == before


def test_offline(pull: Pull, hub: Hub, tmp_path: Path) -> None:
    told = one_line(pull("pull", f"hf-hub:{REPOSITORY}", "--offline"))
    assert f"{REPOSITORY} is not in the local cache and --offline forbids" in told
    assert hub.requests == []
    assert not (tmp_path / "bundles").exists()
    # What an earlier pull left is used.
    assert pull("pull", f"hf-hub:{REPOSITORY}").returncode == 0
    seen = len(hub.requests)
    done = pull("pull", f"hf-hub:{REPOSITORY}", "--offline", "--name", "second")
    assert done.returncode == 0, done.stderr
    assert len(hub.requests) == seen
    names = ("tiny-clip", "second")
    first, second = (Bundle.open(tmp_path / "bundles" / name) for name in names)
    assert first.manifest.files["weights.bin"] == second.manifest.files["weights.bin"]
    assert first.manifest.source == second.manifest.source
    assert first.manifest.licence == second.manifest.licence == "mit"


@pytest.mark.parametrize("how", ["refusing", "failing"])
def test_a_hub_that_is_down_is_one_line_at_once(pull: Pull, hub: Hub, how: str) -> None:
    environment = {}
    if how == "refusing":
        environment["HF_ENDPOINT"] = "http://127.0.0.1:9"  # the discard port: nobody listens
    else:
        hub.failing = True
    told = one_line(pull("pull", f"hf-hub:{REPOSITORY}", **environment))
    assert "cannot reach http://127.0.0.1" in told
    assert len(hub.requests) <= 2, hub.requests  # it is not tried again and again


def test_repositories_that_are_not_there_or_something_else(pull: Pull, hub: Hub) -> None:
    absent = pull("pull", "hf-hub:nobody/nothing")
    assert absent.returncode == 2
    assert "the hub has no public repository nobody/nothing" in absent.stderr
    hub.repositories["someone/other"] = {"open_clip_config.json": b"{}", "model.bin": b"x"}
    other = pull("pull", "hf-hub:someone/other")
    assert other.returncode == 2
    assert "has none of open_clip_model.safetensors" in other.stderr
    assert "Traceback" not in absent.stderr + other.stderr


def test_a_damaged_lock_is_not_replaced(pull: Pull, tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    lock = tmp_path / "bundles" / "pulls.json"
    lock.write_text("{")
    assert "is damaged, so earlier pulls cannot be compared" in one_line(
        pull("pull", f"hf-hub:{REPOSITORY}")
    )
    assert lock.read_text() == "{"


def tag_environment(hub: Hub, url: str) -> dict[str, str]:
    return {"TINY_CONFIG": json.dumps(CONFIG), "TINY_URL": f"{hub.address}{url}"}


def test_a_tag_from_the_hub_warns_of_its_activation(pull: Pull, hub: Hub, tmp_path: Path) -> None:
    environment = tag_environment(hub, "/mlfoundations/tiny-00000000.pt")
    done = pull("pull", "tiny", "--pretrained", "test", prepare=TAG, **environment)
    assert done.returncode == 0, done.stderr
    manifest = Bundle.open(tmp_path / "bundles" / "tiny-test").manifest
    assert manifest.source.weights == f"tag test, {REPOSITORY}"
    assert manifest.source.native_resize == "shortest"
    assert "activation mismatch: tiny is exported with quickgelu" in done.stderr
    exported = pull("export", "tiny", "--pretrained", "test", "--activation", "gelu", "--out",
                    str(tmp_path / "out"), prepare=TAG, **environment)  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    assert "mismatch" not in exported.stderr
    assert Bundle.open(tmp_path / "out").manifest.activation == "gelu"
    assert hub.gets(WEIGHTS) == 1


def test_a_hash_that_open_clip_states_is_checked(
    pull: Pull, hub: Hub, tmp_path: Path, loaded: LoadedModel
) -> None:
    buffer = io.BytesIO()
    torch.save({"state_dict": as_tensors(loaded)}, buffer)
    body = buffer.getvalue()
    right = f"/mlfoundations/tiny-{hashlib.sha256(body).hexdigest()[:8]}.pt"
    wrong = "/mlfoundations/tiny-deadbeef.pt"
    hub.plain = {right: body, wrong: body}
    words = ("pull", "tiny", "--pretrained", "test", "--origin", "url")
    refused = one_line(pull(*words, prepare=TAG, **tag_environment(hub, wrong)))
    assert "does not have the sha256 that open_clip states (deadbeef" in refused
    assert not (tmp_path / "bundles" / "tiny-test").exists()
    done = pull(*words, prepare=TAG, **tag_environment(hub, right))
    assert done.returncode == 0, done.stderr
    source = Bundle.open(tmp_path / "bundles" / "tiny-test").manifest.source
    assert source.sha256 == hashlib.sha256(body).hexdigest()
    seen = hub.gets(right)
    again = pull(*words, "--offline", "--name", "second", prepare=TAG,
                 **tag_environment(hub, right))  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert hub.gets(right) == seen == 1
    elsewhere = tag_environment(hub, "/mlfoundations/tiny-11111111.pt")
    offline = one_line(pull(*words, "--offline", prepare=TAG, **elsewhere))
    assert "has not been downloaded yet and --offline forbids" in offline
